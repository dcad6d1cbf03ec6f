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

/// `fcrun ps`: the jobs of this installation.
struct PsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ps", abstract: "List the jobs that are not finished, newest first.",
    usage: "fcrun ps [<options>]",
    discussion: """
        fcrun ps
        fcrun ps -a -n 20
        fcrun ps --state running,booting --json
        fcrun ps -aq --since '2h ago'
      """)

  @Flag(name: .shortAndLong, help: "Finished ones too.")
  var all = false

  @Flag(name: .shortAndLong, help: "Only ids.")
  var quiet = false

  @Option(help: ArgumentHelp("Only jobs in these states, with a comma between them.", valueName: "state,…"))
  var state: String?

  @Option(help: ArgumentHelp("Only jobs submitted later: 2h ago, or an RFC 3339 time.", valueName: "time"))
  var since: String?

  @Option(
    name: .customShort("n"), parsing: .unconditional, help: ArgumentHelp("At most so many.", valueName: "N"),
    transform: Count.parse)
  var limit: Int?

  @Flag(help: "Live, on a terminal, until Ctrl-C.")
  var watch = false

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openAndLook()
    if watch { try await live(installation) }
    let jobs = try jobs(of: installation)
    if quiet { return try Output.print(jobs.map { $0.id + "\n" }.joined()) }
    if output.json {
      return try Output.json(.object(of: [("data", .array(try jobs.map { try json($0, installation) }))]))
    }
    try Output.table(header: JobView.header, rows: jobs.map { JobView.row($0, installation) })
  }

  private func json(_ job: ListedJob, _ installation: Installation) throws -> JSONValue {
    switch job {
    case .over(let finished): JobView(try installation.store.job(finished.id), installation).json
    case .known(let record): JobView(record, installation).json
    }
  }

  private func jobs(of installation: Installation) throws -> [ListedJob] {
    let states = try state.map(Self.states)
    let since = try since.map { try Time.parse($0, option: "--since") }
    let isAll = all || states?.contains { $0 == "finished" } ?? false
    let jobs = try installation.store.list(
      unfinishedOnly: !isAll, since: since, limit: states == nil && isAll ? limit ?? Int(Int32.max) : Int(Int32.max))
    let wanted = jobs.filter { job in (isAll || !job.isOver) && (states?.contains(job.word) ?? true) }
    return limit.map { Array(wanted.prefix($0)) } ?? wanted
  }

  /// - Throws: ``Failure`` 64 for a state that there is not.
  private static func states(_ text: String) throws -> Set<String> {
    let named = text.split(separator: ",").map { $0.lowercased() }
    if let unknown = named.first(where: { !JobView.states.contains($0) }) {
      throw Failure(
        status: .usage,
        message: "--state is \"\(unknown)\": expected some of \(JobView.states.joined(separator: ", "))")
    }
    return Set(named)
  }

  private func live(_ installation: Installation) async throws -> Never {
    guard Terminal.isThere, !output.json, !quiet else {
      throw Failure(
        status: .usage, message: "--watch is for a terminal", next: "fcrun ps --json again and again, or fcrun wait JOB"
      )
    }
    var screen = Screen()
    while true {
      let rows = try jobs(of: installation).prefix(max(1, Terminal.height - 2)).map { JobView.row($0, installation) }
      let table = Table(columns: JobView.header, rows: rows)
      let text = table.text(width: Terminal.width, bold: Terminal.isColourful)
      try screen.show(text.split(separator: "\n").map(String.init))
      try await Task.sleep(for: .seconds(1))
    }
  }
}

/// `fcrun show JOB`: everything that is known of one job.
struct ShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a job: state, attempts, costs and its journal.",
    discussion: """
        fcrun show train
        fcrun show train --json | jq .timeline
      """)

  @Argument(help: "Id, the beginning of one, or a name.", completion: Completions.jobs)
  var job: String

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openAndLook()
    if case .sweep(let sweep) = try installation.subject(job) {
      return try SweepView(sweep, installation).show(json: output.json)
    }
    let record = try installation.job(job)
    let view = JobView(record, installation)
    let journal = try installation.store.journal(of: record.id)
    if output.json { return try Output.json(view.json(with: journal)) }
    try Output.object(view.summary)
    if !view.attempts.isEmpty {
      try Output.print("\n")
      try Output.table(header: JobView.attemptHeader, rows: view.attempts)
    }
    try Output.print("\n")
    try Output.table(header: TimeLine.header, rows: view.timeLine(journal).rows)
  }
}

/// `fcrun cancel JOB`: stop the command, fetch its outputs, give the machine back.
struct CancelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "Stop a job, fetch its outputs, give its machine back.",
    discussion: """
      Gives back a machine that was kept, too.

        fcrun cancel train
      """)

  @Argument(help: "Id, the beginning of one, or a name.", completion: Completions.jobs)
  var job: String

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openAndLook()
    if case .sweep(let sweep) = try installation.subject(job) { return try await cancel(sweep, installation) }
    let record = try installation.job(job)
    guard !record.isOver else {
      throw Failure(
        status: .usage, message: "\(record.id) is finished already: \(record.state.outcome?.sentence ?? "")",
        next: "fcrun show \(record.id)")
    }
    try installation.store.requestCancel(record.id, at: LiveClock().now())
    try show(try await cancel(record, installation))
  }

  private func cancel(_ record: JobRecord, _ installation: Installation) async throws -> JobRecord {
    if installation.isDriven(record.id) { return try await untilOver(record, installation) }
    let signals = SignalInbox()
    signals.open(leavingBehind: record)
    let cloud = try await Cloud.of(record, home: installation.home)
    let drive = Drive(installation: installation, form: .quiet, cancels: true)
    return try await drive.run(record.id, on: cloud, signals: signals).record
  }

  private func untilOver(_ record: JobRecord, _ installation: Installation) async throws -> JobRecord {
    try await Watch(installation: installation, printer: nil).untilOver(record.id)
  }

  /// First what nothing is rented for, so that no machine is asked for meanwhile; then all others at once.
  private func cancel(_ sweep: SweepRecord, _ installation: Installation) async throws {
    let store = installation.store
    let now = LiveClock().now()
    let open = try store.tasks(of: sweep.id).filter { !$0.isOver }
    guard !open.isEmpty else {
      throw Failure(
        status: .usage, message: "\(sweep.name) (\(sweep.id)) is finished already", next: "fcrun results \(sweep.id)")
    }
    for task in open { try store.requestCancel(task.id, at: now) }
    _ = try store.end(waiting: open, by: .cancelRequested, word: "cancel requested", at: now)
    let rest = try store.tasks(of: sweep.id).filter { !$0.isOver }
    let ended = try await cancel(rest, of: sweep, installation)
    if let left = ended.first(where: { !$0.isOver }) { return try show(left) }
    if output.json {
      return try Output.json(.object(of: [("sweep", .string(sweep.id)), ("state", .string("finished"))]))
    }
    try Output.print("\(sweep.id): \(Counted.text(open.count, "task")) cancelled, all given back and proved gone\n")
  }

  /// Nobody drives them: this process does, on the same path as every other, at one pace.
  private func cancel(_ tasks: [JobRecord], of sweep: SweepRecord, _ installation: Installation) async throws
    -> [JobRecord]
  {
    // Where others drive them all, Ctrl-C leaves at once, as from any wait.
    guard let first = tasks.first(where: { !installation.isDriven($0.id) }) else {
      var ended: [JobRecord] = []
      for task in tasks { ended.append(try await untilOver(task, installation)) }
      return ended
    }
    let signals = SignalInbox()
    signals.part(with: .sweep(sweep))
    signals.open()
    let cloud = try await Cloud.of(first, home: installation.home)
    var drive = Drive(installation: installation, form: .quiet, cancels: true)
    drive.company = Drive.Company(
      api: try Drive.api(of: cloud.account), passphrases: try Passphrases(for: first.arrangement.key)
    ) { Console(.quiet, folder: installation.folder(of: $0.id)) }
    // One that cannot be cancelled keeps no other from being given back.
    let ended = await withTaskGroup(of: Result<JobRecord, any Error>.self) { [drive] group in
      for task in tasks {
        let branch = signals.branch()
        group.addTask {
          do {
            if installation.isDriven(task.id) { return .success(try await untilOver(task, installation)) }
            return .success(try await drive.run(task.id, on: cloud, signals: branch).record)
          } catch {
            return .failure(error)
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    return try ended.map { try $0.get() }
  }

  private func show(_ record: JobRecord) throws {
    guard record.isOver else {
      throw Failure(status: .stillBilling, message: StillBilling.sentence(record, at: LiveClock().now()))
    }
    if output.json {
      return try Output.json(.object(of: [("job", .string(record.id)), ("state", .string("finished"))]))
    }
    try Output.print("\(record.id): \(record.state.outcome?.sentence ?? "finished"), given back and proved gone\n")
  }
}

extension ListedJob {
  var id: String {
    switch self {
    case .over(let job): job.id
    case .known(let record): record.id
    }
  }

  var isOver: Bool {
    switch self {
    case .over: true
    case .known(let record): record.isOver
    }
  }

  /// Of its state.
  var word: String {
    switch self {
    case .over: "finished"
    case .known(let record): record.state.word
    }
  }
}

extension JobRecord {
  /// Finished, and nothing of it is kept.
  var isOver: Bool {
    if case .finished(_, nil) = state.phase { true } else { false }
  }

  /// What `submit` of this job ended, or would end, with.
  var exitCode: Int32 {
    if case .finished(let outcome, _) = state.phase { outcome.exitCode } else { ExitStatus.stillBilling.rawValue }
  }
}

/// One job as lists, `show` and `--json` have it.
struct JobView {
  let record: JobRecord
  let isDriven: Bool
  let checkpoint: StoredCheckpoint?
  let now = LiveClock().now()

  init(_ record: JobRecord, _ installation: Installation) {
    self.record = record
    // Of thousands that are over no lock file is looked at.
    isDriven = !record.isOver && installation.isCaredFor(record)
    checkpoint = record.context.plan.checkpoint.flatMap { _ in installation.checkpoints.newest(of: record.id, node: 0) }
  }

  static let header = [
    Column(title: "ID"), Column(title: "NAME", room: .cut), Column(title: "STATE"),
    Column(title: "OUTCOME", expendable: 1),
    Column(title: "EXIT", alignment: .right), Column(title: "COST", alignment: .right),
    Column(title: "OFFERING", expendable: 2), Column(title: "CREATED", expendable: 3),
  ]

  static func row(_ job: ListedJob, _ installation: Installation) -> [String] {
    switch job {
    case .known(let record): JobView(record, installation).row
    case .over(let job):
      [
        job.id, job.name, "finished", job.outcome, "\(job.exitCode)",
        "$" + Jobs.Money.formatUp(job.cost, places: 4), job.offering ?? "-", Time.text(job.createdAt),
      ]
    }
  }

  private var row: [String] {
    let code = record.isFinished ? "\(record.exitCode)" : "-"
    return [
      record.id, record.name, state, record.state.outcome?.word ?? "-", code, "$" + cost,
      offering?.id ?? "-", Time.text(record.createdAt),
    ]
  }

  private var state: String {
    if record.sweep != nil, record.isWaiting { return "waiting" + (isDriven ? "" : " (not driven)") }
    return record.state.word + (isDriven || record.isFinished ? "" : " (not driven)")
  }

  /// As `state` has them everywhere.
  static let states = [
    "choosing", "creating", "settling", "pricing", "booting", "connecting", "uploading", "launching", "running",
    "stopping",
    "collecting", "handing", "releasing", "salvaging", "proving", "kept", "finished",
  ]

  // MARK: - One job on a page

  /// What is said in one line each.
  var summary: JSONValue {
    let machines = record.state.attempt?.machines ?? []
    let fields: [(String, JSONValue?)] = [
      ("id", .string(record.id)), ("name", .string(record.name)), ("state", .string(state)),
      ("outcome", (record.state.outcome?.sentence).map(JSONValue.string)),
      ("exit_code", record.isFinished ? .integer(Int(record.exitCode)) : nil), ("cost", .string("$" + cost)),
      ("created", .string(Time.text(record.createdAt))), ("spec", .string(record.context.plan.file)),
    ]
    let places = machines.compactMap { machine -> (String, JSONValue?)? in
      guard let address = machine.address else { return nil }
      let user = address.user.map { $0 + "@" } ?? ""
      let key = machine.hostKey.flatMap(Self.fingerprint).map { "  " + $0 } ?? ""
      return ("node \(machine.node)", .string("\(user)\(address.host):\(address.port)\(key)"))
    }
    return .object(of: fields + places)
  }

  static let attemptHeader = [
    Column(title: "ATTEMPT", alignment: .right), Column(title: "OFFERING"), Column(title: "$/H", alignment: .right),
    Column(title: "INSTANCES", expendable: 2), Column(title: "FOR", alignment: .right),
    Column(title: "COST", alignment: .right), Column(title: "OUTCOME", expendable: 1, room: .wraps),
  ]

  var attempts: [[String]] {
    let past = record.state.past.map { past in
      [
        "\(past.number)", past.offering.id, Jobs.Money.exact(past.offering.hourlyPrice),
        past.instanceIDs.joined(separator: " "), TimeLine.text(past.releasedAt - past.sentAt),
        "$" + Jobs.Money.formatUp(past.cost, places: 4), past.outcome.sentence,
      ]
    }
    guard let attempt = record.state.attempt else { return past }
    let spent = record.state.cost(at: now) - record.state.past.map(\.cost).reduce(0, +)
    return past + [
      [
        "\(attempt.number)", attempt.offering.id, Jobs.Money.exact(attempt.offering.hourlyPrice),
        attempt.instanceIDs.joined(separator: " "), TimeLine.text(now - attempt.sentAt),
        "$" + Jobs.Money.formatUp(max(0, spent), places: 4), record.isOver ? "" : state,
      ]
    ]
  }

  func timeLine(_ journal: [JournalEntry]) -> TimeLine { TimeLine(journal, until: record.isOver ? nil : now) }

  private var cost: String { Jobs.Money.formatUp(record.state.cost(at: now), places: 4) }

  private var offering: Offering? { record.state.attempt?.offering ?? record.state.past.last?.offering }

  var json: JSONValue { json(with: nil) }

  func json(with journal: [JournalEntry]?) -> JSONValue {
    .object(of: [
      ("id", .string(record.id)), ("submit_id", record.arrangement.submitID.map(JSONValue.string)),
      ("name", .string(record.name)), ("sweep", record.sweep.map(JSONValue.string)),
      ("task", (record.context.plan.task?.index).map(JSONValue.integer)),
      ("matrix", record.context.plan.task.map(\.json)), ("state", .string(record.state.word)),
      ("driven", .bool(isDriven)), ("outcome", (record.state.outcome?.word).map(JSONValue.string) ?? .null),
      ("message", (record.state.outcome?.sentence).map(JSONValue.string) ?? .null),
      ("phase", (record.state.outcome?.phase).map(JSONValue.string)),
      ("exit_code", record.isFinished ? .integer(Int(record.exitCode)) : .null), ("cost", .string(cost)),
      ("created", .string(Time.text(record.createdAt))), ("updated", .string(Time.text(record.updatedAt))),
      ("spec", .string(record.context.plan.file)), ("attempt", record.state.attempt.map(Self.json) ?? .null),
      (
        "checkpoint",
        checkpoint.map { .object(of: [("folder", .string($0.folder)), ("at", .string(Time.text($0.takenAt)))]) }
      ),
      ("past_attempts", .array(record.state.past.map(Self.json))),
      ("timeline", journal.map { timeLine($0).json }),
      ("journal", journal.map { .array($0.map(Self.json)) }),
    ])
  }

  private static func json(_ attempt: Attempt) -> JSONValue {
    .object(of: [
      ("number", .integer(attempt.number)), ("offering_id", .string(attempt.offering.id)),
      ("hourly_price", .string(Jobs.Money.exact(attempt.offering.hourlyPrice))),
      ("machines", .array(attempt.machines.map(json))),
    ])
  }

  private static func json(_ machine: Machine) -> JSONValue {
    .object(of: [
      ("node", .integer(machine.node)), ("name", .string(machine.name)),
      ("instance_id", machine.id.map(JSONValue.string) ?? .null),
      ("host", (machine.address?.host).map(JSONValue.string) ?? .null),
      ("port", (machine.address?.port).map(JSONValue.integer) ?? .null),
      ("user", (machine.address?.user).map(JSONValue.string) ?? .null),
      ("host_key", machine.hostKey.flatMap(fingerprint).map(JSONValue.string) ?? .null),
    ])
  }

  /// As `ssh-keygen -l` writes it: what a provider's console may show too.
  private static func fingerprint(_ hostKey: String) -> String? {
    let words = hostKey.split(separator: " ")
    return words.count < 2 ? nil : Data(base64Encoded: String(words[1])).map { Fingerprint.sha256(of: Array($0)) }
  }

  private static func json(_ past: PastAttempt) -> JSONValue {
    .object(of: [
      ("number", .integer(past.number)), ("offering_id", .string(past.offering.id)),
      ("instance_ids", .array(past.instanceIDs.map(JSONValue.string))), ("outcome", .string(past.outcome.word)),
      ("message", .string(past.outcome.sentence)), ("cost", .string(Jobs.Money.format(past.cost, places: 4))),
    ])
  }

  private static func json(_ entry: JournalEntry) -> JSONValue {
    .object(of: [
      ("at", .string(Time.text(entry.at))), ("state", .string(entry.phase)), ("event", .string(entry.event)),
    ])
  }
}

extension JobRecord {
  var isFinished: Bool { if case .finished = state.phase { true } else { false } }
}
