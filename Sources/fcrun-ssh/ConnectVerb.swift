import Remote
import SSH

/// Connects and authenticates as the first user that the server lets in.
enum ConnectVerb {
  /// Between two users: OpenSSH 9.8 and later refuse an address for 5 s after a failed authentication (PerSourcePenalties).
  static let pause: Duration = .seconds(6)

  @SSHLoop
  static func perform(_ verb: Connect) async throws -> (Session, Connected) {
    let pin = try verb.pin.map { text throws(Failure) in
      guard let pin = HostKey(text) else {
        throw Failure(kind: .badRequest, message: "connect: the pin is no host key; expected `ssh-ed25519 AAAA…`")
      }
      return pin
    }
    guard !verb.users.isEmpty else { throw Failure(kind: .badRequest, message: "connect: no user to log in as") }
    try PrivateKey.check(verb.key)
    for (index, user) in verb.users.enumerated() {
      if index > 0 { try await EventLoop.shared.sleep(for: pause) }
      do {
        return try await attempt(verb, user: user, pin: pin)
      } catch let error as SSHError where error.kind == .notAuthenticated && index < verb.users.count - 1 {
        continue
      } catch let error as SSHError {
        throw explained(error, verb)
      }
    }
    preconditionFailure("the last user returns or throws")
  }

  /// One more connection as the first one is.
  @SSHLoop
  static func again(_ verb: Connect, _ first: Connected) async throws -> Session {
    try await attempt(verb, user: first.user, pin: HostKey(first.hostKey)).0
  }

  @SSHLoop
  private static func attempt(_ verb: Connect, user: String, pin: HostKey?) async throws -> (Session, Connected) {
    let deadline = ContinuousClock.now + .seconds(verb.timeout)
    let session = try await Session.connect(
      host: verb.host, port: verb.port, pin: pin, deadline: deadline, silence: .seconds(verb.silence))
    do {
      switch verb.key {
      case .file(let path, let passphrase):
        try await session.authenticate(user: user, privateKey: path, publicKey: nil, passphrase: passphrase)
      case .agent(let publicKey, let socket):
        try await session.authenticate(user: user, agent: socket, publicKey: Base64.decode(publicKey) ?? [])
      }
      let key = try session.hostKey()
      return (
        session,
        Connected(hostKey: key.description, fingerprint: Fingerprint.sha256(of: key.blob), user: user)
      )
    } catch {
      session.disconnect()
      throw error
    }
  }

  private static func explained(_ error: SSHError, _ verb: Connect) -> Failure {
    var failure = Failure(error)
    let place = "\(verb.host):\(verb.port)"
    switch error.kind {
    case .hostKeyChanged(let pinned, let shown):
      failure.message =
        "\(place) shows another host key than before: pinned \(fingerprint(pinned)), shown \(fingerprint(shown)); "
        + "this may be another machine, nothing was sent to it"
    case .notAuthenticated:
      failure.message =
        "\(place) does not accept this key for \(verb.users.joined(separator: " or ")), perhaps not yet; \(error)"
    case .keyUnusable:
      if case .file(let path, _) = verb.key {
        failure.message =
          "the private key \(path) cannot be used: wrong or missing passphrase, or a format that libssh2 "
          + "\(LibSSH2.version) does not read; \(error)"
      }
    case .failed where error.code == -5:
      failure.message =
        "\(place) and libssh2 \(LibSSH2.version) have no method in common (host key, key exchange or cipher)"
        + (LibSSH2.hasRSASHA2 ? "" : "; a server with only an RSA host key needs libssh2 1.11 or later") + "; \(error)"
    default: failure.message = "\(place): \(error)"  // The rest is said by the call itself.
    }
    return failure
  }

  private static func fingerprint(_ key: String) -> String {
    HostKey(key).map { "\($0.type) \(Fingerprint.sha256(of: $0.blob))" } ?? key
  }
}
