#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Amounts in US dollars: read and written exactly, without binary fractions and without a locale.
package enum Money {
  /// Reads `24.12`: digits, and at most one point with digits on both sides. nil for anything else, a sign included.
  package static func parse(_ text: String) -> Decimal? {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) }) else { return nil }
    let digits = parts.joined()
    // Decimal holds 38 digits exactly; a price has not a tenth of them.
    guard digits.count <= 30 else { return nil }
    let whole = digits.reduce(Decimal(0)) { $0 * 10 + Decimal(Int($1 - UInt8(ascii: "0"))) }
    return Decimal(sign: .plus, exponent: parts.count == 2 ? -parts[1].count : 0, significand: whole)
  }

  /// `amount` with exactly `places` digits after the point, halves away from zero: `2.675` with 2 places is `2.68`.
  package static func format(_ amount: Decimal, places: Int = 2) -> String {
    rendered(amount, places: places) { digit, _ in digit >= 5 }
  }

  /// Like ``format(_:places:)``, but never less than `amount`: for what something may cost at most.
  package static func formatUp(_ amount: Decimal, places: Int = 2) -> String {
    rendered(amount, places: places) { digit, rest in digit > 0 || rest.contains { $0 > 0 } }
  }

  /// The largest amount with so many digits after the point that is not more than `amount`.
  package static func roundedDown(_ amount: Decimal, places: Int) -> Decimal {
    parse(rendered(amount, places: places) { _, _ in false }) ?? amount
  }

  /// Every digit that `amount` has, at least two after the point: `20.00`, `0.00008`.
  package static func exact(_ amount: Decimal) -> String {
    format(amount, places: max(2, Digits(amount).fraction.count))
  }

  private static func rendered(
    _ amount: Decimal, places: Int, roundsUp: (_ first: UInt8, _ rest: ArraySlice<UInt8>) -> Bool
  ) -> String {
    let digits = Digits(amount)
    let padding = Array(repeating: UInt8(0), count: max(0, places - digits.fraction.count))
    var kept = digits.whole + digits.fraction.prefix(places) + padding
    let dropped = digits.fraction.dropFirst(places)
    if let first = dropped.first, roundsUp(first, dropped.dropFirst()) { increment(&kept) }
    let isZero = kept.allSatisfy { $0 == 0 }
    let (whole, fraction) = (text(kept.dropLast(places)), text(kept.suffix(places)))
    return (digits.isNegative && !isZero ? "-" : "") + whole + (places > 0 ? "." + fraction : "")
  }

  private static func increment(_ digits: inout [UInt8]) {
    for position in digits.indices.reversed() {
      if digits[position] < 9 {
        digits[position] += 1
        return
      }
      digits[position] = 0
    }
    digits.insert(1, at: 0)
  }

  private static func text(_ digits: ArraySlice<UInt8>) -> String {
    digits.map { String($0) }.joined()
  }

  /// The decimal digits on both sides of the point. `Decimal.description` writes them all, without exponent and locale.
  private struct Digits {
    var isNegative: Bool
    var whole: [UInt8]
    var fraction: [UInt8]

    init(_ amount: Decimal) {
      let text = amount.description
      isNegative = text.hasPrefix("-")
      let parts = text.utf8.split(separator: UInt8(ascii: "."))
      whole = parts.first.map(Self.digits) ?? [0]
      fraction = parts.count == 2 ? Self.digits(parts[1]) : []
    }

    private static func digits(_ text: Substring.UTF8View) -> [UInt8] {
      text.filter(isDigit).map { $0 - UInt8(ascii: "0") }
    }
  }
}
