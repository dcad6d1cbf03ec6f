import ForwardCompute
import Jobs
import Runner
import Store

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Takes a job and drives it to its end in this process: `submit`, `resume`, `attach` and `cancel` all end here.
struct Drive: Sendable {
  let installation: Installation
  let form: Console.Form
  /// Takes the machines of a finished job back that were kept.
  var cancels = false
  /// Ends the process that drives the job, if there is one.
  var takesOver = false
  /// Has printed a part of the job's output already.
  var printer: LogPrinter?
  /// What the jobs of one process have in common; nil: it drives this one only.
  var company: Company?

  /// Many jobs in one process: one pace of requests, one look for late machines, keys opened once.
  struct Company: Sendable {
    var api: any ForwardComputeAPI
    var passphrases: Passphrases?
    /// A task of a sweep that is driven here, so that the next one may have its machine.
    var isSweep = false
    /// Who tells what happens to a job.
    var voice: @Sendable (JobRecord) -> any Voice
  }

  /// The driver itself asks again, and something else in between: a DELETE that fails is followed by a read.
  private static let policy = RetryPolicy(maxElapsed: .seconds(2), longestPause: .seconds(2))

  /// - Throws: ``Failure`` when the job is driven by another process, or cannot be driven with this environment.
  func run(_ id: String, on cloud: Cloud, signals: SignalInbox) async throws -> Verdict {
    try refuseIfDriven(id)
    let known = try known(id)
    let console =
      company?.voice(known)
      ?? Console(form, folder: installation.folder(of: id), printer: printer, parting: { signals.part(with: $0) })
    // All that can be missing is asked for before an owner is ended: a job must not be left with nobody.
    let world = try await world(for: known, cloud, console, signals)
    if takesOver { try endOwner(of: id) }
    let lease = try lease(of: id)
    defer { withExtendedLifetime(lease) {} }
    let record = try claim(id)
    warnAboutMissingSecrets(record, console)
    let verdict = try await watching(cloud) {
      try await driver(in: world).run(record, first: cancels ? .cancelRequested : .restarted)
    }
    signals.part(with: .end(verdict))
    await console.finish(verdict, at: world.clock.now(), within: patience(after: signals))
    return verdict
  }

  /// How long readers of what is printed are waited for: for ever, but after a signal ten seconds are all there is. What
  /// they did not take is in the log files, and `resume` prints it.
  private func patience(after signals: SignalInbox) -> Duration? {
    signals.age.map { max(.milliseconds(300), min(.seconds(2), .milliseconds(9_700) - $0)) }
  }

  private func refuseIfDriven(_ id: String) throws {
    guard !takesOver else { return }
    let isDriven: Bool
    do { isDriven = try Lease.look(folder: installation.folder(of: id)) } catch { throw noLease(error) }
    if isDriven { throw alreadyDriven(id) }
  }

  private func lease(of id: String) throws -> Lease {
    do {
      guard let lease = try Lease(folder: installation.folder(of: id)) else { throw alreadyDriven(id) }
      return lease
    } catch let error as NoLease {
      throw noLease(error)
    }
  }

  private func noLease(_ error: NoLease) -> Failure {
    Failure(
      status: .failed, message: "the job cannot be driven from here: \(error)",
      next: "look at the disk, and at the limit of open files: ulimit -n")
  }

  /// Looks for late machines beside `work`. A look that is under way at its end is cut short, and says what it leaves.
  private func watching(_ cloud: Cloud, _ work: () async throws -> Verdict) async throws -> Verdict {
    guard company == nil else { return try await work() }
    let watch = Task { await LateMachines(installation: installation, cloud: cloud).watch() }
    let result: Result<Verdict, any Error>
    do { result = .success(try await work()) } catch { result = .failure(error) }
    watch.cancel()
    await watch.value
    return try result.get()
  }

  private func world(
    for record: JobRecord, _ cloud: Cloud, _ console: any Voice, _ signals: SignalInbox
  ) async throws -> World {
    if let refusal = await cloud.account.refusal(of: record.arrangement, api: cloud.client) {
      throw Failure(status: .notConfigured, message: "\(record.id): \(refusal)")
    }
    return try world(cloud, console, signals, company?.passphrases ?? Passphrases(for: record.arrangement.key))
  }

  private func driver(in world: World) -> Driver {
    #if FCRUN_FAILPOINTS
      if let points = Failpoints.ofThisProcess {
        return Driver(
          world: points.around(world), journal: points.around(installation.store), handsOver: company?.isSweep ?? false)
      }
    #endif
    return Driver(world: world, journal: installation.store, handsOver: company?.isSweep ?? false)
  }

  private func known(_ id: String) throws -> JobRecord {
    do { return try installation.store.job(id) } catch { throw Failure(status: .failed, message: "\(error)") }
  }

  private func claim(_ id: String) throws -> JobRecord {
    do { return try installation.store.claim(id) } catch { throw Failure(status: .failed, message: "\(error)") }
  }

  private func alreadyDriven(_ id: String) -> Failure {
    Failure(
      status: .usage, message: "another fcrun\(owner(of: id)) drives the job \(id)",
      next: "fcrun attach \(id), or where that one hangs: fcrun resume --take-over \(id)")
  }

  /// Other jobs of the process that drives this one: `resume --all` drives many.
  private func jobs(ofOwnerOf id: String) -> [String] {
    let owner = Lease.owner(folder: installation.folder(of: id))
    let jobs = (try? installation.store.jobs(unfinishedOnly: true).map(\.id)) ?? []
    return jobs.filter { other in
      other != id && installation.isDriven(other) && Lease.owner(folder: installation.folder(of: other)) == owner
    }
  }

  private func endOwner(of id: String) throws {
    let others = jobs(ofOwnerOf: id)
    guard !Lease.endOwner(folder: installation.folder(of: id)) else {
      if !others.isEmpty {
        Report.warn("nobody drives \(others.joined(separator: ", ")) any more, either; try: fcrun resume --all")
      }
      return
    }
    throw Failure(
      status: .usage, message: "the fcrun\(owner(of: id)) that drives the job \(id) cannot be ended from here",
      next: "end it where it runs, then: fcrun resume \(id)")
  }

  /// Whoever has just come says who it is a moment later.
  private func owner(of id: String) -> String {
    let folder = installation.folder(of: id)
    for _ in 0..<100 {
      if let owner = Lease.owner(folder: folder) { return " (process \(owner))" }
      guard Lease.isHeld(folder: folder) else { break }
      usleep(10_000)
    }
    return ""
  }

  func world(
    _ cloud: Cloud, _ narrator: any Narrator, _ signals: SignalInbox, _ passphrases: Passphrases
  ) throws -> World {
    let clock = LiveClock()
    let installation = installation
    var world = World(
      api: try company?.api ?? Self.api(of: cloud.account), clock: clock,
      entropy: SystemEntropy(),
      hosts: WorkerHosts(
        executable: try Executable.worker(), agentSocket: Context.environment("SSH_AUTH_SOCK"),
        passphrase: { passphrases.of($0) }),
      wakes: LiveWakes(signals: signals, store: installation.store, clock: clock), secrets: LocalSecrets(),
      narrator: narrator, logFolder: { installation.makeLogFolder($0, $1, $2) },
      checkpoints: installation.checkpoints)
    world.blame = { job, now in
      (try? installation.store.blame(account: job.arrangement.accountFingerprint, at: now)) ?? .none
    }
    return world
  }

  /// The API as drivers ask it.
  static func api(of account: Account) throws -> any ForwardComputeAPI {
    try Context.client(account.baseURL, account.apiKey, policy)
  }

  private func warnAboutMissingSecrets(_ record: JobRecord, _ console: any Voice) {
    let missing = record.context.plan.secrets.filter { LocalSecrets().value(of: $0) == nil }
    guard !missing.isEmpty, record.state.attempt?.launchedAt != nil else { return }
    console.say("warning: \(missing.joined(separator: ", ")) not in the environment: masking in the logs is off")
  }

}

extension FanOutPolicy {
  /// `FCRUN_FAN_OUT`.
  /// - Throws: ``Failure`` 78 for a word that is none of them.
  static func ofEnvironment() throws -> FanOutPolicy {
    guard let word = Context.environment("FCRUN_FAN_OUT") else { return .auto }
    if let policy = FanOutPolicy(rawValue: word) { return policy }
    throw Failure(
      status: .notConfigured,
      message: "FCRUN_FAN_OUT is \(Excerpt.escaped(word)); expected one of auto, always, never")
  }
}

/// What is said when a machine may still be there: the loudest thing fcrun can say.
enum StillBilling {
  static func sentence(_ record: JobRecord, at now: Moment) -> String {
    let attempt = record.state.attempt
    let machines = attempt.map { $0.instanceIDs.isEmpty ? $0.machines.map(\.name) : $0.instanceIDs } ?? []
    let price = attempt.map { "$\(Jobs.Money.exact($0.hourlyPrice))/h" } ?? "its price"
    return
      "NOT PROVED GONE: \(machines.joined(separator: ", ")) may still cost \(price); go on with: fcrun resume \(record.id)"
  }
}

/// The local environment, the only place where secrets are.
struct LocalSecrets: Secrets {
  func value(of name: String) -> String? { Context.environmentEvenEmpty(name) }
}

/// Passphrases of key files, asked for once and before anything is rented.
final class Passphrases: Sendable {
  private let known: [String: String]

  /// For work that opens no connection.
  static let none = Passphrases()

  private init() { known = [:] }

  /// - Throws: ``Failure`` when a passphrase is needed and there is no terminal to ask on.
  init(for key: Arrangement.PrivateKey) throws {
    guard case .file(let path) = key, PrivateKeyFile.isEncrypted(path) else {
      known = [:]
      return
    }
    guard isatty(STDIN_FILENO) == 1, let typed = getpass("Passphrase of \(path): ") else {
      throw Failure(
        status: .notConfigured, message: "the private key \(path) has a passphrase and there is no terminal to ask on",
        next: "add it to an agent: ssh-add \(path)")
    }
    known = [path: String(cString: typed)]
  }

  func of(_ path: String) -> String? { known[path] }

  /// A detached driver has no terminal to ask on.
  static func refuseToAsk(for key: Arrangement.PrivateKey) throws {
    guard case .file(let path) = key, PrivateKeyFile.isEncrypted(path) else { return }
    throw Failure(
      status: .notConfigured, message: "the private key \(path) has a passphrase, and there is no terminal to ask on",
      next: "add it to an agent: ssh-add \(path)")
  }
}

/// What a second signal says, and with which code it leaves.
struct Parting: Sendable {
  var text: String?
  var code: Int32
  /// The first signal does, too.
  var isAtFirst = false

  /// In the middle of a job: a machine may be there.
  static func middle(_ record: JobRecord) -> Parting {
    let machines = record.state.attempt.map { $0.instanceIDs.isEmpty ? $0.machines.map(\.name) : $0.instanceIDs } ?? []
    let what = machines.isEmpty ? "a machine" : machines.joined(separator: ", ")
    return Parting(
      text: "left at once; \(what) may still cost money; finish with: fcrun resume \(record.id)",
      code: ExitStatus.stillBilling.rawValue)
  }

  /// All that was left to do was to print.
  static func end(_ verdict: Verdict) -> Parting {
    var parting = verdict.outcome == nil ? middle(verdict.record) : Parting(code: verdict.exitCode)
    parting.isAtFirst = true
    return parting
  }
}

extension SignalInbox {
  /// Signals of a process that drives `record`: the second leaves at once, with the command that finishes the work.
  func open(leavingBehind record: JobRecord) {
    part(with: .middle(record))
    open()
  }

  /// The same, after the question whether to stop or to leave the job to a process of its own, where it can be asked.
  func open(leavingBehind record: JobRecord, in installation: Installation) {
    ask(StopOrDetach(record, installation), for: record)
    open(leavingBehind: record)
  }

  /// The same of a sweep.
  /// - Parameters:
  ///   - task: any of it.
  ///   - installation: nil where nothing is to be asked.
  func open(leavingBehind sweep: SweepRecord, like task: JobRecord, in installation: Installation?) {
    if let installation { ask(StopOrDetach(sweep, installation), for: task) }
    part(with: .sweep(sweep))
    open()
  }

  private func ask(_ question: StopOrDetach, for record: JobRecord) {
    guard StopOrDetach.isPossible(for: record) else { return }
    consider { question.tells(of: $0, unless: $1) }
  }

  /// Of a process that only looks on: whoever drives the job goes on.
  func leaveAtOnce() {
    if let first { _exit(128 + first.rawValue) }
    leave(atFirst: true) { _exit(128 + $0.rawValue) }
  }

  func part(with parting: Parting) {
    leave(atFirst: parting.isAtFirst) { _ in
      KeyPress.restore()
      if let text = parting.text { StandardStream.writeIfHeard("\nfcrun: \(text)\n", to: STDERR_FILENO) }
      _exit(parting.code)
    }
  }
}
