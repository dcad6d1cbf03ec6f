import ArgumentParser
import ForwardCompute
import Jobs
import Remote
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// `fcrun resume`: drive a job on from wherever it was left.
struct ResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Drive a job on after a crash, a reboot or an unproved release.",
    discussion: """
      With one job its output is printed from where printing stopped; with --all only what happens.


        fcrun resume --all
        fcrun resume train
        fcrun resume train --take-over         the process that drives it hangs
      """)

  @Argument(help: "Id, the beginning of one, or a name; of a job or a sweep.", completion: Completions.jobs)
  var job: String?

  @Flag(help: "Every job that is not finished and that nobody drives.")
  var all = false

  @Flag(help: "Print NDJSON events on stdout; with --all one JSON document.")
  var json = false

  @Flag(help: "End the process that drives the job, for one that hangs or is stopped, and drive the job here.")
  var takeOver = false

  /// A detached driver: what the job prints waits for whoever attaches.
  @Flag(help: .hidden)
  var unheard = false

  /// Waits until the process that has started this one has let go of the job.
  @Flag(help: .hidden)
  var inherits = false

  func validate() throws {
    guard all != (job != nil) else { throw ValidationError("expected a job, or --all") }
    guard !all || !takeOver else { throw ValidationError("--take-over is for one job") }
  }

  func run() async throws {
    let installation = try Installation.openAndLook()
    guard let job else { return try await everything(installation) }
    switch try installation.subject(job) {
    case .job(let record): try await one(record, installation)
    case .sweep(let sweep): try await one(sweep, installation)
    }
  }

  private func one(_ sweep: SweepRecord, _ installation: Installation) async throws {
    guard !takeOver else { throw ValidationError("--take-over is for one job, or one task of a sweep") }
    let tasks = try installation.store.tasks(of: sweep.id)
    guard let next = tasks.first(where: { !$0.isFinished }) else {
      StandardStream.leave(SweepDrive.exitCode(of: tasks))
    }
    let signals = SignalInbox()
    signals.open(leavingBehind: sweep, like: next, in: unheard || json ? nil : installation)
    if inherits { await waitForInheritance { installation.isDriven(sweep: sweep.id) } }
    let cloud = try await Cloud.of(next, home: installation.home)
    let drive = SweepDrive(installation: installation, form: unheard ? .told : json ? .events : .text)
    StandardStream.leave(try await drive.run(sweep, on: cloud, signals: signals))
  }

  private func one(_ record: JobRecord, _ installation: Installation) async throws {
    let form: Console.Form = unheard ? .told : json ? .json : .text
    if record.isFinished { await Self.leave(record, installation, form) }
    let signals = SignalInbox()
    if unheard || json {
      signals.open(leavingBehind: record)
    } else {
      signals.open(leavingBehind: record, in: installation)
    }
    if inherits { await waitForInheritance { installation.isDriven(record.id) } }
    let cloud = try await Cloud.of(record, home: installation.home)
    var drive = Drive(installation: installation, form: form)
    drive.takesOver = takeOver
    let verdict = try await drive.run(record.id, on: cloud, signals: signals)
    StandardStream.leave(verdict.exitCode)
  }

  private func waitForInheritance(_ isDriven: () -> Bool) async {
    for _ in 0..<2000 where isDriven() { try? await Task.sleep(for: .milliseconds(20)) }
  }

  /// Over, but perhaps not heard to its end: the process that drove it may have been killed before it had printed all, or
  /// was one that prints nothing.
  static func leave(
    _ record: JobRecord, _ installation: Installation, _ form: Console.Form, _ printer: LogPrinter? = nil
  ) async -> Never {
    let console = Console(form, folder: installation.folder(of: record.id), printer: printer)
    await console.finish(Verdict(record: record, signal: nil), at: LiveClock().now(), within: nil)
    StandardStream.leave(record.exitCode)
  }

  /// One after the other would let the last one bill until the first is done: all at once.
  private func everything(_ installation: Installation) async throws {
    installation.warnAboutUnknownFolders()
    let jobs = try installation.store.jobs(unfinishedOnly: true).filter { !$0.isFinished }
    let alone = jobs.filter { $0.sweep == nil && !installation.isDriven($0.id) }
    let sweeps = Dictionary(grouping: jobs.filter { $0.sweep != nil }) { $0.sweep! }
      .filter { !installation.isDriven(sweep: $0.key) }
    let ended = await withTaskGroup(of: (String, Int32).self) { group in
      let pace = SharedPace(home: installation.home)
      for record in alone {
        let signals = SignalInbox()
        signals.open(leavingBehind: record)
        group.addTask { (record.id, await Self.quietly(record, installation, pace, signals)) }
      }
      for (sweep, tasks) in sweeps {
        group.addTask { (sweep, await Self.quietly(sweep, like: tasks[0], installation, pace)) }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    if let cloud = try? Cloud.remote() {
      await LateMachines(installation: installation, cloud: cloud).giveBack(within: .seconds(20))
    }
    if json {
      let data = ended.map { JSONValue.object(of: [("job", .string($0)), ("exit_code", .integer(Int($1)))]) }
      try Output.json(.object(of: [("data", .array(data))]))
    }
    StandardStream.leave(Self.worst(ended.map(\.1)))
  }

  private static func quietly(
    _ record: JobRecord, _ installation: Installation, _ pace: SharedPace, _ signals: SignalInbox
  ) async -> Int32 {
    do {
      let (cloud, api) = try await pace.cloud(of: record)
      var drive = Drive(installation: installation, form: .told)
      // One look for all jobs of this process comes at the end.
      drive.company = Drive.Company(api: api) { Console(.told, folder: installation.folder(of: $0.id)) }
      return try await drive.run(record.id, on: cloud, signals: signals).exitCode
    } catch {
      Report.warn("\(record.id): \(error)")
      return ExitStatus.stillBilling.rawValue
    }
  }

  private static func quietly(
    _ id: String, like task: JobRecord, _ installation: Installation, _ pace: SharedPace
  ) async -> Int32 {
    do {
      let sweep = try installation.store.sweep(id)
      let signals = SignalInbox()
      signals.open(leavingBehind: sweep, like: task, in: nil)
      let (cloud, api) = try await pace.cloud(of: task)
      return try await SweepDrive(installation: installation, form: .told, api: api)
        .run(sweep, on: cloud, signals: signals)
    } catch {
      Report.warn("\(id): \(error)")
      return ExitStatus.stillBilling.rawValue
    }
  }

  /// 75 wins; then the first code that is not 0.
  static func worst(_ codes: [Int32]) -> Int32 {
    codes.contains(ExitStatus.stillBilling.rawValue)
      ? ExitStatus.stillBilling.rawValue : codes.first { $0 != 0 } ?? 0
  }
}

/// One pace of requests for all jobs of this process, on either cloud.
private actor SharedPace {
  private let home: String
  private var known: [Bool: (Cloud, any ForwardComputeAPI)] = [:]

  init(home: String) { self.home = home }

  func cloud(of record: JobRecord) async throws -> (cloud: Cloud, api: any ForwardComputeAPI) {
    let cloud = try await Cloud.of(record, home: home)
    if let known = known[record.arrangement.isLocal] { return known }
    let made = (cloud, try Drive.api(of: cloud.account))
    known[record.arrangement.isLocal] = made
    return made
  }
}

/// `fcrun attach`: follow a job to its end, as if submitted here.
struct AttachCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach", abstract: "Follow a job to its end and exit with its code; drives it if nobody does.",
    discussion: """
      Ctrl-C leaves the job running where another process drives it.

        fcrun attach train
      """)

  @Argument(help: "Id, the beginning of one, or a name.", completion: Completions.jobs)
  var job: String

  @Flag(help: "Print NDJSON events on stdout: the job's output from its beginning, and last how it ended.")
  var json = false

  func run() async throws {
    let installation = try Installation.openAndLook()
    if case .sweep(let sweep) = try installation.subject(job) { return try await attach(to: sweep, installation) }
    let record = try installation.job(job)
    let form: Console.Form = json ? .json : .text
    let printer = Console.printer(form, installation.folder(of: record.id))
    let last =
      record.isOver ? record : try await Watch(installation: installation, printer: printer).untilOver(record.id)
    if last.isFinished { await ResumeCommand.leave(last, installation, form, printer) }
    let signals = SignalInbox()
    if json { signals.open(leavingBehind: last) } else { signals.open(leavingBehind: last, in: installation) }
    var drive = Drive(installation: installation, form: form)
    drive.printer = printer
    let cloud = try await Cloud.of(last, home: installation.home)
    StandardStream.leave(try await drive.run(last.id, on: cloud, signals: signals).exitCode)
  }

  private func attach(to sweep: SweepRecord, _ installation: Installation) async throws {
    let attachment = SweepAttachment(installation: installation, sweep: sweep, form: json ? .events : .text)
    StandardStream.leave(try await attachment.follow(SignalInbox()))
  }
}

/// `fcrun wait`: until jobs are finished.
struct WaitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait", abstract: "Wait for jobs; exits with the job's code, with several 0 only if all succeeded.",
    discussion: """
        fcrun wait train
        fcrun wait $(fcrun ps -q)
      """)

  @Argument(help: "Ids, beginnings of ids, or names.", completion: Completions.jobs)
  var jobs: [String]

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openAndLook()
    // All names first: one that means no job is not to be found out after hours.
    let subjects = try jobs.map(installation.subject)
    let watch = Watch(installation: installation, printer: nil)
    var codes: [Int32] = []
    var ended: [JobRecord] = []
    for subject in subjects {
      switch subject {
      case .job(let record):
        ended.append(try await watch.untilOver(record.id))
        codes.append(ended[ended.count - 1].exitCode)
      case .sweep(let sweep):
        codes.append(try await watch.untilOver(sweep))
        ended += try installation.store.tasks(of: sweep.id)
      }
    }
    if output.json { try Output.json(.object(of: [("data", .array(ended.map(Self.json)))])) }
    StandardStream.leave(ResumeCommand.worst(codes))
  }

  private static func json(_ record: JobRecord) -> JSONValue {
    .object(of: [
      ("job", .string(record.id)), ("name", .string(record.name)), ("state", .string(record.state.word)),
      ("outcome", (record.state.outcome?.word).map(JSONValue.string) ?? .null),
      ("exit_code", .integer(Int(record.exitCode))),
    ])
  }
}

/// `fcrun fetch`: outputs again, while the machine lives.
struct FetchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fetch", abstract: "Fetch a job's outputs now, while its machine lives.",
    discussion: """
        fcrun fetch train
      """)

  @Argument(help: "Id, the beginning of one, or a name.", completion: Completions.jobs)
  var job: String

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openAndLook()
    switch try installation.subject(job) {
    case .job(let record): try await fetch(record, installation)
    case .sweep(let sweep):
      let tasks = try installation.store.tasks(of: sweep.id).filter(\.hasReachedMachine)
      guard !tasks.isEmpty else {
        throw Failure(status: .usage, message: "no task of \(sweep.name) has a machine to fetch from")
      }
      for task in tasks { try await fetch(task, installation) }
    }
  }

  private func fetch(_ record: JobRecord, _ installation: Installation) async throws {
    guard let attempt = record.state.attempt, record.hasReachedMachine else {
      throw Failure.noMachine(of: record)
    }
    let cloud = try await Cloud.of(record, home: installation.home)
    let form: Console.Form = output.json ? .quiet : .text
    let drive = Drive(installation: installation, form: form)
    let console = Console(form, folder: installation.folder(of: record.id))
    let world = try drive.world(cloud, console, SignalInbox(), Passphrases(for: record.arrangement.key))
    switch await world.fetch(attempt, for: record) {
    case .collected(let missing):
      if output.json { try Output.json(Self.json(record, missing)) }
      if missing.isEmpty {
        if !output.json { console.say("outputs are in \(record.context.plan.root)") }
        return await console.drain()
      }
      throw Failure(status: .failed, message: "these outputs are not there: \(missing.joined(separator: ", "))")
    case let event:
      throw Failure(
        status: .machineLost, message: "the outputs could not be fetched: \(event.trouble ?? event.word)")
    }
  }

  private static func json(_ record: JobRecord, _ missing: [String]) -> JSONValue {
    .object(of: [
      ("job", .string(record.id)), ("root", .string(record.context.plan.root)),
      ("missing", .array(missing.map(JSONValue.string))),
    ])
  }
}

extension JobRecord {
  fileprivate var hasReachedMachine: Bool {
    state.attempt.map { $0.machines.allSatisfy { $0.hostKey != nil } } ?? false
  }
}

/// `fcrun ssh`: a shell on the job's machine.
struct SSHCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ssh", abstract: "Open a shell, or run a command, on a job's machine with the system's ssh.",
    discussion: """
        fcrun ssh train
        fcrun ssh train -- nvidia-smi
        fcrun ssh train --node 1 -- 'tail -f /var/log/syslog'
      """)

  @Argument(help: "Id, the beginning of one, or a name.", completion: Completions.jobs)
  var job: String

  @Option(help: "Rank of the node.")
  var node = 0

  @Argument(parsing: .postTerminator, help: "A command instead of a shell.")
  var command: [String] = []

  func run() async throws {
    let installation = try Installation.openAndLook()
    let record = try installation.job(job)
    guard let machine = record.state.attempt?.machines.first(where: { $0.node == node }),
      let address = machine.address, let hostKey = machine.hostKey
    else {
      throw Failure.noMachine(of: record)
    }
    let knownHosts = try pin(hostKey, address, installation.folder(of: record.id))
    let link = record.link(to: machine)
    hand(over: arguments(link, knownHosts) + (command.isEmpty ? [] : ["--"] + command))
  }

  /// The pinned key in a file of ours: the user's own known_hosts is neither read nor written.
  private func pin(_ hostKey: String, _ address: Address, _ folder: String) throws -> String {
    let path = folder + "/known_hosts"
    let line = "[\(address.host)]:\(address.port) \(hostKey)\n\(address.host) \(hostKey)\n"
    guard
      FileManager.default.createFile(atPath: path, contents: Data(line.utf8), attributes: [.posixPermissions: 0o600])
    else { throw Failure(status: .failed, message: "\(path) cannot be written") }
    return path
  }

  private func arguments(_ link: Link, _ knownHosts: String) -> [String] {
    let key: [String] =
      switch link.key {
      case .file(let path): ["-i", path, "-o", "IdentitiesOnly=yes"]
      case .agent: []
      }
    return [
      "ssh", "-p", "\(link.port)", "-l", link.users[0], "-o", "UserKnownHostsFile=\(knownHosts)",
      "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes",
    ] + key + [link.host]
  }

  private func hand(over arguments: [String]) -> Never {
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    execvp("ssh", &words)
    _ = StandardStream.write("fcrun: ssh cannot be started: \(String(cString: strerror(errno)))\n", to: STDERR_FILENO)
    StandardStream.leave(ExitStatus.failed.rawValue)
  }
}
