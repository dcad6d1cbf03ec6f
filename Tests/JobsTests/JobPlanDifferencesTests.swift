import Jobs
import TestSupport
import Testing

/// What makes two submits of one id the same job.
@Suite struct JobPlanDifferencesTests {
  private let spec =
    #"{"command": "true", "files": ["src"], "envs": {"A": "1"}, "resources": {"max_hourly_price": "3", "num_gpus": 8, "gpu_type": "A100"}}"#

  private func plan(_ set: [(String, String)] = [], file: String = "/lab/job.json", _ text: String? = nil) throws
    -> JobPlan
  {
    try JobPlan.make(
      JSONNode.parse(text ?? spec, file: "job.json"), SpecLayers(set: set), file: file,
      environment: { ["HOME": "/home/ada", "TOKEN": "t", "OTHER": "o"][$0] }
    ).get()
  }

  @Test(arguments: [
    ("name", "other"), ("command", "false"), ("setup", "true"), ("files", #"["code"]"#), ("outputs", #"["out"]"#),
    ("workdir", "lab"), ("secrets", #"["TOKEN"]"#), ("nodes", "2"), ("engine", "mpi"), ("on_node_loss", "continue"),
    ("volumes", #"["data"]"#), ("ssh_key", "mine"),
    ("ssh_user", "ubuntu"), ("teardown", "never"), ("limits.max_duration", "1h"), ("limits.max_cost", "5"),
    ("limits.boot_timeout", "1h"), ("limits.output_grace", "5m"), ("limits.idle_gpu", #"{"for": "15m"}"#),
    ("retry.on", #"["preempted"]"#),
    ("retry.attempts", "7"), ("checkpoint", #"{"source": "c", "every": "5m"}"#), ("envs.A", "2"), ("envs.B", "1"),
    ("resources.gpu_type", "H100"),
    ("resources.prefer", "listed"), ("resources.provider", "x"), ("resources.region", "x"),
    ("resources.deployment_type", "x"), ("resources.interconnect", "x"), ("resources.instance_type", "x"),
    ("resources.offering_id", "x"), ("resources.num_gpus", "4"), ("resources.vram_per_gpu_in_gb", "40"),
    ("resources.total_vram_in_gb", "40"), ("resources.vcpus", "4"), ("resources.memory_in_gb", "4"),
    ("resources.storage_in_gb", "4"), ("resources.max_hourly_price", "4"), ("resources.max_price_per_gpu_hour", "1"),
  ])
  func aFieldThatAsksForSomethingElseIsNamed(field: String, value: String) throws {
    let (one, other) = (try plan(), try plan([(field, value)]))
    #expect(other.differences(from: one) == [field])
    #expect(one.differences(from: other) == [field])
  }

  @Test func whereTheSpecLiesAndHowItIsWrittenMakesNoDifference() throws {
    let rewritten = """
      {"resources": {"gpu_type": ["A100"], "num_gpus": 8, "max_hourly_price": "3.00"},
       "envs": {"A": "1"},
       "files": [{"source": "src", "destination": "src"}],
       "command": "true", "name": "job"}
      """
    #expect(try plan(file: "/elsewhere/job.json", rewritten).differences(from: plan()).isEmpty)
  }

  @Test func aSourceOutsideOfTheSpecsFolderIsAnotherOneWhenItsPathIs() throws {
    let file = [("files", #"[{"source": "/data/a", "destination": "a"}]"#)]
    let other = [("files", #"[{"source": "/data/b", "destination": "a"}]"#)]
    #expect(try plan(file, file: "/elsewhere/job.json").differences(from: plan(file)).isEmpty)
    #expect(try plan(other).differences(from: plan(file)) == ["files"])
  }
}
