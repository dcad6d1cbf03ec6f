import Remote
import SSH

/// What can be said about a key before it is used.
enum PrivateKey {
  /// - Throws: ``Failure`` `keyUnusable` when it cannot be read, or is RSA and this libssh2 signs with SHA-1 only, which servers refuse since OpenSSH 8.8.
  static func check(_ key: Connect.Key) throws(Failure) {
    switch key {
    case .file(let path, _):
      if isRSA(try text(of: path)) { try checkRSA(path) }
    case .agent(let publicKey, _):
      guard let blob = Base64.decode(publicKey), let key = HostKey(blob: blob) else {
        throw Failure(kind: .keyUnusable, message: "the agent's key is no public key in base64")
      }
      if key.type == "ssh-rsa" { try checkRSA("of the agent") }
    }
  }

  private static func text(of path: String) throws(Failure) -> String {
    do throws(Failure) {
      let file = try LocalFile(reading: Array(path.utf8))
      defer { file.close() }
      return String(decoding: try file.read(64 * 1024), as: UTF8.self)
    } catch {
      throw Failure(kind: .keyUnusable, message: "the private key: \(error.message)")
    }
  }

  private static func checkRSA(_ name: String) throws(Failure) {
    guard !LibSSH2.hasRSASHA2 else { return }
    throw Failure(
      kind: .keyUnusable,
      message: "the key \(name) is RSA, and libssh2 \(LibSSH2.version) cannot sign with it as servers expect; "
        + "use an ed25519 key (ssh-keygen -t ed25519), or libssh2 1.11 or later")
  }

  /// Told by the PEM label, or by the public half in front of an `openssh-key-v1` container, which is never encrypted.
  private static func isRSA(_ text: String) -> Bool {
    if text.contains("-----BEGIN RSA PRIVATE KEY-----") { return true }
    let lines = text.split(whereSeparator: \.isNewline)
    guard lines.first == "-----BEGIN OPENSSH PRIVATE KEY-----" else { return false }
    let body = Base64.decode(lines.dropFirst().prefix { !$0.hasPrefix("-----") }.joined()) ?? []
    return containsName(body, "ssh-rsa")
  }

  private static func containsName(_ body: [UInt8], _ name: String) -> Bool {
    let word: [UInt8] = [0, 0, 0, UInt8(name.utf8.count)] + Array(name.utf8)
    let head = Array(body.prefix(512))
    return head.indices.contains { head[$0...].starts(with: word) }
  }
}
