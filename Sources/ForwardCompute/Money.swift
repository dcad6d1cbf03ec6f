#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Amounts in USD, exactly as written: never by way of a binary fraction.
public enum Money {
  /// What a `Decimal`'s mantissa holds without rounding, whatever the digits are.
  private static let mostDigits = 38
  private static let largestExponent = 100

  /// A plain decimal such as `24.12`: digits, and maybe a point and digits. No sign, no exponent, no space.
  public static func plain(_ text: String) -> Decimal? {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) }) else { return nil }
    return decimal(whole: parts[0], fraction: parts.dropFirst().first, exponent: 0)
  }

  /// The value of a JSON number's literal, or nil when it cannot be held exactly.
  public static func exact(_ literal: String) -> Decimal? {
    let isNegative = literal.utf8.first == UInt8(ascii: "-")
    let parts = literal.utf8.dropFirst(isNegative ? 1 : 0)
      .split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }
    guard let exponent = exponent(parts.dropFirst().first) else { return nil }
    let digits = parts[0].split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
    guard digits.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) }) else { return nil }
    let value = decimal(whole: digits[0], fraction: digits.dropFirst().first, exponent: exponent)
    return isNegative ? value.map { -$0 } : value
  }

  private static func exponent(_ text: Substring.UTF8View?) -> Int? {
    guard let text else { return 0 }
    guard let value = Int(Substring(text)), abs(value) <= largestExponent else { return nil }
    return value
  }

  private static func decimal(
    whole: Substring.UTF8View, fraction: Substring.UTF8View?, exponent: Int
  ) -> Decimal? {
    let fraction = fraction ?? "".utf8[...]
    let significant = (Array(whole) + Array(fraction)).drop { $0 == UInt8(ascii: "0") }
    let scale = exponent - fraction.count
    guard significant.count <= mostDigits, abs(scale) <= largestExponent else { return nil }
    // A `Decimal` multiplies much more slowly than an `Int`, and 18 digits fit into one.
    let mantissa = significant.count <= 18 ? Decimal(number(significant) as Int) : number(significant)
    return Decimal(sign: .plus, exponent: scale, significand: mantissa)
  }

  private static func number<Number: Numeric>(_ digits: ArraySlice<UInt8>) -> Number {
    digits.reduce(0) { $0 * 10 + (Number(exactly: $1 - UInt8(ascii: "0")) ?? 0) }
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
}
