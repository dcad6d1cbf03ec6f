import Foundation
import TestSupport
import Testing

@testable import ForwardCompute

@Suite struct TimeTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0.0), ("2026-11-23T18:45:00Z", 1_795_459_500.0), ("2026-11-23 18:45:00", 1_795_459_500.0),
    ("2026-11-23T19:45:00+01:00", 1_795_459_500.0), ("2026-11-23T13:15:00-0530", 1_795_459_500.0),
    ("2024-02-29T00:00:00.250Z", 1_709_164_800.25),
  ])
  func readsTheDatesOfTheAPILeniently(text: String, seconds: Double) {
    #expect(Timestamp.date(iso8601: text)?.timeIntervalSince1970 == seconds)
  }

  @Test(arguments: [
    "", "yesterday", "2026-11-23", "2026-13-01T00:00:00Z", "2026-11-23T25:00:00Z", "2026-11-23T18:45:00X",
  ])
  func doesNotGuessAtOtherDates(text: String) {
    #expect(Timestamp.date(iso8601: text) == nil)
  }

  private let now = Date(timeIntervalSince1970: 1_795_459_500)

  @Test(
    .faults(23),
    arguments: [
      ("0", Duration.zero), ("7", .seconds(7)), (" 7 ", .seconds(7)), ("1000000000", .seconds(60)),
      ("99999999999999999999999999", .seconds(60)), ("Mon, 23 Nov 2026 18:45:09 GMT", .seconds(9)),
      ("Mon, 23 Nov 2026 18:44:00 GMT", .zero), ("Tue, 23 Nov 2077 18:44:00 GMT", .seconds(60)),
    ])
  func readsRetryAfterAsSecondsOrAsADateAndCapsIt(header: String, wait: Duration) {
    #expect(RetryAfter.parse(header, now: now) == wait)
  }

  @Test(.faults(23), arguments: ["", "-5", "1.5", "soon", "1e3", "Mon, 23 Nov 2026", "Mon, 23 Foo 2026 18:45:09 GMT"])
  func ignoresARetryAfterThatSaysNothing(header: String) {
    #expect(RetryAfter.parse(header, now: now) == nil)
  }

  @Test(.faults(23, 48)) func comparesARetryAfterWithTheServersOwnClock() {
    let wait = RetryAfter.parse(
      "Mon, 23 Nov 2026 18:45:09 GMT", date: "Mon, 23 Nov 2026 18:45:04 GMT", now: .distantPast)
    #expect(wait == .seconds(5))
  }
}
