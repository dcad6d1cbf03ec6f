/// Durations as people write them: `90s`, `15m`, `6h`, `1d`, `1h30m`. In whole seconds.
package enum Durations {
  /// Ten years; longer ones are typing errors.
  package static let longest = 3650 * 86_400

  private static let units: [(suffix: UInt8, seconds: Int)] = [
    (UInt8(ascii: "d"), 86_400), (UInt8(ascii: "h"), 3600), (UInt8(ascii: "m"), 60), (UInt8(ascii: "s"), 1),
  ]

  /// Seconds, or nil when `text` is not a duration of at most ``longest``. Larger units stand first, each at most once.
  package static func parse(_ text: String) -> Int? {
    var rest = Array(text.utf8)[...]
    var total = 0
    var largest = Int.max
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
      guard let (count, unit) = part(&rest), unit < largest else { return nil }
      largest = unit
      total += count * unit
      guard total <= longest else { return nil }
    }
    return total
  }

  /// The shortest way to write `seconds` that ``parse(_:)`` reads back: 5400 is `1h30m`.
  package static func format(_ seconds: Int) -> String {
    guard seconds > 0 else { return "\(seconds)s" }
    var rest = seconds
    var text = ""
    for (suffix, unit) in units where rest >= unit {
      text += "\(rest / unit)" + String(decoding: [suffix], as: UTF8.self)
      rest %= unit
    }
    return text
  }

  private static func part(_ rest: inout ArraySlice<UInt8>) -> (count: Int, unit: Int)? {
    let digits = rest.prefix(while: isDigit)
    rest = rest.dropFirst(digits.count)
    guard (1...9).contains(digits.count), let suffix = rest.popFirst() else { return nil }
    guard let unit = units.first(where: { $0.suffix == suffix }) else { return nil }
    return (digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }, unit.seconds)
  }
}
