/// Why a text is not a JSON document that we accept.
public struct JSONProblem: Error, Sendable, Equatable, CustomStringConvertible {
  /// Offset in bytes from the start of the text.
  public var offset: Int
  /// What was wrong and what was expected.
  public var message: String

  /// For messages.
  public var description: String { "byte \(offset): \(message)" }
}

extension JSONValue {
  /// The document in `bytes`, as RFC 8259 has it, and stricter where a lenient reader could be led astray:
  /// a name given twice, a lone surrogate or invalid UTF-8 is an error.
  public init(parsing bytes: some Sequence<UInt8>) throws(JSONProblem) {
    var parser = JSONParser(bytes: Array(bytes))
    self = try parser.document()
  }

  /// The document in `bytes` without the elements of `data`, its outermost object's list: `take` is given each as soon as it is read,
  /// so that thousands of them are never in memory at once. When the rest of the document is no JSON they were given for nothing.
  /// With nil it is the whole document.
  package init(parsing bytes: [UInt8], elements take: ((JSONValue) -> Void)?) throws(JSONProblem) {
    var parser = JSONParser(bytes: bytes, take)
    self = try parser.document()
  }
}

/// A recursive-descent reader with limits; it never traps, whatever the bytes are.
struct JSONParser {
  /// The API's own answers are five levels deep.
  static let deepestNesting = 64
  /// A value costs some 50 bytes here and as little as two in the text: without a limit 32 MiB could become a gigabyte.
  static let mostValues = 2_000_000

  private let bytes: [UInt8]
  private let take: ((JSONValue) -> Void)?
  private var offset = 0
  private var values = 0
  /// Of the objects that are being read, outer before inner: an array of its own for each would grow again and again.
  private var open: [JSONValue.Field] = []

  init(bytes: [UInt8], _ take: ((JSONValue) -> Void)? = nil) {
    (self.bytes, self.take) = (bytes, take)
  }

  mutating func document() throws(JSONProblem) -> JSONValue {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
    let value = try value(depth: 0)
    skipSpace()
    guard offset == bytes.count else { throw problem("something follows the end of the document") }
    return value
  }

  private mutating func value(depth: Int) throws(JSONProblem) -> JSONValue {
    guard depth <= Self.deepestNesting else { throw problem("nested deeper than \(Self.deepestNesting) levels") }
    values += 1
    guard values <= Self.mostValues else { throw problem("more than \(Self.mostValues) values") }
    skipSpace()
    guard let first = peek else { throw problem("the document ends too early") }
    switch first {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
    default: throw problem("a value was expected")
    }
  }

  private mutating func object(depth: Int) throws(JSONProblem) -> JSONValue {
    offset += 1
    let start = open.count
    var names: Set<String>?
    if skip(UInt8(ascii: "}")) { return .object([]) }
    repeat {
      skipSpace()
      guard peek == UInt8(ascii: "\"") else { throw problem("a field's name was expected") }
      let name = try string()
      // Of a few names each is compared with each, which is faster than hashing them.
      if open.count == start + 32 { names = Set(open[start...].map(\.name)) }
      let isNew = names?.insert(name).inserted ?? !open[start...].contains { $0.name == name }
      guard isNew else { throw problem("a field's name stands twice in one object") }
      guard skip(UInt8(ascii: ":")) else { throw problem("':' was expected") }
      open.append(JSONValue.Field(name: name, value: try member(name, depth: depth + 1)))
    } while skip(UInt8(ascii: ","))
    guard skip(UInt8(ascii: "}")) else { throw problem("',' or '}' was expected") }
    defer { open.removeSubrange(start...) }
    return .object(Array(open[start...]))
  }

  private mutating func member(_ name: String, depth: Int) throws(JSONProblem) -> JSONValue {
    guard let take, depth == 1, name == "data" else { return try value(depth: depth) }
    skipSpace()
    return peek == UInt8(ascii: "[") ? try array(depth: depth, take) : try value(depth: depth)
  }

  private mutating func array(depth: Int) throws(JSONProblem) -> JSONValue {
    var elements: [JSONValue] = []
    _ = try array(depth: depth) { elements.append($0) }
    return .array(elements)
  }

  /// - Returns: an array without them.
  private mutating func array(depth: Int, _ take: (JSONValue) -> Void) throws(JSONProblem) -> JSONValue {
    offset += 1
    if skip(UInt8(ascii: "]")) { return .array([]) }
    repeat {
      take(try value(depth: depth + 1))
    } while skip(UInt8(ascii: ","))
    guard skip(UInt8(ascii: "]")) else { throw problem("',' or ']' was expected") }
    return .array([])
  }

  private mutating func word(_ word: String, _ value: JSONValue) throws(JSONProblem) -> JSONValue {
    guard bytes[offset...].starts(with: word.utf8) else { throw problem("a value was expected") }
    offset += word.utf8.count
    return value
  }

  private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { offset += 1 }
  }

  /// Skips white space, and `byte` when it comes next.
  private mutating func skip(_ byte: UInt8) -> Bool {
    skipSpace()
    guard peek == byte else { return false }
    offset += 1
    return true
  }

  private func problem(_ message: String) -> JSONProblem {
    JSONProblem(offset: offset, message: message)
  }
}

// MARK: - Numbers

extension JSONParser {
  /// More digits than any amount of money or memory has.
  private static let longestNumber = 128

  private mutating func number() throws(JSONProblem) -> String {
    let start = offset
    if peek == UInt8(ascii: "-") { offset += 1 }
    let leadsWithZero = peek == UInt8(ascii: "0")
    let whole = skipDigits()
    guard whole > 0, !leadsWithZero || whole == 1 else { throw problem("a number was expected") }
    if peek == UInt8(ascii: ".") {
      offset += 1
      guard skipDigits() > 0 else { throw problem("a digit was expected") }
    }
    try skipExponent()
    guard offset - start <= Self.longestNumber else { throw problem("a number is too long") }
    return String(decoding: bytes[start..<offset], as: UTF8.self)
  }

  private mutating func skipExponent() throws(JSONProblem) {
    guard peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") else { return }
    offset += 1
    if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { offset += 1 }
    guard skipDigits() > 0 else { throw problem("a digit was expected") }
  }

  private mutating func skipDigits() -> Int {
    let start = offset
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
    return offset - start
  }
}

// MARK: - Strings

extension JSONParser {
  private mutating func string() throws(JSONProblem) -> String {
    offset += 1
    let start = offset
    while let byte = peek, byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") { offset += 1 }
    // Nearly every string stands in the text as it is.
    let text = peek == UInt8(ascii: "\"") ? bytes[start..<offset] : try unescaped(from: start)
    offset += 1
    // Validating goes through a generic of the library that is not specialized: what is ASCII needs none.
    if text.allSatisfy({ $0 < 0x80 }) { return String(decoding: text, as: UTF8.self) }
    guard let string = String(validating: text, as: UTF8.self) else { throw problem("a string is not UTF-8") }
    return string
  }

  /// What is between `start` and the quote that ends the string.
  private mutating func unescaped(from start: Int) throws(JSONProblem) -> ArraySlice<UInt8> {
    var text = bytes[start..<offset]
    while let byte = peek, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw problem("a control character stands in a string") }
      offset += 1
      if byte == UInt8(ascii: "\\") {
        text.append(contentsOf: String(Character(try escaped())).utf8)
      } else {
        text.append(byte)
      }
    }
    guard peek != nil else { throw problem("the document ends inside a string") }
    return text
  }

  private mutating func escaped() throws(JSONProblem) -> Unicode.Scalar {
    guard let byte = peek else { throw problem("the document ends inside a string") }
    offset += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try unicodeEscape()
    default: throw problem("an unknown escape stands in a string")
    }
  }

  private mutating func unicodeEscape() throws(JSONProblem) -> Unicode.Scalar {
    let first = try codeUnit()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard UTF16.isLeadSurrogate(UInt16(first)), bytes[offset...].starts(with: [0x5C, 0x75]) else {
      throw problem("half of a surrogate pair stands in a string")
    }
    offset += 2
    let second = try codeUnit()
    guard UTF16.isTrailSurrogate(UInt16(second)),
      let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    else { throw problem("half of a surrogate pair stands in a string") }
    return scalar
  }

  private mutating func codeUnit() throws(JSONProblem) -> UInt32 {
    let digits = bytes[offset...].prefix(4)
    // `UInt32(_:radix:)` alone would take a sign.
    guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw problem("four hexadecimal digits were expected") }
    offset += 4
    return value
  }
}
