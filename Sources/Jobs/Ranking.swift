/// The answer to "which offerings will do?": the ones that do, best first, and why the others do not.
package struct Ranking: Codable, Sendable, Equatable {
  package var candidates: [Offering]
  /// For each constraint, in the order of the spec's reference, how many of all offerings it alone
  /// removes.
  package var removed: [Removal]
  /// At most three offerings that came nearest: fewest constraints lost, then cheapest.
  package var nearest: [NearMiss]

  package struct Removal: Codable, Sendable, Equatable {
    /// The field's name, `volumes` or `available`.
    package var constraint: String
    package var count: Int

    package init(constraint: String, count: Int) {
      self.constraint = constraint
      self.count = count
    }
  }

  package struct NearMiss: Codable, Sendable, Equatable, CustomStringConvertible {
    package var offering: Offering
    /// What lost it, in words: `max_hourly_price is 20.00`.
    package var lostBy: String

    package init(offering: Offering, lostBy: String) {
      self.offering = offering
      self.lostBy = lostBy
    }

    /// `A100x8 us-east-1 at $24.12/h: max_hourly_price is 20.00`
    package var description: String { "\(offering.inWords): \(lostBy)" }
  }

  package init(candidates: [Offering], removed: [Removal], nearest: [NearMiss]) {
    self.candidates = candidates
    self.removed = removed
    self.nearest = nearest
  }
}
