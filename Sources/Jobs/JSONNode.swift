/// A JSON parser (RFC 8259) that knows where everything stands and keeps numbers as they were written.
///
/// What can be stepped over (a comment, a trailing comma, a key given twice) is reported and parsing goes on, so that one
/// look at the answer repairs the whole file. A broken structure ends it.
package struct JSONNode {
  /// Nesting beyond this is an error; it also bounds this parser's recursion.
  package static let deepest = 64
  /// Bytes of the largest document, 1 MiB.
  package static let largest = 1 << 20

  package static func parse(_ text: String, file: String) -> SpecNode.Parsed {
    guard text.utf8.count <= largest else { return tooLarge(text.utf8.count, file: file) }
    var parser = JSONNode(text, file: file)
    return parser.document()
  }

  /// Parses bytes as they come from a file; a byte that is not UTF-8 is a problem with a place.
  package static func parse(bytes: [UInt8], file: String) -> SpecNode.Parsed {
    guard bytes.count <= largest else { return tooLarge(bytes.count, file: file) }
    if let text = String(validating: bytes, as: UTF8.self) { return parse(text, file: file) }
    return notUTF8(bytes, file: file)
  }

  private struct Broken: Error {}

  private let scalars: [Unicode.Scalar]
  private let file: String
  private var index = 0
  private var line = 1
  private var column = 1
  private var path: [String] = []
  private var problems: [SpecProblem] = []

  private init(_ text: String, file: String) {
    scalars = Array(text.unicodeScalars)
    self.file = file
  }

  private mutating func document() -> SpecNode.Parsed {
    do throws(Broken) {
      try skipByteOrderMark()
      skipSpace()
      let node = try value(depth: 1)
      skipSpace()
      if let next = peek {
        throw broken("\(shown(next)) after the end of the document; expected nothing more")
      }
      return SpecNode.Parsed(node: node, problems: problems)
    } catch {
      return SpecNode.Parsed(node: nil, problems: problems)
    }
  }

  // MARK: Values

  private mutating func value(depth: Int) throws(Broken) -> SpecNode {
    guard depth <= Self.deepest else {
      throw broken("is nested more than \(Self.deepest) deep; expected fewer levels")
    }
    let start = place
    guard let first = peek else { throw broken("the document ends here; expected a value") }
    switch first {
    case "{": return SpecNode(.object(try members(depth: depth)), at: start)
    case "[": return SpecNode(.list(try elements(depth: depth)), at: start)
    case "\"": return SpecNode(.string(try string()), at: start)
    case "-", "0"..."9": return SpecNode(.number(try number()), at: start)
    case "'": throw broken("a string in single quotes; expected double quotes")
    default: return SpecNode(try word(), at: start)
    }
  }

  private mutating func members(depth: Int) throws(Broken) -> [SpecNode.Member] {
    advance()
    var members: [SpecNode.Member] = []
    var seen: [String: Place] = [:]
    skipSpace()
    while peek != "}" {
      let keyPlace = place
      guard peek == "\"" else {
        throw broken("\(shownNext) where a field's name should be; expected a name in double quotes")
      }
      let key = try string()
      path.append(key)
      let first = seen[key]
      if let first {
        report(at: keyPlace, "is given twice, first on line \(first.line); expected each name once")
      }
      skipSpace()
      guard peek == ":" else { throw broken("\(shownNext) after the name \(quoted(key)); expected a colon") }
      advance()
      skipSpace()
      let node = try value(depth: depth + 1)
      path.removeLast()
      if first == nil {
        seen[key] = keyPlace
        members.append(SpecNode.Member(key: key, keyPlace: keyPlace, node: node))
      }
      try separator(closing: "}")
    }
    advance()
    return members
  }

  private mutating func elements(depth: Int) throws(Broken) -> [SpecNode] {
    advance()
    var elements: [SpecNode] = []
    skipSpace()
    while peek != "]" {
      path.append("[\(elements.count)]")
      elements.append(try value(depth: depth + 1))
      path.removeLast()
      try separator(closing: "]")
    }
    advance()
    return elements
  }

  /// Steps over the comma between two values and leaves `closing` unread.
  private mutating func separator(closing: Unicode.Scalar) throws(Broken) {
    skipSpace()
    if peek == closing { return }
    guard peek == "," else { throw broken("\(shownNext) after a value; expected a comma or \(closing)") }
    let comma = place
    advance()
    skipSpace()
    if peek == closing { report(at: comma, "a comma before \(closing); expected no comma after the last value") }
  }

  private mutating func word() throws(Broken) -> SpecNode.Value {
    let start = place
    var word = ""
    while let next = peek, next.properties.isAlphabetic || ("0"..."9").contains(next) || next == "_" {
      word.unicodeScalars.append(next)
      advance()
    }
    switch word {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "null": return .null
    case "":
      throw broken(
        "\(shownNext) where a value should be; expected an object, a list, a string, a number, true, false or null")
    default:
      throw broken(at: start, "the bare word \(quoted(word)); expected a string in double quotes, true, false or null")
    }
  }

  /// The literal, checked against RFC 8259 §6.
  private mutating func number() throws(Broken) -> String {
    let start = place
    var literal = ""
    while let next = peek, isNumberScalar(next) {
      literal.unicodeScalars.append(next)
      advance()
    }
    guard NumberLiteral(literal) != nil else {
      throw broken(at: start, "\(quoted(literal)) is not a JSON number; expected one such as 8, -1 or 0.5")
    }
    return literal
  }

  private func isNumberScalar(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "0"..."9", "-", "+", ".", "e", "E": true
    default: false
    }
  }

  // MARK: Strings

  private mutating func string() throws(Broken) -> String {
    let start = place
    advance()
    var text = String.UnicodeScalarView()
    while let next = peek {
      switch next {
      case "\"":
        advance()
        return String(text)
      case "\\": text.append(try escape())
      case "\n", "\r":
        throw broken(
          at: start, "a string that is not closed on its line; expected a closing quote, and \\n for a line break")
      default:
        if next.value < 0x20 {
          report(at: place, "a control character in a string; expected it as \(unicodeEscape(next))")
        }
        text.append(next)
        advance()
      }
    }
    throw broken(at: start, "a string that is never closed; expected a closing quote")
  }

  private mutating func escape() throws(Broken) -> Unicode.Scalar {
    let start = place
    advance()
    guard let letter = peek else { throw broken("the document ends in a string; expected a closing quote") }
    if letter == "u" { return try unicodeScalar(from: start) }
    guard let meant = Self.escapes[letter] else {
      report(at: start, "\(quoted("\\" + String(letter))) is not an escape of JSON; expected \\\\ for a backslash")
      return "\u{FFFD}"
    }
    advance()
    return meant
  }

  private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
    "\"": "\"", "\\": "\\", "/": "/", "b": "\u{8}", "f": "\u{C}", "n": "\n", "r": "\r", "t": "\t",
  ]

  /// `\uXXXX`, two of them for a scalar beyond the basic plane (RFC 8259 §7). The cursor is on the `u`.
  private mutating func unicodeScalar(from start: Place) throws(Broken) -> Unicode.Scalar {
    let unit = try codeUnit(from: start)
    if let scalar = Unicode.Scalar(unit) { return scalar }
    guard unit < 0xDC00, peek == "\\", peek(at: 1) == "u" else { return loneSurrogate(at: start) }
    let second = place
    advance()
    let low = try codeUnit(from: second)
    guard (0xDC00...0xDFFF).contains(low) else { return loneSurrogate(at: start) }
    let value = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
    return Unicode.Scalar(value) ?? loneSurrogate(at: start)
  }

  private mutating func codeUnit(from start: Place) throws(Broken) -> UInt32 {
    advance()
    var unit: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = peek, digit.isASCII, let worth = Character(digit).hexDigitValue else {
        throw broken(at: start, "an incomplete \\u escape; expected four hexadecimal digits")
      }
      unit = unit * 16 + UInt32(worth)
      advance()
    }
    return unit
  }

  private mutating func loneSurrogate(at start: Place) -> Unicode.Scalar {
    report(at: start, "half of a surrogate pair; expected both halves, or the character itself")
    return "\u{FFFD}"
  }

  private func unicodeEscape(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16)
    return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
  }

  // MARK: Space

  private mutating func skipByteOrderMark() throws(Broken) {
    guard peek == "\u{FEFF}" else { return }
    report(at: place, "a byte order mark; expected plain UTF-8 (save the file without BOM)")
    index += 1
  }

  /// Steps over white space, and over comments with a report.
  private mutating func skipSpace() {
    while let next = peek {
      switch next {
      case " ", "\t", "\n", "\r": advance()
      case "#": skipComment(until: isLineEnd)
      case "/" where peek(at: 1) == "/": skipComment(until: isLineEnd)
      case "/" where peek(at: 1) == "*": skipBlockComment()
      default: return
      }
    }
  }

  private mutating func skipComment(until isEnd: (Unicode.Scalar) -> Bool) {
    report(at: place, "a comment; expected none, JSON has no comments")
    while let next = peek, !isEnd(next) { advance() }
  }

  private mutating func skipBlockComment() {
    report(at: place, "a comment; expected none, JSON has no comments")
    advance()
    advance()
    while peek != nil, !(peek == "*" && peek(at: 1) == "/") { advance() }
    advance()
    advance()
  }

  private let isLineEnd: (Unicode.Scalar) -> Bool = { $0 == "\n" || $0 == "\r" }

  // MARK: The cursor

  private var peek: Unicode.Scalar? { peek(at: 0) }

  private func peek(at distance: Int) -> Unicode.Scalar? {
    index + distance < scalars.count ? scalars[index + distance] : nil
  }

  private var place: Place { Place(file: file, line: line, column: column) }

  private mutating func advance() {
    guard let scalar = peek else { return }
    index += 1
    // CR LF is one line break, and so is a CR alone.
    let breaksLine = scalar == "\n" || (scalar == "\r" && peek != "\n")
    (line, column) = breaksLine ? (line + 1, 1) : (line, column + 1)
  }

  // MARK: Problems

  private var shownNext: String { peek.map(shown) ?? "the document ends here" }

  private func shown(_ scalar: Unicode.Scalar) -> String { quoted(String(scalar)) }

  private var fieldPath: String { path.reduce(SpecPath()) { $0.appending($1) }.description }

  private mutating func report(at place: Place, _ message: String) {
    problems.append(SpecProblem(at: place, path: fieldPath, message: message))
  }

  private mutating func broken(at place: Place? = nil, _ message: String) -> Broken {
    report(at: place ?? self.place, message)
    return Broken()
  }

  static func tooLarge(_ bytes: Int, file: String) -> SpecNode.Parsed {
    let message = "has \(bytes) bytes; expected at most \(largest) (1 MiB)"
    return SpecNode.Parsed(
      node: nil, problems: [SpecProblem(file: file, line: 1, column: 1, path: "spec", message: message)])
  }

  static func notUTF8(_ bytes: [UInt8], file: String) -> SpecNode.Parsed {
    let readable = String(decoding: bytes, as: UTF8.self)
    var cursor = JSONNode(String(readable.unicodeScalars.prefix { $0 != "\u{FFFD}" }), file: file)
    while cursor.peek != nil { cursor.advance() }
    cursor.report(at: cursor.place, "a byte that is not UTF-8 (or U+FFFD before it); expected UTF-8 text")
    return SpecNode.Parsed(node: nil, problems: cursor.problems)
  }
}

/// A field's path as a person writes it: `files[1].source`.
package struct SpecPath: Sendable, Equatable, CustomStringConvertible {
  private var text = ""

  package init(_ text: String = "") { self.text = text }

  /// `step` is a field's name, or `[n]`.
  package func appending(_ step: String) -> SpecPath {
    let name = clipped(step)
    return SpecPath(text.isEmpty || step.hasPrefix("[") ? text + name : text + "." + name)
  }

  package func appending(_ index: Int) -> SpecPath { appending("[\(index)]") }

  package var description: String { text.isEmpty ? "spec" : text }
}
