import CLibSSH2

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// One SSH connection and the only owner of its LIBSSH2_SESSION and socket; non-blocking, with any number of channels at once.
@SSHLoop
package final class Session {
  /// How long the peer may be silent: after a third of it we ask for a sign of life, after all of it, and with so many questions
  /// unanswered, it counts as dead.
  private let silence: Duration
  private static let patience = 3

  let raw: OpaquePointer
  private let descriptor: Int32
  private let inflow: UnsafeMutablePointer<Inflow>

  private var operations: [Operation] = []
  /// The operation whose packet is half sent: nothing else may write before it goes on, with the same arguments.
  private var halfSent: Operation?
  private var death: SSHError?
  private var deathWaiters: [CheckedContinuation<SSHError, Never>] = []
  private var driverWait: Int?
  private var phase = Phase.greeting
  private var deadline: ContinuousClock.Instant?
  private var lastHeard = ContinuousClock.now
  private var heardBytes = 0
  private var lastAsked = ContinuousClock.now
  /// Questions for a sign of life since the last byte came in. Silence alone proves nothing: a long local step may have kept us from asking.
  private var unanswered = 0

  /// An open channel kept in hand: it saves a round trip, and reading it keeps the transport alive while nothing is asked.
  private var spare: (raw: OpaquePointer, reader: Operation)?
  /// Whether the server has let us open every channel so far.
  private var isGenerous = true
  private var opening = false
  /// How long the quickest answer to the opening of a channel took: the way there and back, and little more.
  package private(set) var roundTrip: Duration?
  /// Of sshd it is known that it tells of its window soon (channels.c: after three packets).
  private lazy var holdsBack =
    libssh2_session_banner_get(raw).map { String(cString: $0).hasPrefix("SSH-2.0-OpenSSH_") } ?? false
  private static let leastLead = 1 << 19
  private static let bytesPerMicrosecond = 100
  private var openers: [UnsafeContinuation<Void, Never>] = []

  enum Phase { case greeting, authenticating, open }

  /// Noted in the callbacks for the socket, because libssh2 does not say whether a call took bytes off it for somebody
  /// else, nor, behind the error of the step it was in, that it was the socket that failed.
  struct Inflow {
    var bytes = 0
    /// The other side has closed it, or it failed.
    var isOver = false
    /// What may come in before the keys are agreed on. libssh2 skips lines before the version for as long as they come
    /// without a pause: it would never return, and no deadline of ours would be looked at.
    var limit = 1 << 18
  }

  @SSHLoop
  private final class Operation {
    let call: String
    /// The channel it works on, which must not be freed before it.
    let channel: OpaquePointer?
    let attempt: @SSHLoop () -> Int
    var continuation: UnsafeContinuation<Int, any Error>?
    /// Only what it has half sent is still to be sent.
    var isAbandoned = false

    init(_ call: String, on channel: OpaquePointer? = nil, _ attempt: @escaping @SSHLoop () -> Int) {
      self.call = call
      self.channel = channel
      self.attempt = attempt
    }
  }

  private init(descriptor: Int32, silence: Duration) throws {
    self.descriptor = descriptor
    self.silence = silence
    _ = LibSSH2.initialized
    inflow = .allocate(capacity: 1)
    inflow.initialize(to: Inflow())
    guard let raw = libssh2_session_init_ex(nil, nil, nil, inflow) else {
      throw SSHError(.failed, call: "libssh2_session_init_ex", text: "out of memory")
    }
    self.raw = raw
    libssh2_session_set_blocking(raw, 0)
    fcrun_set_socket_callbacks(raw, receive, send)
  }

  // MARK: Connecting

  /// TCP, key exchange and the check of the host key. Nothing is offered to the server before the pin has matched.
  /// - Parameters:
  ///   - pin: `ssh-ed25519 AAAA…` of an earlier connection.
  ///   - silence: of the open connection after which it counts as broken.
  package static func connect(
    host: String, port: Int, pin: HostKey?, deadline: ContinuousClock.Instant, silence: Duration = .seconds(15)
  ) async throws -> Session {
    let descriptor = try await TCP.connect(host: host, port: port, deadline: deadline)
    let session = try Session(descriptor: descriptor, silence: silence)
    session.deadline = deadline
    session.preferMethods(hostKey: pin?.type)
    Task { await session.drive() }
    do {
      try await session.call("libssh2_session_handshake") {
        Int(libssh2_session_handshake(session.raw, session.descriptor))
      }
      session.phase = .authenticating
      session.inflow.pointee.limit = .max
      let shown = try session.hostKey()
      if let pin, pin.blob != shown.blob {
        throw SSHError(
          .hostKeyChanged(pinned: pin.description, shown: shown.description), call: "libssh2_session_hostkey",
          text: "the host key is not the pinned one")
      }
      return session
    } catch {
      session.disconnect()
      throw error
    }
  }

  /// What we accept, best first. No group exchange before the rest (it costs 40 ms), never chacha20 (CVE-2026-55200 in 1.11.1), no
  /// encrypt-then-MAC modes; libssh2 drops from each list what it does not know.
  private func preferMethods(hostKey type: String?) {
    let hostKeys = [
      "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
      "rsa-sha2-256", "ssh-rsa",
    ]
    let pinned = hostKeys.filter { $0 == type || (type == "ssh-rsa" && $0.hasPrefix("rsa-")) }
    let exchanges =
      "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
      + "diffie-hellman-group14-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
      + "diffie-hellman-group-exchange-sha256"
    let ciphers = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
    let macs = "hmac-sha2-256,hmac-sha2-512"
    let preferences: [(Int32, String)] = [
      (LIBSSH2_METHOD_HOSTKEY, (pinned + hostKeys.filter { !pinned.contains($0) }).joined(separator: ",")),
      (LIBSSH2_METHOD_KEX, exchanges),
      (LIBSSH2_METHOD_CRYPT_CS, ciphers), (LIBSSH2_METHOD_CRYPT_SC, ciphers),
      (LIBSSH2_METHOD_MAC_CS, macs), (LIBSSH2_METHOD_MAC_SC, macs),
    ]
    for (method, list) in preferences { libssh2_session_method_pref(raw, method, list) }
  }

  /// The key the server proved to hold.
  package func hostKey() throws -> HostKey {
    var length = 0
    var type: Int32 = 0
    guard let bytes = libssh2_session_hostkey(raw, &length, &type), length > 0,
      let key = HostKey(blob: UnsafeRawBufferPointer(start: bytes, count: length).map { $0 })
    else { throw SSHError(.failed, call: "libssh2_session_hostkey", text: "the server showed no host key") }
    return key
  }

  /// What was agreed on, for people who debug: `curve25519-sha256 ssh-ed25519 aes128-ctr hmac-sha2-256`.
  package var methods: String {
    [LIBSSH2_METHOD_KEX, LIBSSH2_METHOD_HOSTKEY, LIBSSH2_METHOD_CRYPT_CS, LIBSSH2_METHOD_MAC_CS]
      .map { libssh2_session_methods(raw, $0).map { String(cString: $0) } ?? "-" }.joined(separator: " ")
  }

  // MARK: Authenticating

  /// Two round trips (query, signature); libssh2_userauth_list(3) would be a third.
  package func authenticate(user: String, privateKey: String, publicKey: String?, passphrase: String?) async throws {
    let session = raw
    try await call("libssh2_userauth_publickey_fromfile_ex") {
      Int(
        libssh2_userauth_publickey_fromfile_ex(
          session, user, UInt32(user.utf8.count), publicKey, privateKey, passphrase ?? ""))
    }
    authenticated()
  }

  /// - Parameter publicKey: the key's blob; no other key of the agent is offered.
  package func authenticate(user: String, agent socket: String, publicKey: [UInt8]) async throws {
    guard let agent = libssh2_agent_init(raw) else { throw lastError("libssh2_agent_init", kind: .keyUnusable) }
    libssh2_agent_set_identity_path(agent, socket)
    guard libssh2_agent_connect(agent) == 0 else { throw lastError("libssh2_agent_connect", kind: .keyUnusable) }
    guard libssh2_agent_list_identities(agent) == 0 else {
      throw lastError("libssh2_agent_list_identities", kind: .keyUnusable)
    }
    let identity = try identity(of: agent, publicKey: publicKey)
    try await call("libssh2_agent_userauth") { Int(libssh2_agent_userauth(agent, user, identity)) }
    libssh2_agent_disconnect(agent)
    libssh2_agent_free(agent)
    authenticated()
  }

  private func identity(
    of agent: OpaquePointer, publicKey: [UInt8]
  ) throws -> UnsafeMutablePointer<libssh2_agent_publickey> {
    var previous: UnsafeMutablePointer<libssh2_agent_publickey>?
    var next: UnsafeMutablePointer<libssh2_agent_publickey>?
    while libssh2_agent_get_identity(agent, &next, previous) == 0, let found = next {
      if UnsafeBufferPointer(start: found.pointee.blob, count: found.pointee.blob_len).elementsEqual(publicKey) {
        return found
      }
      previous = found
    }
    throw SSHError(.keyUnusable, call: "libssh2_agent_get_identity", text: "the agent does not hold this key")
  }

  private func authenticated() {
    phase = .open
    deadline = nil
    lastHeard = .now
    libssh2_keepalive_config(raw, 1, 1)
    Task { await keepSpare() }
    Task { await hurry() }
  }

  /// Until a command runs sshd has Nagle's algorithm on: the answer to the first opening waits until what went before it is acknowledged.
  /// A relay on the way leaves its kernel 40 ms for that, unless something goes there that carries the acknowledgement along.
  private func hurry() async {
    try? await EventLoop.shared.sleep(for: .milliseconds(3))
    if roundTrip == nil, death == nil { askForLife(.now) }
  }

  // MARK: Channels

  /// A fresh session channel; the one kept in hand when there is one.
  /// - Parameter isExtra: throws at once when the server has said no before, or does so now.
  func takeChannel(isExtra: Bool) async throws -> OpaquePointer {
    if isExtra, !isGenerous { throw Self.refusal }
    if spare == nil, opening { await withUnsafeContinuation { openers.append($0) } }
    if let spare {
      self.spare = nil
      operations.removeAll { $0 === spare.reader }
      Task { await keepSpare() }
      return spare.raw
    }
    return isExtra ? try await openChannel() : try await openPatiently()
  }

  private static let refusal = SSHError(
    .failed, code: LIBSSH2_ERROR_CHANNEL_FAILURE, call: "libssh2_channel_open_ex",
    text: "the server allows no more sessions")

  /// A server with a small MaxSessions says no until an earlier channel is closed on its side, too.
  private func openPatiently() async throws -> OpaquePointer {
    var tries = 0
    while true {
      do {
        return try await openChannel()
      } catch let error as SSHError where error.code == LIBSSH2_ERROR_CHANNEL_FAILURE && tries < 50 {
        isGenerous = false
        tries += 1
        try await EventLoop.shared.sleep(for: .milliseconds(100))
      }
    }
  }

  private func keepSpare() async {
    guard isGenerous, spare == nil, !opening, death == nil else { return }
    guard let channel = try? await openChannel() else {
      isGenerous = false
      return
    }
    let reader = Operation("libssh2_channel_read_ex") { [raw = channel] in
      var byte: CChar = 0
      let code = libssh2_channel_read_ex(raw, 0, &byte, 1)
      return code == 0 ? Int(LIBSSH2_ERROR_EAGAIN) : code
    }
    if spare == nil {
      spare = (channel, reader)
      operations.append(reader)
      nudge()
    } else {
      dispose(channel)
    }
  }

  private func openChannel() async throws -> OpaquePointer {
    let session = raw
    return try await open("libssh2_channel_open_ex") {
      libssh2_channel_open_ex(session, "session", 7, UInt32(Channel.window), 32768, nil, 0)
    }
  }

  /// A channel whose other end is a TCP connection from the machine to `host` and `port`. Not to be given up half-way.
  func openTunnel(to host: String, port: Int) async throws -> OpaquePointer {
    let session = raw
    return try await open("libssh2_channel_direct_tcpip_ex") {
      libssh2_channel_direct_tcpip_ex(session, host, Int32(port), "127.0.0.1", 0)
    }
  }

  /// libssh2 keeps the state of an open in the session, so there is one at a time.
  private func open(_ name: String, _ attempt: @escaping @SSHLoop () -> OpaquePointer?) async throws -> OpaquePointer {
    while opening { await withUnsafeContinuation { openers.append($0) } }
    opening = true
    defer {
      opening = false
      let waiting = openers
      openers = []
      for opener in waiting { opener.resume() }
    }
    var opened: OpaquePointer?
    let session = raw
    let asked = ContinuousClock.now
    try await call(name) {
      opened = attempt()
      return opened == nil ? Int(libssh2_session_last_errno(session)) : 0
    }
    guard let opened else { throw SSHError(.failed, call: name, text: "no channel") }
    roundTrip = min(roundTrip ?? .now - asked, .now - asked)
    return opened
  }

  /// Closes and frees a channel in the background: libssh2_channel_free(3) waits for the other side's close.
  func dispose(_ channel: OpaquePointer) {
    for operation in operations where operation.channel == channel { abandon(operation) }
    Task {
      _ = try? await call("libssh2_channel_free") { Int(libssh2_channel_free(channel)) }
    }
  }

  // MARK: Lead

  /// Bytes that may wait for a command before more are sent: some that keep it busy, and what a fast way carries in a round trip.
  ///
  /// sshd allows 2 MiB, but makes its buffer larger by one packet at a time and copies all of it each time: filled at once, that is
  /// 20 ms of a processor for each channel.
  package var lead: Int {
    holdsBack ? Self.leastLead + Int((roundTrip ?? .zero) / .microseconds(1)) * Self.bytesPerMicrosecond : .max
  }

  /// Holds no channel back any more when one has been for so long that this server seems to tell of its window late.
  func releaseIfLate(heldSince start: ContinuousClock.Instant?) {
    if let start, ContinuousClock.now - start >= silence / 3 { holdsBack = false }
  }

  // MARK: The one door to libssh2

  /// Calls `attempt` now and again whenever the socket moves, until it says anything but LIBSSH2_ERROR_EAGAIN.
  /// - Throws: ``SSHError`` with libssh2's text when the result is negative, CancellationError when the task was cancelled.
  @discardableResult
  func call(
    _ name: String, on channel: OpaquePointer? = nil, _ attempt: @escaping @SSHLoop () -> Int
  ) async throws -> Int {
    if let death { throw death }
    try Task.checkCancellation()
    let operation = Operation(name, on: channel, attempt)
    if halfSent == nil, let code = try attemptNow(operation) { return code }
    return try await withTaskCancellationHandler {
      try await withUnsafeThrowingContinuation { continuation in
        operation.continuation = continuation
        operations.append(operation)
        if Task.isCancelled { abandon(operation) }
        nudge()
      }
    } onCancel: {
      Task { @SSHLoop in self.abandon(operation) }
    }
  }

  private func attemptNow(_ operation: Operation) throws -> Int? {
    let before = inflow.pointee.bytes
    let code = operation.attempt()
    // What it read may have been for another channel.
    if inflow.pointee.bytes != before { nudge() }
    guard code == Int(LIBSSH2_ERROR_EAGAIN) else { return try checked(code, operation.call) }
    if isBlockedOnSending { halfSent = operation }
    return nil
  }

  var isBlockedOnSending: Bool {
    libssh2_session_block_directions(raw) & LIBSSH2_SESSION_BLOCK_OUTBOUND != 0
  }

  private func checked(_ code: Int, _ call: String) throws -> Int {
    guard code < 0 else { return code }
    throw lastError(call, code: Int32(clamping: code))
  }

  // libssh2 reuses the text's buffer on the next call, so it is copied now: libssh2_session_last_error(3).
  private func lastError(_ call: String, code: Int32? = nil, kind: SSHError.Kind? = nil) -> SSHError {
    var text: UnsafeMutablePointer<CChar>?
    var length: Int32 = 0
    let last = libssh2_session_last_error(raw, &text, &length, 0)
    let code = code ?? last
    let words = last == code ? text.map { String(cString: $0) } ?? "" : ""
    let error = SSHError(
      kind ?? self.kind(of: code), code: code, call: call, text: words.isEmpty ? "no explanation" : words)
    if error.kind == .dropped || error.kind == .refused { die(error) }
    return error
  }

  private var gone: SSHError.Kind { phase == .greeting ? .refused : .dropped }

  private func kind(of code: Int32) -> SSHError.Kind {
    switch code {
    case LIBSSH2_ERROR_SOCKET_NONE, LIBSSH2_ERROR_BANNER_RECV, LIBSSH2_ERROR_SOCKET_SEND,
      LIBSSH2_ERROR_SOCKET_DISCONNECT, LIBSSH2_ERROR_SOCKET_RECV:
      gone
    case LIBSSH2_ERROR_TIMEOUT, LIBSSH2_ERROR_SOCKET_TIMEOUT: .timedOut
    case LIBSSH2_ERROR_AUTHENTICATION_FAILED: .notAuthenticated
    // "Unable to exchange encryption keys", "waiting for an answer": a cut has no code of its own there.
    case _ where inflow.pointee.isOver && !Self.isOfChannel(code): gone
    case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED: .notAuthenticated
    case LIBSSH2_ERROR_FILE, LIBSSH2_ERROR_AGENT_PROTOCOL: .keyUnusable
    case LIBSSH2_ERROR_CHANNEL_CLOSED, LIBSSH2_ERROR_CHANNEL_EOF_SENT: .channelClosed
    default: .failed
    }
  }

  private static func isOfChannel(_ code: Int32) -> Bool {
    [LIBSSH2_ERROR_CHANNEL_CLOSED, LIBSSH2_ERROR_CHANNEL_EOF_SENT].contains(code)
  }

  private func abandon(_ operation: Operation) {
    guard let continuation = operation.continuation else { return }
    operation.continuation = nil
    operation.isAbandoned = true
    // A half-sent packet must still be sent: the operation stays, only nobody waits for it any more.
    if halfSent !== operation { operations.removeAll { $0 === operation } }
    continuation.resume(throwing: CancellationError())
  }

  // MARK: The loop

  private func drive() async {
    while death == nil {
      pump()
      checkPulse()
      guard death == nil else { return }
      let events = halfSent != nil ? POLLOUT : operations.isEmpty ? 0 : POLLIN
      let wake = min(deadline ?? .now + .seconds(1), .now + .seconds(1))
      let shown = await EventLoop.shared.wait(for: descriptor, events: Int32(events), until: wake) { driverWait = $0 }
      driverWait = nil
      if operations.isEmpty, Int32(shown) & (Int32(POLLERR) | Int32(POLLHUP)) != 0 {
        die(SSHError(.dropped, call: "poll", text: "the connection was closed"))
      }
    }
  }

  private func nudge() {
    if let driverWait { EventLoop.shared.interrupt(driverWait) }
  }

  /// Lets every waiting operation try, again and again while bytes come in: a read by one drains the socket for all.
  private func pump() {
    var before: Int
    var progressed: Bool
    repeat {
      before = inflow.pointee.bytes
      progressed = false
      if let blocked = halfSent {
        guard retry(blocked) || halfSent == nil else { break }
        progressed = true
      }
      for operation in operations where halfSent == nil && death == nil {
        if retry(operation) { progressed = true }
      }
    } while death == nil && halfSent == nil && (progressed || inflow.pointee.bytes != before)
    if inflow.pointee.isOver, death == nil {
      die(SSHError(gone, call: "recv", text: "the other side closed the connection"))
    }
  }

  /// - Returns: whether the operation came to its end.
  private func retry(_ operation: Operation) -> Bool {
    let code = operation.attempt()
    if code == Int(LIBSSH2_ERROR_EAGAIN) {
      halfSent = isBlockedOnSending ? operation : halfSent === operation ? nil : halfSent
      if operation.isAbandoned, halfSent !== operation { operations.removeAll { $0 === operation } }
      return false
    }
    if halfSent === operation { halfSent = nil }
    operations.removeAll { $0 === operation }
    let continuation = operation.continuation
    operation.continuation = nil
    do {
      let value = try checked(code, operation.call)
      continuation?.resume(returning: value)
    } catch {
      continuation?.resume(throwing: error)
    }
    return true
  }

  private func checkPulse() {
    let now = ContinuousClock.now
    if let deadline, now >= deadline {
      return die(SSHError(.timedOut, call: "ssh", text: "not connected before the deadline"))
    }
    if inflow.pointee.bytes != heardBytes || operations.isEmpty {
      heardBytes = inflow.pointee.bytes
      lastHeard = now
      unanswered = 0
    }
    guard phase == .open, now - lastHeard >= silence / 3 else { return }
    if now - lastHeard >= silence, unanswered >= Self.patience {
      return die(SSHError(.dropped, call: "keepalive", text: "no sign of life for \(silence)"))
    }
    if now - lastAsked >= silence / 5 { askForLife(now) }
  }

  /// Only when the whole packet fits: libssh2_keepalive_send(3) would leave a half-sent one behind that nobody resumes.
  private func askForLife(_ now: ContinuousClock.Instant) {
    lastAsked = now
    unanswered += 1
    var writable = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    guard halfSent == nil, poll(&writable, 1, 0) == 1, Int32(writable.revents) == Int32(POLLOUT) else { return }
    var next: Int32 = 0
    libssh2_keepalive_send(raw, &next)
  }

  /// Fails everything that waits and everything that will be asked.
  private func die(_ error: SSHError) {
    guard death == nil else { return }
    death = error
    shutdown(descriptor, Int32(SHUT_RDWR))
    let waiting = operations
    operations = []
    halfSent = nil
    for operation in waiting {
      let continuation = operation.continuation
      operation.continuation = nil
      continuation?.resume(throwing: error)
    }
    nudge()
    let waiters = deathWaiters
    deathWaiters = []
    for waiter in waiters { waiter.resume(returning: error) }
  }

  /// Returns when the connection is gone, with the reason.
  package func end() async -> SSHError {
    if let death { return death }
    return await withCheckedContinuation { deathWaiters.append($0) }
  }

  /// Ends the connection at once. The handles stay until the process ends: a worker has one connection in its life.
  package func disconnect() {
    if death == nil, halfSent == nil {
      libssh2_session_disconnect_ex(raw, SSH_DISCONNECT_BY_APPLICATION, "done", "")
    }
    die(SSHError(.dropped, call: "disconnect", text: "the connection was closed by us"))
    close(descriptor)
  }
}

/// LIBSSH2_CALLBACK_RECV: recv(2), counted, with the delayed ACK turned off again each time (the kernel forgets it).
private func receive(
  socket: libssh2_socket_t, buffer: UnsafeMutableRawPointer?, length: Int, flags: Int32,
  abstract: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> Int {
  let inflow = abstract?.pointee?.assumingMemoryBound(to: Session.Inflow.self)
  if let inflow, inflow.pointee.bytes > inflow.pointee.limit { return -Int(ECONNABORTED) }
  let count = recv(socket, buffer, length, flags)
  let code = errno
  #if os(Linux)
    var on: Int32 = 1
    setsockopt(socket, Int32(IPPROTO_TCP), TCP_QUICKACK, &on, socklen_t(MemoryLayout<Int32>.size))
  #endif
  return note(count, code, length, abstract) { $0.bytes += count }
}

/// LIBSSH2_CALLBACK_SEND: send(2).
private func send(
  socket: libssh2_socket_t, buffer: UnsafeRawPointer?, length: Int, flags: Int32,
  abstract: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> Int {
  let count = systemSend(socket, buffer, length, flags)
  return note(count, errno, length, abstract) { _ in }
}

/// What libssh2 is told of a call on the socket, and what the session is to know of it.
private func note(
  _ count: Int, _ code: Int32, _ length: Int, _ abstract: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
  moved: (inout Session.Inflow) -> Void
) -> Int {
  let inflow = abstract?.pointee?.assumingMemoryBound(to: Session.Inflow.self)
  let isForLater = count < 0 && [EWOULDBLOCK, EAGAIN, EINTR].contains(code)
  if count > 0 { inflow.map { moved(&$0.pointee) } }
  if count <= 0, length > 0, !isForLater { inflow?.pointee.isOver = true }
  return count < 0 ? -Int(isForLater ? EAGAIN : code) : count
}

private func systemSend(_ socket: Int32, _ buffer: UnsafeRawPointer?, _ length: Int, _ flags: Int32) -> Int {
  #if canImport(Glibc)
    Glibc.send(socket, buffer, length, flags | Int32(MSG_NOSIGNAL))
  #else
    Darwin.send(socket, buffer, length, flags)
  #endif
}
