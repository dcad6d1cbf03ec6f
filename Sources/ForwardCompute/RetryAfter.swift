#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// The header `Retry-After`, RFC 9110 section 10.2.3: seconds, or a date.
public enum RetryAfter {
  /// No server makes us wait longer than this at one time.
  public static let longest: Duration = .seconds(60)

  /// How long to wait, between nothing and ``longest``; nil when the header says nothing that can be read.
  ///
  /// A date is compared with the server's own `Date` when it sent one: two clocks need not agree.
  public static func parse(_ header: String, date serverDate: String? = nil, now: Date) -> Duration? {
    let text = header.trimming()
    if !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
      return Int(text).map { min(.seconds($0), longest) } ?? longest
    }
    guard let moment = Timestamp.date(http: text) else { return nil }
    let from = serverDate.flatMap { Timestamp.date(http: $0.trimming()) } ?? now
    let seconds = moment.timeIntervalSince(from)
    return seconds <= 0 ? .zero : min(.milliseconds(Int64(min(seconds, 1e6) * 1000)), longest)
  }
}

extension String {
  fileprivate func trimming() -> String {
    String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }
}
