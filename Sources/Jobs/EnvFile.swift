/// A file of `NAME=VALUE` lines, as `--env-file` takes it.
///
/// The rules that all readers of such files share, and no more: blank lines and lines that begin with `#`; `export ` before a
/// name; `'…'` as it stands; `"…"` with `\n \r \t \" \\ \$`; both may go over several lines; else the rest of the line without
/// the space around it and without ` # …`. A name alone takes the value from the local environment. `${…}` is what they
/// differ in, so it is refused outside of single quotes.
package struct EnvFile {
  package static func parse(bytes: [UInt8], file: String) -> Result<[SpecLayers.Variable], SpecProblems> {
    guard bytes.count <= JSONNode.largest else {
      return .failure(SpecProblems(JSONNode.tooLarge(bytes.count, file: file).problems))
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      return .failure(SpecProblems(JSONNode.notUTF8(bytes, file: file).problems))
    }
    var parser = EnvFile(text, file: file)
    return parser.document()
  }

  private let scalars: [Unicode.Scalar]
  private let file: String
  private var index = 0
  private var line = 1
  private var column = 1
  private var variables: [SpecLayers.Variable] = []
  private var problems: [SpecProblem] = []

  private init(_ text: String, file: String) {
    let all = Array(text.unicodeScalars)
    scalars = all.first == "\u{FEFF}" ? Array(all.dropFirst()) : all
    self.file = file
  }

  private mutating func document() -> Result<[SpecLayers.Variable], SpecProblems> {
    while peek != nil { entry() }
    return problems.isEmpty ? .success(variables) : .failure(SpecProblems(problems))
  }

  /// One line, or more when a quoted value goes over several.
  private mutating func entry() {
    skipBlanks()
    guard let first = peek, first != "#", !isLineEnd(first) else { return skipLine() }
    var start = place
    var name = word()
    if name == "export", peek == " " || peek == "\t" {
      skipBlanks()
      start = place
      name = word()
    }
    guard isVariableName(name) else {
      report(at: start, "env", "\(quoted(name)) cannot be a variable's name; expected NAME=VALUE, or a comment with #")
      return skipLine()
    }
    value(of: name, at: start)
  }

  private mutating func value(of name: String, at start: Place) {
    skipBlanks()
    guard let next = peek, !isLineEnd(next), next != "#" else {
      variables.append(SpecLayers.Variable(name: name, value: nil, place: start, valuePlace: start))
      return skipLine()
    }
    guard next == "=" else {
      report(at: place, name, "\(quoted(String(next))) after the name; expected =")
      return skipLine()
    }
    advance()
    skipBlanks()
    let valuePlace = place
    guard let value = written(name) else { return skipLine() }
    variables.append(SpecLayers.Variable(name: name, value: value, place: start, valuePlace: valuePlace))
  }

  /// The value, with the cursor behind its line; nil, and reported, when it cannot be read.
  private mutating func written(_ name: String) -> String? {
    switch peek {
    case "'": return closed(enclosed(name, by: "'"), name)
    case "\"": return closed(enclosed(name, by: "\""), name)
    default: return bare(name)
    }
  }

  private mutating func bare(_ name: String) -> String? {
    var text = String.UnicodeScalarView()
    while let next = peek, !isLineEnd(next) {
      if next == "#", text.isEmpty || text.last == " " || text.last == "\t" { break }
      if next == "$", peek(at: 1) == "{" { return refuseExpansion(name) }
      text.append(next)
      advance()
    }
    skipLine()
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return String(text)
  }

  private mutating func enclosed(_ name: String, by quote: Unicode.Scalar) -> String? {
    let start = place
    advance()
    var text = String.UnicodeScalarView()
    while let next = peek {
      if next == quote {
        advance()
        return String(text)
      }
      if quote == "\"", next == "$", peek(at: 1) == "{" { return refuseExpansion(name) }
      if quote == "\"", next == "\\", let second = peek(at: 1) {
        advance()
        if let meant = Self.escapes[second] { text.append(meant) } else { text.append(contentsOf: [next, second]) }
      } else if next != "\r" || peek(at: 1) != "\n" {
        text.append(next)
      }
      advance()
    }
    report(at: start, name, "a value that is never closed; expected a closing \(quote)")
    return nil
  }

  private static let escapes: [Unicode.Scalar: Unicode.Scalar] = [
    "n": "\n", "r": "\r", "t": "\t", "\"": "\"", "\\": "\\", "$": "$",
  ]

  /// Behind the closing quote only a comment may follow.
  private mutating func closed(_ text: String?, _ name: String) -> String? {
    guard let text else { return nil }
    skipBlanks()
    if let next = peek, !isLineEnd(next), next != "#" {
      report(at: place, name, "\(quoted(String(next))) after the closing quote; expected the end of the line")
      return nil
    }
    skipLine()
    return text
  }

  private mutating func refuseExpansion(_ name: String) -> String? {
    report(
      at: place, name, "${…} is not replaced by a value here; expected the value itself, or single quotes around it")
    return nil
  }

  /// Up to a blank, `=`, `#` or the end of the line.
  private mutating func word() -> String {
    var text = String.UnicodeScalarView()
    while let next = peek, !isLineEnd(next), ![" ", "\t", "=", "#"].contains(next) {
      text.append(next)
      advance()
    }
    return String(text)
  }

  // MARK: The cursor

  private var peek: Unicode.Scalar? { peek(at: 0) }

  private func peek(at distance: Int) -> Unicode.Scalar? {
    index + distance < scalars.count ? scalars[index + distance] : nil
  }

  private var place: Place { Place(file: file, line: line, column: column) }

  private func isLineEnd(_ scalar: Unicode.Scalar) -> Bool { scalar == "\n" || scalar == "\r" }

  private mutating func advance() {
    guard let scalar = peek else { return }
    index += 1
    let breaksLine = scalar == "\n" || (scalar == "\r" && peek != "\n")
    (line, column) = breaksLine ? (line + 1, 1) : (line, column + 1)
  }

  private mutating func skipBlanks() {
    while peek == " " || peek == "\t" { advance() }
  }

  private mutating func skipLine() {
    while let next = peek, !isLineEnd(next) { advance() }
    if peek == "\r", peek(at: 1) == "\n" { advance() }
    advance()
  }

  private mutating func report(at place: Place, _ path: String, _ message: String) {
    problems.append(SpecProblem(at: place, path: clipped(path), message: message))
  }
}
