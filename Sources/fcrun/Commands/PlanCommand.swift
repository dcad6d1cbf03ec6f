import ArgumentParser
import ForwardCompute
import Jobs
import Remote

/// `fcrun plan`: what submit would do, and what it would cost.
struct PlanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan", abstract: "Show which offerings would do, in order, and what the run can cost.",
    usage: "fcrun plan [<options>] <spec>",
    discussion: """
      Creates nothing; needs no API key unless the job names volumes.

        fcrun plan job.json
        fcrun plan job.json --set resources.num_gpus=8 --json
      """)

  @OptionGroup var spec: SpecOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Plan against a simulated cloud on this computer.")
  var local = false

  func run() async throws {
    let (work, source) = try spec.work()
    let upload = try work.scan(shown: source.shown)
    let cloud = local ? try await Cloud.local(home: Installation.folder()) : try Cloud.remote()
    try Self.show(try await Prepared.make(work, on: cloud, try? Installation.open()), upload, json: output.json)
  }

  /// - Throws: ``Failure`` 69 when nothing matches; with `--json` after the document that says why.
  static func show(_ prepared: Prepared, _ upload: UploadTree, json: Bool) throws {
    if json { try Output.json(PlanText.json(prepared, upload)) }
    try prepared.requireCandidates()
    if !json { try PlanText.table(prepared, upload) }
  }
}

/// `fcrun validate`: is the job file one? Without network.
struct ValidateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate", abstract: "Check a job file without network; tells all errors at once.",
    usage: "fcrun validate [<options>] <spec>",
    discussion: """
        fcrun validate job.json
        fcrun validate job.yaml --env EPOCHS=3
      """)

  @OptionGroup var spec: SpecOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let (work, source) = try spec.work()
    _ = try work.scan(shown: source.shown)
    if output.json {
      return try Output.json(
        .object(of: [
          ("valid", .bool(true)), ("name", .string(work.name)), ("tasks", work.taskCount.map { .integer($0) }),
        ]))
    }
    try Output.print("\(spec.spec): valid\n")
  }
}
