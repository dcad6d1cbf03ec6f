import Foundation
import TestSupport

#if canImport(Glibc)
  import Glibc
  private let streamSocket = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
#else
  import Darwin
  private let streamSocket = SOCK_STREAM
#endif

/// The way between client and machine that a benchmark stands for.
struct Link: Hashable {
  /// Seconds; 0: no relay at all.
  var roundTrip = 0.0
  /// Bytes in a second, each way, of all connections together; nil: as fast as the relay copies.
  var rate: Double?

  static let loopback = Link()

  var name: String {
    let delay = roundTrip == 0 ? "loopback" : "\(Int(roundTrip * 1000)) ms"
    return rate.map { "\(delay), \(Int($0 * 8 / 1e6)) Mbit/s" } ?? delay
  }
}

/// A TCP relay that holds every byte back for half a round trip, in user space: not every kernel has netem.
///
/// Nothing is lost and nothing is reordered. A new connection takes a round trip, as with SYN and SYN-ACK. One connection has
/// at most 6 MiB under way in one direction, as with Linux's tcp_rmem.
final class Delay: Sendable {
  static let window = 6 << 20

  let port: Int

  init(to target: Int, _ link: Link) throws {
    let (there, back) = (Pace(link.rate), Pace(link.rate))
    port = try Loopback.serve { client in Self.pass(client, to: target, link, there, back) }
  }

  private static func pass(_ client: Int32, to target: Int, _ link: Link, _ there: Pace, _ back: Pace) {
    // SYN and SYN-ACK there and back, ACK there.
    let open = ContinuousClock.now + .seconds(link.roundTrip)
    let server = socket(AF_INET, streamSocket, 0)
    usleep(UInt32(1.5 * link.roundTrip * 1e6))
    defer { close(server) }
    guard Loopback.connect(server, target) else { return }
    for end in [client, server] { Loopback.noDelay(end) }
    let half = Duration.seconds(link.roundTrip / 2)
    let ends = [
      Pipeline(from: client, to: server, there, half, notBefore: open).start(),
      Pipeline(from: server, to: client, back, half, notBefore: open).start(),
    ]
    for end in ends { end.wait() }
  }
}

/// When the last byte of each chunk has left: what a link of this rate lets through.
private final class Pace: Sendable {
  private let rate: Double?
  private let lock = NSLock()
  nonisolated(unsafe) private var free = ContinuousClock.now

  init(_ rate: Double?) { self.rate = rate }

  func departure(of count: Int) -> ContinuousClock.Instant {
    guard let rate else { return .now }
    return lock.withLock {
      free = max(free, .now) + .seconds(Double(count) / rate)
      return free
    }
  }
}

/// One direction of one connection: a thread that reads and one that writes what is due.
private final class Pipeline: @unchecked Sendable {
  // Safe: everything that changes is used under `condition`.
  private let source: Int32
  private let sink: Int32
  private let pace: Pace
  private let delay: Duration
  private let notBefore: ContinuousClock.Instant
  private let condition = NSCondition()
  private var chunks: [(due: ContinuousClock.Instant, bytes: [UInt8])] = []
  private var head = 0
  private var underWay = 0
  private var isOver = false

  init(from source: Int32, to sink: Int32, _ pace: Pace, _ delay: Duration, notBefore: ContinuousClock.Instant) {
    (self.source, self.sink, self.pace, self.delay, self.notBefore) = (source, sink, pace, delay, notBefore)
  }

  func start() -> DispatchSemaphore {
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread { self.readAll() }
    Thread.detachNewThread {
      self.writeAll()
      done.signal()
    }
    return done
  }

  private func readAll() {
    while true {
      waitForRoom()
      var bytes = [UInt8](unsafeUninitializedCapacity: 1 << 18) { buffer, count in
        count = max(0, recv(source, buffer.baseAddress, buffer.count, 0))
      }
      let isEnd = bytes.isEmpty
      if bytes.count < 1 << 16 { bytes = Array(bytes) }
      let due = max(pace.departure(of: bytes.count), notBefore) + delay
      condition.withLock {
        chunks.append((due, bytes))
        underWay += bytes.count
        condition.broadcast()
      }
      if isEnd { return }
    }
  }

  private func waitForRoom() {
    condition.withLock { while underWay >= Delay.window, !isOver { condition.wait() } }
  }

  private func writeAll() {
    while let bytes = next(), !bytes.isEmpty, send(bytes) {
      condition.withLock {
        underWay -= bytes.count
        condition.broadcast()
      }
    }
    condition.withLock {
      isOver = true
      condition.broadcast()
    }
    shutdown(sink, Int32(SHUT_WR))
    shutdown(source, Int32(SHUT_RD))
  }

  /// The next chunk, when it is due; empty: the end.
  private func next() -> [UInt8]? {
    let chunk = condition.withLock {
      while head == chunks.count { condition.wait() }
      let chunk = chunks[head]
      chunks[head].bytes = []
      head += 1
      if head > 1024 {
        chunks.removeFirst(head)
        head = 0
      }
      return chunk
    }
    let left = (chunk.due - .now) / .microseconds(1)
    if left > 0 { usleep(UInt32(left)) }
    return chunk.bytes
  }

  private func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(sink, $0.baseAddress, $0.count) }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}

/// Sockets on 127.0.0.1.
enum Loopback {
  /// A free port, bound.
  static func bind(_ descriptor: Int32) -> Int? {
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    var address = address(0)
    let isBound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        systemBind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
      }
    }
    return isBound ? Int(UInt16(bigEndian: address.sin_port)) : nil
  }

  static func connect(_ descriptor: Int32, _ port: Int) -> Bool {
    var address = address(port)
    return withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        systemConnect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }

  /// Gives each connection to a new port to a thread of its own, which closes it.
  static func serve(_ talk: @escaping @Sendable (Int32) -> Void) throws -> Int {
    let listener = socket(AF_INET, streamSocket, 0)
    guard let port = bind(listener), listen(listener, 128) == 0 else { throw Unmet("no port to listen on") }
    Thread.detachNewThread {
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { continue }
        Thread.detachNewThread {
          talk(connection)
          close(connection)
        }
      }
    }
    return port
  }

  static func freePort() throws -> Int {
    let descriptor = socket(AF_INET, streamSocket, 0)
    defer { close(descriptor) }
    guard let port = bind(descriptor) else { throw Unmet("no free port") }
    return port
  }

  static func noDelay(_ descriptor: Int32) {
    var yes: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
  }

  private static func address(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}

private func systemBind(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Int32 {
  bind(descriptor, address, size)
}

private func systemConnect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Int32 {
  connect(descriptor, address, size)
}
