import Jobs
import Remote
import Runner
import Simulator
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One seed's life of one job: faults, crashes and a user until a moment, then a friendly world in which it must end.
package struct Scenario {
  let seed: UInt64
  let kernel: Kernel
  private let lossPercent: Double
  private(set) var crashes = 0
  private(set) var violations: [String] = []

  package init(seed: UInt64) {
    self.seed = seed
    var dice = Dice(seed: seed)
    kernel = Kernel(seed: seed, knobs: Knobs.storm(&dice))
    lossPercent = dice.happens(0.3) ? dice.number(1, 20) : 0
    kernel.durable = JobRecord.simulated(&dice, at: kernel.now)
    if dice.happens(0.25) {
      kernel.signal = (
        Signal.allCases[Int(dice.number(0, 2.99))], kernel.now + .milliseconds(Int64(dice.number(0, 400_000)))
      )
    }
    if dice.happens(0.1) { kernel.cancelAt = kernel.now + .milliseconds(Int64(dice.number(0, 400_000))) }
  }

  /// A friendly world, in which nothing happens but what a test asks for.
  init(calm seed: UInt64) {
    var dice = Dice(seed: seed)
    self.seed = seed
    kernel = Kernel(seed: seed, knobs: Knobs())
    lossPercent = 0
    kernel.durable = JobRecord.simulated(&dice, at: kernel.now)
    kernel.durable?.context.plan.limits = Limits()
    kernel.durable?.context.plan.retry = Retry()
    kernel.durable?.context.plan.nodes = 1
  }

  /// One process that dies at `call`, then one that lives; how many calls the last one made.
  mutating func run(dyingAt call: Int?, withEffect: Bool) async -> [String] {
    if let call {
      kernel.dyingEffect = withEffect
      kernel.startProcess(dyingAfter: call)
      _ = await drive()
      check()
    }
    kernel.startProcess(dyingAfter: nil)
    _ = await drive()
    check()
    checkEnd()
    return violations
  }

  /// One process in a calm world; what it left, and how it left it.
  func runOnce() async -> Verdict? {
    kernel.startProcess(dyingAfter: nil)
    return await drive()
  }

  /// Runs to the end and says what was broken on the way.
  package mutating func run() async -> [String] {
    var dice = Dice(seed: seed &+ 77)
    let mayCrash = dice.happens(0.8)
    for process in 0..<60 {
      let isHealed = process >= 12
      if isHealed { heal() }
      let dies = mayCrash && !isHealed && dice.happens(0.75)
      kernel.startProcess(dyingAfter: dies ? Int(dice.number(1, 45)) : nil)
      let verdict = await drive()
      check()
      if verdict?.outcome != nil { break }
      if verdict == nil { crashes += 1 }
      kernel.now = kernel.now + .milliseconds(Int64(dice.number(0, dice.happens(0.2) ? 90_000_000 : 30_000)))
      kernel.cloud.advance(to: kernel.now.milliseconds)
    }
    heal()
    await reap()
    checkEnd()
    return violations
  }

  /// A name stays watched: what a list hid from the release is found once lists are true again.
  private func reap() async {
    kernel.startProcess(dyingAfter: nil)
    let reaper = Reaper(world: world(), owner: "owner1")
    let isOver = if case .finished(_, nil)? = kernel.durable?.state.phase { true } else { false }
    let request = Reaper.Request(named: [], older: nil, anyOwner: false)
    guard let findings = try? await reaper.survey(request, standing: { _ in isOver ? .over : .kept }) else { return }
    for finding in findings { if case .take = finding.verdict { _ = try? await reaper.take(finding) } }
  }

  private func heal() {
    kernel.cloud.knobs = Knobs()
    kernel.signal = nil
  }

  private func drive() async -> Verdict? {
    guard var record = kernel.durable else { return nil }
    record.epoch += 1
    kernel.durable = record
    return try? await Driver(world: world(), journal: VirtualJournal(kernel: kernel)).run(record)
  }

  private func world() -> World {
    World(
      api: SimulatedAPI(kernel: kernel), clock: VirtualClock(kernel: kernel), entropy: VirtualEntropy(kernel: kernel),
      hosts: SimulatedHosts(kernel: kernel, lossPercent: kernel.cloud.knobs == Knobs() ? 0 : lossPercent),
      wakes: VirtualWakes(kernel: kernel), secrets: NoSecrets(), narrator: Mute(), logFolder: { _, _, _ in "" },
      asksNodesAtOnce: false)
  }

  // MARK: - Invariants (reliability.md b.13)

  private mutating func check() {
    violations += kernel.violations
    kernel.violations = []
    if kernel.isTurning { violations.append("I12: the driver turns in \(kernel.durable?.state.word ?? "nothing")") }
    for name in kernel.cloud.postCounts where name.count > 1 {
      violations.append("I4: \(name.count) POSTs for \(name.name)")
    }
    for (id, host) in kernel.hosts.sorted(by: { $0.key < $1.key }) {
      for (control, count) in host.starts.sorted(by: { $0.key < $1.key }) where count > 1 {
        violations.append("I5: the command started \(count) times in \(control) on \(id)")
      }
    }
    guard let state = kernel.durable?.state, case .finished(_, nil) = state.phase else { return }
    let released = state.past.flatMap(\.instanceIDs)
    for entry in kernel.cloud.billed where released.contains(entry.id) {
      violations.append("I3: the job says that \(entry.id) is gone, and it is billed")
    }
  }

  private mutating func checkEnd() {
    guard let record = kernel.durable, case .finished(let outcome, let kept) = record.state.phase else {
      return violations.append("I13: not finished after the world healed: \(kernel.durable?.state.word ?? "no record")")
    }
    let keptIDs = kept?.instanceIDs ?? []
    for entry in kernel.cloud.billed where !keptIDs.contains(entry.id) {
      violations.append("I2: \(entry.id) (\(entry.name)) is left and nobody says so")
    }
    checkStarts(outcome)
    checkCost(record)
  }

  private mutating func checkStarts(_ outcome: Outcome) {
    let starts = kernel.hosts.values.flatMap(\.starts.values).reduce(0, +)
    if outcome.isSuccess, starts == 0 { violations.append("I6: success, and the command never ran") }
    guard case .exited(let end) = outcome else { return }
    let codes = kernel.hosts.values.flatMap(\.runs.values).compactMap { $0.record(at: kernel.now)?.code }
    if !codes.contains(end.code) {
      violations.append("I6: exit code \(end.code) is no machine's, they ended with \(codes)")
    }
  }

  /// What is reported is what the ledger says, within the time that nobody could look (I14).
  private mutating func checkCost(_ record: JobRecord) {
    let known = record.state.past.flatMap(\.instanceIDs) + (record.state.attempt?.instanceIDs ?? [])
    let ledger = kernel.cloud.ledger().filter { known.contains($0.id) }.reduce(Decimal(0)) { $0 + $1.cost }
    let reported = record.state.cost(at: kernel.now)
    if reported < ledger * Decimal(0.5) - Decimal(0.05) {
      violations.append("I14: reported \(reported), the ledger says \(ledger)")
    }
  }

  /// The command that runs this seed again.
  var replay: String { "FCRUN_SIM_SEED=\(seed) swift test --filter aSeedOfMyChoice" }
}

/// Randomness of the scenario itself, apart from the world's.
struct Dice {
  private var random: SplitMix64

  package init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func fraction() -> Double { Double(random.next() >> 11) * 0x1p-53 }
  mutating func happens(_ chance: Double) -> Bool { fraction() < chance }
  mutating func number(_ low: Double, _ high: Double) -> Double { low + fraction() * (high - low) }

  mutating func fault() -> Fault {
    happens(0.5) ? .first(Int(number(1, 4))) : .percent(number(5, 60))
  }
}

extension Knobs {
  /// Each kind of fault in a quarter of the seeds, none at all in a tenth.
  static func storm(_ dice: inout Dice) -> Knobs {
    var knobs = Knobs()
    guard dice.happens(0.9) else { return knobs }
    let faults: [WritableKeyPath<Knobs, Fault>] = [
      \.bootError, \.unknownStatus, \.activeError, \.preempt, \.restart, \.flap, \.moveAddress, \.outOfCapacity,
      \.createWithoutID, \.createLate, \.createReset, \.createCut, \.createFails, \.createLost, \.createRefused,
      \.createSilent, \.createQueued, \.createTwice, \.priceChange, \.refreshStale, \.listDrops, \.listEmpty,
      \.listUnreadable, \.readsReset, \.readsFail, \.readsLimited, \.createsLimited, \.deletesLimited, \.deleteRefused,
      \.deleteForgotten, \.deleteReset, \.deleteFails, \.deletesLost,
    ]
    for fault in faults where dice.happens(0.2) { knobs[keyPath: fault] = dice.fault() }
    if dice.happens(0.3) { knobs.listLagSeconds = Span(0, dice.number(0, 40)) }
    if dice.happens(0.3) { knobs.sshdLateSeconds = Span(0, dice.number(0, 60)) }
    if dice.happens(0.3) { knobs.keyLateSeconds = Span(0, dice.number(0, 60)) }
    if dice.happens(0.3) { knobs.ipLateSeconds = Span(0, dice.number(0, 60)) }
    if dice.happens(0.3) { knobs.deleteSeconds = Span(0, dice.number(0, 300)) }
    if dice.happens(0.2) { knobs.deletedVisibleSeconds = Span(0, dice.number(0, 20)) }
    if dice.happens(0.2) { knobs.newNotFoundSeconds = Span(0, dice.number(0, 20)) }
    if dice.happens(0.2) { knobs.deleteRefusedWhileCreating = true }
    if dice.happens(0.2) { knobs.sshUserAbsent = true }
    knobs.bootSeconds = Span(0, dice.number(0, 300))
    return knobs
  }
}

extension JobRecord {
  static func simulated(_ dice: inout Dice, at now: Moment) -> JobRecord {
    var resources = Resources()
    resources.maxHourlyPrice = 30
    var plan = JobPlan(
      name: "sim", file: "/sim.json", root: "/", nodes: dice.happens(0.3) ? Int(dice.number(2, 5)) : 1,
      resources: resources, command: .script("true"))
    if dice.happens(0.5) { plan.limits.maxDuration = Int(dice.number(10, 600)) }
    if dice.happens(0.2) { plan.limits.maxCost = Decimal(dice.number(0.01, 5)) }
    if dice.happens(0.3) {
      plan.retry = Retry(on: [.noCapacity, .bootFailed, .preempted, .exit(7)], attempts: Int(dice.number(1, 6)))
    }
    let arrangement = Arrangement(
      baseURL: "https://sim", isLocal: false, accountFingerprint: "sim", accountOwner: nil, sshKeyID: "key-1",
      key: .file(path: "/key"), candidates: [], volumeIDs: [])
    return JobRecord(
      context: JobContext(id: "aaaaaaaabbbbbbbb", owner: "owner1", plan: plan), arrangement: arrangement,
      state: JobState(), epoch: 0, createdAt: now, updatedAt: now)
  }
}
