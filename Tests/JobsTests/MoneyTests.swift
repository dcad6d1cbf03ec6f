import Jobs
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct MoneyTests {
  @Test(arguments: ["0", "24.12", "0.00008", "1.990", "999999999999.123456789012"])
  func moneyIsReadExactly(text: String) throws {
    let amount = try #require(Money.parse(text))
    #expect(amount == Decimal(string: text))
  }

  @Test func tenthsAddUp() throws {
    let tenth = try #require(Money.parse("0.1"))
    #expect(tenth + tenth + tenth == Money.parse("0.3"))
  }

  @Test(arguments: [
    "", ".", "1.", ".5", "-1", "+1", "1,5", "1.2.3", " 1", "1 ", "1e3", "$1", "0x1", "٣", "NaN", "1_000",
    "1234567890123456789012345678901",
  ])
  func whatIsNoAmountIsNotRead(text: String) {
    #expect(Money.parse(text) == nil)
  }

  @Test(arguments: [
    ("24.12", 2, "24.12"), ("20", 2, "20.00"), ("2.675", 2, "2.68"), ("2.674999", 2, "2.67"), ("0.995", 2, "1.00"),
    ("999.999", 2, "1000.00"), ("0.00008", 2, "0.00"), ("0.00008", 5, "0.00008"), ("1.5", 0, "2"), ("0", 2, "0.00"),
    ("9.5", 0, "10"), ("100000000000000000000", 2, "100000000000000000000.00"),
  ])
  func moneyIsWrittenWithSoManyPlaces(text: String, places: Int, shown: String) throws {
    #expect(Money.format(try #require(Money.parse(text)), places: places) == shown)
  }

  @Test func aDebtKeepsItsSignAndZeroHasNone() throws {
    let amount = try #require(Money.parse("2.675"))
    #expect(Money.format(-amount, places: 2) == "-2.68")
    #expect(Money.format(-amount / 1000, places: 2) == "0.00")
  }

  @Test(arguments: [("1.001", "1.01"), ("1.00", "1.00"), ("0.0000001", "0.01"), ("1.999", "2.00")])
  func aCeilingIsNeverRoundedDown(text: String, shown: String) throws {
    #expect(Money.formatUp(try #require(Money.parse(text))) == shown)
  }

  @Test(arguments: [("20", "20.00"), ("24.1", "24.10"), ("0.00008", "0.00008"), ("1.990", "1.99")])
  func anExactAmountHasAtLeastCents(text: String, shown: String) throws {
    #expect(Money.exact(try #require(Money.parse(text))) == shown)
  }

  @Test(arguments: [
    ("90s", 90), ("15m", 900), ("6h", 21600), ("1d", 86400), ("1h30m", 5400), ("1d2h3m4s", 93784), ("0s", 0),
    ("3650d", 315_360_000),
  ])
  func durationsAreReadAsPeopleWriteThem(text: String, seconds: Int) {
    #expect(Durations.parse(text) == seconds)
  }

  @Test(arguments: 0..<500)
  func durationsAreWrittenAsTheyAreRead(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let seconds = Int.random(in: 0...Durations.longest, using: &generator)
    #expect(Durations.parse(Durations.format(seconds)) == seconds)
  }

  @Test(arguments: [
    ("8", 8), ("8.0", 8), ("80e-1", 8), ("1e3", 1000), ("-0", 0), ("0e99", 0), ("9223372036854775807", Int.max),
  ])
  func aWholeNumberMayBeWrittenInManyWays(literal: String, value: Int) {
    #expect(NumberLiteral(literal)?.integer == value)
  }

  @Test(arguments: ["8.5", "1e-1", "9223372036854775808", "1e19", "1e999999999999999999999"])
  func whatIsNotWholeOrDoesNotFitIsNoInteger(literal: String) {
    #expect(NumberLiteral(literal) != nil)
    #expect(NumberLiteral(literal)?.integer == nil)
  }

  @Test(arguments: [
    ("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("ABC", "abc", 0), ("comand", "command", 1),
  ])
  func distanceCountsLetters(left: String, right: String, distance: Int) {
    #expect(EditDistance.between(left, right) == distance)
    #expect(EditDistance.between(right, left) == distance)
  }
}
