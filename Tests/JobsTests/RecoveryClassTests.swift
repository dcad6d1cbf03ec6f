import Jobs
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What an attempt ended of, and what that starts.
@Suite struct RecoveryClassTests {
  private static func exited(_ code: Int, _ kind: MachineTrouble.Kind? = nil) -> Outcome {
    let trouble = kind.map { MachineTrouble(kind: $0, evidence: "as the machine says") }
    return .exited(CommandEnd(code: code, phase: .command, reason: .exited, trouble: trouble))
  }

  /// Each end, the word it is called by, and the words of `retry.on` that start another attempt.
  static let ends: [(Outcome, String, Set<String>)] = [
    (.noCapacity(""), "no_capacity", ["no_capacity"]), (.bootFailed(""), "boot_failed", ["boot_failed"]),
    (.preempted(""), "preempted", ["preempted"]), (.rebooted(""), "rebooted", ["preempted", "rebooted"]),
    (.lost(""), "lost", ["preempted", "lost"]), (exited(137), "failed", ["exit:137"]),
    (exited(137, .outOfMemory), "out_of_memory", ["exit:137", "out_of_memory"]),
    (exited(1, .gpuFault), "gpu_fault", ["exit:1", "gpu_fault"]), (exited(0), "succeeded", ["exit:0"]),
    (.cancelled, "cancelled", []), (.outOfTime(""), "out_of_time", []), (.outOfBudget(""), "out_of_budget", []),
  ]

  @Test func eachEndHasItsWordAndItsCauses() {
    let words = RetryCause.words.map(\.key) + ["exit:0", "exit:1", "exit:137"]
    for (outcome, word, causes) in Self.ends {
      #expect(outcome.word == word)
      let starting = words.filter { outcome.isRetried(by: Retry(on: [RetryCause($0)!])) }
      #expect(Set(starting) == causes, "\(word)")
    }
  }

  @Test func aMachineThatIsToBlameKeepsTheJobsOwnExitCode() {
    #expect(Self.exited(137, .outOfMemory).exitCode == 137)
    #expect(Self.exited(137, .outOfMemory).sentence.contains("out of memory (as the machine says)"))
    #expect(Self.exited(1, .gpuFault).blamesOffering && !Self.exited(137, .outOfMemory).blamesOffering)
  }

  @Test func theWordsOfRetryComeBackAsTheyWereWritten() {
    for (word, cause) in RetryCause.words { #expect(RetryCause(word) == cause && cause.description == word) }
  }
}

@Suite struct BlameTests {
  private let now = Moment(milliseconds: 1_800_000_000_000)

  private func offerings(_ ids: [String]) -> [Offering] {
    ids.map {
      Offering(
        id: $0, instanceType: "x", provider: "p", region: "r", deploymentType: "vm", available: true, hourlyPrice: 1,
        pricePerGPUHour: 1)
    }
  }

  @Test func whatFailedLatelyComesLastAndTheLeastBlamedFirstOfThese() {
    let blame = Blame([("a", now), ("a", now), ("b", now + .seconds(-600)), ("c", now + .seconds(-7200))], at: now)
    #expect(blame.ordered(offerings(["a", "b", "c", "d"])).map(\.id) == ["c", "d", "b", "a"])
  }

  @Test func aFailureWeighsHalfAfterEachHalfLife() {
    for (hours, weight) in [(0, 1.0), (1, 0.5), (2, 0.25), (10, 0.0009765625)] {
      #expect(Blame([("a", now + .seconds(-3600 * hours))], at: now).weights["a"] == weight)
    }
    #expect(Blame([("a", now + .seconds(1_800))], at: now).weights["a"] == 1, "a clock that went back")
    #expect(Blame.none.ordered(offerings(["b", "a"])).map(\.id) == ["b", "a"])
  }
}
