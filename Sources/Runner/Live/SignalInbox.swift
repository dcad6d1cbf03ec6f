import Dispatch
import Jobs
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The signals of this process: the first is an event for the driver, the second leaves at once.
package final class SignalInbox: Sendable {
  private struct Box {
    var pending: Signal?
    var first: Signal?
    var firstAt: ContinuousClock.Instant?
    var waiter: CheckedContinuation<Signal?, Never>?
    var sources: [any DispatchSourceSignal] = []
    var leave: (@Sendable (Signal) -> Never)?
    var leavesAtFirst = false
    var consider: (@Sendable (Signal, @Sendable () -> Bool) -> Bool)?
    var isConsidering = false
    var isAgain = false
    var branches: [Branch] = []
  }

  private struct Branch { weak var inbox: SignalInbox? }

  // DispatchSourceSignal is not Sendable: the sources are only kept alive here, and touched by nobody.
  private let box = Mutex(Unchecked(Box()))

  private struct Unchecked: @unchecked Sendable {
    var value: Box
    init(_ value: Box) { self.value = value }
  }

  package init() {}

  /// What the second signal does from now on. It is called in the handler itself: a Task might never run while a thread
  /// of the pool is blocked.
  /// - Parameter atFirst: the first signal does it, too: there is no work left that it could end.
  package func leave(atFirst: Bool = false, by leave: @escaping @Sendable (Signal) -> Never) {
    box.withLock { ($0.value.leave, $0.value.leavesAtFirst) = (leave, atFirst) }
  }

  /// Asked about the first signal, on a thread of its own: where the answer is false nobody is told of it.
  ///
  /// A signal that comes meanwhile is an answer, too: `isAgain` is true then, and that one does not leave at once.
  package func consider(by consider: @escaping @Sendable (Signal, _ isAgain: @Sendable () -> Bool) -> Bool) {
    box.withLock { $0.value.consider = consider }
  }

  /// Takes over SIGINT, SIGTERM and SIGHUP, and ignores SIGPIPE.
  package func open() {
    _ = signal(SIGPIPE, SIG_IGN)
    let sources = Signal.allCases.map { one in
      _ = signal(one.rawValue, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: one.rawValue, queue: .global())
      source.setEventHandler { [self] in took(one) }
      source.resume()
      return source
    }
    box.withLock { $0.value.sources = sources }
  }

  /// The inbox of one of many jobs in this process: it hears the first signal, and leaves the second to this one.
  package func branch() -> SignalInbox {
    let branch = SignalInbox()
    let first = box.withLock { box in
      box.value.branches.removeAll { $0.inbox == nil }
      box.value.branches.append(Branch(inbox: branch))
      return box.value.first
    }
    if let first { branch.heard(first) }
    return branch
  }

  /// How long ago the first signal came; nil when none has.
  package var age: Duration? { box.withLock { $0.value.firstAt.map { .now - $0 } } }

  /// The first signal, if one came.
  package var first: Signal? { box.withLock { $0.value.first } }

  /// Waits for a signal that nobody was told of; nil when the task is cancelled.
  package func next() async -> Signal? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let ready: Signal?? = box.withLock { box in
          if let pending = box.value.pending {
            box.value.pending = nil
            return .some(pending)
          }
          if Task.isCancelled { return .some(nil) }
          box.value.waiter = continuation
          return nil
        }
        if let ready { continuation.resume(returning: ready) }
      }
    } onCancel: {
      takeWaiter()?.resume(returning: nil)
    }
  }

  private func takeWaiter() -> CheckedContinuation<Signal?, Never>? {
    box.withLock { box in
      defer { box.value.waiter = nil }
      return box.value.waiter
    }
  }

  /// timeout(1), a terminal with a wrapper that forwards signals and many a CI runner signal twice: that is one signal.
  private static let echo = Duration.milliseconds(200)

  private func took(_ signal: Signal) {
    let age = box.withLock { $0.value.firstAt.map { .now - $0 } }
    if let age, age < Self.echo { return }
    if answers() { return }
    let (leave, leavesAtFirst) = box.withLock { ($0.value.leave, $0.value.leavesAtFirst) }
    if let leave, age != nil || leavesAtFirst { leave(signal) }
    let consider = box.withLock { box in
      box.value.first = box.value.first ?? signal
      box.value.firstAt = box.value.firstAt ?? .now
      defer { box.value.consider = nil }
      box.value.isConsidering = box.value.consider != nil
      return box.value.consider
    }
    guard let consider else { return deliver(signal) }
    // The handler of a second signal must not wait for the answer.
    DispatchQueue(label: "first signal").async { [self] in
      let isTold = consider(signal) { [self] in box.withLock { $0.value.isAgain } }
      box.withLock { $0.value.isConsidering = false }
      if isTold { deliver(signal) }
    }
  }

  /// Whether this signal answers a question about the first one.
  private func answers() -> Bool {
    box.withLock { box in
      guard box.value.isConsidering else { return false }
      (box.value.isAgain, box.value.firstAt) = (true, .now)
      return true
    }
  }

  /// As a branch.
  private func heard(_ signal: Signal) {
    box.withLock { box in
      box.value.first = box.value.first ?? signal
      box.value.firstAt = box.value.firstAt ?? .now
    }
    deliver(signal)
  }

  private func deliver(_ signal: Signal) {
    for branch in box.withLock({ $0.value.branches }) { branch.inbox?.heard(signal) }
    let waiter = box.withLock { box in
      if box.value.waiter == nil { box.value.pending = signal }
      defer { box.value.waiter = nil }
      return box.value.waiter
    }
    waiter?.resume(returning: signal)
  }
}
