#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The ways in which programs write a secret down: as it is, in base64, URL-encoded, in hexadecimal, inside JSON.
///
/// Of a form whose ends depend on what stands beside the secret, as base64 at another offset, only the part is given that the
/// secret alone decides.
enum SecretForms {
  /// Shorter ones would be found where no secret is; the secret itself is hidden whatever its length.
  private static let shortest = 4
  /// Where a long text is broken into lines, a shorter line says too little to be worth it.
  private static let shortestLine = 8

  static func of(_ secret: [UInt8]) -> Set<[UInt8]> {
    guard !secret.isEmpty else { return [] }
    let encoded = base64(secret) + urlEncoded(secret) + hexadecimal(secret) + [inJSON(secret)]
    return Set([secret] + lines(of: secret) + encoded.filter { $0.count >= shortest })
  }

  /// A key of several lines is often printed line by line.
  private static func lines(of secret: [UInt8]) -> [[UInt8]] {
    secret.split { [0x0A, 0x0D].contains($0) }.map(Array.init).filter { $0.count >= shortestLine }
  }

  // MARK: Base64, RFC 4648 § 4 and § 5

  private static func base64(_ secret: [UInt8]) -> [[UInt8]] {
    let whole = (0..<3).flatMap { aligned(secret, after: $0) }
    let broken = [64, 76].flatMap { width in inLines(aligned(secret, after: 0)[0], of: width) }
    return (whole + broken).flatMap { [$0, urlSafe($0)] }
  }

  /// The characters that stand for `secret` after `offset` other bytes: once those that hold no bit of what follows, once
  /// with the last one of a text that ends here.
  private static func aligned(_ secret: [UInt8], after offset: Int) -> [[UInt8]] {
    let text = Array(Data([UInt8](repeating: 0, count: offset) + secret).base64EncodedString().utf8)
    let bits = (offset + secret.count) * 8
    // A character holds six bits; the first ones hold bits of what stands before.
    let start = (offset * 8 + 5) / 6
    return [bits / 6, (bits + 5) / 6].map { end in Array(text[min(start, end)..<end]) }
  }

  /// base64(1) breaks its lines after 76 characters, PEM after 64.
  private static func inLines(_ text: [UInt8], of width: Int) -> [[UInt8]] {
    guard text.count > width else { return [] }
    return stride(from: 0, to: text.count, by: width).map { Array(text[$0..<min($0 + width, text.count)]) }
      .filter { $0.count >= shortestLine }
  }

  private static func urlSafe(_ text: [UInt8]) -> [UInt8] {
    text.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0 }
  }

  // MARK: URL encoding, RFC 3986 § 2.1

  private static func urlEncoded(_ secret: [UInt8]) -> [[UInt8]] {
    // RFC 3986, Python's quote, JavaScript's encodeURIComponent, application/x-www-form-urlencoded.
    let kept = ["-._~", "-._~/", "-._~!'()*", "-._*"].map { Array($0.utf8) }
    return kept.flatMap { kept in
      [true, false].flatMap { isUpper in
        [Array("%20".utf8), [UInt8(ascii: "+")]].map { space in
          secret.flatMap { byte in
            byte == 0x20 ? space : isAlphanumeric(byte) || kept.contains(byte) ? [byte] : escape(byte, isUpper)
          }
        }
      }
    }
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  private static func escape(_ byte: UInt8, _ isUpper: Bool) -> [UInt8] { [UInt8(ascii: "%")] + digits(byte, isUpper) }

  // MARK: Others

  private static func hexadecimal(_ secret: [UInt8]) -> [[UInt8]] {
    [true, false].map { isUpper in secret.flatMap { digits($0, isUpper) } }
  }

  private static func digits(_ byte: UInt8, _ isUpper: Bool) -> [UInt8] {
    let alphabet = Array((isUpper ? "0123456789ABCDEF" : "0123456789abcdef").utf8)
    return [alphabet[Int(byte >> 4)], alphabet[Int(byte & 15)]]
  }

  /// As a string of a JSON document, RFC 8259 § 7.
  private static func inJSON(_ secret: [UInt8]) -> [UInt8] {
    secret.flatMap { byte -> [UInt8] in
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): [UInt8(ascii: "\\"), byte]
      case 0x0A: Array("\\n".utf8)
      case 0x0D: Array("\\r".utf8)
      case 0x09: Array("\\t".utf8)
      default: [byte]  // Other control characters are not in secrets.
      }
    }
  }
}
