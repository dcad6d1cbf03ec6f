import Jobs
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// From one spec to many jobs.
@Suite struct SweepTests {
  private func work(
    _ member: String, command: String = "\"true\"", sweep: SweepSource? = nil
  ) -> Result<PlannedWork, SpecProblems> {
    let text =
      "{\"resources\": {\"max_hourly_price\": \"3\"}, \"command\": \(command)\(member.isEmpty ? "" : ",\n" + member)}"
    let parsed = SpecNode.parse(bytes: Array(text.utf8), file: "job.json")
    return PlannedWork.make(parsed, file: "/home/ada/lab/job.json", sweep: sweep) { _ in nil }
  }

  private func sweep(
    _ member: String, command: String = "\"true\"", sweep source: SweepSource? = nil
  ) throws -> SweepPlan {
    guard case .sweep(let sweep) = try work(member, command: command, sweep: source).get() else {
      throw SpecProblems([SpecProblem(file: "", line: 0, column: 0, path: "", message: "is no sweep")])
    }
    return sweep
  }

  private func problems(_ member: String, command: String = "\"true\"", sweep: SweepSource? = nil) -> [String] {
    switch work(member, command: command, sweep: sweep) {
    case .success: []
    case .failure(let wrong): wrong.problems.map(\.description)
    }
  }

  private func values(_ sweep: SweepPlan) -> [String] {
    sweep.tasks.compactMap { $0.task?.values.map { "\($0.name)=\($0.value)" }.joined(separator: " ") }
  }

  @Test func aMatrixIsEveryCombinationAndTheLastNameVariesFastest() throws {
    let sweep = try sweep("\"matrix\": {\"lr\": [0.10, \"1e-3\"], \"seed\": [1, 2]}")
    #expect(values(sweep) == ["lr=0.10 seed=1", "lr=0.10 seed=2", "lr=1e-3 seed=1", "lr=1e-3 seed=2"])
    #expect(sweep.tasks.map(\.name) == ["job-0", "job-1", "job-2", "job-3"])
    #expect(sweep.maxParallel == 4)
    #expect(try self.sweep("\"matrix\": {\"a\": [1]}, \"max_parallel\": 9").maxParallel == 9)
  }

  @Test func theCommandSeesEachValueAsAVariable() throws {
    let task = try #require(try sweep("\"matrix\": {\"lr\": [\"a b\"], \"Seed_2\": [7]}").tasks[0].task)
    #expect(
      task.environment.map { "\($0.name)=\($0.value)" } == [
        "FCRUN_ARRAY_INDEX=0", "FCRUN_MATRIX_LR=a b", "FCRUN_MATRIX_SEED_2=7",
      ])
  }

  @Test(arguments: [
    ("0-3", [0, 1, 2, 3], 4), ("0-15%2", Array(0...15), 2), ("0-10:5", [0, 5, 10], 4), ("1,3,7", [1, 3, 7], 4),
    ("7,1-2%1", [1, 2, 7], 1), ("5", [5], 4), ("0-9:4", [0, 4, 8], 4),
  ])
  func anArrayNamesItsIndices(text: String, indices: [Int], parallel: Int) throws {
    let sweep = try sweep("", command: "[\"run\", \"${matrix.index}\"]", sweep: .array(text))
    #expect(sweep.tasks.compactMap(\.task?.index) == indices)
    #expect(sweep.tasks.map(\.command) == indices.map { .argv(["run", "\($0)"]) })
    #expect(sweep.tasks.map(\.name) == indices.map { "job-\($0)" })
    #expect(sweep.maxParallel == parallel)
  }

  @Test(arguments: [
    ("", "1:1", "\"\" is no range"), ("3-1", "1:1", "\"3-1\" is no range"), ("0,x", "1:3", "\"x\" is no range"),
    ("0-3,2", "1:5", "the index 2 is there twice"), ("0-3%0", "1:5", "\"0\" is not how many run at once"),
    ("0-3%", "1:5", "\"\" is not how many run at once"), ("0-3:0", "1:1", "\"0-3:0\" is no range"),
    ("3:2", "1:1", "\"3:2\" is no range"), ("-1", "1:1", "\"-1\" is no range"),
    ("0-99999", "1:1", "are more than 10000 tasks"), ("99999999999", "1:1", "\"99999999999\" is no range"),
  ])
  func anArrayThatIsNoneSaysWhere(text: String, place: String, wrong: String) {
    let expected = "indices such as 0-15, 0-10:2 or 1,3,7, and %N for how many at once"
    #expect(problems("", sweep: .array(text)) == ["--array:\(place): matrix.index: \(wrong); expected \(expected)"])
  }

  @Test func eachLineOfATableIsATask() throws {
    let table = SweepSource.table(bytes: Array("\u{FEFF}lr\tnote\r\n0.1\ta b\r\n0.2\t\r\n\n".utf8), file: "t.tsv")
    #expect(values(try sweep("", sweep: table)) == ["lr=0.1 note=a b", "lr=0.2 note="])
  }

  @Test(arguments: [
    ("", "1:1: tasks: \"\" cannot be a variable's name; expected letters, digits and _, not a digit first"),
    ("lr\n", "1:1: tasks: has no task; expected names in the first line, and a line for each task"),
    (
      "lr\tl r\n1\t2",
      "1:4: tasks: \"l r\" cannot be a variable's name; expected letters, digits and _, not a digit first"
    ),
    ("lr\tLR\n1\t2", "1:4: tasks: \"LR\" is there twice; expected names that differ in more than upper and lower case"),
    ("a\tb\n1\t2\n3", "3:2: tasks: has 1 value; expected 2, with a tab between two, as the first line has"),
    ("a\tb\n1\t2\t3", "2:5: tasks: has 3 values; expected 2, with a tab between two, as the first line has"),
    ("a\tb\n1\t2\n\n3\t4", "3:1: tasks: has 1 value; expected 2, with a tab between two, as the first line has"),
    ("a\n\0", "2:1: tasks: holds a NUL character; expected text without NUL"),
  ])
  func aTableThatIsNoneSaysWhere(text: String, wrong: String) {
    #expect(problems("", sweep: .table(bytes: Array(text.utf8), file: "t.tsv")).first == "t.tsv:\(wrong)")
  }

  @Test func aValueStandsWhereItIsNamed() throws {
    let plan = try sweep(
      """
      "matrix": {"lr": ["a b"]}, "setup": "echo ${matrix.lr}", "workdir": "~/w/${matrix.lr}", "envs": {"E": "<${matrix.lr}>"},
      "files": [{"source": "in", "destination": "${matrix.lr}/in"}], "outputs": ["${matrix.lr}.txt", "log"]
      """, command: "[\"p\", \"--lr=${matrix.lr}${matrix.lr}\", \"$lr ${lr}\"]"
    ).tasks[0]
    #expect(plan.command == .argv(["p", "--lr=a ba b", "$lr ${lr}"]))
    #expect(plan.setup == "echo a b")
    #expect(plan.workdir == "~/w/a b")
    #expect(plan.envs.map(\.value) == ["<a b>"])
    #expect(plan.files.map(\.destination) == ["a b/in"])
    #expect(plan.outputs.map(\.source) == ["a b.txt", "log"])
  }

  @Test(arguments: [
    (
      "\"matrix\": {\"lr\": [1]}, \"setup\": \"${matrix.rl}\"",
      "job.json:2:33: setup: ${matrix.rl} is not known; expected one of lr"
    ),
    (
      "\"matrix\": {\"lr\": [1]}, \"setup\": \"${matrix.lr\"",
      "job.json:2:33: setup: has \"${matrix.lr\" without an end; expected a } after the name"
    ),
    (
      "\"setup\": \"${matrix.lr}\"",
      "job.json:2:10: setup: ${matrix.lr} is used without a sweep; expected a matrix, or --array, or --tasks"
    ),
    (
      "\"matrix\": {\"g\": [1]}, \"ssh_key\": \"${matrix.g}\"",
      "job.json:2:34: ssh_key: a value of the matrix cannot be used here; expected it in command, setup, files, outputs, envs, workdir"
    ),
    (
      "\"matrix\": {\"d\": [\"../..\"]}, \"outputs\": [{\"source\": \"a\", \"destination\": \"${matrix.d}\"}]",
      "job.json:2:72: outputs[0].destination: \"../..\" leads out with \"..\"; expected a path inside the spec's folder"
    ),
    (
      "\"matrix\": {\"a\": [1, 2], \"b\": [3, 4]}, \"outputs\": [\"${matrix.a}.txt\"]",
      "job.json:2:51: outputs[0]: becomes \"1.txt\" for the tasks 0 and 1; expected a destination that differs for all"
    ),
    (
      "\"max_parallel\": 2",
      "job.json:2:17: max_parallel: is given without a sweep; expected a matrix beside it, --array or --tasks, or no max_parallel"
    ),
  ])
  func aMistakeSaysWhereItIs(member: String, problem: String) {
    #expect(problems(member) == [problem])
  }

  @Test func aMatrixAndAnArrayExcludeEachOtherAndOtherMistakesAreToldToo() {
    #expect(
      problems("\"matrix\": {\"lr\": [1]}, \"nodes\": 0", sweep: .array("0-1")) == [
        "job.json:2:11: matrix: is given beside --array; expected one of the two",
        "job.json:2:33: nodes: is 0; expected a whole number from 1 to 10000",
      ])
  }

  @Test func moreCombinationsThanAnybodyRunsAreAMistake() {
    let axis = "[" + (0..<300).map { "\($0)" }.joined(separator: ",") + "]"
    let found = problems("\"matrix\": {\"a\": \(axis), \"b\": \(axis)}")
    #expect(found == ["job.json:2:11: matrix: has 90000 combinations; expected at most 10000"])
  }

  @Test func outputsOfTasksNeverMeet() throws {
    let sweep = try sweep(
      """
      "matrix": {"lr": [1, 2]},
      "outputs": ["a", {"source": "b", "destination": "c"}, {"source": "d", "destination": "d-${matrix.lr}"}, "e-${matrix.lr}"]
      """)
    #expect(sweep.tasks[0].outputs.map(\.folder) == ["job-0", "job-0", nil, nil])
    #expect(sweep.tasks[1].outputs.map(\.folder) == ["job-1", "job-1", nil, nil])
    #expect(sweep.tasks[1].outputs.map(\.destination) == [nil, "c", "d-2", nil])
  }

  @Test func theCeilingIsOfAllTasksUnlessMaxCostSaysLess() throws {
    let offering = Offering(
      id: "o", instanceType: "t", provider: "p", region: "r", deploymentType: "vm", available: true, hourlyPrice: 3,
      pricePerGPUHour: 3)
    let matrix = "\"matrix\": {\"lr\": [1, 2]}, \"retry\": {\"on\": []}"
    let limits = "\"limits\": {\"max_duration\": 540, \"boot_timeout\": 600, \"output_grace\": 60"
    #expect(try sweep("\(matrix), \(limits)}").costCeiling(over: [offering]) == 2)
    #expect(
      try sweep("\(matrix), \(limits), \"max_cost\": \"1.50\"}").costCeiling(over: [offering]) == Decimal(string: "1.5")
    )
    #expect(try sweep(matrix).costCeiling(over: [offering]) == nil)
  }

  @Test func aTaskIsStoredAndReadBackUnchanged() throws {
    let plan = try sweep("\"matrix\": {\"lr\": [1]}, \"outputs\": [\"a\"]").tasks[0]
    #expect(try JSONDecoder().decode(JobPlan.self, from: JSONEncoder().encode(plan)) == plan)
  }
}
