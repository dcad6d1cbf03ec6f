/// A string literal of a Swift source, and where it stands.
struct SwiftLiteral {
  var file: String
  var line: Int
  /// What it says, with `…` for each interpolation.
  var text: String
  /// What is open around it, the outermost first.
  var around: [Scope]

  /// An open bracket.
  struct Scope {
    var bracket: Character
    /// Before `(` the name that is called; before `{` all that was written since the last statement.
    var head: String
    /// The argument's label, of the argument that is being written.
    var label: String?
  }
}

/// As much of Swift's grammar as it takes to find string literals: comments, brackets and interpolations.
struct SwiftReader {
  private(set) var literals: [SwiftLiteral] = []
  /// Every `{`, with what stands before it and what is in it.
  private(set) var blocks: [Block] = []

  struct Block {
    var file: String
    var head: String
    var body: String
    var around: [SwiftLiteral.Scope]
  }

  private let file: String
  private let text: [Character]
  private var at = 0
  private var line = 1
  private var open: [SwiftLiteral.Scope] = []
  private var bodies: [Int] = []
  private var statement = ""
  private var word = ""
  /// Whether a `+` joins what comes to the literal before it.
  private var continues = false

  init(_ source: String, file: String) {
    (text, self.file) = (Array(source), file)
    while at < text.count { step() }
  }

  private func starts(_ prefix: String) -> Bool { text[at...].starts(with: prefix) }

  private mutating func skip(_ count: Int = 1) {
    for _ in 0..<count where at < text.count {
      if text[at] == "\n" { line += 1 }
      at += 1
    }
  }

  private mutating func step() {
    if starts("//") { return skipComment() }
    if starts("\"") || starts("#\"") || starts("##\"") || starts("####\"") { return readLiteral() }
    let character = text[at]
    if character.isLetter || character.isNumber || character == "_" { return readWord() }
    defer { skip() }
    if character.isWhitespace {
      // A list of conditions or of cases goes over several lines; a statement that begins a line begins anew.
      return statement.append(" ")
    }
    if character != "+" { continues = false }
    switch character {
    case "(", "[", "{": push(character)
    case ")", "]", "}": pop(character)
    case ",": label(nil)
    case ":" where open.last?.bracket == "(": label(word)
    case ";": statement = ""
    case "+": continues = true
    default: break
    }
    if !"{};".contains(character) { statement.append(character) }
    word = ""
  }

  private mutating func skipComment() {
    while at < text.count, text[at] != "\n" { skip() }
  }

  private mutating func readWord() {
    let start = at
    while at < text.count, text[at].isLetter || text[at].isNumber || text[at] == "_" { skip() }
    word = String(text[start..<at])
    if Self.beginsStatement.contains(word), open.last.map({ $0.bracket == "{" }) ?? true, !statement.hasSuffix(".") {
      statement = ""
    }
    statement += word
    continues = false
  }

  private static let beginsStatement: Set = [
    "func", "var", "let", "struct", "enum", "class", "extension", "protocol", "actor", "init", "case", "if", "guard",
    "switch", "for", "return", "throw", "while", "do",
  ]

  private mutating func label(_ name: String?) {
    guard !open.isEmpty else { return }
    open[open.count - 1].label = name
  }

  private mutating func push(_ bracket: Character) {
    let isCall = bracket == "(" && at > 0 && !text[at - 1].isWhitespace
    open.append(.init(bracket: bracket, head: bracket == "{" ? statement : isCall ? word : "", label: nil))
    bodies.append(at + 1)
    if bracket == "{" { statement = "" }
  }

  private mutating func pop(_ bracket: Character) {
    guard let start = bodies.popLast() else { return }
    let closed = open.removeLast()
    guard bracket == "}" else { return }
    blocks.append(Block(file: file, head: closed.head, body: String(text[start..<at]), around: open))
    statement = ""
  }

  // MARK: Literals

  private mutating func readLiteral() {
    let begun = line
    var pounds = 0
    while text[at] == "#" { (pounds, at) = (pounds + 1, at + 1) }
    let isLong = starts("\"\"\"")
    let end = (isLong ? "\"\"\"" : "\"") + String(repeating: "#", count: pounds)
    skip(isLong ? 3 : 1)
    let said = content(until: end, escape: "\\" + String(repeating: "#", count: pounds))
    keep(isLong ? Self.unindented(said) : said, begun)
    word = ""
  }

  private mutating func content(until end: String, escape: String) -> String {
    var said = ""
    while at < text.count, !starts(end) {
      guard starts(escape) else {
        said.append(text[at])
        skip()
        continue
      }
      skip(escape.count)
      said += escaped()
    }
    skip(end.count)
    return said
  }

  private mutating func escaped() -> String {
    defer { skip() }
    switch text[at] {
    case "(":
      skipInterpolation()
      return "…"
    case "n": return "\n"
    case "r", "0": return ""
    case "t": return "\t"
    case "u":
      while text[at] != "}" { skip() }
      return "…"
    default: return String(text[at])
    }
  }

  /// Leaves `at` on the closing bracket. What literals are in there is a part of this one.
  private mutating func skipInterpolation() {
    var inner = self
    inner.open = [.init(bracket: "(", head: "", label: nil)]
    inner.bodies = [0]
    inner.skip()
    while inner.text[inner.at] != ")" || inner.open.count > 1 { inner.step() }
    (at, line) = (inner.at, inner.line)
  }

  private mutating func keep(_ said: String, _ begun: Int) {
    defer { continues = false }
    if continues, let last = literals.indices.last, literals[last].around.count == open.count {
      return literals[last].text += said
    }
    literals.append(SwiftLiteral(file: file, line: begun, text: said, around: open))
  }

  private static func unindented(_ said: String) -> String {
    said.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: " ")
  }
}
