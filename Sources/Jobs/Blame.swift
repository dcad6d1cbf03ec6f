/// Which offerings failed lately, and how much that still counts: a failure weighs 1 at first, and half as much after each
/// ``halfLife``.
package struct Blame: Sendable, Equatable {
  package static let halfLife = Duration.seconds(3600)
  /// What is older has no weight worth counting.
  package static let memory = halfLife * 10
  /// From this weight on an offering is tried last: one failure counts for an hour, two at once for two.
  package static let threshold = 0.5

  package var weights: [String: Double]

  package static let none = Blame([], at: Moment(milliseconds: 0))

  package init(_ failures: [(offering: String, at: Moment)], at now: Moment) {
    weights = failures.reduce(into: [:]) { weights, failure in
      weights[failure.offering, default: 0] += Self.weight(after: now - failure.at)
    }
  }

  /// A line between each two half-lives: close enough, and the same on every system.
  private static func weight(after age: Duration) -> Double {
    let halves = max(0, age.seconds) / halfLife.seconds
    let whole = halves.rounded(.down)
    return Double(sign: .plus, exponent: -Int(min(whole, 100)), significand: 1) * (1 - (halves - whole) / 2)
  }

  /// Whether others are to be tried first.
  package func isHeavy(on offering: Offering) -> Bool { weights[offering.id, default: 0] >= Self.threshold }

  /// In the order given, those that failed lately last, of these the least blamed first.
  package func ordered(_ offerings: [Offering]) -> [Offering] {
    let heavy = offerings.enumerated().filter { isHeavy(on: $0.element) }
      .sorted { (weights[$0.element.id, default: 0], $0.offset) < (weights[$1.element.id, default: 0], $1.offset) }
    return offerings.filter { !isHeavy(on: $0) } + heavy.map(\.element)
  }
}
