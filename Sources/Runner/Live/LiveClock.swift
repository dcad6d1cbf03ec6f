import Jobs

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The wall clock read once, and from there on the monotonic clock that also counts while the machine sleeps.
package struct LiveClock: Clock {
  private let anchor: Moment
  private let start: ContinuousClock.Instant

  package init() {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    anchor = Moment(milliseconds: Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000)
    start = .now
  }

  package func now() -> Moment { anchor + (ContinuousClock.now - start) }

  package func sleep(for duration: Duration) async {
    // Cancelled early: the caller looks at its task, as it has to anyway.
    try? await Task.sleep(for: duration, clock: .continuous)
  }
}

package struct SystemEntropy: Entropy {
  package init() {}

  package func fraction() -> Double { Double.random(in: 0..<1) }
}
