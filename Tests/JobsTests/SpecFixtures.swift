import Jobs
import Testing

/// What the decoder says about `text`, one sentence for each problem; empty when it decodes.
func problems(in text: String) -> [String] {
  switch SpecDecoder.decode(text, file: "job.json") {
  case .success: []
  case .failure(let wrong): wrong.problems.map(\.description)
  }
}

/// What the decoder says about a spec that is right but for `member`, which stands on line 2 from column 1.
func problems(with member: String) -> [String] {
  let resources = member.hasPrefix("\"resources\"") ? "" : "\"resources\": {\"vcpus\": 1}, "
  return problems(in: "{\(resources)\"command\": \"true\",\n\(member)}")
}

func spec(_ text: String) throws -> JobSpec {
  try SpecDecoder.decode(text, file: "job.json").get()
}

/// The opening of a spec that lacks nothing but its end.
let opening = "{\"command\": \"true\", \"resources\": {\"vcpus\": 1}"

func plan(
  _ text: String, file: String = "/home/ada/lab/job.json", environment: [String: String] = ["HOME": "/home/ada"]
) throws -> JobPlan {
  try JobPlan.make(spec: spec(text), file: file) { environment[$0] }.get()
}

/// What planning says about a spec that decodes.
func planProblems(_ text: String, environment: [String: String] = [:]) throws -> [String] {
  let planned = try JobPlan.make(spec: spec(text), file: "/home/ada/lab/job.json") { environment[$0] }
  switch planned {
  case .success: return []
  case .failure(let wrong): return wrong.problems.map(\.description)
  }
}

/// A stream of numbers that is the same for the same seed (SplitMix64, Steele et al. 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
