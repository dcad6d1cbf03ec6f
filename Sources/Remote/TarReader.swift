/// Parses a tar archive that comes from a machine that may be hostile: ustar, GNU long names, pax paths and sizes, nothing else.
///
/// A push parser without I/O: give it bytes as they come, it calls back with members and content.
package struct TarReader {
  package enum Event {
    case member(Member)
    /// Bytes of the last member that is a file.
    case content(ArraySlice<UInt8>)
    /// The last file is complete.
    case endOfFile
  }

  package struct Member: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
      case file(size: Int)
      case folder
      case link(target: [UInt8])
      /// The same file as another member.
      case hardLink(target: [UInt8])
    }
    /// Without `.` components and empty ones; empty for the archive's own top.
    package var path: [[UInt8]]
    package var kind: Kind
    package var mode: UInt16
    /// Seconds since 1970.
    package var modified: Int
  }

  package struct Malformed: Error, Equatable, CustomStringConvertible {
    package var description: String
  }

  static let longestName = 4096
  static let deepest = 128
  static let largestExtension = 64 * 1024

  private enum State: Equatable {
    case header
    case content(left: Int, padding: Int)
    case longName(left: Int, padding: Int, type: UInt8)
    case padding(Int)
    case ended
  }

  private var state = State.header
  private var pending: [UInt8] = []
  private var sawZeroBlock = false
  private var longPath: [UInt8]?
  private var longLink: [UInt8]?
  private var paxSize: Int?

  package init() {}

  package var hasEnded: Bool { state == .ended }

  /// Feeds bytes; stops after the two zero blocks that end an archive.
  /// - Returns: how many bytes were used.
  /// - Throws: ``Malformed``, and what `handle` throws.
  package mutating func feed(_ bytes: ArraySlice<UInt8>, _ handle: (Event) throws -> Void) throws -> Int {
    var rest = bytes
    while !rest.isEmpty, state != .ended {
      switch state {
      case .header:
        guard let block = fill(TarWriter.block, from: &rest) else { break }
        try header(block, handle)
      case .content(let left, let padding):
        let part = rest.prefix(left)
        rest = rest.dropFirst(part.count)
        try handle(.content(part))
        state = .content(left: left - part.count, padding: padding)
        if left == part.count {
          try handle(.endOfFile)
          state = padding > 0 ? .padding(padding) : .header
        }
      case .longName(let left, let padding, let type):
        guard let name = fill(left, from: &rest) else { break }
        try takeExtension(name, type: type)
        state = padding > 0 ? .padding(padding) : .header
      case .padding(let left):
        let part = rest.prefix(left)
        rest = rest.dropFirst(part.count)
        state = left > part.count ? .padding(left - part.count) : .header
      case .ended: break
      }
    }
    return bytes.count - rest.count
  }

  private mutating func fill(_ count: Int, from rest: inout ArraySlice<UInt8>) -> [UInt8]? {
    let part = rest.prefix(count - pending.count)
    pending += part
    rest = rest.dropFirst(part.count)
    guard pending.count == count else { return nil }
    defer { pending = [] }
    return pending
  }

  private mutating func header(_ block: [UInt8], _ handle: (Event) throws -> Void) throws {
    if block.allSatisfy({ $0 == 0 }) {
      if sawZeroBlock { state = .ended }
      sawZeroBlock = true
      return
    }
    sawZeroBlock = false
    try checkSum(block)
    let size = try paxSize ?? number(block[124..<136], "size")
    let padding = (TarWriter.block - size % TarWriter.block) % TarWriter.block
    switch block[156] {
    case UInt8(ascii: "L"), UInt8(ascii: "K"), UInt8(ascii: "x"), UInt8(ascii: "g"):
      guard (1...Self.largestExtension).contains(size) else { throw Malformed(description: "a name of \(size) bytes") }
      state = .longName(left: size, padding: padding, type: block[156])
    default:
      let member = try member(block, size: size)
      (longPath, longLink, paxSize) = (nil, nil, nil)
      try handle(.member(member))
      guard case .file(let size) = member.kind else { return }
      state = size > 0 ? .content(left: size, padding: padding) : .header
      if size == 0 { try handle(.endOfFile) }
    }
  }

  private func member(_ block: [UInt8], size: Int) throws -> Member {
    let link = longLink ?? Self.string(block[157..<257])
    let path = try path(longPath ?? shortPath(block))
    let kind: Member.Kind =
      switch block[156] {
      case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): .file(size: size)
      case UInt8(ascii: "1"): .hardLink(target: link)
      case UInt8(ascii: "2"): .link(target: link)
      case UInt8(ascii: "5"): .folder
      default:
        throw Malformed(description: "\(Path.joined(path).shown) is neither file, folder nor link (type \(block[156]))")
      }
    if case .file = kind, path.isEmpty { throw Malformed(description: "a file without a name") }
    if case .file = kind {
    } else if size != 0, kind != .folder, paxSize == nil, block[156] != UInt8(ascii: "1") {
      throw Malformed(description: "\(Path.joined(path).shown) has content but is no file")
    }
    return Member(
      path: path, kind: kind, mode: UInt16(truncatingIfNeeded: try number(block[100..<108], "mode")) & 0o777,
      modified: try number(block[136..<148], "time"))
  }

  private func shortPath(_ block: [UInt8]) -> [UInt8] {
    let name = Self.string(block[0..<100])
    // The prefix field belongs to POSIX ustar ("ustar\0"); GNU ("ustar  ") keeps other things there.
    guard Array(block[257..<263]) == Array("ustar\0".utf8) else { return name }
    let prefix = Self.string(block[345..<500])
    return prefix.isEmpty ? name : prefix + [Path.slash] + name
  }

  private func path(_ name: [UInt8]) throws -> [[UInt8]] {
    guard !name.isEmpty, name.count <= Self.longestName, let parts = Path.components(name),
      parts.count <= Self.deepest, parts.allSatisfy({ $0.count <= 255 })
    else { throw Malformed(description: "the name \(Array(name.prefix(200)).shown) is not allowed in an archive") }
    return parts
  }

  private mutating func takeExtension(_ bytes: [UInt8], type: UInt8) throws {
    switch type {
    case UInt8(ascii: "L"): longPath = Self.string(bytes[...])
    case UInt8(ascii: "K"): longLink = Self.string(bytes[...])
    case UInt8(ascii: "x"): try takePax(bytes)
    default: break  // Global pax headers say nothing that we use.
    }
  }

  /// `LENGTH KEY=VALUE\n`, POSIX.1-2001.
  private mutating func takePax(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while let space = rest.firstIndex(of: 0x20) {
      guard let length = Int(String(decoding: rest[..<space], as: UTF8.self)), length > space - rest.startIndex + 2,
        length <= rest.count
      else { throw Malformed(description: "a broken pax record") }
      let record = rest[(space + 1)..<(rest.startIndex + length - 1)]
      rest = rest[(rest.startIndex + length)...]
      guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else {
        throw Malformed(description: "a pax record without =")
      }
      let value = Array(record[(equals + 1)...])
      switch String(decoding: record[..<equals], as: UTF8.self) {
      case "path": longPath = value
      case "linkpath": longLink = value
      case "size":
        guard let size = Int(String(decoding: value, as: UTF8.self)), size >= 0 else {
          throw Malformed(description: "a broken pax size")
        }
        paxSize = size
      default: break  // Times below a second, owners and the like.
      }
    }
  }

  private func checkSum(_ block: [UInt8]) throws {
    let sum = block.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 0x20 : Int($1.element)) }
    guard try number(block[148..<156], "checksum") == sum else { throw Malformed(description: "a wrong checksum") }
  }

  private func number(_ field: ArraySlice<UInt8>, _ what: String) throws -> Int {
    if let first = field.first, first & 0x80 != 0 {
      guard first == 0x80, field.dropFirst().dropLast(min(8, field.count - 1)).allSatisfy({ $0 == 0 }) else {
        throw Malformed(description: "a \(what) beyond all measure")
      }
      let value = field.suffix(min(8, field.count - 1)).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      guard value <= UInt64(Int.max / 2) else { throw Malformed(description: "a \(what) beyond all measure") }
      return Int(value)
    }
    let digits = field.drop { $0 == 0x20 }.prefix { (0x30...0x37).contains($0) }
    guard digits.count < 20 else { throw Malformed(description: "a \(what) beyond all measure") }
    return digits.reduce(0) { $0 << 3 | Int($1 - 0x30) }
  }

  private static func string(_ field: ArraySlice<UInt8>) -> [UInt8] { Array(field.prefix { $0 != 0 }) }
}
