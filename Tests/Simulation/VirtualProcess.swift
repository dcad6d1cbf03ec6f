import Jobs
import Runner

/// One fcrun process in the virtual world: it lives until it is done, killed, or fenced off.
///
/// Safe for the same reason as ``Kernel``.
final class VirtualProcess: @unchecked Sendable {
  let kernel: Kernel
  let number: Int
  /// Where this process' clock differs from the truth.
  var skew: Duration = .zero
  /// Names of secrets that its environment lacks.
  var hasSecrets = true

  /// Port calls so far.
  private(set) var calls = 0
  /// The call at which it dies, and what of that call still happens.
  var death: (call: Int, effect: Death, cutsPower: Bool)?
  /// Its computer is never seen again.
  var takesStateAlong = false
  /// The call at which it is stopped (SIGSTOP, a lid that closes), and for how long.
  var stop: (call: Int, length: Duration)?
  private(set) var isDead = false
  private var stoppedUntil = Moment(milliseconds: 0)

  /// No port may take longer than this: somebody gives up then.
  private var limit: Moment?
  private var isGivenUp = false
  /// A driver that turns without getting anywhere shows here.
  private var waits = 0
  var isTurning: Bool { waits > 20_000 }

  /// When it was told to end.
  private(set) var toldAt: Moment?
  /// A commit of this process was refused because another one has taken the job over.
  var isFenced = false
  /// Its last commit failed: what it knows is lost with it.
  var isBehind = false

  enum Death: String, Sendable, CaseIterable { case before, after, late }

  init(_ kernel: Kernel, number: Int) {
    self.kernel = kernel
    self.number = number
  }

  /// For a dead process time flies, so that whatever it waits for is over.
  var now: Moment {
    guard isDead else { return kernel.now + skew }
    afterlife = afterlife + .seconds(1_000_000)
    return afterlife
  }
  private var afterlife = Moment(milliseconds: .max / 4)

  func note(_ line: @autoclosure () -> String) { kernel.note("p\(number) \(line())") }

  /// Lets `duration` pass; false when the process died or somebody gave up meanwhile.
  func pass(_ duration: Duration) async -> Bool {
    guard isWaiting else { return end() }
    let whole = kernel.now + duration
    let until = min(whole, max(kernel.now, limit ?? whole))
    await wait(until: until)
    if until < whole, isWaiting { isGivenUp = true }
    return isWaiting || end()
  }

  private var isWaiting: Bool { !isDead && !isGivenUp && !Task.isCancelled }

  /// A strand that nobody waits for any more looks no further.
  private func end() -> Bool {
    if VirtualStrands.isStrand { withUnsafeCurrentTask { $0?.cancel() } }
    return false
  }

  /// A process that is stopped comes back to none of its strands.
  private func wait(until moment: Moment) async {
    var moment = moment
    repeat {
      if kernel.turns.isShared { await kernel.turns.wait(until: moment) { [self] in isDead } }
      guard !isDead, !Task.isCancelled else { return }
      kernel.advance(to: moment)
      moment = stoppedUntil
    } while kernel.now < moment
  }

  /// One call of a port: `effect` happens, unless the process died before; the answer is nil when it died before it came.
  func call<Answer>(_ name: @autoclosure () -> String, _ effect: @escaping () -> Answer) async -> Answer? {
    guard isWaiting else { return nil }
    if let stop, calls + 1 == stop.call { await stand(stop.length) }
    return Task.isCancelled ? nil : callNow(name(), effect)
  }

  /// A call that does not wait.
  func callNow<Answer>(_ name: @autoclosure () -> String, _ effect: @escaping () -> Answer) -> Answer? {
    guard !isDead, !isGivenUp else { return nil }
    calls += 1
    kernel.calls += 1
    if kernel.calls > Kernel.mostCalls { return giveUp() }
    defer { kernel.check() }
    guard let death, calls == death.call else {
      note(name())
      return effect()
    }
    isDead = true
    note("CRASH in \(name()), effect: \(death.effect.rawValue)")
    switch death.effect {
    case .before: break
    case .after: _ = effect()
    // The request is on its way, or the worker lives a little longer.
    case .late: kernel.after(.milliseconds(kernel.between(1, 8_000))) { _ = effect() }
    }
    return nil
  }

  /// No job needs so many calls: something turns.
  private func giveUp<Answer>() -> Answer? {
    kernel.violate("I12: \(Kernel.mostCalls) calls, and no end")
    isDead = true
    return nil
  }

  private func stand(_ length: Duration) async {
    note("stands still for \(length.seconds) s")
    stoppedUntil = kernel.now + length
    await wait(until: stoppedUntil)
    // Who stands still cannot hurry.
    toldAt = toldAt.map { $0 + length }
    note("goes on")
  }

  // MARK: - Waits

  /// Runs one wait of the driver under a limit; whether it was given up.
  func wait<Value: Sendable>(atMost limit: Moment?, _ operation: () async -> Value) async -> (Value, isGivenUp: Bool) {
    countWait()
    (self.limit, isGivenUp) = (limit, false)
    let value = await operation()
    defer { (self.limit, isGivenUp) = (nil, false) }
    return (value, isGivenUp)
  }

  func countWait() {
    waits += 1
    if isTurning { isDead = true }
  }

  func tellToEnd() { toldAt = toldAt ?? kernel.now }
}
