import Dispatch
import Foundation
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
    var isOpen = false
    var leave: (@Sendable (Signal) -> Never)?
    var leavesAtFirst = false
    var consider: (@Sendable (Signal, @Sendable () -> Bool) -> Bool)?
    var isConsidering = false
    var isAgain = false
    var branches: [Branch] = []
  }

  private struct Branch { weak var inbox: SignalInbox? }

  private let box = Mutex(Box())

  package init() {}

  /// What the second signal does from now on. It is called in the handler itself: a Task might never run while a thread
  /// of the pool is blocked.
  /// - Parameter atFirst: the first signal does it, too: there is no work left that it could end.
  package func leave(atFirst: Bool = false, by leave: @escaping @Sendable (Signal) -> Never) {
    box.withLock { ($0.leave, $0.leavesAtFirst) = (leave, atFirst) }
  }

  /// Asked about the first signal, on a thread of its own: where the answer is false nobody is told of it.
  ///
  /// A signal that comes meanwhile is an answer, too: `isAgain` is true then, and that one does not leave at once.
  package func consider(by consider: @escaping @Sendable (Signal, _ isAgain: @Sendable () -> Bool) -> Bool) {
    box.withLock { $0.consider = consider }
  }

  /// Takes over SIGINT, SIGTERM and SIGHUP, and ignores SIGPIPE. From its return on no signal is lost.
  ///
  /// Not by a `DispatchSource`: it wants the signal ignored, and is registered some time later. What came in between was
  /// heard by nobody, and the job ran to its end.
  package func open() {
    let isFirst = box.withLock { box in
      defer { box.isOpen = true }
      return !box.isOpen
    }
    guard isFirst else { return }
    _ = signal(SIGPIPE, SIG_IGN)
    SignalPipe.listen { [self] in took($0) }
  }

  /// A signal that nobody was told of, if there is one.
  package func takePending() -> Signal? {
    box.withLock { box in
      defer { box.pending = nil }
      return box.pending
    }
  }

  /// The inbox of one of many jobs in this process: it hears the first signal, and leaves the second to this one.
  package func branch() -> SignalInbox {
    let branch = SignalInbox()
    let first = box.withLock { box in
      box.branches.removeAll { $0.inbox == nil }
      box.branches.append(Branch(inbox: branch))
      return box.first
    }
    if let first { branch.heard(first) }
    return branch
  }

  /// How long ago the first signal came; nil when none has.
  package var age: Duration? { box.withLock { $0.firstAt.map { .now - $0 } } }

  /// The first signal, if one came.
  package var first: Signal? { box.withLock { $0.first } }

  /// Waits for a signal that nobody was told of; nil when the task is cancelled.
  package func next() async -> Signal? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let ready: Signal?? = box.withLock { box in
          if let pending = box.pending {
            box.pending = nil
            return .some(pending)
          }
          if Task.isCancelled { return .some(nil) }
          box.waiter = continuation
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
      defer { box.waiter = nil }
      return box.waiter
    }
  }

  /// timeout(1), a terminal with a wrapper that forwards signals and many a CI runner signal twice: that is one signal.
  private static let echo = Duration.milliseconds(200)

  private func took(_ signal: Signal) {
    let age = box.withLock { $0.firstAt.map { .now - $0 } }
    if let age, age < Self.echo { return }
    if answers() { return }
    let (leave, leavesAtFirst) = box.withLock { ($0.leave, $0.leavesAtFirst) }
    if let leave, age != nil || leavesAtFirst { leave(signal) }
    let consider = box.withLock { box in
      box.first = box.first ?? signal
      box.firstAt = box.firstAt ?? .now
      defer { box.consider = nil }
      box.isConsidering = box.consider != nil
      return box.consider
    }
    guard let consider else { return deliver(signal) }
    // The handler of a second signal must not wait for the answer.
    DispatchQueue(label: "first signal").async { [self] in
      let isTold = consider(signal) { [self] in box.withLock { $0.isAgain } }
      box.withLock { $0.isConsidering = false }
      if isTold { deliver(signal) }
    }
  }

  /// Whether this signal answers a question about the first one.
  private func answers() -> Bool {
    box.withLock { box in
      guard box.isConsidering else { return false }
      (box.isAgain, box.firstAt) = (true, .now)
      return true
    }
  }

  /// As a branch.
  private func heard(_ signal: Signal) {
    box.withLock { box in
      box.first = box.first ?? signal
      box.firstAt = box.firstAt ?? .now
    }
    deliver(signal)
  }

  private func deliver(_ signal: Signal) {
    for branch in box.withLock({ $0.branches }) { branch.inbox?.heard(signal) }
    let waiter = box.withLock { box in
      if box.waiter == nil { box.pending = signal }
      defer { box.waiter = nil }
      return box.waiter
    }
    waiter?.resume(returning: signal)
  }
}

/// signal(7) to a file descriptor: all that a handler may do is to write to it. One for the process, as handlers are; every open
/// inbox hears each signal.
private enum SignalPipe {
  private static let writer = Atomic<Int32>(-1)
  private static let listeners = Mutex<[@Sendable (Signal) -> Void]>([])

  static func listen(_ listener: @escaping @Sendable (Signal) -> Void) {
    listeners.withLock { listeners in
      listeners.append(listener)
      // Under the lock: whoever comes second may rely on the handlers, too.
      if listeners.count == 1 { start() }
    }
  }

  private static func start() {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    // A handler must not block; a full pipe holds more signals than anybody sends.
    _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
    writer.store(ends[1], ordering: .releasing)
    for signal in Signal.allCases { handle(signal.rawValue) }
    let reader = ends[0]
    let thread = Thread {
      while let number = next(from: reader) {
        guard let signal = Signal(rawValue: number) else { continue }
        for listener in listeners.withLock({ $0 }) { listener(signal) }
      }
    }
    thread.name = "signals"
    thread.start()
  }

  private static func handle(_ signal: Int32) {
    var action = sigaction()
    #if canImport(Glibc) || canImport(Musl)
      action.__sigaction_handler.sa_handler = { SignalPipe.write($0) }
    #else
      action.__sigaction_u.__sa_handler = { SignalPipe.write($0) }
    #endif
    action.sa_flags = SA_RESTART
    sigaction(signal, &action, nil)
  }

  private static func write(_ signal: Int32) {
    let before = errno
    var byte = UInt8(truncatingIfNeeded: signal)
    #if canImport(Glibc)
      _ = Glibc.write(writer.load(ordering: .acquiring), &byte, 1)
    #elseif canImport(Musl)
      _ = Musl.write(writer.load(ordering: .acquiring), &byte, 1)
    #else
      _ = Darwin.write(writer.load(ordering: .acquiring), &byte, 1)
    #endif
    errno = before
  }

  /// Waits for the next one; nil where there can be none.
  static func next(from reader: Int32) -> Int32? {
    var byte: UInt8 = 0
    while true {
      let count = read(reader, &byte, 1)
      if count == 1 { return Int32(byte) }
      if count == 0 || errno != EINTR { return nil }
    }
  }
}
