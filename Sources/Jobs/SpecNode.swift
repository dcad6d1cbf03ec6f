/// One value of a spec with the place where it was written, whatever the notation was.
///
/// ``JSONNode`` and ``YAMLNode`` produce it, and ``SpecFlags`` from the options of a command line.
package struct SpecNode: Sendable, Equatable {
  /// A document, nil when its structure is broken, and what is wrong with it.
  package struct Parsed: Sendable, Equatable {
    package var node: SpecNode?
    package var problems: [SpecProblem]

    package init(node: SpecNode?, problems: [SpecProblem] = []) {
      self.node = node
      self.problems = problems
    }
  }

  /// Reads a document in the notation that the file's name says: YAML for `.yaml` and `.yml`, else JSON.
  package static func parse(bytes: [UInt8], file: String) -> Parsed {
    isYAML(file) ? YAMLNode.parse(bytes: bytes, file: file) : JSONNode.parse(bytes: bytes, file: file)
  }

  package static func isYAML(_ file: String) -> Bool {
    let name = file.lowercased()
    return name.hasSuffix(".yaml") || name.hasSuffix(".yml")
  }

  package indirect enum Value: Sendable, Equatable {
    case null
    case bool(Bool)
    /// The literal as written, so that nothing is lost to binary fractions.
    case number(String)
    case string(String)
    case list([SpecNode])
    /// In the order written; keys are unique.
    case object([Member])
  }

  package struct Member: Sendable, Equatable {
    package var key: String
    package var keyPlace: Place
    package var node: SpecNode

    package init(key: String, keyPlace: Place, node: SpecNode) {
      self.key = key
      self.keyPlace = keyPlace
      self.node = node
    }
  }

  package var value: Value
  package var place: Place

  package init(_ value: Value, at place: Place) {
    self.value = value
    self.place = place
  }

  /// The member's value when this is an object that has one of that name.
  package subscript(key: String) -> SpecNode? {
    guard case .object(let members) = value else { return nil }
    return members.first { $0.key == key }?.node
  }

  /// `a list`, `the number 8`: for sentences.
  package var inWords: String {
    switch value {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .number(let literal): "the number \(clipped(literal))"
    case .string(let text): "the string \(quoted(text))"
    case .list: "a list"
    case .object: "an object"
    }
  }
}

/// A person's own text in a message: in quotes, without control characters, never longer than a line.
func quoted(_ text: String) -> String {
  "\"\(clipped(text))\""
}

func clipped(_ text: String) -> String {
  let longest = 60
  var shown = ""
  for scalar in text.unicodeScalars.prefix(longest) {
    shown += isControl(scalar) ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
  }
  return text.unicodeScalars.count > longest ? shown + "…" : shown
}

func isControl(_ scalar: Unicode.Scalar) -> Bool {
  scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
}
