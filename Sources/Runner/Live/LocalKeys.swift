import ForwardCompute
import Jobs
import Remote
import Store

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

/// A key pair whose private half can be used here.
package struct LocalKey: Sendable, Equatable {
  /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, …
  package var type: String
  /// The public key in base64, as the second word of a `.pub` file.
  package var blob: String
  package var source: Arrangement.PrivateKey
}

/// Why no registered key can be used, with what is registered and where was looked.
package struct KeyProblem: Error, CustomStringConvertible {
  package var description: String
}

/// Finds the registered key whose private half is on this machine.
package struct KeyRing: Sendable {
  var home: String?
  var agentSocket: String?
  /// `FCRUN_SSH_KEY`
  var keyPath: String?

  package init(environment: (String) -> String?) {
    home = environment("HOME")
    agentSocket = environment("SSH_AUTH_SOCK")
    keyPath = environment("FCRUN_SSH_KEY")
  }

  /// The registered key to ask for at create, and its private half.
  ///
  /// An explicit private key wins, then `FCRUN_SSH_KEY`, then the agent, then `~/.ssh/*.pub`; ed25519 and ecdsa come before
  /// RSA, which libssh2 before 1.11 cannot use against today's sshd.
  /// - Throws: ``KeyProblem``
  package func choose(
    among registered: [SSHKey], _ choice: KeyChoice?
  ) throws(KeyProblem) -> (key: SSHKey, privateKey: Arrangement.PrivateKey) {
    let wanted = try registered.named(choice?.registered)
    if let path = choice?.privateKey ?? keyPath { return try match(file: path, among: wanted) }
    let local = agentKeys() + folderKeys()
    let pairs = local.sorted { $0.rank < $1.rank }.lazy.compactMap { key in
      wanted.first { $0.blob == key.blob }.map { ($0, key.source) }
    }
    guard let pair = pairs.first else { throw noMatch(wanted, local) }
    return pair
  }

  private func match(
    file path: String, among wanted: [SSHKey]
  ) throws(KeyProblem) -> (key: SSHKey, privateKey: Arrangement.PrivateKey) {
    guard access(path, R_OK) == 0 else {
      throw KeyProblem(description: "the private key \(path) cannot be read: \(String(cString: strerror(errno)))")
    }
    guard let blob = PublicHalf.ofKey(at: path) else {
      if wanted.count == 1 { return (wanted[0], .file(path: path)) }
      throw KeyProblem(
        description: "the public half of \(path) is not known; put it beside it: ssh-keygen -y -f \(path) > \(path).pub"
      )
    }
    guard let key = wanted.first(where: { $0.blob == blob.blob }) else {
      throw KeyProblem(
        description:
          "\(path) (\(blob.type)) is not registered; registered: \(wanted.inWords); register it, or name another")
    }
    return (key, .file(path: path))
  }

  private func noMatch(_ wanted: [SSHKey], _ local: [LocalKey]) -> KeyProblem {
    let looked = [
      agentSocket == nil ? "no agent (SSH_AUTH_SOCK)" : "the agent (\(Counted.text(agentKeys().count, "key")))",
      home.map { "\($0)/.ssh/*.pub (\(Counted.text(folderKeys().count, "key")) with a private half)" } ?? "no HOME",
    ]
    return KeyProblem(
      description: "no registered SSH key has its private half here; registered: \(wanted.inWords); looked in "
        + looked.joined(separator: " and ")
        + "; set FCRUN_SSH_KEY or ssh_key.private_key to a private key, or register one")
  }
}

// MARK: - Where keys are

extension KeyRing {
  /// `~/.ssh/*.pub` beside which the private half lies.
  func folderKeys() -> [LocalKey] {
    guard let home else { return [] }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: home + "/.ssh")) ?? []
    return names.filter { $0.hasSuffix(".pub") }.sorted().compactMap { name in
      let path = home + "/.ssh/" + name.dropLast(4)
      guard access(path, R_OK) == 0, let half = PublicHalf.inFile(path + ".pub") else { return nil }
      return LocalKey(type: half.type, blob: half.blob, source: .file(path: path))
    }
  }

  /// What the agent holds (draft-miller-ssh-agent § 3.5: SSH_AGENTC_REQUEST_IDENTITIES).
  func agentKeys() -> [LocalKey] {
    guard let agentSocket, let reply = Agent.ask(socket: agentSocket, [11]) else { return [] }
    var reader = WireReader(reply)
    guard reader.byte() == 12, let count = reader.number() else { return [] }
    var keys: [LocalKey] = []
    for _ in 0..<min(count, 1000) {
      guard let blob = reader.string(), reader.string() != nil, let type = WireReader(blob).firstWord else { break }
      let text = Data(blob).base64EncodedString()
      keys.append(LocalKey(type: type, blob: text, source: .agent(publicKey: text)))
    }
    return keys
  }
}

extension LocalKey {
  fileprivate var rank: Int { type == "ssh-ed25519" ? 0 : type.hasPrefix("ecdsa") ? 1 : type == "ssh-rsa" ? 3 : 2 }
}

extension SSHKey {
  /// The base64 word of `public_key`.
  fileprivate var blob: String? { PublicHalf(line: publicKey)?.blob }
}

extension [SSHKey] {
  fileprivate var inWords: String {
    isEmpty
      ? "none"
      : map { "\($0.name) (\($0.id), \(PublicHalf(line: $0.publicKey)?.type ?? "unreadable"))" }.joined(separator: ", ")
  }

  fileprivate func named(_ choice: KeyChoice.Registered?) throws(KeyProblem) -> [SSHKey] {
    guard let choice else { return self }
    let found = filter { key in
      switch choice {
      case .id(let id): key.id == id
      case .name(let name): key.name == name
      case .idOrName(let text): key.id == text || key.name == text
      }
    }
    guard !found.isEmpty else {
      throw KeyProblem(description: "the SSH key that the spec names is not registered; registered: \(inWords)")
    }
    return found
  }
}

// MARK: - Public halves

/// The public half of a key, as a line of a `.pub` file has it.
struct PublicHalf: Equatable {
  var type: String
  var blob: String

  init?(line: String) {
    let words = line.split(whereSeparator: \.isWhitespace)
    guard words.count >= 2, Data(base64Encoded: String(words[1])) != nil else { return nil }
    type = String(words[0])
    blob = String(words[1])
  }

  init?(bytes: [UInt8]) {
    guard let type = WireReader(bytes).firstWord else { return nil }
    self.type = type
    blob = Data(bytes).base64EncodedString()
  }

  /// From `<path>.pub`, else from the private key itself where its format holds it in the clear.
  static func ofKey(at path: String) -> PublicHalf? { inFile(path + ".pub") ?? inPrivateKey(path) }

  static func inFile(_ path: String) -> PublicHalf? {
    (try? Data(contentsOf: URL(filePath: path))).flatMap { PublicHalf(line: String(decoding: $0, as: UTF8.self)) }
  }

  private static func inPrivateKey(_ path: String) -> PublicHalf? {
    PrivateKeyFile(path)?.publicKey.flatMap { PublicHalf(bytes: $0) }
  }
}

/// What a private key file in OpenSSH's own format says in the clear (PROTOCOL.key).
package struct PrivateKeyFile {
  var cipher: String
  var publicKey: [UInt8]?

  init?(_ path: String) {
    guard let text = try? Data(contentsOf: URL(filePath: path)) else { return nil }
    let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
    let magic = Array("openssh-key-v1\0".utf8)
    guard lines.first == "-----BEGIN OPENSSH PRIVATE KEY-----",
      let bytes = Data(base64Encoded: lines.dropFirst().dropLast().joined()), bytes.starts(with: magic)
    else { return nil }
    var reader = WireReader(Array(bytes.dropFirst(magic.count)))
    guard let cipher = reader.string(), reader.string() != nil, reader.string() != nil, reader.number() != nil else {
      return nil
    }
    self.cipher = String(decoding: cipher, as: UTF8.self)
    publicKey = reader.string()
  }

  /// True when the private half needs a passphrase: of this format, or of PEM with its header in the clear.
  package static func isEncrypted(_ path: String) -> Bool {
    if let file = PrivateKeyFile(path) { return file.cipher != "none" }
    guard let text = try? Data(contentsOf: URL(filePath: path)) else { return false }
    return String(decoding: text, as: UTF8.self).contains("ENCRYPTED")
  }
}

/// Numbers and strings of the SSH wire format (RFC 4251 § 5).
struct WireReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  mutating func byte() -> UInt8? { rest.popFirst() }

  mutating func number() -> Int? {
    guard rest.count >= 4 else { return nil }
    defer { rest = rest.dropFirst(4) }
    return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
  }

  mutating func string() -> [UInt8]? {
    guard let count = number(), rest.count >= count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }

  var firstWord: String? {
    var copy = self
    return copy.string().map { String(decoding: $0, as: UTF8.self) }
  }
}

/// The agent's socket.
private enum Agent {
  /// Sends one message and reads its reply; nil when nobody answers within a second.
  static func ask(socket path: String, _ message: [UInt8]) -> [UInt8]? {
    guard let descriptor = connected(to: path) else { return nil }
    defer { close(descriptor) }
    let framed: [UInt8] = [0, 0, 0, UInt8(message.count)] + message
    guard write(descriptor, framed, framed.count) == framed.count, let header = bytes(4, from: descriptor) else {
      return nil
    }
    let length = header.reduce(0) { $0 << 8 | Int($1) }
    return length <= 1 << 20 ? bytes(length, from: descriptor) : nil
  }

  private static func connected(to path: String) -> Int32? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    #if canImport(Glibc)
      let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #else
      let descriptor = socket(AF_UNIX, SOCK_STREAM, 0)
    #endif
    guard descriptor >= 0 else { return nil }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    var limit = timeval(tv_sec: 1, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    let isConnected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) == 0 }
    }
    if !isConnected { close(descriptor) }
    return isConnected ? descriptor : nil
  }

  private static func bytes(_ count: Int, from descriptor: Int32) -> [UInt8]? {
    var all: [UInt8] = []
    while all.count < count {
      var chunk = [UInt8](repeating: 0, count: count - all.count)
      let got = read(descriptor, &chunk, chunk.count)
      guard got > 0 else { return nil }
      all += chunk.prefix(got)
    }
    return all
  }
}
