/// Blocks of a tar archive: ustar headers, with GNU's `L` and `K` members in front of names that do not fit.
///
/// Not pax: its names are defined as UTF-8, GNU tar converts them to the locale, and busybox ignores them; `L` carries any bytes to all three.
package enum TarWriter {
  package static let block = 512

  package enum Kind: Sendable, Equatable {
    case file(size: Int)
    case folder
    case link(target: [UInt8])
  }

  /// The header of one member. A file's content follows, then ``padding(after:)``.
  /// - Parameters:
  ///   - path: relative, components joined by `/`, any bytes but NUL.
  ///   - mode: permission bits.
  ///   - modified: seconds since 1970.
  package static func header(path: [UInt8], kind: Kind, mode: UInt16, modified: Int) -> [UInt8] {
    switch kind {
    case .file(let size): named(path, type: "0", size: size, mode: mode, modified: modified)
    case .folder: named(path + [Path.slash], type: "5", size: 0, mode: mode, modified: modified)
    case .link(let target): named(path, link: target, type: "2", size: 0, mode: 0o777, modified: modified)
    }
  }

  /// Zeros up to the next block.
  package static func padding(after size: Int) -> [UInt8] {
    [UInt8](repeating: 0, count: (block - size % block) % block)
  }

  /// The end of the archive.
  package static let end = [UInt8](repeating: 0, count: 2 * block)

  private static func named(
    _ path: [UInt8], link: [UInt8] = [], type: Character, size: Int, mode: UInt16, modified: Int
  ) -> [UInt8] {
    (link.count > 100 ? long(link, type: "K") : []) + (path.count > 100 ? long(path, type: "L") : [])
      + raw(Array(path.prefix(100)), Array(link.prefix(100)), type, size, mode, modified)
  }

  private static func long(_ name: [UInt8], type: Character) -> [UInt8] {
    raw(Array("././@LongLink".utf8), [], type, name.count + 1, 0o644, 0)
      + name + [0] + padding(after: name.count + 1)
  }

  private static func raw(
    _ name: [UInt8], _ link: [UInt8], _ type: Character, _ size: Int, _ mode: UInt16, _ modified: Int
  ) -> [UInt8] {
    var header = [UInt8](repeating: 0, count: block)
    func put(_ bytes: some Sequence<UInt8>, at offset: Int) {
      for (index, byte) in bytes.enumerated() { header[offset + index] = byte }
    }
    put(name, at: 0)
    put(number(Int(mode), width: 8), at: 100)
    put(number(0, width: 8), at: 108)
    put(number(0, width: 8), at: 116)
    put(number(size, width: 12), at: 124)
    put(number(max(0, modified), width: 12), at: 136)
    put(String(repeating: " ", count: 8).utf8, at: 148)
    put(String(type).utf8, at: 156)
    put(link, at: 157)
    put("ustar  ".utf8, at: 257)
    let sum = header.reduce(0) { $0 + Int($1) }
    put(number(sum, width: 7) + [0x20], at: 148)
    return header
  }

  /// Octal with a NUL at the end; base 256 (GNU) when that is too narrow, as from 8 GiB on.
  private static func number(_ value: Int, width: Int) -> [UInt8] {
    let digits = String(value, radix: 8)
    if digits.utf8.count < width {
      return Array((String(repeating: "0", count: width - 1 - digits.utf8.count) + digits).utf8) + [0]
    }
    var bytes = [UInt8](repeating: 0, count: width)
    for index in 0..<min(8, width - 1) { bytes[width - 1 - index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    bytes[0] = 0x80
    return bytes
  }
}
