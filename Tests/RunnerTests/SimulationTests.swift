import Foundation
import Jobs
import Runner
import Simulator
import Store
import Synchronization
import TestSupport
import Testing

@testable import Simulation

/// The shipped driver, state machine and cloud protocol in virtual time. A failing seed is a one-line command.
@Suite struct SimulationTests {
  /// `make test` gives it two minutes; `make torture SEEDS=1000000` is the campaign.
  @Test(.faults(14, 16, 101, 105, 112))
  func noPromiseIsBrokenInAsManySeedsAsThereIsTimeFor() async {
    let seconds = Double(ProcessInfo.processInfo.environment["FCRUN_SIM_SECONDS"] ?? "") ?? 5
    let end = ContinuousClock.now + .seconds(seconds)
    let cores = ProcessInfo.processInfo.activeProcessorCount
    // Where other tests have held the processors all the time, a hundred seeds still run.
    let asked = Mutex(0)
    let tally = await Campaign(seeds: 1..<10_000_000).run(cores: cores) {
      let turn = asked.withLock { asked in
        asked += 1
        return asked
      }
      return turn > 100 && ContinuousClock.now > end
    }
    print("\(tally.seeds) seeds in \(seconds) s, \(tally.repeated) of them twice")
    for (seed, violations) in tally.failures {
      Issue.record("seed \(seed): \(violations.joined(separator: "; ")) — swift run torture replay \(seed) --shrink")
    }
    #expect(tally.seeds >= 20 && tally.withCrash * 2 > tally.seeds)
  }

  /// Each kind of ingredient by itself, hard, and with crashes.
  @Test(
    .faults(17, 18, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30, 31, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 47),
    .faults(48, 49, 50, 53, 54, 55, 56, 57, 58, 59, 60, 63, 64, 65, 69, 70, 83, 88, 90, 91, 92, 97, 98, 101, 102),
    .faults(103, 105, 106, 111), arguments: Recipe.all.map(\.kind).uniqued)
  func noPromiseIsBrokenByOneKindOfFault(kind: String) async {
    var struck = 0
    for seed in UInt64(1)...30 {
      let script = Script(seed: seed, only: seed % 2 == 0 ? [kind] : [kind, "crash"])
      var scenario = Scenario(script)
      let violations = await scenario.run()
      #expect(violations.isEmpty, "\(kind), seed \(seed): \(violations.joined(separator: "; "))\n\(script.recipe)")
      struck += scenario.struck[kind] ?? 0
    }
    let isKnob = Knobs.Key(rawValue: kind).map { Recipe.struckKnobs.contains($0) } ?? false
    #expect(!isKnob || struck > 0, "\(kind) never struck")
  }

  /// Kinds of faults, and how many seconds apart fcrun asks for what they change.
  private static let polls: [([String], Decimal)] = [
    ([], 5), (["boot_takes"], 5), (["boot_error"], 5), (["boot_stuck"], 5), (["list_lag", "create_reset"], 15),
    (["slow_delete"], 5),
    (["preempt", "mishap_after"], 300),
  ]

  /// Machines that boot for minutes or never, show late, or take their time to go: fcrun hears of each change
  /// by asking, at most 15 s apart while a name is looked for and 5 s apart otherwise. That a machine was taken away shows
  /// when nobody reaches it any more.
  @Test(arguments: polls)
  func whatAJobCostIsTheLedgerWithinAPollOfEachMachine(kinds: [String], poll: Decimal) async {
    for seed in UInt64(1)...60 {
      var scenario = Scenario(Script(seed: seed, only: kinds))
      _ = await scenario.run()
      let kernel = scenario.kernel
      // Of a machine that is kept nobody asks any more whether it is still there.
      guard kernel.disk.record.state.attempt == nil else { continue }
      let ledger = kernel.cloud.ledger().filter { !kernel.witness.foreign.contains($0.id) }
      let cost = kernel.disk.record.state.cost(at: kernel.now)
      let spent = ledger.reduce(Decimal(0)) { $0 + $1.cost }
      let hourly = ledger.reduce(Decimal(0)) { $0 + $1.hourlyPrice }
      let seconds = hourly == 0 ? 0 : (cost - spent) * 3600 / hourly
      #expect(abs(seconds) <= poll, "seed \(seed): \(cost) is told, \(spent) was spent")
    }
  }

  /// The money of all attempts and nodes together: a machine that was taken away is paid for until that shows.
  @Test func maxCostHoldsOverAllAttemptsAndNodes() async {
    var several = 0
    for seed in UInt64(1)...60 {
      let cap = Decimal(seed) / 50
      let faults = Script(seed: seed, only: ["preempt", "mishap_after"]).ingredients
      let script = Script(calm: seed, ingredients: faults) {
        $0.limits.maxCost = cap
        $0.nodes = 1 + Int(seed) % 4
        $0.teardown = .always
        $0.retry = Retry(on: [.preempted, .exit(7)], attempts: 6)
      }
      var scenario = Scenario(script)
      let violations = await scenario.run()
      #expect(violations.isEmpty, "seed \(seed): \(violations)")
      let kernel = scenario.kernel
      let ours = kernel.cloud.ledger().filter { !kernel.witness.foreign.contains($0.id) }
      let spent = ours.reduce(Decimal(0)) { $0 + $1.cost }
      let hourly = ours.reduce(Decimal(0)) { $0 + $1.hourlyPrice }
      #expect(spent <= cap + hourly * 200 / 3600, "seed \(seed): \(spent) of \(cap)")
      if case .outOfBudget? = scenario.outcome, kernel.disk.record.state.past.count > 1 { several += 1 }
    }
    #expect(several > 0, "no seed had a second attempt that ended for money")
  }

  /// GPUs that do nothing are given back within three looks, whatever breaks the connection; those that work are not.
  /// Few are seen idle for so long where most looks tell nothing: more seeds.
  @Test(arguments: [([], 60), (["connections_break"], 60), (["gpus_silent", "connections_break", "crash"], 400)])
  func idleGPUsEndAJobAndNothingElseDoes(kinds: [String], seeds: Int) async {
    var ended = 0
    for seed in UInt64(1)...UInt64(seeds) {
      let faults = Script(seed: seed, only: kinds).ingredients
      let script = Script(calm: seed, ingredients: faults) {
        $0.limits.idleGPU = IdleLimit(below: 5, duration: 120)
        $0.checkpoint = JobPlan.CheckpointPlan(source: "ckpt", every: 20)
      }
      var scenario = Scenario(script)
      let violations = await scenario.run()
      #expect(violations.isEmpty, "seed \(seed): \(violations)")
      if case .outOfTime(let why)? = scenario.outcome, why.hasPrefix("idle_gpu") { ended += 1 }
    }
    #expect(ended > 0, "none of \(seeds)")
  }

  @Test func theSameSeedGivesTheSameTrace() async {
    for seed in stride(from: UInt64(1), through: 300, by: 30) {
      var one = Scenario(Script(seed: seed), isTraced: true)
      var other = Scenario(Script(seed: seed), isTraced: true)
      _ = await one.run()
      _ = await other.run()
      #expect(one.trace.lines == other.trace.lines && !one.trace.lines.isEmpty)
    }
  }

  /// Every call of a port, and so every commit of the journal: the process dies there, before or after the effect, or the
  /// effect comes when the next process is at work already. It is as if nothing had happened (I15).
  @Test(.faults(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13), arguments: VirtualProcess.Death.allCases)
  func aCrashAtAnyCallOfACalmJobChangesNothing(effect: VirtualProcess.Death) async throws {
    var whole = Scenario(Script(calm: 5))
    #expect(await whole.run().isEmpty)
    let outcome = try #require(whole.outcome)
    #expect(whole.calls > 20 && outcome.isOfJob)
    for call in 1...whole.calls {
      let crash = Ingredient(
        name: "crash", kind: "crash", effect: .crash(process: 0, call: call, effect, cutsPower: true))
      var scenario = Scenario(Script(calm: 5, ingredients: [crash]))
      let violations = await scenario.run()
      #expect(violations.isEmpty, "dying at call \(call): \(violations)")
      #expect(scenario.outcome?.isOfJob == true, "dying at call \(call): \(scenario.outcome?.sentence ?? "")")
      #expect(scenario.kernel.witness.starts.values.reduce(0, +) == 1, "dying at call \(call)")
      let ours = scenario.kernel.cloud.postCounts.filter { $0.name.hasPrefix("fcr-owner1-aaaaaaaabbbbbbbb-a") }
      #expect(ours.map(\.count) == [1], "dying at call \(call): \(ours)")
    }
  }

  /// The end of a job with a disk that is full from a phase on.
  private func end(fullFrom phase: String) async throws -> (verdict: Verdict, kernel: Kernel) {
    let scenario = Scenario(Script(calm: 5))
    scenario.kernel.disk.fullFrom = phase
    let verdict = try #require(await scenario.drive(VirtualProcess(scenario.kernel, number: 0)))
    #expect(scenario.kernel.cloud.living.allSatisfy { scenario.kernel.witness.foreign.contains($0.id) })
    #expect(scenario.kernel.witness.posted.count == 1)
    return (verdict, scenario.kernel)
  }

  @Test(.faults(97), arguments: ["launching", "running", "collecting", "proving"])
  func aDiskThatIsFullFromAPhaseOnCostsNeitherTheMachineNorTheResult(phase: String) async throws {
    #expect(try await end(fullFrom: phase).verdict.outcome?.isOfJob == true)
  }

  @Test(.faults(97), arguments: ["creating", "pricing", "booting", "connecting", "uploading"])
  func aCommandWhoseStartCannotBeStoredIsNotStarted(phase: String) async throws {
    let (verdict, kernel) = try await end(fullFrom: phase)
    #expect(verdict.exitCode == 125)
    #expect(kernel.witness.starts.isEmpty)
  }

  @Test(.faults(97)) func aDiskThatIsFullFromTheStartRentsNothing() async {
    let scenario = Scenario(Script(calm: 5))
    scenario.kernel.disk.fullFrom = "choosing"
    #expect(await scenario.drive(VirtualProcess(scenario.kernel, number: 0)) == nil)
    #expect(scenario.kernel.witness.posted.isEmpty)
  }

  @Test func seedsReachEveryWayOut() async {
    let tally = await Campaign(seeds: 1..<600).run(cores: 2)
    #expect(
      Set(tally.outcomes.keys).isSuperset(of: [
        "succeeded", "failed", "no_capacity", "boot_failed", "lost", "out_of_time", "out_of_budget", "cancelled",
        "interrupted", "unauthorized", "error", "state folder lost",
      ]), "\(tally.outcomes)")
    let never = Set(Recipe.all.map(\.kind)).subtracting(tally.drawn.keys)
    #expect(never.isEmpty, "\(never)")
  }

  /// They are caught by `make mutants`; that they still fit the sources is seen here.
  @Test func everyMutantOfTheProtocolFitsTheSources() throws {
    let mutants = try Mutants(repository: Binaries.repository)
    let edited = try mutants.edited(in: Binaries.repository)
    #expect(mutants.all.count >= 40 && Set(mutants.all.map(\.name)).count == mutants.all.count)
    #expect(mutants.all.allSatisfy { mutant in edited.values.contains { $0.contains("isMutant(\(mutant.number))") } })
    #expect(Mutation.turnOn == nil, "the shipped sources have no mutants")
  }

  @Test func aScriptIsCutDownToWhatBreaksThePromise() async throws {
    let broken = Ingredient(name: "breaks", kind: "breaks", effect: .machines { $0.violate("a promise") })
    let harmless = Ingredient(name: "harmless", kind: "harmless", effect: .machines { _ in })
    let script = Script(calm: 3, ingredients: [harmless, harmless, broken, harmless, harmless])
    #expect(await Shrinking.fewest(of: script) == [3])
    #expect(await Shrinking.fewest(of: script.keeping([1, 2])) == nil)
  }
}

extension Recipe {
  /// Knobs that are faults; how often they struck is counted.
  fileprivate static let struckKnobs = Set(Knobs.Key.allCases.filter { !$0.rawValue.hasSuffix("_seconds") })
    .subtracting([
      .reuseAddress, .balance, .deleteRefusedWhileCreating, .deletedInList, .htmlErrors, .uniqueNames, .forbidden,
      .keyRevoked, .sshUserAbsent,
    ])
}

extension [String] {
  fileprivate var uniqued: [String] { reduce(into: []) { if !$0.contains($1) { $0.append($1) } } }
}
