import Jobs
import Runner
import Simulator
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a seed stands for: a job, and a list of what goes wrong.
///
/// Drawn once and whole, so that a failing script can be cut down: the world's own randomness starts from the seed again
/// whatever was left out.
package struct Script: Sendable {
  package let seed: UInt64
  package var ingredients: [Ingredient]
  let job: JobRecord
  /// Whoever dies is followed at once by another process.
  let isCalm: Bool
  /// The shipped store on SQLite keeps the state folder, and not only the model of it.
  let hasShippedStore: Bool

  package init(seed: UInt64) {
    var dice = Dice(seed: seed)
    self.seed = seed
    isCalm = false
    hasShippedStore = seed % 16 == 0
    job = JobRecord.simulated(&dice, at: Moment(milliseconds: 1_800_000_000_000))
    ingredients = Script.mood(&dice).flatMap { recipe, chance in
      // Always drawn, so that one more recipe in front does not change those behind it.
      var own = Dice(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ Script.hash(recipe.kind, dice.whole(0...1_000_000)))
      return own.happens(chance) ? [recipe.draw(&own)] : []
    }
  }

  /// A job of which nothing goes wrong but what a test asks for.
  package init(
    calm seed: UInt64, ingredients: [Ingredient] = [], change: (inout JobPlan) -> Void = { _ in }
  ) {
    var dice = Dice(seed: seed)
    self.seed = seed
    self.ingredients = ingredients
    isCalm = true
    hasShippedStore = false
    var record = JobRecord.simulated(&dice, at: Moment(milliseconds: 1_800_000_000_000))
    record.context.plan.limits = Limits()
    record.context.plan.retry = Retry()
    record.context.plan.nodes = 1
    change(&record.context.plan)
    job = record
  }

  /// A job to which one kind of thing happens, and whatever else `others` are.
  init(seed: UInt64, only kinds: [String]) {
    self.init(seed: seed)
    var dice = Dice(seed: seed &+ 0xF00D)
    ingredients = Recipe.all.filter { kinds.contains($0.kind) }.map { $0.draw(&dice) }
  }

  /// One seed in fifty meets nothing, one tenth only crashes, three tenths meet a few faults, the others a swarm of them.
  private static func mood(_ dice: inout Dice) -> [(Recipe, chance: Double)] {
    let mood = dice.fraction()
    guard mood >= 0.02 else { return [] }
    return Recipe.all.map { recipe in
      let isOfProcess = !recipe.faults.allSatisfy { $0 > 16 }
      let factor = mood < 0.1 ? (isOfProcess ? 1.5 : 0) : mood < 0.4 ? (isOfProcess ? 1 : 0.3) : 1
      return (recipe, recipe.chance * factor)
    }
  }

  private static func hash(_ text: String, _ number: Int) -> UInt64 {
    text.utf8.reduce(UInt64(number)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  // MARK: - In words

  /// The numbered list of what goes wrong.
  package var recipe: String {
    ingredients.enumerated().map { "  \($0.offset + 1). \($0.element.name)" }.joined(separator: "\n")
  }

  /// The same script with only these ingredients, by their numbers in ``recipe``.
  package func keeping(_ numbers: [Int]) -> Script {
    var copy = self
    copy.ingredients = numbers.compactMap { (1...ingredients.count).contains($0) ? ingredients[$0 - 1] : nil }
    return copy
  }

  func process(_ number: Int) -> [Ingredient.Effect] {
    ingredients.map(\.effect).filter { effect in
      switch effect {
      case .crash(let process, _, _, _), .stop(let process, _, _), .takeover(let process, _), .skew(let process, _),
        .secretsGone(let process), .stateLost(let process):
        process == number
      case .cloud, .cloudBetween, .machines, .signal, .cancel, .disk, .diskFull: false
      }
    }
  }
}

extension JobRecord {
  static func simulated(_ dice: inout Dice, at now: Moment) -> JobRecord {
    var resources = Resources()
    resources.maxHourlyPrice = 30
    var plan = JobPlan(
      name: "sim", file: "/sim.json", root: "/", resources: resources, command: .script("true"),
      outputs: [
        JobPlan.OutputPlan(
          source: "out", destination: nil, field: "outputs[0]", place: Place(file: "/sim.json", line: 1, column: 1))
      ])
    plan.nodes = dice.happens(0.25) ? dice.whole(2...4) : 1
    if dice.happens(0.02) { plan.nodes = 8 }
    if dice.happens(0.5) { plan.limits.maxDuration = dice.whole(10...600) }
    if dice.happens(0.2) { plan.limits.maxCost = Decimal(dice.whole(1...500)) / 100 }
    if dice.happens(0.3) { plan.secrets = [VirtualSecrets.name] }
    if dice.happens(0.1) { plan.teardown = dice.one(of: [.onSuccess, .never]) }
    if dice.happens(0.3) {
      plan.retry = Retry(on: [.noCapacity, .bootFailed, .preempted, .exit(7)], attempts: dice.whole(1...6))
    }
    if dice.happens(0.15) {
      plan.checkpoint = JobPlan.CheckpointPlan(source: VirtualCheckpoints.source, every: dice.whole(2...300))
    }
    if dice.happens(0.15) { plan.limits.idleGPU = IdleLimit(below: 5, duration: dice.whole(60...900)) }
    let arrangement = Arrangement(
      baseURL: "https://sim", isLocal: false, accountFingerprint: "sim", accountOwner: nil, sshKeyID: "key-1",
      key: .file(path: "/key"), candidates: [], volumeIDs: [])
    return JobRecord(
      context: JobContext(id: "aaaaaaaabbbbbbbb", owner: "owner1", plan: plan), arrangement: arrangement,
      state: JobState(), epoch: 0, createdAt: now, updatedAt: now)
  }
}
