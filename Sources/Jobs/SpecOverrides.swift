/// `--set path=value`, and the variables of `--env-file` and `--env`, laid over the nodes of a spec before it is decoded.
///
/// What comes from options carries `--set` or `--env` as its file, the number of the option as its line and the column in its
/// argument, so that a mistake in them is shown where it was made.
package enum SpecOverrides {
  package static let setOption = "--set"
  package static let envOption = "--env"

  /// Later ones win. Steps of a path are separated by dots; a number steps into a list, its length appends.
  /// A value that parses as JSON is that, anything else is a string.
  static func apply(
    set: [(path: String, value: String)], envs: [SpecLayers.Variable], to node: SpecNode
  ) -> Result<SpecNode, SpecProblems> {
    var problems: [SpecProblem] = []
    let options = set.enumerated().map { Option(set: $1, number: $0 + 1) } + envs.map { Option(env: $0) }
    let overlaid = options.reduce(node) { node, option in
      guard !option.steps.contains("") else {
        problems.append(
          option.problem("an empty step in the path \(quoted(option.path)); expected names with a dot between"))
        return node
      }
      return option.laid(over: node, steps: option.steps[...], &problems)
    }
    return problems.isEmpty ? .success(overlaid) : .failure(SpecProblems(problems))
  }

  private struct Option {
    var path: String
    var steps: [String]
    var value: SpecNode
    var place: Place

    init(set: (path: String, value: String), number: Int) {
      path = set.path
      steps = Self.steps(set.path)
      place = Place(file: setOption, line: number, column: 1)
      value = Self.value(set.value, at: place, after: set.path)
    }

    /// A variable's name is one step, whatever is in it.
    init(env: SpecLayers.Variable) {
      path = "envs.\(env.name)"
      steps = ["envs", env.name]
      place = env.place
      value = SpecNode(env.value.map(SpecNode.Value.string) ?? .null, at: env.valuePlace)
    }

    func problem(_ message: String) -> SpecProblem {
      SpecProblem(at: place, path: SpecPath().appending(path).description, message: message)
    }

    /// `node` with this option's value at `steps` below it; objects on the way are made.
    func laid(over node: SpecNode, steps: ArraySlice<String>, _ problems: inout [SpecProblem]) -> SpecNode {
      guard let step = steps.first else { return value }
      switch node.value {
      case .object(let members):
        return SpecNode(.object(laid(over: members, step, steps.dropFirst(), &problems)), at: node.place)
      case .list(let elements):
        return SpecNode(.list(laid(over: elements, step, steps.dropFirst(), &problems)), at: node.place)
      case .null, .bool, .number, .string:
        problems.append(
          problem("\(quoted(step)) steps into \(node.inWords); expected a path through objects and lists"))
        return node
      }
    }

    private func laid(
      over members: [SpecNode.Member], _ key: String, _ rest: ArraySlice<String>, _ problems: inout [SpecProblem]
    ) -> [SpecNode.Member] {
      var members = members
      if let index = members.firstIndex(where: { $0.key == key }) {
        members[index].node = laid(over: members[index].node, steps: rest, &problems)
      } else {
        let empty = SpecNode(.object([]), at: place)
        members.append(.init(key: key, keyPlace: place, node: laid(over: empty, steps: rest, &problems)))
      }
      return members
    }

    private func laid(
      over elements: [SpecNode], _ step: String, _ rest: ArraySlice<String>, _ problems: inout [SpecProblem]
    ) -> [SpecNode] {
      var elements = elements
      guard let index = Int(step), (0...elements.count).contains(index) else {
        problems.append(problem("\(quoted(step)) is not an entry of the list; expected 0 to \(elements.count)"))
        return elements
      }
      if index == elements.count { elements.append(SpecNode(.object([]), at: place)) }
      elements[index] = laid(over: elements[index], steps: rest, &problems)
      return elements
    }

    private static func steps(_ path: String) -> [String] {
      path.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
    }

    private static func value(_ text: String, at place: Place, after path: String) -> SpecNode {
      let column = path.unicodeScalars.count + 2
      let start = Place(file: place.file, line: place.line, column: column)
      let parsed = JSONNode.parse(text, file: place.file)
      guard let node = parsed.node, parsed.problems.isEmpty else { return SpecNode(.string(text), at: start) }
      return node.moved { old in
        Place(file: old.file, line: place.line, column: old.line == 1 ? column + old.column - 1 : column)
      }
    }
  }
}

extension SpecNode {
  /// The same value standing elsewhere.
  func moved(_ move: (Place) -> Place) -> SpecNode {
    switch value {
    case .null, .bool, .number, .string: SpecNode(value, at: move(place))
    case .list(let elements): SpecNode(.list(elements.map { $0.moved(move) }), at: move(place))
    case .object(let members):
      SpecNode(
        .object(members.map { Member(key: $0.key, keyPlace: move($0.keyPlace), node: $0.node.moved(move)) }),
        at: move(place))
    }
  }
}
