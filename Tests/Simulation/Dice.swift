import Simulator

/// Randomness of the script, apart from the world's.
struct Dice {
  private var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func fraction() -> Double { Double(random.next() >> 11) * 0x1p-53 }
  mutating func happens(_ chance: Double) -> Bool { fraction() < chance }
  mutating func number(_ low: Double, _ high: Double) -> Double { low + fraction() * (high - low) }
  mutating func whole(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(fraction() * Double(range.count))
  }
  mutating func one<T>(of choices: [T]) -> T { choices[whole(0...(choices.count - 1))] }

  mutating func fault() -> Simulator.Fault {
    happens(0.5) ? .first(whole(1...3)) : .percent(number(5, 60))
  }

  /// Up to `longest` seconds; now and then right at one of the protocol's windows (2, 10, 60 s), where mistakes hide.
  mutating func span(_ longest: Double) -> Span {
    guard happens(0.25) else { return Span(0, number(0, longest)) }
    let edge = one(of: [2.0, 10, 60].filter { $0 <= longest } + [longest])
    return .seconds(max(0, edge + one(of: [-1, -0.001, 0, 0.001, 1])))
  }
}
