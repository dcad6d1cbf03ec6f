import Crypto

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

package enum Fingerprint {
  /// `SHA256:…` of a public key's blob, as OpenSSH prints it.
  package static func sha256(of blob: [UInt8]) -> String {
    let digest = Data(SHA256.hash(data: blob)).base64EncodedString()
    return "SHA256:" + digest.prefix { $0 != "=" }
  }
}

/// SHA-256 over bytes that come in parts.
package struct FileDigest {
  private var state = SHA256()

  package init() {}

  package mutating func update(_ bytes: some Sequence<UInt8>) {
    let done: Void? = bytes.withContiguousStorageIfAvailable { state.update(bufferPointer: UnsafeRawBufferPointer($0)) }
    if done == nil { state.update(data: Array(bytes)) }
  }

  /// 64 lower-case hexadecimal digits, as sha256sum(1) prints them.
  package func hexadecimal() -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return state.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
  }
}
