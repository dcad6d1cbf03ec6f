extension [UInt8] {
  /// For people: invalid UTF-8 and control characters are escaped.
  package var shown: String {
    String(decoding: self, as: UTF8.self).unicodeScalars.map { scalar in
      scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) ? scalar.escaped(asASCII: true) : String(scalar)
    }.joined()
  }
}

/// Paths as the kernel sees them: bytes between slashes.
enum Path {
  static let slash = UInt8(ascii: "/")

  /// The components without empty ones and `.`; nil when one is `..`, when the path is absolute, or holds a NUL.
  static func components(_ path: some Sequence<UInt8>) -> [[UInt8]]? {
    let path = Array(path)
    guard path.first != slash, !path.contains(0) else { return nil }
    let parts = path.split(separator: slash).map(Array.init).filter { $0 != [UInt8(ascii: ".")] }
    return parts.contains(Array("..".utf8)) ? nil : parts
  }

  static func joined(_ components: some Sequence<[UInt8]>) -> [UInt8] {
    Array(components.joined(separator: [slash]))
  }

  /// Whether a symbolic link at `link` with `target` leads to a place below the folder that both are relative to.
  static func staysInside(link: [[UInt8]], target: [UInt8]) -> Bool {
    guard !target.isEmpty, target.first != slash, !target.contains(0) else { return false }
    var depth = link.count - 1
    for part in target.split(separator: slash) where part != [UInt8(ascii: ".")] {
      depth += part.elementsEqual("..".utf8) ? -1 : 1
      if depth < 0 { return false }
    }
    return true
  }
}

/// Relative places below a folder that nothing may leave.
package enum Place {
  /// Components without empty ones and `.`; nil for an absolute path, for `..` and for NUL.
  package static func components(_ path: [UInt8]) -> [[UInt8]]? { Path.components(path) }
  package static func components(_ path: String) -> [[UInt8]]? { Path.components(path.utf8) }
  package static func joined(_ components: [[UInt8]]) -> [UInt8] { Path.joined(components) }

  /// Whether a link at `place` can only lead to places inside: `..` may stand only in front, where it climbs real folders. After a name it
  /// could climb out of what another link leads to.
  package static func isSafeLink(at place: [[UInt8]], to target: [UInt8]) -> Bool {
    let up = Array("..".utf8)
    let parts = target.split(separator: Path.slash).map(Array.init).filter { $0 != [UInt8(ascii: ".")] }
    return Path.staysInside(link: place, target: target) && !parts.drop { $0 == up }.contains(up)
  }
}
