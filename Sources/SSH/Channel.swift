import CLibSSH2

/// One command on the other side, from start to exit status, or one TCP connection that the other side makes.
@SSHLoop
package final class Channel {
  /// Receive window. sshd buffers a whole window in one piece: larger ones are slower.
  static let window = 4 * 1024 * 1024
  /// Bytes taken by one read.
  static let readSize = 256 * 1024
  /// Bytes offered by one write before other channels have their turn.
  package static let writeSize = 256 * 1024

  package enum Stream: Sendable, Equatable { case stdout, stderr }

  private let session: Session
  private let raw: OpaquePointer
  /// The end of one direction says nothing of the other.
  private let isTunnel: Bool
  private var isClosed = false
  /// The most that the server has allowed to be sent at once.
  private var widest = 0
  /// A packet of it has to be offered again.
  private var isHalfSent = false
  /// Since when there is no room for more.
  private var heldSince: ContinuousClock.Instant?
  private var buffer = [CChar](repeating: 0, count: Channel.readSize)

  private init(session: Session, raw: OpaquePointer, isTunnel: Bool = false) {
    self.session = session
    self.raw = raw
    self.isTunnel = isTunnel
  }

  /// Asks the server to connect to `host` and `port`, as seen from there.
  /// - Throws: ``SSHError`` `failed` when nobody listens there, or the server does not allow it.
  package static func tunnel(to host: String, port: Int, on session: Session) async throws -> Channel {
    // A task of its own, which nobody cancels: a channel that is given up half-way libssh2 would hand to whoever opens the next one,
    // for another port.
    try await Task {
      Channel(session: session, raw: try await session.openTunnel(to: host, port: port), isTunnel: true)
    }.value
  }

  /// Asks the server to run `command` by the user's login shell.
  /// - Parameter isExtra: no time is spent on a server that allows no more sessions just now.
  package static func exec(_ command: String, on session: Session, isExtra: Bool = false) async throws -> Channel {
    let channel = Channel(session: session, raw: try await session.takeChannel(isExtra: isExtra))
    do {
      let raw = channel.raw
      try await session.call("libssh2_channel_process_startup", on: raw) {
        Int(libssh2_channel_process_startup(raw, "exec", 4, command, UInt32(command.utf8.count)))
      }
      return channel
    } catch {
      channel.close()
      throw error
    }
  }

  /// The next bytes of either stream; nil when both have ended.
  package func read() async throws -> (stream: Stream, bytes: [UInt8])? {
    var stream = Stream.stdout
    let count = try await session.call("libssh2_channel_read_ex", on: raw) { [self] in
      stream = .stdout
      var count = libssh2_channel_read_ex(raw, 0, &buffer, buffer.count)
      if count == 0 || count == Int(LIBSSH2_ERROR_EAGAIN) {
        // A window adjustment that is half sent belongs to the call above.
        if count != 0, session.isBlockedOnSending { return count }
        stream = .stderr
        count = libssh2_channel_read_ex(raw, SSH_EXTENDED_DATA_STDERR, &buffer, buffer.count)
      }
      // Nothing on an open channel is "not yet"; only with the other side's EOF it is the end.
      return count == 0 && libssh2_channel_eof(raw) == 0 ? Int(LIBSSH2_ERROR_EAGAIN) : count
    }
    guard count > 0 else { return nil }
    return buffer.withUnsafeBytes { (stream, Array($0[..<count])) }
  }

  /// Sends all of `bytes` to the command's stdin.
  /// - Throws: ``SSHError`` `channelClosed` when the command is gone.
  package func write(_ bytes: [UInt8]) async throws {
    var sent = 0
    while sent < bytes.count {
      let start = sent
      let end = min(bytes.count, start + Self.writeSize)
      sent += try await session.call("libssh2_channel_write_ex", on: raw) { [self] in
        let count = isHalfSent || hasRoom() ? offer(bytes[start..<end]) : Int(LIBSSH2_ERROR_EAGAIN)
        // libssh2 waits for ever for the window of a command that is gone.
        let mustWait = count == Int(LIBSSH2_ERROR_EAGAIN) && !session.isBlockedOnSending
        return mustWait && !isTunnel && libssh2_channel_eof(raw) == 1 ? Int(LIBSSH2_ERROR_CHANNEL_CLOSED) : count
      }
    }
  }

  private func offer(_ bytes: ArraySlice<UInt8>) -> Int {
    let count = bytes.withUnsafeBytes {
      libssh2_channel_write_ex(raw, 0, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
    }
    isHalfSent = count == Int(LIBSSH2_ERROR_EAGAIN) && session.isBlockedOnSending
    return count
  }

  /// Whether less waits for the command than the session's lead, or the server's window is all that counts.
  private func hasRoom() -> Bool {
    if isTunnel || isWithinLead { return true }
    // Takes in what the server says of its window. A read would be one more owner of a window adjustment that is half done.
    let code = Int(libssh2_channel_wait_eof(raw))
    if code < 0, code != Int(LIBSSH2_ERROR_EAGAIN) { return true }
    // Its own half-sent packet goes first.
    if session.isBlockedOnSending { return false }
    session.releaseIfLate(heldSince: heldSince)
    return isWithinLead
  }

  private var isWithinLead: Bool {
    guard ahead < session.lead else {
      heldSince = heldSince ?? .now
      return false
    }
    heldSince = nil
    return true
  }

  /// Bytes that were sent and that the server has not said it has passed on to the command.
  package var ahead: Int {
    let left = Int(libssh2_channel_window_write_ex(raw, nil))
    widest = max(widest, left)
    return widest - left
  }

  /// Ends the command's stdin.
  package func sendEOF() async throws {
    try await session.call("libssh2_channel_send_eof", on: raw) { [raw] in Int(libssh2_channel_send_eof(raw)) }
  }

  /// Returns when the other side has closed the channel in both directions; only after its stream has ended.
  package func waitForClose() async throws {
    try await session.call("libssh2_channel_wait_closed", on: raw) { [raw] in Int(libssh2_channel_wait_closed(raw)) }
  }

  /// Gives the channel back, in the background. Nothing may be asked of it afterwards.
  package func close() {
    guard !isClosed else { return }
    isClosed = true
    session.dispose(raw)
  }
}
