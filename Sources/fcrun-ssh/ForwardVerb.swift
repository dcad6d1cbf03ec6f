import Remote
import SSH

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A tunnel: each connection to a local listener goes through a channel of its own to a port of the machine.
@SSHLoop
final class ForwardVerb {
  private let verb: Forward
  private let session: Session
  private let tell: @SSHLoop (WorkerEvent.Kind) -> Void
  private var open: [Int: Task<Void, Never>] = [:]
  private var lastNumber = 0

  init(_ verb: Forward, on session: Session, tell: @escaping @SSHLoop (WorkerEvent.Kind) -> Void) {
    (self.verb, self.session, self.tell) = (verb, session, tell)
  }

  /// - Throws: always: CancellationError when it was given up, ``SSHError`` when the connection is gone.
  func perform() async throws {
    let accepting = Task { try await accept() }
    Task {
      _ = await session.end()
      accepting.cancel()
    }
    let end = await withTaskCancellationHandler {
      await accepting.result
    } onCancel: {
      accepting.cancel()
    }
    for connection in open.values { connection.cancel() }
    try Task.checkCancellation()
    if case .failure(let failure as Failure) = end { throw failure }
    throw await session.end()
  }

  private func accept() async throws {
    let listener = Int32(verb.listener)
    _ = fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK)
    while !Task.isCancelled {
      _ = await EventLoop.shared.wait(for: listener, events: Int32(POLLIN), until: nil)
      if Task.isCancelled { return }
      if let socket = try Socket.accept(from: listener) {
        serve(socket)
      } else {
        // Nobody after all, or no descriptor is left: until some connection has ended.
        try await EventLoop.shared.sleep(for: .milliseconds(20))
      }
    }
  }

  private func serve(_ socket: Socket) {
    lastNumber += 1
    let number = lastNumber
    open[number] = Task {
      await carry(socket)
      open[number] = nil
    }
  }

  private func carry(_ socket: Socket) async {
    do {
      let channel = try await Channel.tunnel(to: verb.host, port: verb.port, on: session)
      defer { channel.close() }
      await Tunnel(socket: socket, channel: channel).run()
      socket.close()
    } catch {
      // The client is to see at once that it was not served, and not an empty answer.
      socket.reset()
      guard let error = error as? SSHError, error.kind == .failed else { return }
      tell(.refused(Refused(port: verb.port, message: error.description)))
    }
  }
}

/// One connection, in both directions. The end of one direction is handed on, and leaves the other as it is.
@SSHLoop
private struct Tunnel {
  private static let chunk = 64 * 1024

  let socket: Socket
  let channel: Channel

  func run() async {
    let up = Task { try await send() }
    let down = Task { try await receive() }
    let closing = Task {
      // When the machine's end is gone for good, what the client still says has no reader.
      guard case .success = await down.result else { return up.cancel() }
      do { try await channel.waitForClose() } catch {}
      up.cancel()
    }
    await withTaskCancellationHandler {
      // A client that is gone for good has no use for the rest.
      if case .failure = await up.result { down.cancel() }
      _ = await down.result
    } onCancel: {
      up.cancel()
      down.cancel()
    }
    closing.cancel()
    up.cancel()
    _ = await closing.result
  }

  private func send() async throws {
    while let bytes = try await socket.read(Self.chunk) { try await channel.write(bytes) }
    try await channel.sendEOF()
  }

  private func receive() async throws {
    while let (_, bytes) = try await channel.read() { try await socket.write(bytes) }
    socket.endWriting()
  }
}

/// A client's connection, on the loop.
@SSHLoop
final class Socket {
  struct Closed: Error {}

  private let descriptor: Int32
  private var isClosed = false

  private init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// - Returns: nil when nobody is there, or there is no room.
  /// - Throws: ``Failure`` when this is no listener.
  static func accept(from listener: Int32) throws(Failure) -> Socket? {
    let descriptor = systemAccept(listener, nil, nil)
    guard descriptor >= 0 else {
      guard ![EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP].contains(errno) else {
        throw Failure(kind: .badRequest, message: "forward: the descriptor \(listener) is no listening socket")
      }
      return nil
    }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    return Socket(descriptor)
  }

  /// nil at the end of what the client says.
  func read(_ most: Int) async throws -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: most)
    while true {
      let count = isClosed ? 0 : recv(descriptor, &buffer, most, 0)
      if count > 0 { return Array(buffer[..<count]) }
      if count == 0 { return nil }
      try await wait(for: Int32(POLLIN))
    }
  }

  func write(_ bytes: [UInt8]) async throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        systemSend(descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent)
      }
      if count > 0 { sent += count } else { try await wait(for: Int32(POLLOUT)) }
    }
  }

  /// After a call that could not go on.
  private func wait(for events: Int32) async throws {
    guard [EAGAIN, EWOULDBLOCK, EINTR].contains(errno) else { throw Closed() }
    _ = await EventLoop.shared.wait(for: descriptor, events: events, until: nil)
    try Task.checkCancellation()
  }

  func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    _ = systemClose(descriptor)
  }

  /// Ends it so that the client sees an error: with SO_LINGER of 0, a reset.
  func reset() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    close()
  }
}

private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
private let systemAccept = accept

private func systemSend(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  #if canImport(Glibc)
    Glibc.send(descriptor, bytes, count, Int32(MSG_NOSIGNAL))
  #else
    Darwin.send(descriptor, bytes, count, 0)
  #endif
}
