/// How often something goes wrong.
///
/// In JSON: `true`/`false` (always/never) · `3` (the first three times) · `"25%"` (each time with that chance) ·
/// `{"skip": 2, "times": 1, "percent": 100}` (not the first two times, then once).
package struct Fault: Sendable, Equatable {
  /// The chance of each occasion, 0…100.
  package var percent: Double
  /// How many occasions pass unharmed first.
  package var skip: Int
  /// How many occasions after those may be hit; nil: all.
  package var times: Int?

  /// A fault of that frequency.
  package init(percent: Double = 100, skip: Int = 0, times: Int? = nil) {
    self.percent = percent
    self.skip = skip
    self.times = times
  }

  /// Does not happen.
  package static let never = Fault(percent: 0)
  /// Happens each time.
  package static let always = Fault()
  /// Happens the first `times` times.
  package static func first(_ times: Int) -> Fault { Fault(times: times) }
  /// Happens with that chance, 0…100.
  package static func percent(_ percent: Double) -> Fault { Fault(percent: percent) }

  /// Whether the occasion number `index` (from 0) is hit. Chance is only asked for when it decides.
  func hits(_ index: Int, random: inout SplitMix64) -> Bool {
    guard percent > 0, index >= skip else { return false }
    if let times, index >= skip + times { return false }
    return percent >= 100 || random.unit() * 100 < percent
  }
}

extension Fault: Codable {
  private enum Key: String, CodingKey { case percent, skip, times }

  /// Reads any of the short forms. Throws `DecodingError`.
  package init(from decoder: any Decoder) throws {
    if let keyed = try? decoder.container(keyedBy: Key.self) {
      self.init(
        percent: try keyed.decodeIfPresent(Double.self, forKey: .percent) ?? 100,
        skip: try keyed.decodeIfPresent(Int.self, forKey: .skip) ?? 0,
        times: try keyed.decodeIfPresent(Int.self, forKey: .times))
      return
    }
    let single = try decoder.singleValueContainer()
    if let flag = try? single.decode(Bool.self) {
      self = flag ? .always : .never
    } else if let times = try? single.decode(Int.self) {
      self = .first(times)
    } else if let text = try? single.decode(String.self), text.hasSuffix("%"), let percent = Double(text.dropLast()) {
      self = .percent(percent)
    } else {
      throw DecodingError.dataCorruptedError(
        in: single,
        debugDescription: #"expected true, false, a count, "25%" or {"percent":…,"skip":…,"times":…}"#)
    }
  }

  /// Writes the shortest form that says the same.
  package func encode(to encoder: any Encoder) throws {
    if skip == 0, percent == 0 || percent >= 100 {
      var single = encoder.singleValueContainer()
      if percent == 0 { return try single.encode(false) }
      if let times { return try single.encode(times) }
      return try single.encode(true)
    }
    var keyed = encoder.container(keyedBy: Key.self)
    try keyed.encode(percent, forKey: .percent)
    try keyed.encode(skip, forKey: .skip)
    try keyed.encodeIfPresent(times, forKey: .times)
  }
}

/// A number of seconds, or a range that one is drawn from. In JSON: `2.5` or `[1, 3]`.
package struct Span: Sendable, Equatable, Codable {
  /// The shortest, in milliseconds.
  package var low: Int64
  /// The longest, in milliseconds.
  package var high: Int64

  /// Between two numbers of seconds.
  package init(_ low: Double, _ high: Double) {
    self.low = Int64((low * 1000).rounded())
    self.high = max(self.low, Int64((high * 1000).rounded()))
  }

  /// Exactly that many seconds.
  package static func seconds(_ seconds: Double) -> Span { Span(seconds, seconds) }

  /// Reads a number or a pair. Throws `DecodingError`.
  package init(from decoder: any Decoder) throws {
    let single = try decoder.singleValueContainer()
    let ends = try (try? single.decode(Double.self)).map { [$0, $0] } ?? single.decode([Double].self)
    guard ends.count == 2, ends[0] >= 0, ends[1] >= ends[0], ends[1] < Span.longest else {
      throw DecodingError.dataCorruptedError(
        in: single, debugDescription: "expected seconds, 2.5 or [1, 3], not negative, the smaller first")
    }
    self.init(ends[0], ends[1])
  }

  /// Writes a number when the span is one number, else a pair.
  package func encode(to encoder: any Encoder) throws {
    var single = encoder.singleValueContainer()
    let ends = [Double(low) / 1000, Double(high) / 1000]
    if low == high { try single.encode(ends[0]) } else { try single.encode(ends) }
  }

  /// Ten years: more is a slip of the finger, and milliseconds must not overflow.
  private static let longest = 315_360_000.0

  func draw(_ random: inout SplitMix64) -> Int64 { random.number(in: low...high) }
}
