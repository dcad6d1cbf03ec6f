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
        fcrun submit --local job.json        on a simulated cloud on this computer
      """)

  @OptionGroup var spec: SpecOptions
  @OptionGroup var options: SubmitOptions

  func run() async throws {
    let signals = SignalInbox()
    let (plan, source) = try spec.plan()
    try await Submission(plan: plan, source: source, options: options, signals: signals).run()
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
  var plan: JobPlan
  let source: SpecSource
  let options: SubmitOptions
  let signals: SignalInbox

  private var json: Bool { options.json }

  func run() async throws {
    var plan = plan
    if options.keep { plan.teardown = .never }
    let upload = try plan.scan(shown: source.shown)
    let installation = try Installation.open()
    if let id = options.id, !options.dryRun, let first = try installation.store.job(submitID: id) {
      return try await again(first, plan, installation)
    }
    let cloud = options.local ? try await Cloud.local(home: installation.home) : try Cloud.remote()
    if !options.dryRun { try cloud.account.requireKey() }
    let prepared = try await Prepared.make(plan, on: cloud, installation)
    if options.dryRun { return try PlanCommand.show(prepared, upload, json: json) }
    try prepared.requireCandidates()
    var record = try await prepared.record(on: cloud, owner: installation.owner, at: LiveClock().now())
    record.arrangement.submitID = options.id
    if options.detach || isatty(STDIN_FILENO) != 1 { try Passphrases.refuseToAsk(for: record.arrangement.key) }
    guard confirm(prepared, upload) else { throw Failure(status: .interrupted, message: "nothing was created") }
    let kept = try installation.keep(record, source)
    guard kept.id == record.id else { return try await again(kept, plan, installation) }
    if options.detach { return try detached(record, installation) }
    try await drive(record, installation, cloud)
  }

  /// The job has been submitted under this id before.
  private func again(_ record: JobRecord, _ plan: JobPlan, _ installation: Installation) async throws {
    try SubmitID.requireSame(record, plan, isLocal: options.local)
    guard options.detach else {
      tellID(of: record)
      let attachment = Attachment(installation: installation, id: record.id, json: json)
      StandardStream.leave(try await attachment.follow(signals))
    }
    if record.isFinished || installation.isDriven(record.id) { return try print(idOf: record) }
    try detached(record, installation)
  }

  private func drive(_ record: JobRecord, _ installation: Installation, _ cloud: Cloud) async throws {
    if json { signals.open(leavingBehind: record) } else { signals.open(leavingBehind: record, in: installation) }
    let form = json ? Console.Form.json : .text
    tellID(of: record)
    let verdict = try await Drive(installation: installation, form: form).run(record.id, on: cloud, signals: signals)
    StandardStream.leave(verdict.exitCode)
  }

  private func detached(_ record: JobRecord, _ installation: Installation) throws {
    _ = try DetachedDriver.start(record.id, installation)
    waitForDriver(of: record.id, installation)
    try print(idOf: record)
  }

  private func print(idOf record: JobRecord) throws {
    if json { tellID(of: record) } else { try Output.print(record.id + "\n") }
  }

  /// Whoever gets the id may look at the job at once: it is driven by then, or its driver has failed.
  private func waitForDriver(of id: String, _ installation: Installation) {
    for _ in 0..<500 where !installation.isDriven(id) { usleep(10_000) }
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
    let ceiling = prepared.plan.costCeiling(over: prepared.ranking.candidates).map {
      "at most $\(Jobs.Money.formatUp($0))"
    }
    let question =
      "\(best.inWords) (\(best.provider)), \(upload.fileCount) files to send, \(ceiling ?? "no ceiling of the cost"). Go on? [Y/n] "
    _ = StandardStream.write(question, to: STDERR_FILENO)
    return ["", "y", "yes"].contains((readLine() ?? "n").lowercased())
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
  /// - Returns: the job that has its submit id: another one when that came first, and then nothing is kept.
  func keep(_ record: JobRecord, _ source: SpecSource) throws -> JobRecord {
    try makeFolder(of: record.id)
    let name = SpecNode.isYAML(source.path) ? "spec.yaml" : "spec.json"
    _ = FileManager.default.createFile(
      atPath: folder(of: record.id) + "/" + name, contents: Data(source.bytes), attributes: [.posixPermissions: 0o600])
    do {
      let kept = try store.insert(record)
      if kept.id != record.id { try? FileManager.default.removeItem(atPath: folder(of: record.id)) }
      return kept
    } catch {
      throw Failure(status: .failed, message: "\(error)", next: "nothing was created")
    }
  }
}
