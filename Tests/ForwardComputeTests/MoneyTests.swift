import ForwardCompute
import Foundation
import Testing

@Suite struct MoneyTests {
  @Test(arguments: [("24.12", "24.12"), ("0.00008", "0.00008"), ("3.015", "3.015"), ("0", "0"), ("007.50", "7.5")])
  func readsPlainDecimalsExactly(text: String, value: String) {
    #expect(Money.plain(text).map { "\($0)" } == value)
  }

  @Test(arguments: ["", ".", "1.", ".5", "1e5", "-1", "+1", " 1", "1 ", "1,5", "0x10", "NaN", "inf", "1.2.3", "１"])
  func refusesWhatIsNotAPlainDecimal(text: String) {
    #expect(Money.plain(text) == nil)
  }

  @Test func refusesMoreDigitsThanCanBeHeldExactly() {
    #expect(Money.plain(String(repeating: "9", count: 38)) != nil)
    #expect(Money.plain(String(repeating: "9", count: 39)) == nil)
    #expect(Money.plain("0." + String(repeating: "0", count: 30) + "1") != nil)
  }

  /// A JSON number must not pass through a binary fraction: 0.1 + 0.2 is 0.3 here.
  @Test func readsNumbersByTheirLiteral() throws {
    let sum = try #require(Money.exact("0.1")) + (try #require(Money.exact("0.2")))
    #expect(sum == Money.plain("0.3"))
    #expect(Money.exact("8e-05") == Money.plain("0.00008"))
    #expect(Money.exact("2.5E+1") == Money.plain("25"))
    #expect(Money.exact("-3.015").map { "\($0)" } == "-3.015")
    #expect(Money.exact("1e999999999999999999") == nil)
  }

  /// Random amounts, written out again: the same digits, but for zeros that mean nothing.
  @Test func losesNoDigit() throws {
    var random = SplitMix(seed: 7)
    for _ in 0..<2_000 {
      let whole = (0...random.below(19)).map { _ in String(random.below(10)) }.joined()
      let fraction = (0...random.below(17)).map { _ in String(random.below(10)) }.joined()
      var bare = String(fraction.reversed().drop { $0 == "0" }.reversed())
      bare = bare.isEmpty ? "" : "." + bare
      let lead = whole.drop { $0 == "0" }
      let text = "\(whole).\(fraction)"
      #expect(Money.plain(text).map { "\($0)" } == (lead.isEmpty ? "0" : lead) + bare)
      #expect(Money.exact((lead.isEmpty ? "0" : lead) + "." + fraction) == Money.plain(text))
    }
  }

  @Test func addsUpAThousandHoursWithoutDrift() throws {
    let price = try #require(Money.plain("0.00008"))
    let sum = (0..<1000).reduce(Decimal(0)) { total, _ in total + price }
    #expect(sum == Money.plain("0.08"))
  }
}
