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

/// `fcrun submit`: the whole job, from the spec to a machine given back.
struct SubmitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "submit", abstract: "Run a job on a rented machine, and give the machine back.",
    discussion: """
      stdout and stderr are the job's own, and so is the exit code when the command ran to its end.
      Ctrl-C gives the machine back first and saves what can be saved; a second one leaves at once.

        fcrun submit job.json
        fcrun submit job.json --env EPOCHS=3 --set resources.num_gpus=8
        fcrun submit job.json --array 0-15%4  once for each index, four at a time
        fcrun submit --local job.json        on a simulated cloud on this computer
      """)

  @OptionGroup var spec: SpecOptions
  @OptionGroup var options: SubmitOptions

  func run() async throws {
    let signals = SignalInbox()
    let (work, source) = try spec.work()
    try await Submission(work: work, source: source, options: options, signals: signals).run()
  }
}

/// What `submit` and `run` have in common.
struct SubmitOptions: ParsableArguments {
  @Flag(help: "Print the job's id and leave; the job goes on without this terminal.")
  var detach = false

  @Flag(help: "Show the plan, create nothing.")
  var dryRun = false

  @Flag(help: "Print NDJSON events on stdout.")
  var json = false

  @Flag(help: "Never ask.")
  var yes = false

  @Flag(help: "Keep the machine at the end, whatever happens; it goes on costing.")
  var keep = false

  @Flag(help: "Of a sweep: leave out the tasks whose outputs are all there.")
  var skip = false

  @Flag(help: "Of a sweep: the first task that fails ends the others.")
  var failFast = false

  @Flag(help: "Run on a simulated cloud on this computer.")
  var local = false

  @Option(
    help: ArgumentHelp(
      "Submit once under this id: again, the same job is attached to, or its output and exit code returned.",
      valueName: "key"))
  var id: String?

  func validate() throws {
    guard let id, !SubmitID.isValid(id) else { return }
    throw ValidationError("--id \"\(id)\": expected 1 to 64 of A-Z, a-z, 0-9, \".\", \"_\" and \"-\"")
  }
}

/// A job on its way from a plan to its driver.
struct Submission {
  let work: PlannedWork
  let source: SpecSource
  let options: SubmitOptions
  let signals: SignalInbox

  private var json: Bool { options.json }

  func run() async throws {
    let work = try plannedWork()
    let upload = try work.scan(shown: source.shown)
    let fanOut = try FanOutPolicy.ofEnvironment()
    let installation = try Installation.open()
    if let id = options.id, !options.dryRun, let first = try installation.store.subject(submitID: id) {
      return try await again(first, work, installation)
    }
    let cloud = options.local ? try await Cloud.local(home: installation.home) : try Cloud.remote()
    if !options.dryRun { try cloud.account.requireKey() }
    let prepared = try await Prepared.make(work, on: cloud, installation)
    if options.dryRun { return try PlanCommand.show(prepared, upload, json: json) }
    try prepared.requireCandidates()
    var record = try await prepared.record(on: cloud, owner: installation.owner, at: LiveClock().now())
    record.arrangement.submitID = options.id
    (record.arrangement.uploadBytes, record.arrangement.fanOut) = (upload.totalBytes, fanOut)
    if options.detach || isatty(STDIN_FILENO) != 1 { try Passphrases.refuseToAsk(for: record.arrangement.key) }
    guard confirm(prepared, upload) else { throw Failure(status: .interrupted, message: "nothing was created") }
    if let sweep = prepared.sweep { return try await submit(sweep, like: record, work, installation, cloud) }
    // A signal from here on is the job's end, and not a job that the next resume --all would begin.
    if !options.detach { open(leavingBehind: record, installation) }
    if let first = try installation.keep(record, source) {
      signals.leaveAtOnce()
      return try await again(first, work, installation)
    }
    if options.detach { return try detached(record, installation) }
    try await drive(record, installation, cloud)
  }

  private func plannedWork() throws -> PlannedWork {
    if work.sweep == nil, options.skip || options.failFast {
      throw ValidationError("\(options.skip ? "--skip" : "--fail-fast") is for a sweep")
    }
    return options.keep ? work.keepingMachines : work
  }

  /// It has been submitted under this id before.
  private func again(_ first: Subject, _ work: PlannedWork, _ installation: Installation) async throws {
    try SubmitID.requireSame(first, work, installation, options)
    switch first {
    case .job(let record): try await again(record, installation)
    case .sweep(let sweep): try await again(sweep, installation)
    }
  }

  private func again(_ record: JobRecord, _ installation: Installation) async throws {
    guard options.detach else {
      tellID(of: record)
      let attachment = Attachment(installation: installation, id: record.id, json: json)
      StandardStream.leave(try await attachment.follow(signals))
    }
    if record.isFinished || installation.isDriven(record.id) { return try print(idOf: record) }
    try detached(record, installation)
  }

  private func drive(_ record: JobRecord, _ installation: Installation, _ cloud: Cloud) async throws {
    let form = json ? Console.Form.json : .text
    tellID(of: record)
    var drive = Drive(installation: installation, form: form)
    // All of it, also where a submit of the same id has printed some already.
    drive.printer = Console.printer(form, installation.folder(of: record.id), fromStart: true)
    StandardStream.leave(try await drive.run(record.id, on: cloud, signals: signals).exitCode)
  }

  private func open(leavingBehind record: JobRecord, _ installation: Installation) {
    if json { signals.open(leavingBehind: record) } else { signals.open(leavingBehind: record, in: installation) }
  }

  private func detached(_ record: JobRecord, _ installation: Installation) throws {
    _ = try DetachedDriver.start(record.id, log: installation.folder(of: record.id))
    waitForDriver { installation.isDriven(record.id) }
    try print(idOf: record)
  }

  private func print(idOf record: JobRecord) throws {
    if json { tellID(of: record) } else { try Output.print(record.id + "\n") }
  }

  /// Whoever gets the id may look at the job at once: it is driven by then, or its driver has failed.
  private func waitForDriver(_ isDriven: () -> Bool) {
    for _ in 0..<500 where !isDriven() { usleep(10_000) }
  }

  /// First of all: whoever loses this process needs it.
  private func tellID(of record: JobRecord) {
    if json {
      Console.emit(
        .object(of: [
          ("event", .string("submitted")), ("version", .integer(Output.version)), ("job", .string(record.id)),
          ("name", .string(record.name)),
        ]))
    } else {
      _ = StandardStream.write("fcrun: job \(record.id) (\(record.name))\n", to: STDERR_FILENO)
    }
  }

  /// Asks on a terminal only (rulings 19).
  private func confirm(_ prepared: Prepared, _ upload: UploadTree) -> Bool {
    guard !options.yes, !json, !options.local, isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else {
      return true
    }
    let best = prepared.ranking.candidates[0]
    let ceiling = prepared.costCeiling.map {
      "at most $\(Jobs.Money.formatUp($0))"
    }
    let tasks = prepared.sweep.map { "\(Counted.text($0.tasks.count, "task")), \($0.maxParallel) at once, on " } ?? ""
    let question =
      "\(tasks)\(best.inWords) (\(best.provider)), \(Counted.text(upload.fileCount, "file")) to send, \(ceiling ?? "no ceiling of the cost"). Go on? [Y/n] "
    _ = StandardStream.write(question, to: STDERR_FILENO)
    return ["", "y", "yes"].contains((readLine() ?? "n").lowercased())
  }
}

// MARK: - Sweeps

extension Submission {
  private func submit(
    _ plan: SweepPlan, like first: JobRecord, _ work: PlannedWork, _ installation: Installation, _ cloud: Cloud
  ) async throws {
    let tasks = options.skip ? plan.unfinished : plan.tasks
    let submission = SweepSubmission(plan, running: tasks, like: first, failsFast: options.failFast)
    let sweep = submission.sweep
    if !options.detach { signals.open(leavingBehind: sweep, like: first, in: json ? nil : installation) }
    if let first = try installation.keep(submission, source) {
      signals.leaveAtOnce()
      return try await again(first, work, installation)
    }
    if options.detach { return try detached(sweep, running: tasks, installation) }
    tell(sweep, running: tasks)
    let drive = SweepDrive(installation: installation, form: json ? .events : .text)
    StandardStream.leave(try await drive.run(sweep, on: cloud, signals: signals))
  }

  private func detached(_ sweep: SweepRecord, running tasks: [JobPlan], _ installation: Installation) throws {
    _ = try DetachedDriver.start(sweep.id, log: try installation.makeFolder(ofSweep: sweep.id))
    waitForDriver { installation.isDriven(sweep: sweep.id) }
    try print(idOf: sweep, running: tasks)
  }

  private func print(idOf sweep: SweepRecord, running tasks: [JobPlan]) throws {
    if json { tell(sweep, running: tasks) } else { try Output.print(sweep.id + "\n") }
  }

  private func again(_ sweep: SweepRecord, _ installation: Installation) async throws {
    let tasks = try installation.store.tasks(of: sweep.id)
    let plans = tasks.map(\.context.plan)
    guard options.detach else {
      tell(sweep, running: plans)
      let attachment = SweepAttachment(installation: installation, sweep: sweep, form: json ? .events : .text)
      StandardStream.leave(try await attachment.follow(signals))
    }
    if tasks.allSatisfy(\.isFinished) || installation.isDriven(sweep: sweep.id) {
      return try print(idOf: sweep, running: plans)
    }
    try detached(sweep, running: plans, installation)
  }

  private func tell(_ sweep: SweepRecord, running tasks: [JobPlan]) {
    let skipped = sweep.tasks.map(\.index).filter { index in !tasks.contains { $0.task?.index == index } }
    guard !json else {
      return Console.emit(
        .object(of: [
          ("event", .string("submitted")), ("version", .integer(Output.version)), ("sweep", .string(sweep.id)),
          ("name", .string(sweep.name)),
          ("tasks", .integer(sweep.tasks.count)), ("skipped", .array(skipped.map(JSONValue.integer))),
        ]))
    }
    let left = skipped.isEmpty ? "" : "; skipped, because the outputs are there: " + IndexList.text(skipped)
    _ = StandardStream.write(
      "fcrun: sweep \(sweep.id) (\(sweep.name)), \(tasks.count) of \(Counted.text(sweep.tasks.count, "task")), \(sweep.maxParallel) at once\(left)\n",
      to: STDERR_FILENO)
  }
}

extension PlannedWork {
  fileprivate var keepingMachines: PlannedWork {
    switch self {
    case .job(var plan):
      plan.teardown = .never
      return .job(plan)
    case .sweep(var sweep):
      for place in sweep.tasks.indices { sweep.tasks[place].teardown = .never }
      return .sweep(sweep)
    }
  }
}

/// Indices of tasks for people: `0-3, 7`.
enum IndexList {
  /// - Parameter indices: in their order.
  static func text(_ indices: [Int]) -> String {
    var ranges: [ClosedRange<Int>] = []
    for index in indices {
      if let last = ranges.last, last.upperBound + 1 == index {
        ranges[ranges.count - 1] = last.lowerBound...index
      } else {
        ranges.append(index...index)
      }
    }
    return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ", ")
  }
}

extension JobPlan {
  /// What would be sent, checked as far as it can be without a machine.
  /// - Throws: ``Failure`` 64 for a source that cannot be sent.
  func scan(shown: String) throws -> UploadTree {
    do {
      return try UploadTree.scan(
        files.map { Upload.Source(source: $0.source, destination: $0.destination, exclude: $0.exclude) })
    } catch {
      throw Failure(status: .usage, message: "\(shown): files: \(error.message)")
    }
  }
}

extension Installation {
  /// Makes the job durable, with its job file beside its logs.
  /// - Returns: what came first under its submit id, and then nothing is kept; nil when it is this job.
  func keep(_ record: JobRecord, _ source: SpecSource) throws -> Subject? {
    try keep([record], source) { () throws(StoreError) in try store.insert(record) }
  }

  /// Makes a sweep and all of its jobs durable at once.
  /// - Returns: as with a job.
  func keep(_ submission: SweepSubmission, _ source: SpecSource) throws -> Subject? {
    try keep(submission.jobs, source) { () throws(StoreError) in
      try store.insert(submission.sweep, submission.jobs)
    }
  }

  private func keep(
    _ jobs: [JobRecord], _ source: SpecSource, _ insert: () throws(StoreError) -> Subject?
  ) throws -> Subject? {
    for job in jobs { try makeFolder(of: job.id, source) }
    do {
      let first = try insert()
      if first != nil { for job in jobs { try? FileManager.default.removeItem(atPath: folder(of: job.id)) } }
      return first
    } catch {
      throw Failure(status: .failed, message: "\(error)", next: "nothing was created")
    }
  }

  func makeFolder(of job: String, _ source: SpecSource) throws {
    try makeFolder(of: job)
    let name = SpecNode.isYAML(source.path) ? "spec.yaml" : "spec.json"
    _ = FileManager.default.createFile(
      atPath: folder(of: job) + "/" + name, contents: Data(source.bytes), attributes: [.posixPermissions: 0o600])
  }
}
