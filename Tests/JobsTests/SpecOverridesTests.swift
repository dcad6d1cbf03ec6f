import Jobs
import Testing

@Suite struct SpecOverridesTests {
  private let text = """
    {
      "command": "true",
      "resources": {"gpu_type": "A100", "num_gpus": 1},
      "files": ["src", {"source": "data", "destination": "d"}]
    }
    """

  private func decoded(set: [(String, String)] = [], env: [(String, String)] = []) -> Result<JobSpec, SpecProblems> {
    let envs = env.enumerated().map { SpecLayers.Variable(name: $1.0, value: $1.1, option: $0 + 1) }
    return SpecDecoder.decode(
      bytes: Array(text.utf8), file: "job.json", SpecLayers(set: set.map { ($0.0, $0.1) }, envs: envs))
  }

  private func problems(set: [(String, String)] = [], env: [(String, String)] = []) -> [String] {
    switch decoded(set: set, env: env) {
    case .success: []
    case .failure(let wrong): wrong.problems.map(\.description)
    }
  }

  @Test func aValueThatIsJSONIsThatAndAnythingElseAString() throws {
    let spec = try decoded(set: [
      ("resources.num_gpus", "8"), ("resources.gpu_type", "[\"H100\", \"A100\"]"), ("resources.region", "us-east-1"),
      ("name", "\"7\""), ("teardown", "never"),
    ]).get()
    #expect(spec.resources?.value.numGPUs == Resources.Bounds(min: 8, max: 8))
    #expect(spec.resources?.value.gpuType == ["H100", "A100"])
    #expect(spec.resources?.value.region == ["us-east-1"])
    #expect(spec.name?.value == "7")
    #expect(spec.teardown?.value == .never)
  }

  /// The shell takes the quotes away, so a number must be able to stand for text there; the literal stays exact.
  @Test func textAndMoneyNeedNoQuotesOfTheirOwn() throws {
    let spec = try decoded(set: [
      ("limits.max_cost", "5.10"), ("name", "7"), ("envs.A", "0.10"), ("envs.B", "true"), ("envs.C", "null"),
    ]).get()
    #expect(spec.limits.maxCost?.value == Money.parse("5.1"))
    #expect(spec.name?.value == "7")
    #expect(spec.envs.map(\.value) == ["0.10", "true", nil])
  }

  @Test func objectsOnTheWayAreMadeAndTheLastOneWins() throws {
    let spec = try decoded(set: [("limits.max_duration", "5m"), ("limits.max_duration", "90")]).get()
    #expect(spec.limits.maxDuration?.value == 90)
  }

  @Test func entriesOfListsAreReplacedAndAppended() throws {
    let spec = try decoded(set: [("files.0", "code"), ("files.1.destination", "e"), ("files.2.source", "x")]).get()
    #expect(spec.files.map(\.source.value) == ["code", "data", "x"])
    #expect(spec.files.map(\.destination?.value) == [nil, "e", nil])
  }

  @Test func environmentIsSetAsTextWhateverItLooksLike() throws {
    let spec = try decoded(env: [("A", "8"), ("B", "null"), ("C", "x=y"), ("A", "9")]).get()
    #expect(spec.envs.map(\.name) == ["A", "B", "C"])
    #expect(spec.envs.map(\.value) == ["9", "null", "x=y"])
  }

  @Test func aMistakeIsShownInTheOptionItWasMadeIn() {
    #expect(
      problems(set: [("nodes", "2"), ("resources.num_gpu", "8"), ("limits.max_cost", "-5")], env: [("1A", "x")]) == [
        "--set:2:1: resources.num_gpu: unknown field; did you mean \"num_gpus\"?",
        "--set:3:17: limits.max_cost: is \"-5\"; expected a decimal string in US dollars such as \"2.50\"",
        "--env:1:1: envs.1A: \"1A\" cannot be a variable's name; expected letters, digits and _, not a digit first",
      ])
    #expect(
      problems(set: [("files", "[\"a\", null]")]) == [
        "--set:1:13: files[1]: is null; expected a path, or an object with source"
      ])
  }

  @Test(arguments: [
    (
      "command.x",
      "--set:1:1: command.x: \"x\" steps into the string \"true\"; expected a path through objects and lists"
    ),
    ("files.x", "--set:1:1: files.x: \"x\" is not an entry of the list; expected 0 to 2"),
    ("files.3", "--set:1:1: files.3: \"3\" is not an entry of the list; expected 0 to 2"),
    ("files.-1", "--set:1:1: files.-1: \"-1\" is not an entry of the list; expected 0 to 2"),
    ("", "--set:1:1: spec: an empty step in the path \"\"; expected names with a dot between"),
    ("limits..x", "--set:1:1: limits..x: an empty step in the path \"limits..x\"; expected names with a dot between"),
  ])
  func aPathThatLeadsNowhereIsSaid(path: String, problem: String) {
    #expect(problems(set: [(path, "1")]) == [problem])
  }

  @Test func problemsOfTheFileComeFirst() {
    let wrong = SpecDecoder.decode(
      bytes: Array("\(opening),\n\n\"nods\": 1}".utf8), file: "job.json", SpecLayers(set: [("nodes", "0")]))
    guard case .failure(let problems) = wrong else { return #expect(Bool(false)) }
    #expect(problems.problems.map(\.file) == ["job.json", "--set"])
  }

  @Test func aBrokenFileIsReportedWithoutTheOptions() {
    let wrong = SpecDecoder.decode(bytes: Array("{".utf8), file: "job.json", SpecLayers(set: [("nodes", "0")]))
    guard case .failure(let problems) = wrong else { return #expect(Bool(false)) }
    #expect(problems.problems.map(\.file) == ["job.json"])
  }
}
