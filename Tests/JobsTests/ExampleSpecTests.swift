import Jobs
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What `jobs/` and `templates/` hold decodes, plans, and names files that exist.
@Suite struct ExampleSpecTests {
  private static let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()

  static let examples =
    ["hello", "train", "volumes", "secrets", "failing", "ddp", "mpi", "ray", "fleet"].map { "jobs/\($0).json" }
    + ["training", "torchrun", "lora", "batch", "notebook", "ci-smoke", "resume"].map { "templates/\($0)/job.yaml" }

  /// Those of many jobs.
  static let sweeps = ["templates/sweep/job.yaml"]

  private func plan(_ example: String) throws -> JobPlan {
    let path = Self.root + "/" + example
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    let planned = PlannedWork.make(SpecNode.parse(bytes: bytes, file: example), file: path) {
      ["DEMO_TOKEN": "a token"][$0]
    }
    guard case .job(let plan) = try planned.get() else {
      throw SpecProblems([SpecProblem(file: example, line: 1, column: 1, path: "", message: "is a sweep")])
    }
    return plan
  }

  @Test(arguments: examples)
  func everyExamplePlans(example: String) throws {
    let plan = try plan(example)
    #expect(plan.limits.maxDuration != nil, "an example must not cost without end")
    #expect(plan.teardown == .always)
    for file in plan.files { #expect(FileManager.default.fileExists(atPath: file.source)) }
  }

  @Test(arguments: sweeps)
  func everySweepPlans(example: String) throws {
    let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: Self.root + "/" + example)))
    let planned = PlannedWork.make(SpecNode.parse(bytes: bytes, file: example), file: Self.root + "/" + example) { _ in
      nil
    }
    guard case .sweep(let sweep) = try planned.get() else { return #expect(Bool(false), "\(example) is one job") }
    #expect(sweep.tasks.compactMap(\.task).count == 6 && sweep.maxParallel == 2)
    #expect(sweep.tasks.allSatisfy { $0.limits.maxDuration != nil && $0.limits.maxCost != nil })
  }

  @Test func noJobIsForgottenHere() throws {
    let jobs = try FileManager.default.contentsOfDirectory(atPath: Self.root + "/jobs").filter { $0.hasSuffix(".json") }
    let templates = try FileManager.default.contentsOfDirectory(atPath: Self.root + "/templates").filter {
      $0 != "README.md"
    }
    #expect(
      Set(jobs.map { "jobs/" + $0 } + templates.map { "templates/\($0)/job.yaml" }) == Set(Self.examples + Self.sweeps))
  }

  @Test func theFailingJobFailsAndTheSecretIsOnlyAName() throws {
    guard case .script(let script) = try plan("jobs/failing.json").command else { return #expect(Bool(false)) }
    #expect(script.hasSuffix("exit 7"))
    #expect(try plan("jobs/secrets.json").secrets == ["DEMO_TOKEN"])
    #expect(try plan("jobs/secrets.json").envs.isEmpty)
  }
}
