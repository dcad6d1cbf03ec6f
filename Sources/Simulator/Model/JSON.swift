/// A JSON value as text says it: members keep their order and numbers their digits (RFC 8259).
///
/// The simulator does not share coding types with the client it tests: a wrong client must not agree with itself.
package indirect enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The literal's own text, so that money never passes through a Double.
  case number(String)
  case string(String)
  case array([JSON])
  case object([Member])

  /// One name and value of an object.
  package struct Member: Sendable, Equatable {
    /// The name.
    package var key: String
    /// What it holds.
    package var value: JSON
  }

  /// The value of a member of an object; nil when this is no object or has no such member. The last of several wins.
  package subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.key == key }?.value
  }

  /// The text of a string, else nil.
  package var text: String? {
    guard case .string(let text) = self else { return nil }
    return text
  }

  /// The elements of an array, else nil.
  package var elements: [JSON]? {
    guard case .array(let elements) = self else { return nil }
    return elements
  }

  /// The digits of a number, else nil.
  package var digits: String? {
    guard case .number(let digits) = self else { return nil }
    return digits
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  /// A string.
  package init(stringLiteral text: String) { self = .string(text) }
  /// A truth value.
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  /// A whole number.
  package init(integerLiteral number: Int) { self = .number(String(number)) }
  /// An array.
  package init(arrayLiteral elements: JSON...) { self = .array(elements) }
  /// An object whose members stand in the order written.
  package init(dictionaryLiteral members: (String, JSON)...) {
    self = .object(members.map { Member(key: $0.0, value: $0.1) })
  }
  /// `null`.
  package init(nilLiteral: ()) { self = .null }

  static func number(_ value: some FixedWidthInteger) -> JSON { .number(String(value)) }
}

// MARK: - Writing

extension JSON {
  /// The value as JSON text on one line.
  package var encoded: String {
    var out = ""
    write(into: &out)
    return out
  }

  private func write(into out: inout String) {
    switch self {
    case .null: out += "null"
    case .bool(let value): out += value ? "true" : "false"
    case .number(let digits): out += digits
    case .string(let text): JSON.write(text, into: &out)
    case .array(let elements): JSON.write(elements, "[", "]", into: &out) { $0.write(into: &$1) }
    case .object(let members): JSON.write(members, "{", "}", into: &out) { $0.write(into: &$1) }
    }
  }

  private static func write<Element>(
    _ elements: [Element], _ open: String, _ close: String, into out: inout String,
    each: (Element, inout String) -> Void
  ) {
    out += open
    for (index, element) in elements.enumerated() {
      if index > 0 { out += "," }
      each(element, &out)
    }
    out += close
  }

  fileprivate static func write(_ text: String, into out: inout String) {
    out += "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case "\u{0}"..."\u{1F}": out += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: out.unicodeScalars.append(scalar)  // every other character stands for itself
      }
    }
    out += "\""
  }
}

extension JSON.Member {
  fileprivate func write(into out: inout String) {
    JSON.write(key, into: &out)
    out += ":" + value.encoded
  }
}

// MARK: - Reading

extension JSON {
  /// Why a text is not JSON.
  package struct Malformed: Error, Sendable, CustomStringConvertible {
    /// Byte offset of the first thing that was wrong.
    package var offset: Int
    /// What was expected there.
    package var expected: String
    /// A sentence.
    package var description: String { "byte \(offset) of the JSON text: expected \(expected)" }
  }

  /// The value that `text` holds. Throws ``Malformed``.
  package init(parsing text: String) throws(Malformed) {
    var reader = JSONReader(bytes: Array(text.utf8))
    self = try reader.document()
  }

  /// The value that these bytes hold. Throws ``Malformed``.
  package init(parsing bytes: [UInt8]) throws(Malformed) {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Malformed(offset: 0, expected: "UTF-8")
    }
    try self.init(parsing: text)
  }
}

private struct JSONReader {
  /// Deep enough for any request of the API, shallow enough for the stack.
  static let deepest = 64

  let bytes: [UInt8]
  var at = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(JSON.Malformed) -> JSON {
    let value = try value(depth: 0)
    skipSpace()
    guard at == bytes.count else { throw wanted("the end of the text") }
    return value
  }

  private mutating func value(depth: Int) throws(JSON.Malformed) -> JSON {
    guard depth < JSONReader.deepest else { throw wanted("at most \(JSONReader.deepest) levels") }
    skipSpace()
    switch peek {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()  // whatever else begins here is a number or an error
    }
  }

  private mutating func object(depth: Int) throws(JSON.Malformed) -> JSON {
    var members: [JSON.Member] = []
    at += 1
    skipSpace()
    if take("}") { return .object([]) }
    repeat {
      skipSpace()
      guard peek == UInt8(ascii: "\"") else { throw wanted("a member's name") }
      let key = try string()
      skipSpace()
      guard take(":") else { throw wanted("`:`") }
      members.append(JSON.Member(key: key, value: try value(depth: depth + 1)))
      skipSpace()
    } while take(",")
    guard take("}") else { throw wanted("`,` or `}`") }
    return .object(members)
  }

  private mutating func array(depth: Int) throws(JSON.Malformed) -> JSON {
    var elements: [JSON] = []
    at += 1
    skipSpace()
    if take("]") { return .array([]) }
    repeat {
      elements.append(try value(depth: depth + 1))
      skipSpace()
    } while take(",")
    guard take("]") else { throw wanted("`,` or `]`") }
    return .array(elements)
  }

  private mutating func number() throws(JSON.Malformed) -> JSON {
    let start = at
    _ = take("-")
    guard takeDigits(noLeadingZero: true) else { throw wanted("a value") }
    if take("."), !takeDigits(noLeadingZero: false) { throw wanted("a digit") }
    if take("e") || take("E") {
      _ = take("+") || take("-")
      guard takeDigits(noLeadingZero: false) else { throw wanted("a digit") }
    }
    return .number(String(decoding: bytes[start..<at], as: UTF8.self))
  }

  private mutating func takeDigits(noLeadingZero: Bool) -> Bool {
    if noLeadingZero, take("0") { return true }
    let start = at
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { at += 1 }
    return at > start
  }

  private mutating func string() throws(JSON.Malformed) -> String {
    at += 1
    var out: [UInt8] = []
    while let byte = peek {
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: out, as: UTF8.self)
      case UInt8(ascii: "\\"): out += Array(try escape().utf8)
      case 0..<0x20: throw wanted("an escaped control character")
      default: out.append(byte)  // a byte of UTF-8, checked as a whole before
      }
    }
    throw wanted("the end of the string")
  }

  private mutating func escape() throws(JSON.Malformed) -> String {
    guard let byte = peek else { throw wanted("an escape") }
    at += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try unicode()
    default: throw wanted("an escape")  // RFC 8259 knows no other
    }
  }

  private mutating func unicode() throws(JSON.Malformed) -> String {
    var units = [try unit()]
    if UTF16.isLeadSurrogate(units[0]), take("\\"), take("u") { units.append(try unit()) }
    guard let text = String(validating: units, as: UTF16.self) else { throw wanted("a whole surrogate pair") }
    return text
  }

  private mutating func unit() throws(JSON.Malformed) -> UInt16 {
    let end = at + 4
    guard end <= bytes.count, let unit = UInt16(String(decoding: bytes[at..<end], as: UTF8.self), radix: 16) else {
      throw wanted("four hexadecimal digits")
    }
    at = end
    return unit
  }

  private mutating func word(_ word: String, _ value: JSON) throws(JSON.Malformed) -> JSON {
    guard bytes[at...].starts(with: word.utf8) else { throw wanted("`\(word)`") }
    at += word.utf8.count
    return value
  }

  private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { at += 1 }
  }

  private func wanted(_ expected: String) -> JSON.Malformed {
    JSON.Malformed(offset: at, expected: expected)
  }
}
