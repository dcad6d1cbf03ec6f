/// A public key as SSH writes it on the wire (RFC 4253 § 6.6) and in a `.pub` file.
package struct HostKey: Sendable, Equatable, CustomStringConvertible {
  /// `ssh-ed25519`, the first string of the blob.
  package var type: String
  package var blob: [UInt8]

  /// nil when the blob does not begin with the name of its type.
  package init?(blob: [UInt8]) {
    guard blob.count > 4 else { return nil }
    let length = blob[..<4].reduce(0) { $0 << 8 | Int($1) }
    guard length > 0, length <= 64, blob.count > 4 + length else { return nil }
    type = String(decoding: blob[4..<(4 + length)], as: UTF8.self)
    self.blob = blob
  }

  /// Reads `ssh-ed25519 AAAA… comment`.
  package init?(_ line: String) {
    let words = line.split(whereSeparator: \.isWhitespace)
    guard words.count >= 2, let blob = Base64.decode(String(words[1])), let key = HostKey(blob: blob),
      key.type == words[0]
    else { return nil }
    self = key
  }

  /// `ssh-ed25519 AAAA…`
  package var description: String { "\(type) \(Base64.encode(blob))" }
}

/// RFC 4648 § 4, so that this room needs no Foundation.
package enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  package static func encode(_ bytes: [UInt8], padded: Bool = true) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for digit in 0..<4 {
        if digit <= group.count {
          text.append(alphabet[bits >> (18 - 6 * digit) & 63])
        } else if padded {
          text.append(UInt8(ascii: "="))
        }
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// nil when a character is not of the alphabet.
  package static func decode(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits = 0
    var count = 0
    for character in text.utf8 where character != UInt8(ascii: "=") {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      bits = (bits << 6 | value) & 0xFFFF
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    return bytes
  }
}
