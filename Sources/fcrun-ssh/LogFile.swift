import Remote
import SSH

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The local file of one stream: locked for life, its size is the place to go on from.
@SSHLoop
final class LogFile {
  private static let pause: Duration = .milliseconds(2)

  private let path: String
  private let stream: LogGrowth.Stream
  private let tell: @SSHLoop (WorkerEvent.Kind) -> Void
  private let descriptor: Int32
  private var arrivals: ArrivalLog?
  private var masker: Masker
  /// Bytes that were read again only so that the masker sees what is before the first new one.
  private var known = 0
  private var size = 0
  private var toldSize = 0
  private var told = ContinuousClock.now
  private var isTelling = false
  /// Where in the machine's file the next byte comes from.
  private(set) var position = 0

  init(
    _ path: String, _ stream: LogGrowth.Stream, mask: [String], tell: @escaping @SSHLoop (WorkerEvent.Kind) -> Void
  ) throws(Failure) {
    (self.path, self.stream, self.tell) = (path, stream, tell)
    masker = Masker(mask)
    descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure.local("open", Array(path.utf8)) }
  }

  /// Waits for whoever appends now: an orphan must never write beside its successor.
  func lock() async throws {
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw Failure.local("lock", Array(path.utf8)) }
      try await EventLoop.shared.sleep(for: .milliseconds(50))
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Failure.local("look at", Array(path.utf8)) }
    arrivals = ArrivalLog(besides: path)
    size = Int(status.st_size)
    toldSize = size
    known = min(size, masker.contextLength)
    position = size - known
  }

  func append(_ bytes: [UInt8]) throws {
    guard !bytes.isEmpty else { return }
    position += bytes.count
    try write(masker.mask(bytes))
  }

  /// The stream has ended.
  func flush() throws {
    try write(masker.flush())
    tellNow()
  }

  private func write(_ bytes: [UInt8]) throws {
    let old = min(known, bytes.count)
    known -= old
    guard bytes.count > old else { return }
    arrivals?.mark(size)
    var start = old
    while start < bytes.count {
      let count = bytes.withUnsafeBytes {
        systemWrite(descriptor, $0.baseAddress?.advanced(by: start), bytes.count - start)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Failure.local("write to", Array(path.utf8)) }
      start += count
    }
    size += bytes.count - old
    tellSoon()
  }

  /// At once, but not more often than every 2 ms: a flood of small writes must not become a flood of events.
  private func tellSoon() {
    guard !isTelling else { return }
    if ContinuousClock.now - told >= Self.pause { return tellNow() }
    isTelling = true
    Task {
      try? await EventLoop.shared.sleep(for: Self.pause)
      isTelling = false
      tellNow()
    }
  }

  private func tellNow() {
    guard size != toldSize else { return }
    (told, toldSize) = (.now, size)
    tell(.log(LogGrowth(stream: stream, size: size)))
  }

  func close() {
    tellNow()
    arrivals?.close()
    _ = systemClose(descriptor)
  }
}

/// The record of when a log's bytes came in, for who asks later: best effort, never synced, and nothing of the log depends on it.
@SSHLoop
final class ArrivalLog {
  private let descriptor: Int32
  private var marked: ContinuousClock.Instant?
  /// A line was cut by a full disk or a kill.
  private var isTorn: Bool

  /// - Parameter log: the log's path; its lock is held.
  init?(besides log: String) {
    descriptor = open(Arrivals.path(of: log), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
    var last = UInt8(ascii: "\n")
    let end = lseek(descriptor, 0, SEEK_END)
    if end > 0 { _ = pread(descriptor, &last, 1, end - 1) }
    isTorn = last != UInt8(ascii: "\n")
  }

  /// What is at `offset` of the log comes in now.
  func mark(_ offset: Int) {
    guard marked.map({ ContinuousClock.now - $0 >= Arrivals.grain }) ?? true else { return }
    marked = .now
    let line = Array(((isTorn ? "\n" : "") + Arrivals.line(at: Self.now(), offset: offset)).utf8)
    isTorn = line.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) } != line.count
  }

  private static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  func close() { _ = systemClose(descriptor) }
}

/// The two logs of a node.
@SSHLoop
struct LogPair {
  let stdout: LogFile
  let stderr: LogFile

  var arrived: Int { stdout.position + stderr.position }

  func close() {
    stdout.close()
    stderr.close()
  }
}

private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }

private func systemWrite(_ descriptor: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, buffer, count)
}
