import CLibSSH2

/// What went wrong below: libssh2's own code, the call it came from and its text, copied at once, or a step before libssh2.
package struct SSHError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Kind: Sendable, Equatable {
    /// No TCP connection, or it ended before the key exchange did.
    case refused
    case timedOut
    /// The connection was up and is gone.
    case dropped
    /// The server shows another key than the pinned one (both as in a `.pub` file).
    case hostKeyChanged(pinned: String, shown: String)
    /// LIBSSH2_ERROR_AUTHENTICATION_FAILED (-18): the key is not (yet) authorised.
    case notAuthenticated
    /// The private key cannot be read or used.
    case keyUnusable
    /// The other side closed this channel; the connection may be well.
    case channelClosed
    /// Any other code of libssh2.
    case failed
  }

  package var kind: Kind
  /// A libssh2 code, or 0.
  package var code: Int32
  /// The libssh2 or system call.
  package var call: String
  package var text: String

  package init(_ kind: Kind, code: Int32 = 0, call: String, text: String) {
    self.kind = kind
    self.code = code
    self.call = call
    self.text = text
  }

  package var description: String { code == 0 ? "\(call): \(text)" : "\(call): \(text) (libssh2 error \(code))" }
}

/// The libssh2 in this process.
package enum LibSSH2 {
  /// As in `1.10.0`.
  package static var version: String { libssh2_version(0).map { String(cString: $0) } ?? "?" }
  /// rsa-sha2 signatures and AES-GCM came with 1.11.
  package static var hasRSASHA2: Bool { libssh2_version(0x010b00) != nil }

  /// No core dump and no ptrace of this process: keys and secrets are in its memory.
  package static func forbidDumps() { fcrun_forbid_dumps() }

  /// Once for the process, before any session: libssh2_init(3).
  @SSHLoop static let initialized: Int32 = libssh2_init(0)
}
