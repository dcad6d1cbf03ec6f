import Jobs
import Runner
import Simulator
import Testing

/// How soon a machine that is up is noticed.
@Suite struct BootPaceTests {
  @Test(arguments: [40...90, 60...180, 60...300, 90...180, 120...600, 45...45])
  func halfOfTheMachinesAreSeenWithinTwoSecondsAtTwelveRequestsAMinute(range: ClosedRange<Int>) {
    var random = SplitMix64(seed: 1)
    func fraction() -> Double { Double(random.next() >> 11) * 0x1p-53 }
    var result = BootBenchmark()
    for _ in 0..<5_000 {
      let boot = Double(range.lowerBound) + fraction() * Double(range.upperBound - range.lowerBound)
      result.add(boot: boot, latency: 0) { age in
        let pause = BootPace.pause(at: .milliseconds(Int64(age * 1000)), min: range.lowerBound, max: range.upperBound)
        return pause.seconds * (1 + 0.1 * fraction())
      }
    }
    #expect(result.percentile(0.5) <= 2, "\(result.percentile(0.5)) s")
    #expect(result.requestsPerMinute <= 12, "\(result.requestsPerMinute) a minute")
  }

  @Test func aCloudThatIsFasterThanItSaysIsNoticedSoon() {
    for boot in [0.1, 0.4, 1, 3] {
      var result = BootBenchmark()
      result.add(boot: boot, latency: 0.05) { age in
        BootPace.pause(at: .milliseconds(Int64(age * 1000)), min: 60, max: 300).seconds
      }
      #expect(result.percentile(0.5) <= 2.5, "\(boot) s")
    }
  }

  @Test(arguments: [(nil, nil), (nil, 0), (60, nil), (300, 60), (Int.max, Int.max)] as [(Int?, Int?)])
  func whateverTheOfferingSaysThePauseIsSane(min: Int?, max: Int?) {
    for age in [0, 1, 10, 100, 1_000, 100_000] {
      let pause = BootPace.pause(at: .seconds(age), min: min, max: max)
      #expect(pause > .zero && pause <= .seconds(Swift.max(120, age)))
    }
  }
}
