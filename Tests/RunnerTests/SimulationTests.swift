import Jobs
import Runner
import Simulator
import Store
import Testing

@testable import Simulation

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

  /// Every call of a port, and so every commit of the journal: the process dies there, before or after the effect.
  @Test(arguments: [false, true])
  func aCrashAtAnyCallOfACalmJobChangesNothing(withEffect: Bool) async throws {
    var whole = Scenario(calm: 5)
    #expect(await whole.run(dyingAt: nil, withEffect: false).isEmpty)
    let (calls, outcome) = (whole.kernel.calls, whole.kernel.durable?.state.outcome)
    #expect(calls > 20)
    for call in 1...calls {
      var scenario = Scenario(calm: 5)
      let violations = await scenario.run(dyingAt: call, withEffect: withEffect)
      #expect(violations.isEmpty, "dying at call \(call): \(violations)")
      let state = try #require(scenario.kernel.durable?.state)
      #expect(
        state.outcome?.isOfJob == true && outcome?.isOfJob == true,
        "dying at call \(call): \(state.outcome?.sentence ?? "")")
      #expect(scenario.kernel.hosts.values.flatMap(\.starts.values).reduce(0, +) == 1, "dying at call \(call)")
      #expect(scenario.kernel.cloud.ledger().count == 1, "dying at call \(call)")
    }
  }

  @Test(arguments: ["creating", "pricing", "booting", "running", "collecting", "proving"])
  func aDiskThatIsFullFromAPhaseOnCostsNeitherTheMachineNorTheResult(phase: String) async throws {
    let scenario = Scenario(calm: 5)
    scenario.kernel.diskIsFullFrom = phase
    let verdict = try #require(await scenario.runOnce())
    #expect(verdict.outcome?.isOfJob == true)
    #expect(scenario.kernel.cloud.billed.isEmpty && scenario.kernel.cloud.ledger().count == 1)
  }

  @Test func aDiskThatIsFullFromTheStartRentsNothing() async {
    let scenario = Scenario(calm: 5)
    scenario.kernel.diskIsFullFrom = "choosing"
    #expect(await scenario.runOnce() == nil)
    #expect(scenario.kernel.cloud.ledger().isEmpty && scenario.kernel.cloud.postCounts.isEmpty)
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
    #expect(
      outcomes.isSuperset(of: ["succeeded", "failed", "no_capacity", "out_of_time", "cancelled", "interrupted"]),
      "\(outcomes)")
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
