/// Reads values out of nodes and keeps every problem it meets, so that a person sees all of them at once.
///
/// A reading that fails reports once and returns nil; the caller just goes on.
struct SpecReader {
  private(set) var problems: [SpecProblem] = []

  mutating func report(_ place: Place, _ path: SpecPath, _ wrong: String, expected: String) {
    problems.append(SpecProblem(at: place, path: path.description, message: "\(wrong); expected \(expected)"))
  }

  mutating func report(_ place: Place, _ path: SpecPath, _ message: String) {
    problems.append(SpecProblem(at: place, path: path.description, message: message))
  }

  // MARK: Objects and lists

  /// The members of an object whose fields are all `known`; anything else in it is reported.
  mutating func fields(_ node: SpecNode, _ path: SpecPath, known: [String]) -> Fields {
    guard case .object(let members) = node.value else {
      report(node.place, path, "is \(node.inWords)", expected: "an object with \(SpecFields.list(known))")
      return Fields(members: [:], path: path, place: node.place)
    }
    for member in members where !known.contains(member.key) {
      let message = "unknown field; \(SpecFields.suggestion(for: member.key, among: known))"
      report(member.keyPlace, path.appending(member.key), message)
    }
    return Fields(members: members.reduce(into: [:]) { $0[$1.key] = $1.node }, path: path, place: node.place)
  }

  mutating func elements(_ node: SpecNode, _ path: SpecPath, expected: String) -> [(node: SpecNode, path: SpecPath)] {
    guard case .list(let nodes) = node.value else {
      report(node.place, path, "is \(node.inWords)", expected: expected)
      return []
    }
    return nodes.enumerated().map { ($1, path.appending($0)) }
  }

  mutating func members(_ node: SpecNode, _ path: SpecPath, expected: String) -> [SpecNode.Member] {
    guard case .object(let members) = node.value else {
      report(node.place, path, "is \(node.inWords)", expected: expected)
      return []
    }
    return members
  }

  // MARK: Single values

  /// A string that has something in it and no NUL, which neither a path nor an argument can carry.
  mutating func text(_ node: SpecNode, _ path: SpecPath, expected: String) -> String? {
    guard let text = string(node, path, expected: expected) else { return nil }
    guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
      report(node.place, path, "is empty", expected: expected)
      return nil
    }
    return text
  }

  /// A string without NUL, perhaps empty.
  mutating func string(_ node: SpecNode, _ path: SpecPath, expected: String) -> String? {
    guard let text = node.asText else {
      report(node.place, path, "is \(node.inWords)", expected: expected)
      return nil
    }
    guard !text.utf8.contains(0) else {
      report(node.place, path, "holds a NUL character", expected: "text without NUL")
      return nil
    }
    return text
  }

  mutating func integer(_ node: SpecNode, _ path: SpecPath, atLeast least: Int, atMost most: Int = .max) -> Int? {
    let expected = most == .max ? "a whole number of at least \(least)" : "a whole number from \(least) to \(most)"
    guard case .number(let literal) = node.value else {
      report(node.place, path, "is \(node.inWords)", expected: expected)
      return nil
    }
    guard let number = NumberLiteral(literal)?.integer, number >= least, number <= most else {
      report(node.place, path, "is \(clipped(literal))", expected: expected)
      return nil
    }
    return number
  }

  mutating func flag(_ node: SpecNode, _ path: SpecPath) -> Bool? {
    guard case .bool(let flag) = node.value else {
      report(node.place, path, "is \(node.inWords)", expected: "true or false")
      return nil
    }
    return flag
  }

  /// One of `Choice`'s words.
  mutating func choice<Choice: RawRepresentable & CaseIterable>(
    _ node: SpecNode, _ path: SpecPath, of type: Choice.Type
  ) -> Choice? where Choice.RawValue == String {
    let words = type.allCases.map(\.rawValue)
    let expected = "one of \(words.map { quoted($0) }.joined(separator: ", "))"
    guard case .string(let word) = node.value else {
      report(node.place, path, "is \(node.inWords)", expected: expected)
      return nil
    }
    guard let choice = Choice(rawValue: word) else {
      let hint = EditDistance.nearest(to: word, in: words).map { " (did you mean \(quoted($0))?)" } ?? ""
      report(node.place, path, "is \(quoted(word))", expected: expected + hint)
      return nil
    }
    return choice
  }

  /// An environment variable's name: `[A-Za-z_][A-Za-z0-9_]*`.
  mutating func variableName(_ name: String, _ place: Place, _ path: SpecPath) -> Bool {
    guard isVariableName(name) else {
      report(
        place, path, "\(quoted(name)) cannot be a variable's name", expected: "letters, digits and _, not a digit first"
      )
      return false
    }
    return true
  }

  mutating func add(_ more: [SpecProblem]) { problems += more }

  /// An object's known fields, each with its path.
  struct Fields {
    var members: [String: SpecNode]
    var path: SpecPath
    var place: Place

    func callAsFunction(_ name: String) -> (node: SpecNode, path: SpecPath)? {
      members[name].map { ($0, path.appending(name)) }
    }
  }
}

extension SpecNode {
  /// A string; of an option also the literal of a number or a flag, because a shell has already eaten its quotes.
  var asText: String? {
    switch value {
    case .string(let text): text
    case .number(let literal) where place.isOption: literal
    case .bool(let flag) where place.isOption: "\(flag)"
    case .null, .bool, .number, .list, .object: nil
    }
  }
}

/// `[A-Za-z_][A-Za-z0-9_]*`, the names that POSIX shells can assign to.
func isVariableName(_ name: String) -> Bool {
  let bytes = Array(name.utf8)
  guard let first = bytes.first, !isDigit(first) else { return false }
  return bytes.allSatisfy { byte in
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
    default: isDigit(byte)
    }
  }
}
