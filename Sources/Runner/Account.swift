import Crypto
import ForwardCompute
import Store

/// Whose machines these are: absence may only be concluded about the account that a job was made with.
package struct Account: Sendable {
  package var baseURL: String
  package var apiKey: String?
  package var isLocal: Bool

  package init(baseURL: String, apiKey: String?, isLocal: Bool) {
    self.baseURL = baseURL
    self.apiKey = apiKey
    self.isLocal = isLocal
  }

  /// Twelve hex digits of base URL and key; a simulator of this installation is one account however often it starts.
  package var fingerprint: String {
    if isLocal { return "local" }
    let digest = SHA256.hash(data: Array("\(baseURL)\n\(apiKey ?? "")".utf8))
    return digest.prefix(6).map { Hex.text($0) }.joined()
  }

  /// Why jobs of `arrangement` cannot be touched with this account; nil when they can.
  ///
  /// A rotated key is told from another account by the `owner` of the registered SSH keys.
  package func refusal(of arrangement: Arrangement, api: any ForwardComputeAPI) async -> String? {
    if arrangement.isLocal || arrangement.accountFingerprint == fingerprint { return nil }
    guard arrangement.baseURL == baseURL else {
      return "this job was made at \(arrangement.baseURL); set FORWARD_COMPUTE_BASE_URL=\(arrangement.baseURL)"
    }
    guard let owner = arrangement.accountOwner, let keys = try? await api.sshKeys(),
      keys.contains(where: { $0.owner == owner })
    else { return "this job was made with another account's key; set FORWARD_COMPUTE_API_KEY to a key of that account" }
    return nil
  }
}

/// Bytes as lower-case hexadecimal digits.
package enum Hex {
  package static func text(_ byte: UInt8) -> String {
    let digits = Array("0123456789abcdef")
    return "\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
  }
}

/// Random names: lower-case letters and digits that cannot be mistaken for one another.
package enum RandomName {
  private static let letters = Array("abcdefghijkmnpqrstuvwxyz23456789")

  /// `count` characters of 5 bits each, from the system's generator.
  package static func make(_ count: Int) -> String {
    String((0..<count).map { _ in letters[Int.random(in: 0..<letters.count)] })
  }
}
