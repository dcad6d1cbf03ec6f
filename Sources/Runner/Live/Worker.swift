import Dispatch
import Remote
import Synchronization

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One `fcrun-ssh` process: requests out, events in, a line of JSON each.
///
/// It gets no environment, no descriptor of ours but three and the listeners of a tunnel, and dies with us by the end of its stdin. It is killed
/// when it misses a deadline: libssh2 has loops that no time-out of its own stops.
final class Worker: Sendable {
  private let pid: pid_t
  private let state: Mutex<State>

  private struct State {
    /// Its stdin; nil once closed.
    var input: Int32?
    var lastID = 0
    var open: [Int: Pending] = [:]
    var isOver = false
  }

  private struct Pending {
    var answer: CheckedContinuation<WorkerEvent.Kind, Never>
    var watching: @Sendable (WorkerEvent.Kind) -> Void
  }

  /// - Parameter listeners: sockets that it gets as its descriptors 3, 4, …
  init(executable: String, listeners: [Int32] = []) throws(Failure) {
    guard let requests = Pipe(), let events = Pipe() else {
      throw Failure(kind: .local, message: "no pipe for the SSH worker: \(String(cString: strerror(errno)))")
    }
    var spawn = Spawn(executable)
    spawn.environment = []
    spawn.stdin = .descriptor(requests.read)
    spawn.stdout = .descriptor(events.write)
    spawn.passed = listeners
    defer { for end in [requests.read, events.write] { close(end) } }
    do {
      pid = try spawn.start()
    } catch {
      for end in [requests.write, events.read] { close(end) }
      throw Failure(kind: .local, message: "\(error)")
    }
    state = Mutex(State(input: requests.write))
    listen(to: events.read)
  }

  var isOver: Bool { state.withLock { $0.isOver } }

  /// Ends its stdin, on which it ends by itself.
  func end() {
    state.withLock { state in
      if let input = state.input { close(input) }
      state.input = nil
    }
  }

  func kill() { if !isOver { _ = SystemCall.kill(pid, SIGKILL) } }
}

private enum SystemCall {
  static func kill(_ pid: pid_t, _ signal: Int32) -> Int32 {
    #if canImport(Glibc)
      Glibc.kill(pid, signal)
    #elseif canImport(Musl)
      Musl.kill(pid, signal)
    #else
      Darwin.kill(pid, signal)
    #endif
  }
}

// MARK: - Out

extension Worker {
  /// Asks, and waits for the event that ends the request.
  ///
  /// The worker is killed when no event of the request comes for `silence`, and when a cancelled request does not end
  /// soon: after a signal a DELETE waits for it.
  func ask(
    _ verb: Request.Verb, silence: Duration?, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void
  ) async -> WorkerEvent.Kind {
    let id = state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
    let watchdog = Watchdog(limit: silence) { self.kill() }
    defer { watchdog.stop() }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let pending = Pending(answer: continuation) { event in
          watchdog.feed()
          watching(event)
        }
        guard note(pending, as: id) else { return continuation.resume(returning: Self.over) }
        send(Request(id: id, verb: verb))
      }
    } onCancel: {
      giveUp(id)
    }
  }

  private static let patience = Duration.milliseconds(500)

  private func note(_ pending: Pending, as id: Int) -> Bool {
    state.withLock { state in
      if !state.isOver { state.open[id] = pending }
      return !state.isOver
    }
  }

  private func giveUp(_ id: Int) {
    send(Request(id: 0, verb: .cancel(Cancel(request: id))))
    Task.detached {
      try? await Task.sleep(for: Self.patience)
      if self.state.withLock({ $0.open[id] != nil }) { self.kill() }
    }
  }

  private func send(_ request: Request) {
    guard var line = try? JSONEncoder().encode(request) else { return kill() }
    line.append(UInt8(ascii: "\n"))
    let isSent = state.withLock { state in state.input.map { Self.write(line, to: $0) } ?? false }
    if !isSent { kill() }
  }

  private static func write(_ line: Data, to descriptor: Int32) -> Bool {
    line.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { send($0, to: descriptor) }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }
  }

  private static func send(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int {
    while true {
      #if canImport(Glibc)
        let count = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      #elseif canImport(Musl)
        let count = Musl.write(descriptor, bytes.baseAddress, bytes.count)
      #else
        let count = Darwin.write(descriptor, bytes.baseAddress, bytes.count)
      #endif
      if count >= 0 || errno != EINTR { return count }
    }
  }
}

// MARK: - In

extension Worker {
  private static let over = WorkerEvent.Kind.failed(
    Failure(kind: .dropped, message: "the process that held the connection ended"))

  /// A queue of its own, and so a thread of its own that sits in read(2): a line is handed on the moment it is there,
  /// and no thread of the pool is blocked. Not a DispatchSource: on Linux its event loop touches the source once more
  /// when a pipe has data and ends at the same moment, after our cancel has freed it.
  private func listen(to descriptor: Int32) {
    DispatchQueue(label: "fcrun-ssh \(pid)").async { [self] in
      var lines = LineBuffer()
      while lines.fill(from: descriptor) {
        while let line = lines.next() { took(line) }
      }
      close(descriptor)
      ended()
    }
  }

  private func took(_ line: [UInt8]) {
    guard let event = try? JSONDecoder().decode(WorkerEvent.self, from: Data(line)) else { return }
    let pending = state.withLock { state in
      event.kind.isLast ? state.open.removeValue(forKey: event.id) : state.open[event.id]
    }
    pending?.watching(event.kind)
    if event.kind.isLast { pending?.answer.resume(returning: event.kind) }
  }

  private func ended() {
    _ = SystemCall.kill(pid, SIGKILL)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    end()
    let open = state.withLock { state in
      state.isOver = true
      defer { state.open = [:] }
      return state.open.values.map(\.answer)
    }
    for answer in open { answer.resume(returning: Self.over) }
  }
}

extension WorkerEvent.Kind {
  fileprivate var isLast: Bool {
    switch self {
    case .progress, .log, .refused: false
    case .connected, .executed, .transferred, .status, .failed: true
    }
  }
}

/// Bytes of a pipe, cut into lines.
struct LineBuffer {
  private var bytes: [UInt8] = []
  private var start = 0

  /// Reads what is there; false at the end of the pipe.
  mutating func fill(from descriptor: Int32) -> Bool {
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    let count = read(descriptor, &chunk, chunk.count)
    if count < 0 { return errno == EINTR || errno == EAGAIN }
    bytes.append(contentsOf: chunk.prefix(count))
    return count > 0
  }

  mutating func next() -> [UInt8]? {
    guard let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) else {
      bytes.removeFirst(start)
      start = 0
      return nil
    }
    defer { start = end + 1 }
    return Array(bytes[start..<end])
  }
}

/// Calls `bark` when nobody feeds it for `limit`.
private final class Watchdog: Sendable {
  private let fed = Mutex(ContinuousClock.now)
  private let task = Mutex<Task<Void, Never>?>(nil)

  init(limit: Duration?, bark: @escaping @Sendable () -> Void) {
    guard let limit else { return }
    let task = Task.detached { [self] in
      while !Task.isCancelled {
        let left = limit - (.now - fed.withLock { $0 })
        guard left > .zero else { return bark() }
        try? await Task.sleep(for: left)
      }
    }
    self.task.withLock { $0 = task }
  }

  func feed() { fed.withLock { $0 = .now } }

  func stop() { task.withLock { $0?.cancel() } }
}
