import Jobs
import Runner
import Simulator
import Store

// The other ends of the driver's ports: see docs/architecture.md.

struct VirtualClock: Clock {
  let process: VirtualProcess

  func now() -> Moment { process.now }
  func sleep(for duration: Duration) async { _ = await process.pass(duration) }
}

struct VirtualEntropy: Entropy {
  let process: VirtualProcess
  func fraction() -> Double { process.kernel.fraction() }
}

struct VirtualJournal: Journal {
  let process: VirtualProcess

  func job(_ id: String) throws(StoreError) -> JobRecord { process.kernel.disk.record }

  func commit(_ job: JobRecord, event: String, at now: Moment) throws(StoreError) {
    let kernel = process.kernel
    let result = process.callNow("commit of \(job.state.word)") {
      kernel.commit(job, event: event, at: now, by: process)
    }
    // A dead process hears nothing any more; this ends its loop.
    guard let result else { throw .fenced(job.id) }
    try result.get()
  }
}

extension Kernel {
  fileprivate func commit(
    _ job: JobRecord, event: String, at moment: Moment, by process: VirtualProcess
  ) -> Result<Void, StoreError> {
    if disk.refuses(job, chance: fraction) {
      process.note("\(job.state.word) is not committed: the disk is full")
      process.isBehind = true
      return .failure(.failed("the disk is full"))
    }
    do throws(StoreError) {
      try disk.commit(job, event: event, at: moment)
    } catch {
      process.note("\(job.state.word) is not committed: \(error)")
      if case .fenced = error { process.isFenced = true }
      return .failure(error)
    }
    process.note("\(job.state.word) <- \(event)")
    process.isBehind = false
    witness.saw(commitOf: job, by: process)
    return .success(())
  }
}

/// What a user does, and deadlines: the earliest of them cuts the operation off.
struct VirtualWakes: Wakes {
  let process: VirtualProcess
  let hearsUser: Bool
  private var user: User { hearsUser ? process.kernel.user : User() }

  init(process: VirtualProcess, hearsUser: Bool) {
    self.process = process
    self.hearsUser = hearsUser
  }

  func run(
    job: String, within limit: Duration?, mercy: Duration, listensForCancel: Bool, heard: (Wake) async -> Void,
    _ operation: @escaping @Sendable () async -> Event?
  ) async -> (event: Event?, wake: Wake?) {
    let wake = earliest(limit.map { process.kernel.now + $0 }, listensForCancel)
    if let wake, wake.at <= process.kernel.now, mercy == .zero {
      process.countWait()
      return process.isDead ? (nil, .signal(.terminate)) : (nil, take(wake.what))
    }
    let (event, isGivenUp) = await process.wait(atMost: wake.map { $0.at + mercy }, operation)
    // A killed process gets no answers any more: its next commit fails, and its driver's loop is over.
    if process.isDead {
      withUnsafeCurrentTask { $0?.cancel() }
      return (nil, .signal(.terminate))
    }
    guard let wake, process.kernel.now >= wake.at else { return (event, nil) }
    guard mercy > .zero else { return (isGivenUp ? nil : event, take(wake.what)) }
    await heard(take(wake.what))
    return (event, nil)
  }

  private func earliest(_ deadline: Moment?, _ listensForCancel: Bool) -> (what: Wake, at: Moment)? {
    let candidates: [(Wake, Moment)?] = [
      deadline.map { (.deadline, $0) },
      user.signal.map { (.signal($0.what), $0.at) },
      listensForCancel ? user.cancelAt.map { (.cancelRequest, $0) } : nil,
    ]
    return candidates.compactMap { $0 }.min { $0.1 < $1.1 }.map { (what: $0.0, at: $0.1) }
  }

  private func take(_ wake: Wake) -> Wake {
    if case .signal = wake {
      process.kernel.user.signal = nil
      process.tellToEnd()
    }
    process.note("wake: \(wake)")
    return wake
  }
}

/// The one secret of a job: a canary that may be seen nowhere but in a launch.
struct VirtualSecrets: Secrets {
  static let name = "TOKEN"
  static let canary = "canary-5c1f7e"
  let process: VirtualProcess

  func value(of name: String) -> String? { process.hasSecrets ? Self.canary : nil }
}

/// Hears everything that people are told, and listens for the canary.
struct VirtualNarrator: Narrator {
  let process: VirtualProcess

  func tell(_ notice: Notice) {
    if case .moved(let record, _, _) = notice { process.kernel.witness.saw(endIn: record) }
    guard case .warning(_, let text) = notice else { return }
    process.note("says: \(text)")
    if text.contains(VirtualSecrets.canary) { process.kernel.violate("I10: a secret is told to people: \(text)") }
  }
}
