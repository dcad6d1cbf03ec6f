#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The two forms of date that the API and HTTP write, read without a locale or a time zone database.
package enum Timestamp {
  /// ISO 8601 as seen in the wild: `2026-11-23T18:45:00Z`, a space for the `T`, a fraction, an offset, or no zone (UTC).
  package static func date(iso8601 text: String) -> Date? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 19, let year = number(bytes[0..<4]), bytes[4] == UInt8(ascii: "-"),
      let month = number(bytes[5..<7]), bytes[7] == UInt8(ascii: "-"), let day = number(bytes[8..<10]),
      "Tt ".utf8.contains(bytes[10]), let clock = clock(bytes[11..<19]),
      let zone = fractionAndZone(bytes[19...]), let days = days(year: year, month: month, day: day)
    else { return nil }
    return Date(timeIntervalSince1970: Double(days * 86_400 + clock - zone.offset) + zone.fraction)
  }

  /// RFC 9110 section 5.6.7: `Mon, 23 Nov 2026 18:45:00 GMT`. The two obsolete forms are not read.
  static func date(http text: String) -> Date? {
    let parts = text.split(separator: " ")
    guard parts.count == 6, parts[0].hasSuffix(","), parts[5] == "GMT" || parts[5] == "UTC",
      let day = number(Array(parts[1].utf8)[...]), let month = months.firstIndex(of: String(parts[2])),
      let year = number(Array(parts[3].utf8)[...]), year >= 1970, year <= 9999,
      let clock = clock(Array(parts[4].utf8)[...]), let days = days(year: year, month: month + 1, day: day)
    else { return nil }
    return Date(timeIntervalSince1970: Double(days * 86_400 + clock))
  }

  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// Seconds since midnight of `HH:MM:SS`.
  private static func clock(_ bytes: ArraySlice<UInt8>) -> Int? {
    let parts = bytes.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map(number)
    guard parts.count == 3, let hour = parts[0], let minute = parts[1], let second = parts[2],
      hour < 24, minute < 60, second <= 60
    else { return nil }
    return hour * 3600 + minute * 60 + second
  }

  private static func fractionAndZone(_ bytes: ArraySlice<UInt8>) -> (fraction: Double, offset: Int)? {
    var rest = bytes
    var fraction = 0.0
    if rest.first == UInt8(ascii: ".") {
      let digits = rest.dropFirst().prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      guard let value = Double("0." + String(decoding: digits, as: UTF8.self)) else { return nil }
      fraction = value
      rest = rest.dropFirst(1 + digits.count)
    }
    return offset(rest).map { (fraction, $0) }
  }

  /// Seconds east of UTC of nothing, `Z`, `+05:30`, `+0530` or `+05`.
  private static func offset(_ bytes: ArraySlice<UInt8>) -> Int? {
    guard let sign = bytes.first else { return 0 }
    if sign == UInt8(ascii: "Z") || sign == UInt8(ascii: "z") { return bytes.count == 1 ? 0 : nil }
    guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { return nil }
    let digits = bytes.dropFirst().filter { $0 != UInt8(ascii: ":") }
    guard digits.count == 2 || digits.count == 4, let hours = number(digits.prefix(2)),
      let minutes = digits.count == 2 ? 0 : number(digits.suffix(2)), hours < 24, minutes < 60
    else { return nil }
    return (sign == UInt8(ascii: "-") ? -1 : 1) * (hours * 3600 + minutes * 60)
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard (1...4).contains(digits.count), digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
  }

  /// Days since 1970-01-01 in the Gregorian calendar: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  private static func days(year: Int, month: Int, day: Int) -> Int? {
    guard (1...12).contains(month), (1...31).contains(day) else { return nil }
    let year = month <= 2 ? year - 1 : year
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }
}
