import Jobs
import Testing

/// A sweep whose tasks share one Ray cluster is one job.
@Suite struct FleetTests {
  private func work(_ members: String, sweep: SweepSource? = nil) -> Result<PlannedWork, SpecProblems> {
    let text = #"""
      {"resources": {"max_hourly_price": "3"}, "command": "train ${matrix.n}",
      \#(members)}
      """#
    let parsed = SpecNode.parse(bytes: Array(text.utf8), file: "job.json")
    return PlannedWork.make(parsed, file: "/home/ada/lab/job.json", sweep: sweep) { _ in nil }
  }

  private func plan(_ members: String, sweep: SweepSource? = nil) throws -> JobPlan {
    guard case .job(let plan) = try work(members, sweep: sweep).get() else {
      throw SpecProblems([SpecProblem(file: "", line: 0, column: 0, path: "", message: "is a sweep")])
    }
    return plan
  }

  private func problems(_ members: String) -> [String] {
    switch work(members) {
    case .success: []
    case .failure(let wrong): wrong.problems.map(\.description)
    }
  }

  @Test func aMatrixBesideRayIsOneJobWithATaskForEachCombination() throws {
    let plan = try plan(
      #""nodes": 3, "engine": "ray", "matrix": {"n": [5, 7]}, "outputs": ["model.pt"], "name": "grid""#)
    let fleet = try #require(plan.fleet)
    #expect(plan.nodes == 3 && plan.task == nil && plan.name == "grid")
    #expect(fleet.tasks.map(\.name) == ["grid-0", "grid-1"])
    #expect(fleet.tasks.map(\.command) == [.script("train 5"), .script("train 7")])
    #expect(fleet.tasks.flatMap(\.outputs).map(\.folder) == ["grid-0", "grid-1"], "none in the way of another")
    #expect(fleet.maxParallel == nil, "as many as there is room for")
    #expect(plan.outputs.map(\.source) == [Fleet.place] && plan.outputs.map(\.nodes) == [.head])
  }

  @Test func aTaskWhoseMachineIsGoneIsTheEnginesUnlessItIsWrittenOtherwise() throws {
    let members = #""nodes": 3, "engine": "ray", "matrix": {"n": [5]}"#
    #expect(try plan(members).onLoss == .continue)
    #expect(try plan(members + #", "on_node_loss": "fail""#).onLoss == .fail)
  }

  @Test func whatDiffersIsInTheEnvironmentOfItsTaskOnly() throws {
    let plan = try plan(#""engine": "ray", "matrix": {"n": [5, 7]}, "envs": {"A": "all", "D": "set-${matrix.n}"}"#)
    #expect(plan.envs.map(\.name) == ["A"], "setup, once for each machine, must not see the first task's")
    #expect(plan.fleet?.tasks.map { $0.envs.map(\.value) } == [["all", "set-5"], ["all", "set-7"]])
  }

  @Test func anArrayDoesTheSame() throws {
    let text = #"{"resources": {"max_hourly_price": "3"}, "command": "x", "engine": "ray"}"#
    let parsed = SpecNode.parse(bytes: Array(text.utf8), file: "job.json")
    let made = PlannedWork.make(parsed, file: "/home/ada/job.json", sweep: .array("2-4%2")) { _ in nil }
    guard case .job(let plan) = try made.get() else { return #expect(Bool(false), "is a sweep") }
    #expect(plan.fleet?.tasks.map(\.task.index) == [2, 3, 4])
    #expect(plan.fleet?.maxParallel == 2)
  }

  @Test func whatATaskTakesIsOfTheEngine() throws {
    let engine = #""engine": {"name": "ray", "gpus_per_task": 2, "cpus_per_task": 4}"#
    let choice = try plan(engine + #", "matrix": {"n": [1]}"#).engine
    #expect(choice == EngineChoice(.ray, gpusPerTask: 2, cpusPerTask: 4))
  }

  @Test(arguments: [
    (
      #""engine": "ray", "matrix": {"n": [1, 2]}, "setup": "get ${matrix.n}""#, "2:52: setup: differs between the tasks"
    ),
    (
      #""engine": "ray", "matrix": {"n": [1, 2]}, "workdir": "~/${matrix.n}""#,
      "2:54: workdir: differs between the tasks"
    ),
    (
      #""engine": "ray", "matrix": {"n": [1]}, "limits": {"output_grace": 0}"#,
      "2:67: limits.output_grace: is 0, and what tasks of one cluster print"
    ),
    (#""engine": "ray", "matrix": {"n": [1]}, "reuse": true"#, "2:49: reuse: is given beside engine ray"),
    (
      #""engine": "ray", "matrix": {"n": [1]}, "checkpoint": {"source": "c", "every": "5m"}"#,
      "2:54: checkpoint: is given in a sweep beside engine ray"
    ),
    (#""engine": {"name": "mpi", "gpus_per_task": 1}"#, "engine.gpus_per_task: is given for mpi, which runs no tasks"),
    (#""engine": {"name": "ray", "cpus_per_task": 0}"#, "engine.cpus_per_task: is 0"),
    (
      #""engine": "ray", "matrix": {"n": [1, 2], "m": [1]}, "outputs": [{"source": "a", "destination": "${matrix.m}"}]"#,
      "for the tasks 0 and 1"
    ),
  ])
  func whatTasksOfOneClusterCannotHaveIsTold(members: String, wrong: String) {
    #expect(problems(members).contains { $0.contains(wrong) }, "\(problems(members))")
  }

  @Test func resourcesOfATaskWithoutTasksAreTold() {
    let text =
      #"{"resources": {"max_hourly_price": "3"}, "command": "x", "engine": {"name": "ray", "gpus_per_task": 1}}"#
    let parsed = SpecNode.parse(bytes: Array(text.utf8), file: "job.json")
    guard case .failure(let wrong) = PlannedWork.make(parsed, file: "/j.json", environment: { _ in nil }) else {
      return #expect(Bool(false), "it was taken")
    }
    #expect(wrong.problems.map(\.path) == ["engine"])
  }
}
