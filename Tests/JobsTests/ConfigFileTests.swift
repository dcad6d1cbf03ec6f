import Jobs
import Testing

/// `config.json`: what fills in a job, and what has no place there.
@Suite struct ConfigFileTests {
  private let text = """
    {
      "defaults": {"nodes": 1, "limits": {"max_duration": "1h", "max_cost": "5.00"}, "secrets": ["HF_TOKEN"]},
      "profiles": {
        "cheap": {"resources": {"max_hourly_price": "1.00"}, "limits": {"max_cost": "0.50"}},
        "big": {"resources": {"gpu_type": ["H100"], "num_gpus": 8}, "volumes": ["a"]},
        "wrong": {"limits": {"max_cost": 5}}
      }
    }
    """

  private func config(_ text: String, secrets: [String] = []) -> Result<ConfigFile, SpecProblems> {
    ConfigFile.read(JSONNode.parse(text, file: "config.json"), secrets: secrets)
  }

  private func problems(_ text: String, secrets: [String] = []) -> [String] {
    switch config(text, secrets: secrets) {
    case .success: []
    case .failure(let wrong): wrong.problems.map(\.description)
    }
  }

  private func spec(_ job: String, profile: String?) throws -> JobSpec {
    let defaults = try config(text).get().layers(profile: profile, shown: "config.json").get()
    return try SpecDecoder.decode(bytes: Array(job.utf8), file: "job.yaml", SpecLayers(defaults: defaults)).get()
  }

  @Test func theJobWinsOverTheProfileAndThatOverTheDefaults() throws {
    let job = "command: x\nresources: {vcpus: 4}\nlimits: {max_duration: 2h}\n"
    let spec = try spec(job, profile: "cheap")
    #expect(spec.limits.maxDuration?.value == 7200)
    #expect(spec.limits.maxCost?.value == Money.parse("0.5"))
    #expect(spec.nodes?.value == 1)
    #expect(spec.resources?.value.vcpus?.min == 4)
    #expect(spec.resources?.value.maxHourlyPrice == Money.parse("1"))
    #expect(spec.secrets.map(\.value) == ["HF_TOKEN"])
    #expect(try self.spec(job, profile: nil).limits.maxCost?.value == Money.parse("5"))
  }

  @Test func aListOfTheJobReplacesThatOfTheProfile() throws {
    let spec = try spec("command: x\nresources: {gpu_type: [A100, A10]}\nvolumes: []\n", profile: "big")
    #expect(spec.resources?.value.gpuType == ["A100", "A10"])
    #expect(spec.resources?.value.numGPUs?.min == 8)
    #expect(spec.volumes.isEmpty)
  }

  @Test func aMistakeInAProfileHasItsPlaceThere() throws {
    let layers = SpecLayers(defaults: try config(text).get().layers(profile: "wrong", shown: "config.json").get())
    let wrong = SpecDecoder.decode(bytes: Array("command: x\nresources: {vcpus: 4}\n".utf8), file: "job.yaml", layers)
    guard case .failure(let problems) = wrong else { return #expect(Bool(false)) }
    #expect(
      problems.problems.map(\.description) == [
        "config.json:6:38: limits.max_cost: is a number; expected money in quotes: \"5\""
      ])
  }

  @Test func aProfileThatIsNotThereIsTold() throws {
    for (profile, ending) in [("cheep", "did you mean \"cheap\"?"), ("xylophone", "expected one of cheap, big, wrong")]
    {
      guard case .failure(let wrong) = try config(text).get().layers(profile: profile, shown: "config.json") else {
        return #expect(Bool(false))
      }
      #expect(
        wrong.description == "--profile:1:1: profiles: config.json has no profile \"\(profile)\"; \(ending)")
    }
    guard case .failure(let none) = ConfigFile.empty.layers(profile: "a", shown: "f") else {
      return #expect(Bool(false))
    }
    #expect(none.description.hasSuffix("f has no profile \"a\"; it has none"))
    #expect(try ConfigFile.empty.layers(profile: nil, shown: "f").get().isEmpty)
  }

  @Test(arguments: [
    ("[]", "1:1: config: is a list; expected an object with defaults and profiles"),
    ("{\"default\": {}}", "1:2: default: unknown field; expected one of defaults, profiles"),
    ("{\"limits\": {}}", "1:2: limits: unknown field; expected it in defaults or in a profile"),
    ("{\"defaults\": 1}", "1:14: defaults: is the number 1; expected an object with fields of a job file"),
    ("{\"profiles\": {\"a\": []}}", "1:20: profiles.a: is a list; expected an object with fields of a job file"),
    ("{\"profiles\": []}", "1:14: profiles: is a list; expected an object of profiles"),
    (
      "{\"api_key\": \"x\"}",
      "1:2: api_key: looks like a secret, which has no place in this file; expected FORWARD_COMPUTE_API_KEY in the environment"
    ),
  ])
  func whatIsWrongWithTheFileIsTold(text: String, problem: String) {
    #expect(problems(text) == ["config.json:" + problem])
  }

  @Test(arguments: [
    "\"envs\": {\"HF_TOKEN\": \"x\"}", "\"envs\": {\"API-KEY\": \"x\"}", "\"envs\": {\"A\": \"hf_abcdefghijklmnop\"}",
    "\"envs\": {\"A\": \"-----BEGIN OPENSSH PRIVATE KEY\"}", "\"setup\": \"login the-key-of-mine\"",
    "\"command\": [\"x\", \"the-key-of-mine\"]", "\"api_key\": \"x\"",
  ])
  func whatLooksLikeASecretIsRefusedWithoutShowingIt(field: String) {
    let told = problems("{\"profiles\": {\"a\": {\(field)}}}", secrets: ["the-key-of-mine"])
    #expect(told.count == 1)
    #expect(
      told.first?.hasSuffix(
        "looks like a secret, which has no place in this file; expected its name in secrets, and its value exported where fcrun runs"
      ) == true)
    #expect(told.first?.contains("the-key-of-mine") == false)
  }

  @Test(arguments: [
    "\"envs\": {\"HF_TOKEN\": null}", "\"envs\": {\"TOKENIZERS_PARALLELISM\": \"false\", \"MAX_TOKENS\": \"512\"}",
    "\"secrets\": [\"HF_TOKEN\"]", "\"ssh_key\": {\"name\": \"k\", \"private_key\": \"~/.ssh/id\"}",
    "\"ssh_key\": \"laptop\"",
  ])
  func whatOnlyNamesOneIsNone(field: String) {
    #expect(problems("{\"defaults\": {\(field)}}", secrets: [""]).isEmpty)
  }
}
