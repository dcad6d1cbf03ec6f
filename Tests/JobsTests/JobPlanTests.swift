import Jobs
import TestSupport
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct JobPlanTests {
  private let smallest = "{\"command\": \"true\", \"resources\": {\"max_hourly_price\": \"3\"}}"

  /// ``plan(_:file:environment:)`` where a local plan hides it.
  private func planned(_ text: String) throws -> JobPlan { try plan(text) }

  /// A spec that can be planned, with `member` on line 2 from column 1.
  private func with(_ member: String) -> String {
    "{\"command\": \"true\", \"resources\": {\"max_hourly_price\": \"3\"},\n\(member)}"
  }

  @Test func everyDefaultIsFilledIn() throws {
    let plan = try plan(smallest)
    var resources = Resources()
    resources.maxHourlyPrice = 3
    #expect(
      plan
        == JobPlan(
          name: "job", file: "/home/ada/lab/job.json", root: "/home/ada/lab", nodes: 1, resources: resources,
          command: .script("true"), limits: Limits(maxDuration: nil, maxCost: nil, bootTimeout: nil, outputGrace: 60),
          retry: Retry(on: [.noCapacity, .bootFailed], attempts: 3), teardown: .always))
  }

  @Test(arguments: [
    ("/a/train.json", "train"), ("/a/My Train.v2.json", "my-train-v2"), ("/a/job", "job"), ("/a/.hidden", "hidden"),
    ("/a/--x--.json", "x"), ("/a/é.json", "job"), ("/a/ünï_codé.json", "n-cod"),
    ("/a/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbb.json", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("/a/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.json", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
  ])
  func theNameIsTheFilesUnlessGiven(file: String, name: String) throws {
    #expect(try plan(smallest, file: file).name == name)
    #expect(try plan(with("\"name\": \"own\""), file: file).name == "own")
  }

  @Test func problemsOfDecodingAndOfPlanningComeTogether() {
    let text = with("\"nodes\": 0, \"envs\": {\"A\": null}, \"notify\": []")
    let planned = JobPlan.make(
      JSONNode.parse(text, file: "job.json"), SpecLayers(set: [("retry.attempts", "0")]), file: "/a/job.json"
    ) { _ in nil }
    guard case .failure(let wrong) = planned else { return #expect(Bool(false)) }
    #expect(wrong.problems.map(\.path) == ["nodes", "envs.A", "notify", "retry.attempts"])
  }

  @Test func decodingAndPlanningAtOnceGivesTheSamePlan() throws {
    let text = with("\"nodes\": 2")
    let planned = JobPlan.make(
      JSONNode.parse(text, file: "job.json"), SpecLayers(set: [("nodes", "3")]), file: "/home/ada/lab/job.json"
    ) { _ in nil }
    #expect(try planned.get() == plan(with("\"nodes\": 3")))
  }

  @Test func theLocalEnvironmentFillsInNullsAndMissingOnesAreAllTold() throws {
    let text = with(
      "\"envs\": {\"Z\": \"1\", \"A\": null, \"B\": null, \"C\": null}, \"secrets\": [\"S\", \"T\", \"U\"]")
    let found = try plan(text, environment: ["A": "a b", "B": "", "C": "c", "S": "s", "T": "t", "U": "u"])
    #expect(found.envs.map { "\($0.name)=\($0.value)" } == ["A=a b", "B=", "C=c", "Z=1"])
    #expect(found.secrets == ["S", "T", "U"])
    #expect(
      try planProblems(text, environment: ["B": "b", "T": "t", "U": ""]) == [
        "job.json:2:25: envs.A: is not set in the local environment; expected A exported, or a value here",
        "job.json:2:47: envs.C: is not set in the local environment; expected C exported, or a value here",
        "job.json:2:66: secrets[0]: S is not set in the local environment; expected it exported with a value",
        "job.json:2:76: secrets[2]: U is empty in the local environment; expected it exported with a value",
      ])
  }

  @Test(.faults(120)) func secretsAreNeverInThePlan() throws {
    let plan = try plan(with("\"secrets\": [\"TOKEN\"]"), environment: ["TOKEN": "hunter2hunter2"])
    let stored = String(decoding: try JSONEncoder().encode(plan), as: UTF8.self)
    #expect(stored.contains("TOKEN"))
    #expect(!stored.contains("hunter2"))
  }

  @Test func pathsAreResolvedFromTheSpecsFolderAndTheHome() throws {
    let text = with(
      """
      "ssh_key": {"id": "k", "private_key": "~/.ssh/id"},
      "files": ["./src//", {"source": "../shared", "destination": "./s/"}, {"source": "~/d", "destination": "."}],
      "outputs": ["out/", {"source": "./a/*.csv", "destination": "r/"}]
      """)
    let plan = try plan(text)
    #expect(plan.sshKey == KeyChoice(registered: .id("k"), privateKey: "/home/ada/.ssh/id"))
    #expect(plan.files.map(\.source) == ["/home/ada/lab/src", "/home/ada/lab/../shared", "/home/ada/d"])
    #expect(plan.files.map(\.destination) == ["src", "s", "."])
    #expect(plan.outputs.map(\.source) == ["out", "a/*.csv"])
    #expect(plan.outputs.map(\.destination) == [nil, "r"])
  }

  @Test(arguments: ["[\"job.json\"]", "[{\"source\": \"a\", \"destination\": \"./job.json\"}]"])
  func anOutputNeverReplacesTheJobFile(outputs: String) throws {
    let problems = try planProblems(with("\"outputs\": \(outputs)"))
    #expect(problems.map { $0.contains("outputs[0]: would replace the job file itself") } == [true])
    #expect(
      try planProblems(with("\"outputs\": [{\"source\": \"job.json\", \"destination\": \"r/job.json\"}]")).isEmpty)
  }

  @Test func anEntryRemembersItsPlace() throws {
    let file = try plan(with("\"files\": [\"a\", \"b\"]")).files[1]
    #expect(
      file.problem("does not exist; expected a file").description
        == "job.json:2:16: files[1]: does not exist; expected a file")
    #expect([file.line, file.column] == [2, 16])
  }

  @Test(arguments: [("/w/./x/", "/w/x"), ("~/w//x", "~/w/x"), ("~", "~"), ("w", "~/w"), ("./w/x", "~/w/x"), ("/", "/")])
  func aRelativeWorkdirIsInTheHomeFolder(written: String, planned: String) throws {
    #expect(try plan(with("\"workdir\": \"\(written)\"")).workdir == planned)
  }

  @Test func anEmptySetupIsNone() throws {
    #expect(try plan(with("\"setup\": \"\"")).setup == nil)
    #expect(try plan(with("\"setup\": \"true\"")).setup == "true")
  }

  @Test(arguments: [
    ("\"matrix\": {\"lr\": [1]}", ["job.json:2:11: matrix: makes a sweep; expected a spec of one job"]),
    (
      "\"max_parallel\": 2",
      [
        "job.json:2:17: max_parallel: is given without a sweep; expected a matrix beside it, --array or --tasks, or no max_parallel"
      ]
    ),
    (
      "\"notify\": [{\"on\": \"end\", \"command\": \"x\"}]",
      [
        "job.json:2:11: notify: this version of fcrun cannot do that yet; expected it left out; the exit code of submit tells the end"
      ]
    ),
    ("\"engine\": \"none\"", []), ("\"engine\": \"torchrun\"", []),
  ])
  func whatCannotBeRunYetIsRefusedAndNotIgnored(member: String, problems: [String]) throws {
    #expect(try planProblems(with(member)) == problems)
  }

  @Test func aPlanIsStoredAndReadBackUnchanged() throws {
    let text = with(
      """
      "name": "n", "nodes": 2, "volumes": ["v"], "envs": {"A": "'\\"\\n é"}, "secrets": ["S"], "ssh_key": "k",
      "ssh_user": "u", "files": [{"source": "a", "destination": "b", "exclude": ["*.o"]}], "workdir": "/w", "setup": "s",
      "outputs": ["*.csv"], "limits": {"max_duration": "1h", "max_cost": "0.30", "boot_timeout": 5, "output_grace": 9},
      "retry": {"on": ["exit:3", "preempted"], "attempts": 5}, "teardown": "never"
      """)
    let plan = try plan(text, environment: ["S": "s"])
    let stored = try JSONEncoder().encode(plan)
    #expect(try JSONDecoder().decode(JobPlan.self, from: stored) == plan)
    #expect(plan.limits.maxCost == Money.parse("0.3"))
    #expect(plan.sshKey == KeyChoice(registered: .idOrName("k"), privateKey: nil))
  }

  @Test(arguments: ["18446744073709551617.13", "0.00008", "24.12", "0.1"])
  func moneySurvivesTheStoreExactly(text: String) throws {
    let limits = Limits(maxCost: Money.parse(text))
    #expect(limits.maxCost != nil)
    #expect(try JSONDecoder().decode(Limits.self, from: JSONEncoder().encode(limits)) == limits)
  }

  // MARK: Time and money

  @Test func aBootMayTakeThreeTimesTheLongestAndAtLeastTenMinutes() throws {
    let plan = try plan(smallest)
    #expect(plan.bootTimeout(for: .fixture(maxBootSeconds: 300)) == 900)
    #expect(plan.bootTimeout(for: .fixture(maxBootSeconds: 60)) == 600)
    #expect(plan.bootTimeout(for: .fixture(maxBootSeconds: nil)) == 600)
    #expect(plan.bootTimeout(for: .fixture(maxBootSeconds: .max)) == Durations.longest)
    #expect(plan.bootTimeout(for: .fixture(maxBootSeconds: .min)) == 600)
    let explicit = try planned(with("\"limits\": {\"boot_timeout\": \"30s\"}"))
    #expect(explicit.bootTimeout(for: .fixture(maxBootSeconds: 300)) == 30)
  }

  @Test func theCeilingCoversBootCommandAndGraceOfEveryAttemptOnEveryNode() throws {
    let plan = try plan(
      with("\"nodes\": 2, \"limits\": {\"max_duration\": \"50m\", \"boot_timeout\": 540, \"output_grace\": 60}"))
    // 2 nodes × 3 attempts × 1 hour and 2 minutes in all → 3600 s each with 540 + 3000 + 60.
    #expect(plan.costCeiling(on: .fixture(price: "1.10")) == Money.parse("6.60"))
  }

  @Test func theCeilingIsMaxCostWhenThatIsGivenAndNoneWithoutLimits() throws {
    let capped = try plan(with("\"limits\": {\"max_duration\": \"1d\", \"max_cost\": \"5.00\"}"))
    #expect(capped.costCeiling(on: .fixture(price: "99")) == 5)
    #expect(try plan(smallest).costCeiling(on: .fixture(price: "99")) == nil)
  }

  @Test func theCeilingOverCandidatesIsThatOfTheDearestThatMayBeTried() throws {
    let plan = try plan(
      with("\"limits\": {\"max_duration\": 2940, \"boot_timeout\": 600}, \"retry\": {\"attempts\": 2}"))
    let candidates = ["1", "2", "9"].map { Offering.fixture(price: $0) }
    #expect(plan.costCeiling(over: candidates) == 4)
    #expect(plan.costCeiling(over: []) == nil)
  }

  @Test func withoutACauseForRetryThereIsOneAttempt() throws {
    let plan = try plan(with("\"limits\": {\"max_duration\": 2940, \"boot_timeout\": 600}, \"retry\": {\"on\": []}"))
    #expect(plan.costCeiling(on: .fixture(price: "2")) == 2)
  }

  // MARK: Volumes

  private let scratch = AttachedVolume(
    id: "vol_1", name: "scratch", provider: "shadeform", region: "us-east-1", supportsMultiMount: false)
  private let shared = AttachedVolume(
    id: "vol_2", name: "shared", provider: "Shadeform", region: "US-EAST-1", supportsMultiMount: true)
  private let far = AttachedVolume(
    id: "vol_3", name: "far", provider: "nebius", region: "eu-north-1", supportsMultiMount: true)

  private func volumeProblems(_ member: String, _ volumes: [AttachedVolume]) throws -> [String] {
    switch try plan(with(member)).resolve(volumes: volumes) {
    case .success: []
    case .failure(let wrong): wrong.problems.map(\.description)
    }
  }

  @Test func volumesAreFoundByIdAndByNameInTheSpecsOrder() throws {
    let plan = try plan(with("\"volumes\": [\"shared\", \"vol_1\"]"))
    #expect(try plan.resolve(volumes: [scratch, shared, far]).get() == [shared, scratch])
  }

  @Test func aVolumeThatIsNotThereIsSaidWithTheNearestName() throws {
    #expect(
      try volumeProblems("\"volumes\": [\"scrach\"]", [scratch, far]) == [
        "job.json:2:13: volumes[0]: \"scrach\" does not exist; did you mean \"scratch\"?"
      ])
    #expect(
      try volumeProblems("\"volumes\": [\"x\"]", [scratch, far]) == [
        "job.json:2:13: volumes[0]: \"x\" does not exist; expected one of scratch, far"
      ])
    #expect(
      try volumeProblems("\"volumes\": [\"x\"]", []) == [
        "job.json:2:13: volumes[0]: \"x\" does not exist; expected a volume of this account, which has none"
      ])
  }

  @Test func anAmbiguousNameAsksForAnId() throws {
    var twin = far
    twin.name = "scratch"
    #expect(
      try volumeProblems("\"volumes\": [\"scratch\"]", [scratch, twin]) == [
        "job.json:2:13: volumes[0]: \"scratch\" is the name of 2 volumes; expected an id: vol_1, vol_3"
      ])
  }

  @Test func volumesApartAreAnError() throws {
    #expect(
      try volumeProblems("\"volumes\": [\"shared\", \"far\"]", [shared, far]) == [
        "job.json:2:23: volumes[1]: volume far (nebius eu-north-1) and volume shared (Shadeform US-EAST-1) are apart; expected volumes of one provider and region"
      ])
  }

  @Test func aVolumeMountedElsewhereNamesWhoHasIt() throws {
    var mounted = scratch
    mounted.mountedBy = "inst_9"
    #expect(
      try volumeProblems("\"volumes\": [\"scratch\"]", [mounted]) == [
        "job.json:2:13: volumes[0]: volume scratch is mounted by inst_9 and cannot be mounted twice; expected a free volume (mounted_by)"
      ])
    let plan = try plan(with("\"volumes\": [\"scratch\"]"))
    #expect(try plan.resolve(volumes: [mounted], ownInstances: ["inst_9"]).get() == [mounted])
    mounted.supportsMultiMount = true
    #expect(try volumeProblems("\"volumes\": [\"scratch\"]", [mounted]).isEmpty)
  }

  @Test func severalNodesNeedMultiMount() throws {
    #expect(
      try volumeProblems("\"nodes\": 2, \"volumes\": [\"scratch\"]", [scratch]) == [
        "job.json:2:25: volumes[0]: volume scratch can be mounted by one machine only, nodes is 2; expected one with multi-mount, or 1 node"
      ])
    #expect(try volumeProblems("\"nodes\": 2, \"volumes\": [\"shared\"]", [shared]).isEmpty)
  }

  @Test func oneVolumeByIdAndByNameIsStillListedTwice() throws {
    #expect(
      try volumeProblems("\"volumes\": [\"shared\", \"vol_2\"]", [shared]) == [
        "job.json:2:23: volumes[1]: volume shared is listed twice; expected it once"
      ])
  }
}
