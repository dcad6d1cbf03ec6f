/// A spec made of a command line's options, without a file: the same nodes, each with the option for its place.
///
/// The file of a place is the option, the line says which one of its kind, the column a place in its argument.
package struct SpecFlags {
  package private(set) var node: SpecNode

  /// - Parameter shown: what errors about the whole name, such as `fcrun run`.
  package init(shown: String) {
    node = SpecNode(.object([]), at: Place(file: shown, line: 1, column: 1))
  }

  /// A field of one value: a number if it reads as one, else text. nil: the option was not given.
  package mutating func value(_ text: String?, _ option: String, at path: String...) {
    guard let text else { return }
    let value = NumberLiteral(text) == nil ? SpecNode.Value.string(text) : .number(text)
    put(SpecNode(value, at: Place(file: option, line: 1, column: 1)), at: path[...])
  }

  package mutating func text(_ text: String?, _ option: String, at path: String...) {
    guard let text else { return }
    put(SpecNode(.string(text), at: Place(file: option, line: 1, column: 1)), at: path[...])
  }

  /// A list of texts, one for each time that the option was given.
  package mutating func texts(_ texts: [String], _ option: String, at path: String...) {
    list(texts, option, at: path) { SpecNode(.string($0), at: $1) }
  }

  /// A list of `SOURCE` or `SOURCE:DESTINATION`.
  package mutating func transfers(_ texts: [String], _ option: String, at path: String...) {
    list(texts, option, at: path) { text, place in
      guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { return SpecNode(.string(text), at: place) }
      let (source, target) = (String(text[..<colon]), String(text[text.utf8.index(after: colon)...]))
      let members = [("source", source, place), ("destination", target, place.after(source))]
      return SpecNode(
        .object(members.map { SpecNode.Member(key: $0, keyPlace: $2, node: SpecNode(.string($1), at: $2)) }), at: place)
    }
  }

  /// `H100`, `H100:8`, `H100:4..8`, several of them any of which will do.
  /// - Returns: a problem when two ask for different numbers.
  package mutating func gpus(_ texts: [String], _ option: String) -> [SpecProblem] {
    var types: [String] = []
    var number: String?
    for (index, text) in texts.enumerated() {
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      types.append(parts[0])
      guard parts.count == 2 else { continue }
      let place = Place(file: option, line: index + 1, column: 1).after(parts[0])
      if let number, number != parts[1] {
        let message =
          "is \(clipped(parts[1])), and \(clipped(number)) before; expected one number of GPUs for all types"
        return [SpecProblem(at: place, path: "resources.num_gpus", message: message)]
      }
      number = parts[1]
      let value = NumberLiteral(parts[1]) == nil ? SpecNode.Value.string(parts[1]) : .number(parts[1])
      put(SpecNode(value, at: place), at: ["resources", "num_gpus"])
    }
    self.texts(types, option, at: "resources", "gpu_type")
    return []
  }

  /// One word is a script for the shell, several are a program and its arguments.
  package mutating func command(_ words: [String]) {
    let nodes = words.enumerated().map { SpecNode(.string($1), at: Place(file: "--", line: $0 + 1, column: 1)) }
    guard let first = nodes.first else { return }
    put(nodes.count == 1 ? first : SpecNode(.list(nodes), at: first.place), at: ["command"])
  }

  private mutating func list(
    _ texts: [String], _ option: String, at path: [String], _ make: (String, Place) -> SpecNode
  ) {
    let nodes = texts.enumerated().map { make($1, Place(file: option, line: $0 + 1, column: 1)) }
    guard let first = nodes.first else { return }
    put(SpecNode(.list(nodes), at: first.place), at: path[...])
  }

  private mutating func put(_ value: SpecNode, at path: ArraySlice<String>) {
    node = node.with(value, at: path)
  }
}

extension Place {
  /// Behind `text` and the character after it.
  fileprivate func after(_ text: String) -> Place {
    Place(file: file, line: line, column: column + text.unicodeScalars.count + 1)
  }
}

extension SpecNode {
  /// This object with `value` at `path` below it; objects on the way are made.
  fileprivate func with(_ value: SpecNode, at path: ArraySlice<String>) -> SpecNode {
    guard let step = path.first else { return value }
    let inner = self[step] ?? SpecNode(.object([]), at: value.place)
    let member = Member(key: step, keyPlace: value.place, node: inner.with(value, at: path.dropFirst()))
    guard case .object(var members) = self.value else { return self }
    members.removeAll { $0.key == step }
    return SpecNode(.object(members + [member]), at: place)
  }
}
