import Yams

/// The text of a YAML document as libyaml gets to see it: without byte order mark, and without stars.
struct YAMLSource {
  /// What stands for a star. It is not in the document.
  let star: Unicode.Scalar
  private let text: String
  /// Not in the document either: names that were given twice are written with these.
  private let spare: ClosedRange<UInt32>

  /// A place as libyaml counts: lines and columns from 1, columns in Unicode scalars.
  struct Spot: Equatable {
    var line = 1
    var column = 1

    init(_ mark: Mark? = nil) {
      line = mark?.line ?? 1
      column = mark?.column ?? 1
    }
  }

  struct Failure: Error {
    var spot: Spot
    /// What was wrong; what was expected.
    var sentence: String
  }

  /// A document as libyaml sees it.
  struct Composed {
    /// Holds the names of the anchors, which nodes only refer to.
    var parser: Yams.Parser?
    var root: Yams.Node?
    var repeated: [Repeated] = []
  }

  /// A name that is given twice in one mapping.
  struct Repeated {
    var key: String
    var first: Spot
    var second: Spot
  }

  /// More names than this are not looked for; each costs another reading.
  private static let mostRepeated = 16
  private static let mostReadings = 64
  /// And not more bytes than these in all, so that a large file is answered as soon as a small one.
  private static let mostBytesReadAgain = 1 << 19

  init(_ text: String) {
    var scalars = Array(text.unicodeScalars)
    if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
    // A plane for private use, of which no document fills more than a part.
    let used = Set(scalars.lazy.map(\.value).filter { $0 >= 0xF0000 })
    let free = (UInt32(0xF0000)...0xFFFFD).lazy.filter { first in
      (first...first + UInt32(Self.mostRepeated)).allSatisfy { !used.contains($0) }
    }
    let first = free.first ?? 0xF0000
    star = Unicode.Scalar(first) ?? "*"
    spare = first + 1...first + UInt32(Self.mostRepeated)
    var disguised = String.UnicodeScalarView()
    for scalar in scalars { disguised.append(scalar == "*" ? star : scalar) }
    self.text = String(disguised)
  }

  /// `text` as it was written.
  func restored(_ text: String) -> String {
    guard text.unicodeScalars.contains(star) else { return text }
    var restored = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { restored.append(scalar == star ? "*" : scalar) }
    return String(restored)
  }

  /// The first character that YAML 1.2 §5.1 has no place for.
  var firstControlCharacter: (Spot, Unicode.Scalar)? {
    let scalars = Array(text.unicodeScalars)
    return scalars.firstIndex(where: Self.isForbidden).map { (Self.spots(in: scalars)[$0], scalars[$0]) }
  }

  private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\t", "\n", "\r", "\u{85}": false
    case "\u{FFFE}", "\u{FFFF}": true
    default: isControl(scalar)
    }
  }

  /// Where each of `scalars` stands. libyaml breaks lines as YAML 1.1 did, at NEL and the separators of Unicode too.
  private static func spots(in scalars: [Unicode.Scalar]) -> [Spot] {
    var spots: [Spot] = []
    spots.reserveCapacity(scalars.count)
    var spot = Spot()
    for (index, scalar) in scalars.enumerated() {
      spots.append(spot)
      switch scalar {
      case "\n", "\u{85}", "\u{2028}", "\u{2029}": (spot.line, spot.column) = (spot.line + 1, 1)
      case "\r" where index + 1 == scalars.count || scalars[index + 1] != "\n":
        (spot.line, spot.column) = (spot.line + 1, 1)
      default: spot.column += 1
      }
    }
    return spots
  }

  // MARK: Composing

  /// Reads the document. Names that are given twice are found and replaced, so that all else can be read beside them.
  func compose() -> Result<Composed, Failure> {
    var repeated: [Repeated] = []
    var text = text
    var readings = 0
    while true {
      switch Self.read(text) {
      case .success(var composed):
        composed.repeated = repeated
        return .success(composed)
      case .failure(.other(let failure)):
        return .failure(failure)
      case .failure(.repeated(let key, let first)):
        guard let second = second(of: key, after: first, in: text, number: repeated.count, &readings) else {
          let sentence = "the name \(quoted(restored(key))) is given twice; expected each name once"
          return .failure(Failure(spot: first, sentence: sentence))
        }
        repeated.append(Repeated(key: restored(key), first: first, second: second.spot))
        text = second.without
      }
    }
  }

  private enum Unreadable: Error {
    case repeated(key: String, first: Spot)
    case other(Failure)
  }

  private static func read(_ text: String) -> Result<Composed, Unreadable> {
    do {
      // The encoding is named because Yams would look for it in the environment.
      let parser = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8)
      return .success(Composed(parser: parser, root: try parser.singleRoot()))
    } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
      return .failure(.repeated(key: keys.first ?? "", first: Spot(context.mark)))
    } catch {
      return .failure(.other(failure(error, in: text)))
    }
  }

  /// Where the second one of a name is, found by trying: without it the document no longer has that name twice.
  private func second(
    of key: String, after first: Spot, in text: String, number: Int, _ readings: inout Int
  ) -> (spot: Spot, without: String)? {
    guard number < Self.mostRepeated, let stand = Unicode.Scalar(spare.lowerBound + UInt32(number)) else { return nil }
    let scalars = Array(text.unicodeScalars)
    for (spot, range) in Self.occurrences(of: key, after: first, in: scalars) {
      readings += 1
      guard readings <= Self.mostReadings, readings * scalars.count <= Self.mostBytesReadAgain else { return nil }
      var view = String.UnicodeScalarView(scalars[..<range.lowerBound])
      view.append(contentsOf: repeatElement(stand, count: range.count))
      view.append(contentsOf: scalars[range.upperBound...])
      let without = String(view)
      switch Self.read(without) {
      case .failure(.repeated(let other, let again)) where other == key && again == first: continue
      case .failure(.other): continue
      case .failure(.repeated), .success: return (spot, without)
      }
    }
    return nil
  }

  /// Where else a name stands after `first`, plain or in quotes.
  private static func occurrences(
    of key: String, after first: Spot, in scalars: [Unicode.Scalar]
  ) -> [(Spot, Range<Int>)] {
    let spots = spots(in: scalars)
    guard let start = spots.firstIndex(of: first), !key.isEmpty else { return [] }
    let words = [key, "\"\(key)\"", "'\(key)'"].map { Array($0.unicodeScalars) }
    return scalars.indices.dropFirst(start + 1).compactMap { index in
      guard isNameStart(index, scalars) else { return nil }
      let word = words.first { $0.first == scalars[index] && scalars[index...].starts(with: $0) }
      return word.map { (spots[index], index..<index + $0.count) }
    }
  }

  private static func isNameStart(_ index: Int, _ scalars: [Unicode.Scalar]) -> Bool {
    index == 0 || [" ", "\n", "\r", "\t", "{", "[", ",", "-", "?"].contains(scalars[index - 1])
  }

  // MARK: Sentences

  private static func failure(_ error: any Error, in text: String) -> Failure {
    switch error as? YamlError {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      return failure(problem, context, Spot(mark), in: text)
    case .reader(let problem, _, _, _):
      return Failure(spot: Spot(), sentence: "\(problem); expected YAML")
    case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded, .duplicatedKeysInMapping, nil:
      return Failure(spot: Spot(), sentence: "cannot be read as YAML; expected an object")
    }
  }

  private static func failure(
    _ problem: String, _ context: YamlError.Context?, _ spot: Spot, in text: String
  ) -> Failure {
    let scalars = Array(text.unicodeScalars)
    let culprit = spots(in: scalars).firstIndex(of: spot).map { scalars[$0] }
    if problem.contains("another document") {
      return Failure(spot: spot, sentence: "a second document; expected one job in a file")
    }
    if problem.contains("tab") || culprit == "\t" {
      return Failure(spot: spot, sentence: "a tab where the indentation is; expected spaces")
    }
    if problem == "found unexpected end of stream" {
      let sentence = "a string that is never closed; expected a closing quote"
      return Failure(spot: context.map { Spot($0.mark) } ?? spot, sentence: sentence)
    }
    if problem == "found character that cannot start any token", let culprit {
      let shown = quoted(String(culprit))
      return Failure(spot: spot, sentence: "\(shown) where a value begins; expected text that begins with it in quotes")
    }
    let start = context.map { " (in what begins on line \($0.mark.line))" } ?? ""
    return Failure(spot: spot, sentence: (words[problem] ?? "\(problem); expected YAML") + start)
  }

  /// libyaml's words for what people get wrong, in ours.
  private static let words = [
    "could not find expected ':'": "a line without a colon; expected name: value",
    "mapping values are not allowed in this context":
      "a second colon, or a line that is indented wrongly; expected name: value, with text that holds a colon in quotes",
    "block sequence entries are not allowed in this context":
      "a dash where no list can begin; expected the list on lines of its own",
    "did not find expected key":
      "a line that belongs to nothing around it; expected name: value, indented as its neighbours",
    "did not find expected '-' indicator":
      "a line that belongs to nothing around it; expected a dash, indented as its neighbours",
    "did not find expected ',' or ']'": "a list that goes on without a comma; expected , or ]",
    "did not find expected ',' or '}'": "an object that goes on without a comma; expected , or }",
    "did not find expected node content": "nothing where a value should be; expected a value",
    "did not find expected <document start>": "text after the end of the document; expected one object",
    "found unknown escape character": "an escape that YAML does not have; expected \\\\ for a backslash",
    "found undefined tag handle": "a tag; expected none",
    "Maximum nesting level reached, set with yaml_set_max_nest_level())":
      "is nested more than \(JSONNode.deepest) deep; expected fewer levels",
  ]

  /// What YAML 1.2's core schema takes for a number and JSON does not: `007`, `+1`, `.5`, `1.`, `0x1F`, `0o17`, `.inf`, `.nan`.
  static func isDoubtfulNumber(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    if [".nan", ".NaN", ".NAN"].contains(text) { return true }
    if text.hasPrefix("0x") { return bytes.count > 2 && bytes.dropFirst(2).allSatisfy(isHexDigit) }
    if text.hasPrefix("0o") { return bytes.count > 2 && bytes.dropFirst(2).allSatisfy(isDigit) }
    let isSigned = text.hasPrefix("-") || text.hasPrefix("+")
    let number = isSigned ? String(text.dropFirst()) : text
    if [".inf", ".Inf", ".INF"].contains(number) { return true }
    return isDecimal(number)
  }

  /// `[0-9]*[.]?[0-9]*` with a digit in it, and perhaps an exponent.
  private static func isDecimal(_ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    var digits = whole.count
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix(while: isDigit)
      digits += fraction.count
      rest = rest.dropFirst(1 + fraction.count)
    }
    guard digits > 0 else { return false }
    guard rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") else { return rest.isEmpty }
    rest = rest.dropFirst()
    if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
    return !rest.isEmpty && rest.allSatisfy(isDigit)
  }

  private static func isHexDigit(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
  }
}
