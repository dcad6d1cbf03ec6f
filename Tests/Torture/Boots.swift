import ArgumentParser
import Foundation
import Jobs
import Runner
import Simulator

/// `torture boots`: how soon a machine that is up is noticed, and at how many requests.
struct Boots: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Detection of booted machines in virtual time, against a poll every 10 s.")

  @Option(help: "Boots of each offering.")
  var count = 10_000

  @Option(help: "Of everything that is random.")
  var seed: UInt64 = 1

  func run() {
    let ranges = Set(Catalogue.offerings.compactMap(\.bootSeconds)).sorted {
      ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound)
    }
    print("| boot_time | p50 | p90 | p99 | requests a minute | every 10 s: p50 | p90 | p99 | requests a minute |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for range in ranges {
      let (adaptive, fixed) = BootRuns(seed: seed, count: count).compare(range)
      print("| \(range.lowerBound)..\(range.upperBound) s |" + row(adaptive) + row(fixed))
    }
  }

  private func row(_ result: BootBenchmark) -> String {
    let numbers = [0.5, 0.9, 0.99].map { result.percentile($0) } + [result.requestsPerMinute]
    return numbers.map { String(format: " %.1f |", $0) }.joined()
  }
}

/// Boots that take any time of a range alike.
struct BootRuns {
  var seed: UInt64
  var count: Int

  private static let latency = 0.2

  func compare(_ range: ClosedRange<Int>) -> (adaptive: BootBenchmark, fixed: BootBenchmark) {
    var random = SplitMix64(seed: seed)
    func fraction() -> Double { Double(random.next() >> 11) * 0x1p-53 }
    var (adaptive, fixed) = (BootBenchmark(), BootBenchmark())
    for _ in 0..<count {
      let boot = Double(range.lowerBound) + fraction() * Double(range.upperBound - range.lowerBound)
      adaptive.add(boot: boot, latency: Self.latency) { age in
        let pause = BootPace.pause(at: .milliseconds(Int64(age * 1000)), min: range.lowerBound, max: range.upperBound)
        return pause.seconds * (1 + 0.1 * fraction())
      }
      fixed.add(boot: boot, latency: Self.latency) { _ in 10 }
    }
    return (adaptive, fixed)
  }
}
