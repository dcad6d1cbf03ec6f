/// The pace of all requests to one API: a bucket of tokens, and a pause that everybody keeps after a 429.
///
/// What is urgent has a bucket of its own, of twice the size and rate, and keeps no pause: a machine that is to go costs
/// money, after a signal there are ten seconds for all of it, and at worst the answer is another 429.
///
/// It never sleeps: it says how long to wait, and the caller waits on the same clock.
public actor RequestLimiter {
  private let interval: Duration
  private let burst: Int
  /// The clock, as the time since some fixed moment. Must run on while callers pause.
  public nonisolated let now: @Sendable () -> Duration
  /// When the bucket would be full again: the generic cell rate algorithm keeps one moment instead of a count.
  private var full: Duration
  /// The same for what must not wait behind others.
  private var urgentFull: Duration
  private var pausedUntil: Duration

  /// A bucket that gives `burst` tokens at once and `rate` tokens each second.
  public init(rate: Double = 10, burst: Int = 20, now: @escaping @Sendable () -> Duration = RequestLimiter.uptime) {
    precondition(rate > 0 && burst > 0, "a limiter without tokens never lets anything pass")
    interval = .seconds(1 / rate)
    self.burst = burst
    self.now = now
    full = now()
    urgentFull = now()
    pausedUntil = now()
  }

  /// Time since the process first asked.
  public static let uptime: @Sendable () -> Duration = { [start = ContinuousClock.now] in ContinuousClock.now - start }

  /// Takes a token, now or in advance, and says how long the caller must wait before it uses it.
  ///
  /// - Parameter isUrgent: from the other bucket, and without the pause.
  public func reserve(isUrgent: Bool = false) -> Duration {
    let now = now()
    if isUrgent { return max(take(from: &urgentFull, burst: 2 * burst, every: interval / 2, at: now), now) - now }
    return max(take(from: &full, burst: burst, every: interval, at: now), pausedUntil, now) - now
  }

  /// - Returns: when the token may be used.
  private func take(from full: inout Duration, burst: Int, every interval: Duration, at now: Duration) -> Duration {
    let ready = full - interval * (burst - 1)
    full = max(full, now) + interval
    return ready
  }

  /// Nobody sends anything for this long.
  public func pause(for duration: Duration) {
    pausedUntil = max(pausedUntil, now() + duration)
  }

  /// What is left of the shared pause.
  public func remainingPause() -> Duration {
    max(pausedUntil - now(), .zero)
  }
}
