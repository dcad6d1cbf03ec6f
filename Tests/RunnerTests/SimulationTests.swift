import Jobs
import Store
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The shipped driver, state machine and cloud protocol in virtual time. A failing seed prints its replay command.
@Suite struct SimulationTests {
  @Test(arguments: UInt64(1)...300)
  func aJobEndsAndNothingIsLeftWhateverHappens(seed: UInt64) async {
    var scenario = Scenario(seed: seed)
    let violations = await scenario.run()
    #expect(violations.isEmpty, "seed \(seed): \(violations.joined(separator: "; ")) — replay: \(scenario.replay)")
  }

  @Test(arguments: [UInt64](stride(from: 1, through: 300, by: 30)))
  func theSameSeedGivesTheSameTrace(seed: UInt64) async {
    var one = Scenario(seed: seed)
    var other = Scenario(seed: seed)
    _ = await one.run()
    _ = await other.run()
    #expect(one.kernel.trace == other.kernel.trace)
    #expect(!one.kernel.trace.isEmpty)
  }

  @Test func seedsReachCrashesAndEveryWayOut() async {
    var crashes = 0
    var outcomes: Set<String> = []
    for seed in UInt64(1)...300 {
      var scenario = Scenario(seed: seed)
      _ = await scenario.run()
      crashes += scenario.crashes
      if let outcome = scenario.kernel.durable?.state.outcome { outcomes.insert(outcome.word) }
    }
    #expect(crashes > 200)
    #expect(outcomes.isSuperset(of: ["succeeded", "failed", "no_capacity", "out_of_time", "cancelled", "interrupted"]), "\(outcomes)")
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["FCRUN_SIM_SEED"] != nil))
  func aSeedOfMyChoice() async throws {
    let seed = try #require(UInt64(ProcessInfo.processInfo.environment["FCRUN_SIM_SEED"] ?? ""))
    var scenario = Scenario(seed: seed)
    let violations = await scenario.run()
    print(scenario.kernel.trace.joined(separator: "\n"))
    #expect(violations.isEmpty, "\(violations)")
  }
}
