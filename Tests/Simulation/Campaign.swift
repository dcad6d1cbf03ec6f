import Jobs
import Synchronization

/// Set once, seen by all.
private final class Flag: Sendable {
  private let value = Mutex(false)
  var isSet: Bool { value.withLock { $0 } }
  func set() { value.withLock { $0 = true } }
}

/// Many seeds, on as many cores as there are.
package struct Campaign: Sendable {
  package var seeds: Range<UInt64>
  /// Of a hundred seeds this one runs twice, and must leave the same trace.
  package var repeats: Bool
  package var stopsAtFirstFailure: Bool

  package init(seeds: Range<UInt64>, repeats: Bool = true, stopsAtFirstFailure: Bool = false) {
    self.seeds = seeds
    self.repeats = repeats
    self.stopsAtFirstFailure = stopsAtFirstFailure
  }

  /// What became of the seeds.
  package struct Tally: Sendable {
    package var seeds = 0
    package var calls = 0
    package var repeated = 0
    package var failures: [(seed: UInt64, violations: [String])] = []
    /// In how many seeds each kind of ingredient was drawn.
    package var drawn: [String: Int] = [:]
    package var outcomes: [String: Int] = [:]
    package var withCrash = 0
    package var withThreeKinds = 0

    package init() {}

    mutating func add(_ other: Tally) {
      seeds += other.seeds
      calls += other.calls
      repeated += other.repeated
      failures += other.failures
      withCrash += other.withCrash
      withThreeKinds += other.withThreeKinds
      drawn.merge(other.drawn, uniquingKeysWith: +)
      outcomes.merge(other.outcomes, uniquingKeysWith: +)
    }
  }

  /// Runs until all seeds are done, `isOver` says so, or more have failed than anybody reads.
  package func run(cores: Int, until isOver: @escaping @Sendable () -> Bool = { false }) async -> Tally {
    let hasFailed = Flag()
    return await withTaskGroup(of: Tally.self) { group in
      for core in 0..<UInt64(cores) { group.addTask { await run(every: UInt64(cores), from: core, hasFailed, isOver) } }
      return await group.reduce(into: Tally()) { $0.add($1) }
    }
  }

  private func run(
    every step: UInt64, from first: UInt64, _ hasFailed: Flag, _ isOver: @Sendable () -> Bool
  ) async -> Tally {
    var tally = Tally()
    for seed in stride(from: seeds.lowerBound + first, to: seeds.upperBound, by: Int(step)) {
      guard !isOver(), tally.failures.count < 20, !(stopsAtFirstFailure && hasFailed.isSet) else { break }
      await run(seed, &tally)
      if !tally.failures.isEmpty { hasFailed.set() }
    }
    return tally
  }

  private func run(_ seed: UInt64, _ tally: inout Tally) async {
    let isRepeated = repeats && seed % 100 == 0
    var scenario = Scenario(Script(seed: seed), isTraced: isRepeated)
    var violations = await scenario.run()
    if isRepeated {
      tally.repeated += 1
      if await !isTheSame(scenario) { violations.append("two runs of the seed differ") }
    }
    tally.note(scenario, violations)
  }

  private func isTheSame(_ first: Scenario) async -> Bool {
    var second = Scenario(first.script, isTraced: true)
    _ = await second.run()
    return first.trace.hash == second.trace.hash && !first.trace.lines.isEmpty
  }

  /// One number for the traces of the repeated seeds: the same in every process, whatever its hash seed is.
  package func fingerprint() async -> UInt64 {
    var fingerprint: UInt64 = 0
    for seed in seeds where seed % 100 == 0 {
      var scenario = Scenario(Script(seed: seed), isTraced: true)
      _ = await scenario.run()
      fingerprint = fingerprint &* 0x100_0000_01b3 ^ scenario.trace.hash
    }
    return fingerprint
  }
}

extension Campaign.Tally {
  fileprivate mutating func note(_ scenario: Scenario, _ violations: [String]) {
    seeds += 1
    calls += scenario.calls
    let kinds = Set(scenario.script.ingredients.map(\.kind))
    for kind in kinds { drawn[kind, default: 0] += 1 }
    if scenario.crashes > 0 { withCrash += 1 }
    if kinds.count >= 3 { withThreeKinds += 1 }
    outcomes[scenario.outcome?.word ?? "state folder lost", default: 0] += 1
    if !violations.isEmpty { failures.append((scenario.script.seed, violations)) }
  }
}
