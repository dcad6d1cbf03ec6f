import ArgumentParser
import ForwardCompute
import Jobs
import Runner
import Store

/// `fcrun reap`: give back what nobody is driving.
struct ReapCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reap", abstract: "Find machines of fcrun that nobody drives, and give them back.",
    usage: "fcrun reap [<options>] [<named> ...]",
    discussion: """
      Everything it needs is in the machines' names, so it also works where the state folder is lost.

        fcrun reap --dry-run
        fcrun reap --owner any                 also other installations' machines, past their deadline only
        FCRUN_OWNER=ab12cd fcrun reap          what was submitted with this mark, from any computer
        fcrun reap spot_inst_abc123 JOB        these, whatever their deadline is
      """)

  enum Owner: String, ExpressibleByArgument { case me, any }

  @Argument(help: "Instance ids, instance names or job ids.", completion: Completions.jobs)
  var named: [String] = []

  @Option(help: "me (this installation, or FCRUN_OWNER), or any.")
  var owner = Owner.me

  @Option(help: ArgumentHelp("Also machines without a deadline that are older than this.", valueName: "duration"))
  var older: String?

  @Flag(help: "Only show what would be given back.")
  var dryRun = false

  @Flag(help: "On the simulated cloud of submit --local.")
  var local = false

  /// Only what appeared under a watched name of a job that is over, and not a word on stdout: what other commands start
  /// beside themselves.
  @Flag(help: .hidden)
  var late = false

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openOrWithoutStore()
    if late { return await LateMachines(installation: installation, cloud: try Cloud.remote()).giveBack() }
    if named.isEmpty { installation.warnAboutUnknownFolders() }
    let cloud = local ? try await Cloud.local(home: installation.home) : try Cloud.remote()
    let console = Console(.quiet, folder: installation.home)
    let world = try Drive(installation: installation, form: .quiet).world(
      cloud, console, SignalInbox(), Passphrases.none)
    let reaper = Reaper(world: world, owner: installation.owner)
    let findings = try await reaper.survey(
      try request(), holder: installation.holder, standing: installation.standing
    ).filter(isMeant)
    try requireAllNamed(findings)
    let results = try await take(findings, reaper, installation)
    try show(results)
    if results.contains(where: { $0.result == .notProved }) { StandardStream.leave(ExitStatus.stillBilling.rawValue) }
  }

  private func request() throws -> Reaper.Request {
    let age = try older.map { text in
      guard let seconds = Durations.parse(text) else {
        throw ValidationError("--older \(text): expected 90s, 15m, 6h or 1d")
      }
      return Duration.seconds(seconds)
    }
    return Reaper.Request(named: named, older: age, anyOwner: owner == .any)
  }

  private func isMeant(_ finding: Reaper.Finding) -> Bool { named.isEmpty || named.contains(where: finding.isCalled) }

  private func requireAllNamed(_ findings: [Reaper.Finding]) throws {
    let unknown = named.filter { name in !findings.contains { $0.isCalled(name) } }
    guard unknown.isEmpty else {
      throw Failure(
        status: .usage,
        message: "\(unknown.joined(separator: ", ")) is no living machine of fcrun; nothing was given back",
        next: "fcrun reap --dry-run")
    }
  }

  private enum Result: String { case left, wouldTake = "would_take", proved = "gone", notProved = "not_proved" }

  private func take(
    _ findings: [Reaper.Finding], _ reaper: Reaper, _ installation: Installation
  ) async throws -> [(finding: Reaper.Finding, result: Result)] {
    var results: [(Reaper.Finding, Result)] = []
    for finding in findings {
      guard case .take = finding.verdict else {
        results.append((finding, .left))
        continue
      }
      // The machines before it may have taken minutes: somebody may drive this one by now.
      guard dryRun || installation.standing(finding.instance.id, finding.name) != .driven else {
        results.append((finding, .left))
        continue
      }
      results.append(dryRun ? (finding, .wouldTake) : try await take(finding, reaper))
    }
    return results
  }

  private func take(_ finding: Reaper.Finding, _ reaper: Reaper) async throws -> (Reaper.Finding, Result) {
    switch try await reaper.take(finding) {
    case .wasGone, .proved: return (finding, .proved)
    case .notProved: return (finding, .notProved)
    case .left(let why):
      var left = finding
      left.verdict = .leave(why)
      return (left, .left)
    }
  }

  private func show(_ results: [(finding: Reaper.Finding, result: Result)]) throws {
    if output.json {
      return try Output.json(.object(of: [("data", .array(results.map { Self.json($0.finding, $0.result) }))]))
    }
    guard !results.isEmpty else { return try Output.print("no machine of fcrun is left\n") }
    let header = [
      Column(title: "INSTANCE"), Column(title: "NAME", expendable: 1), Column(title: "STATUS"), Column(title: "RESULT"),
      Column(title: "WHY", room: .wraps),
    ]
    try Output.table(
      header: header,
      rows: results.map { finding, result in
        [finding.instance.id, finding.instance.name, finding.instance.status.rawValue, result.rawValue, finding.why]
      })
  }

  private static func json(_ finding: Reaper.Finding, _ result: Result) -> JSONValue {
    .object(of: [
      ("instance_id", .string(finding.instance.id)), ("name", .string(finding.instance.name)),
      ("status", .string(finding.instance.status.rawValue)), ("job", .string(finding.job)),
      ("result", .string(result.rawValue)), ("why", .string(finding.why)),
    ])
  }
}

extension Reaper.Finding {
  fileprivate var why: String {
    switch verdict {
    case .leave(let why), .take(let why): why
    }
  }
}

extension Installation {
  /// A machine that was handed over is not the job's that is in its name.
  func holder(of name: MachineName) -> String { (try? store.holder(of: name)) ?? name.job }

  /// What the store knows of the job that an instance's name is of.
  func standing(_ id: String, _ name: MachineName) -> Reaper.Standing {
    let job = holder(of: name)
    let record: JobRecord
    do { record = try store.job(job) } catch {
      if isDriven(job) { return .driven }
      // A store that cannot be read says nothing about the job, nor does an empty one that stands in for it.
      guard case .unknownJob = error, !hasFolder(of: job) else { return .resumable }
      return .unknown
    }
    if record.state.isStray(id, named: name) { return .over }
    if isDriven(job) { return .driven }
    if case .finished(_, let kept) = record.state.phase { return kept == nil ? .over : .kept }
    return .resumable
  }
}
