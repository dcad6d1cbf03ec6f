import Jobs

/// How often a machine that boots is looked at.
///
/// A machine that is up costs as much as one that works, and the API allows only so many requests. So the requests are spent
/// where the offering's `boot_time` expects the machine: a few at once, for clouds that are faster than they say, one where
/// `boot_time` begins, then so many that half of the machines are seen within 2 s while the whole boot has no more than 12
/// requests a minute.
package enum BootPace {
  /// Ages of the first looks, in seconds.
  private static let early = [0.5, 1.5, 4]
  /// Requests a minute in a boot of middle length.
  private static let budget = 11.9

  /// - Parameters:
  ///   - age: since the POST.
  ///   - min: seconds that a boot takes at least, as the offering says.
  ///   - max: at most.
  package static func pause(at age: Duration, min: Int?, max: Int?) -> Duration {
    let age = age.seconds
    let start = Double(min ?? 0)
    let end = Swift.max(start, Double(max ?? 0))
    if let next = early.first(where: { $0 > age + 0.05 }) { return seconds(next - age) }
    if age < start { return seconds(Swift.min(start - age, Swift.max(120, age))) }
    guard max != nil else { return seconds(age < 300 ? 5 : 10) }
    if age <= end { return seconds(interval(start, end)) }
    return seconds(age < 2 * end ? 5 : 10)
  }

  /// Between two looks while the machine is expected: what the budget of a boot that ends in the middle leaves, less the
  /// jitter that is put on top of each pause.
  private static func interval(_ start: Double, _ end: Double) -> Double {
    let middle = (start + end) / 2
    let left = budget * middle / 60 - (Double(early.count) + 1.5)
    return left <= 0 ? 5 : Swift.min(5, Swift.max(2, (middle - start) / left)) / 1.05
  }

  private static func seconds(_ seconds: Double) -> Duration { .milliseconds(Int64(seconds * 1000)) }
}

/// Virtual boots, and when they were noticed.
package struct BootBenchmark: Sendable {
  /// Seconds after `active`.
  package var delays: [Double] = []
  package var requests = 0
  package var minutes = 0.0

  package init() {}

  /// One boot that took `boot` seconds, looked at after each `pause(age)`; the answer takes `latency` seconds.
  package mutating func add(boot: Double, latency: Double, _ pause: (_ age: Double) -> Double) {
    var age = 0.0
    requests += 1
    while age < boot {
      age += pause(age) + latency
      requests += 1
    }
    delays.append(age - boot)
    minutes += age / 60
  }

  /// Of the delays, in seconds; `share` from 0 to 1.
  package func percentile(_ share: Double) -> Double {
    let sorted = delays.sorted()
    return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }

  package var requestsPerMinute: Double { minutes > 0 ? Double(requests) / minutes : 0 }
}
