/// One thing that a person waits for, done by fcrun and by what they would type instead.
struct Contest {
  var work: String
  var link: Link
  /// Before each run, not timed.
  var prepare: () throws -> Void = {}
  /// After each run, not timed: whether the work was done at all.
  var verify: () throws -> Void = {}
  /// Short works are done more often.
  var repeats = 1
  var fcrun: () throws -> Usage
  var others: [Contender]
}

struct Contender {
  var name: String
  /// How many times faster fcrun should be; nil: shown only.
  var goal: Double?
  var run: () throws -> Usage
}

/// A contest's figures: medians, and the median of the ratios inside one round, the only ones that a busy computer leaves meaning to.
struct Verdict: Codable {
  var work: String
  var link: String
  var seconds: Double
  var cpu: Double
  var rounds: Int
  var others: [Other]

  struct Other: Codable {
    var name: String
    var seconds: Double
    var cpu: Double
    /// Its seconds over fcrun's.
    var ratio: Double
    var goal: Double?
  }
}

extension Contest {
  /// Everyone in turn, round after round.
  func judge(rounds: Int) throws -> Verdict {
    var own: [Usage] = []
    var theirs = others.map { _ in [Usage]() }
    for _ in 0..<(rounds * repeats) {
      own.append(try once(fcrun))
      for (index, other) in others.enumerated() { theirs[index].append(try once(other.run)) }
    }
    return Verdict(
      work: work, link: link.name, seconds: median(own.map(\.seconds)), cpu: median(own.map(\.cpu)),
      rounds: own.count,
      others: zip(others, theirs).map { other, usages in
        Verdict.Other(
          name: other.name, seconds: median(usages.map(\.seconds)), cpu: median(usages.map(\.cpu)),
          ratio: median(zip(usages, own).map { $0.seconds / $1.seconds }), goal: other.goal)
      })
  }

  private func once(_ run: () throws -> Usage) throws -> Usage {
    try prepare()
    let usage = try run()
    try verify()
    return usage
  }
}

/// A figure of fcrun alone.
struct Figure: Codable {
  var work: String
  var link: String
  var value: Double
  var unit: String
  /// Not more than this; nil: shown only.
  var goal: Double?
}

func median(_ values: [Double]) -> Double { percentile(0.5, values) }

func percentile(_ share: Double, _ values: [Double]) -> Double {
  let sorted = values.sorted()
  return sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
}
