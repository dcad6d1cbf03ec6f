import Jobs
import Runner
import Simulator
import Store

/// One world in virtual time: the clock, the cloud, the hosts and the durable store of one seed.
///
/// Safe: a seed runs in one task, and everything that is asked here is answered before the asker goes on.
final class Kernel: @unchecked Sendable {
  var now = Moment(milliseconds: 1_800_000_000_000)
  var random: SplitMix64
  var cloud: CloudModel
  var hosts: [String: SimulatedHost] = [:]
  /// What a power cut would leave.
  var durable: JobRecord?
  var trace: [String] = []

  /// Port calls of the present process.
  var calls = 0
  /// Waits of the present process: a driver that turns without getting anywhere shows here.
  var waits = 0
  var isTurning: Bool { waits > 20_000 }
  /// The call at which the present process dies; it may have had its effect then.
  var dyingCall: Int?
  /// Whether that call still had its effect; nil: the seed decides.
  var dyingEffect: Bool?
  var isDead = false

  /// No port may take longer than this: somebody has given up.
  var limit: Moment?
  var isGivenUp = false
  var signal: (what: Signal, at: Moment)?
  var cancelAt: Moment?
  /// No commit succeeds once the job has come to this phase.
  var diskIsFullFrom: String?
  /// The present process was told to end: it must not rent anything any more.
  var isToldToEnd = false
  var violations: [String] = []

  init(seed: UInt64, knobs: Knobs) {
    random = SplitMix64(seed: seed ^ 0x5EED)
    cloud = CloudModel(
      seed: seed, knobs: knobs, keys: [SimKey(id: "key-1", name: "test", publicKey: "ssh-ed25519 AAAA test")])
  }

  func fraction() -> Double { Double(random.next() >> 11) * 0x1p-53 }

  func between(_ low: Int64, _ high: Int64) -> Int64 { low + Int64(fraction() * Double(high - low + 1)) }

  func note(_ line: String) { trace.append("\(now.milliseconds % 1_000_000_000) \(line)") }

  /// Lets `duration` pass; false when the process died or somebody gave up meanwhile.
  func pass(_ duration: Duration) -> Bool {
    guard !isDead, !isGivenUp else { return false }
    var until = now + duration
    if let limit, until > limit {
      until = max(now, limit)
      isGivenUp = true
    }
    now = until
    cloud.advance(to: now.milliseconds)
    return !isGivenUp
  }

  /// One call of a port: `effect` happens, unless the process died before; the answer is nil when it died before it came.
  func call<Answer>(_ name: String, _ effect: () -> Answer) -> Answer? {
    guard !isDead, !isGivenUp else { return nil }
    calls += 1
    guard calls == dyingCall else { return effect() }
    isDead = true
    let hadEffect = dyingEffect ?? (fraction() < 0.5)
    note("CRASH in \(name), \(hadEffect ? "after" : "before") its effect")
    if hadEffect { _ = effect() }
    return nil
  }

  /// A new process: nothing of the last one is left but the world.
  func startProcess(dyingAfter calls: Int?) {
    isDead = false
    isGivenUp = false
    limit = nil
    self.calls = 0
    waits = 0
    isToldToEnd = false
    dyingCall = calls
    for host in hosts.values { host.disconnect() }
  }
}

struct VirtualClock: Clock {
  let kernel: Kernel

  /// A dead process has all the time there is, so that whatever it waits for is over.
  func now() -> Moment { kernel.isDead ? Moment(milliseconds: .max / 4) : kernel.now }

  func sleep(for duration: Duration) async { _ = kernel.pass(duration) }
}

struct VirtualEntropy: Entropy {
  let kernel: Kernel
  func fraction() -> Double { kernel.fraction() }
}

struct VirtualJournal: Journal {
  let kernel: Kernel

  func job(_ id: String) throws(StoreError) -> JobRecord { kernel.durable! }

  func commit(_ job: JobRecord, event: String, at now: Moment) throws(StoreError) {
    if kernel.durable?.state.word == kernel.diskIsFullFrom { throw .failed("the disk is full") }
    let isCommitted: Void? = kernel.call("commit of \(job.state.word)") {
      kernel.note("\(job.state.word) <- \(event)")
      kernel.durable = job
    }
    if isCommitted == nil { throw .fenced(job.id) }
  }
}

/// What a user does, and deadlines: the earliest of them cuts the operation off.
struct VirtualWakes: Wakes {
  let kernel: Kernel

  func run(
    job: String, until deadline: Moment?, mercy: Duration, listensForCancel: Bool,
    _ operation: @escaping @Sendable () async -> Event?
  ) async -> (event: Event?, wake: Wake?) {
    kernel.waits += 1
    if kernel.isTurning { kernel.isDead = true }
    let wake = earliest(deadline, listensForCancel)
    if let wake, wake.at <= kernel.now, mercy == .zero { return (nil, take(wake.what)) }
    kernel.limit = wake.map { $0.at + mercy }
    kernel.isGivenUp = false
    let event = await operation()
    let isGivenUp = kernel.isGivenUp
    (kernel.limit, kernel.isGivenUp) = (nil, false)
    // Whatever a dead process was told is the last thing it hears: its next commit fails.
    if kernel.isDead { return (nil, .signal(.terminate)) }
    guard let wake, kernel.now >= wake.at else { return (event, nil) }
    return (isGivenUp ? nil : event, take(wake.what))
  }

  private func earliest(_ deadline: Moment?, _ listensForCancel: Bool) -> (what: Wake, at: Moment)? {
    let candidates: [(Wake, Moment)?] = [
      deadline.map { (.deadline, $0) },
      kernel.signal.map { (.signal($0.what), $0.at) },
      listensForCancel ? kernel.cancelAt.map { (.cancelRequest, $0) } : nil,
    ]
    return candidates.compactMap { $0 }.min { $0.1 < $1.1 }.map { (what: $0.0, at: $0.1) }
  }

  private func take(_ wake: Wake) -> Wake {
    if case .signal = wake {
      kernel.signal = nil
      kernel.isToldToEnd = true
    }
    kernel.note("wake: \(wake)")
    return wake
  }
}

struct NoSecrets: Secrets {
  func value(of name: String) -> String? { nil }
}

struct Mute: Narrator {
  func tell(_ notice: Notice) {}
}
