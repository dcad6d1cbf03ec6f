/// A JSON number in its parts, `-12.50e1` as sign, digits and exponent, so that its value stays exact.
package struct NumberLiteral: Sendable, Equatable {
  package var isNegative: Bool
  /// Significant digits without leading zeros; empty is zero.
  package var digits: [UInt8]
  /// The power of ten that the digits are multiplied with.
  package var exponent: Int

  /// nil when `text` is not a number after RFC 8259 §6.
  package init?(_ text: String) {
    var rest = Array(text.utf8)[...]
    isNegative = rest.first == UInt8(ascii: "-")
    if isNegative { rest = rest.dropFirst() }
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    guard !whole.isEmpty, whole.count == 1 || whole.first != UInt8(ascii: "0") else { return nil }
    guard let fraction = Self.fraction(&rest), let power = Self.power(&rest), rest.isEmpty else { return nil }
    digits = Array((whole + fraction).map { $0 - UInt8(ascii: "0") }.drop { $0 == 0 })
    exponent = power - fraction.count
  }

  /// The value when it is whole and fits; `8`, `8.0` and `8e0` are the same integer, as in JSON Schema.
  package var integer: Int? {
    var significant = digits[...]
    var power = exponent
    while power < 0, significant.last == 0 {
      significant = significant.dropLast()
      power += 1
    }
    guard !significant.isEmpty else { return 0 }
    guard (0...18).contains(power) else { return nil }
    var value = 0
    for digit in significant + Array(repeating: 0, count: power) {
      let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflowed) = scaled.addingReportingOverflow(Int(digit))
      if overflow || overflowed { return nil }
      value = sum
    }
    return isNegative ? -value : value
  }

  private static func fraction(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard rest.first == UInt8(ascii: ".") else { return [] }
    let digits = rest.dropFirst().prefix(while: isDigit)
    rest = rest.dropFirst(digits.count + 1)
    return digits.isEmpty ? nil : digits
  }

  private static func power(_ rest: inout ArraySlice<UInt8>) -> Int? {
    guard rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") else { return 0 }
    rest = rest.dropFirst()
    let isNegative = rest.first == UInt8(ascii: "-")
    if isNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
    let digits = rest.prefix(while: isDigit)
    rest = rest.dropFirst(digits.count)
    guard !digits.isEmpty else { return nil }
    // Beyond this no value of a spec is meant; saturate instead of overflowing.
    let power = digits.prefix(12).reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    return isNegative ? -power : power
  }
}

func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
