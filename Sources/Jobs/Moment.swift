/// A point on fcrun's time line: milliseconds since 1970, UTC.
///
/// Within one process it only moves forward (the live clock anchors the wall clock once and counts on
/// monotonically); between two processes it is the wall clock, the only one that survives a reboot.
package struct Moment: Codable, Hashable, Comparable, Sendable {
  package var milliseconds: Int64

  package init(milliseconds: Int64) { self.milliseconds = milliseconds }

  package init(from decoder: any Decoder) throws {
    milliseconds = try decoder.singleValueContainer().decode(Int64.self)
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(milliseconds)
  }

  package static func < (left: Moment, right: Moment) -> Bool { left.milliseconds < right.milliseconds }

  package static func + (moment: Moment, duration: Duration) -> Moment {
    Moment(milliseconds: moment.milliseconds + duration.milliseconds)
  }

  package static func - (later: Moment, earlier: Moment) -> Duration {
    .milliseconds(later.milliseconds - earlier.milliseconds)
  }
}

extension Duration {
  /// Whole milliseconds, rounded towards zero.
  package var milliseconds: Int64 {
    components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }

  package var seconds: Double { Double(milliseconds) / 1000 }
}
