#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The one place where libssh2 is called: every session and channel is isolated to it, and it runs on the thread that calls ``EventLoop/run()``.
@globalActor
package actor SSHLoop {
  package static let shared = SSHLoop()
  package nonisolated var unownedExecutor: UnownedSerialExecutor { EventLoop.shared.asUnownedSerialExecutor() }
}

/// A poll(2) loop that is a Swift executor: jobs, descriptors and timers of the whole process take turns on one thread.
package final class EventLoop: SerialExecutor, @unchecked Sendable {
  // Safe: `inbox` and `inboxDescriptor` are used from any thread, under `mutex`; all else only on the loop's own thread.
  package static let shared = EventLoop()

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var inbox: [UnownedJob] = []
  private var isSleeping = false
  private var wakeRead: Int32 = -1
  private var wakeWrite: Int32 = -1

  private var waiters: [Int: Waiter] = [:]
  private var lastWaiter = 0

  private struct Waiter {
    var descriptor: Int32
    var events: Int16
    var deadline: ContinuousClock.Instant?
    var continuation: UnsafeContinuation<Int16, Never>
  }

  private init() {
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    var ends: [Int32] = [-1, -1]
    precondition(pipe(&ends) == 0, "the loop's own pipe")
    for end in ends {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    (wakeRead, wakeWrite) = (ends[0], ends[1])
  }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    pthread_mutex_lock(mutex)
    inbox.append(job)
    let mustWake = isSleeping
    isSleeping = false
    pthread_mutex_unlock(mutex)
    if mustWake { _ = write(wakeWrite, "x", 1) }
  }

  package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  /// Takes the calling thread for good.
  package func run() -> Never {
    while true {
      runJobs()
      turn()
    }
  }

  private func runJobs() {
    while true {
      pthread_mutex_lock(mutex)
      let jobs = inbox
      inbox.removeAll(keepingCapacity: true)
      isSleeping = jobs.isEmpty
      pthread_mutex_unlock(mutex)
      if jobs.isEmpty { return }
      for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
    }
  }

  /// Sleeps until a descriptor is ready, a deadline passes or a job comes in.
  private func turn() {
    var descriptors = [pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0)]
    var ids: [Int] = []
    var earliest: ContinuousClock.Instant?
    for (id, waiter) in waiters {
      if let deadline = waiter.deadline { earliest = min(earliest ?? deadline, deadline) }
      guard waiter.descriptor >= 0 else { continue }
      ids.append(id)
      descriptors.append(pollfd(fd: waiter.descriptor, events: waiter.events, revents: 0))
    }
    _ = poll(&descriptors, nfds_t(descriptors.count), earliest.map(Self.milliseconds(until:)) ?? -1)
    if descriptors[0].revents != 0 { emptyWakePipe() }
    for (index, id) in ids.enumerated() where descriptors[index + 1].revents != 0 {
      finish(id, descriptors[index + 1].revents)
    }
    let now = ContinuousClock.now
    for (id, waiter) in waiters where waiter.deadline.map({ $0 <= now }) ?? false { finish(id, 0) }
  }

  private static func milliseconds(until deadline: ContinuousClock.Instant) -> Int32 {
    let (seconds, attoseconds) = (deadline - .now).components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    // Rounded up, so that a deadline is never polled for in a busy loop.
    return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
  }

  private func emptyWakePipe() {
    var bytes: (UInt64, UInt64) = (0, 0)
    while read(wakeRead, &bytes, 16) > 0 {}
  }

  private func finish(_ id: Int, _ events: Int16) {
    waiters.removeValue(forKey: id)?.continuation.resume(returning: events)
  }

  /// Waits until `descriptor` (-1: none) shows one of `events`, or until `deadline`.
  /// - Parameter onWait: is given what ``interrupt(_:)`` needs to end this wait early.
  /// - Returns: poll's `revents`; 0 at the deadline, after an interrupt and when the task is cancelled.
  @SSHLoop
  package func wait(
    for descriptor: Int32, events: Int32, until deadline: ContinuousClock.Instant?, onWait: (Int) -> Void = { _ in }
  ) async -> Int16 {
    lastWaiter += 1
    let id = lastWaiter
    onWait(id)
    return await withTaskCancellationHandler {
      if Task.isCancelled { return 0 }
      return await withUnsafeContinuation { continuation in
        waiters[id] = Waiter(
          descriptor: descriptor, events: Int16(events), deadline: deadline, continuation: continuation)
      }
    } onCancel: {
      Task { @SSHLoop in EventLoop.shared.interrupt(id) }
    }
  }

  @SSHLoop
  package func interrupt(_ id: Int) { finish(id, 0) }

  /// Sleeps on the loop; ends early and throws when the task is cancelled.
  @SSHLoop
  package func sleep(for duration: Duration) async throws(CancellationError) {
    _ = await wait(for: -1, events: 0, until: .now + duration)
    if Task.isCancelled { throw CancellationError() }
  }
}
