/// `${matrix.name}` in a spec, replaced by a task's value before the spec is decoded: so every rule of the spec holds for
/// what it becomes.
struct SweepTemplate {
  /// By name; nil where there is no sweep at all.
  let values: [String: String]?
  private(set) var problems: [SpecProblem] = []

  /// Where a value can be used.
  static let fields = ["command", "setup", "files", "outputs", "envs", "workdir"]
  private static let opening = "${matrix."

  init(_ task: SweepTask?) {
    values = task.map { Dictionary($0.values.map { ($0.name, $0.value) }) { first, _ in first } }
  }

  static func isUsed(in text: String) -> Bool { text.contains(opening) }

  /// The whole spec with this task's values.
  mutating func filled(_ spec: SpecNode) -> SpecNode {
    guard case .object(let members) = spec.value else { return spec }
    let filled = members.map { member in
      var member = member
      let path = SpecPath(member.key)
      if Self.fields.contains(member.key) {
        member.node = self.filled(member.node, path)
      } else if member.key != "matrix" {
        refuse(member.node, path)
      }
      return member
    }
    return SpecNode(.object(filled), at: spec.place)
  }

  private mutating func filled(_ node: SpecNode, _ path: SpecPath) -> SpecNode {
    switch node.value {
    case .null, .bool, .number: return node
    case .string(let text): return SpecNode(.string(filled(text, at: node.place, path)), at: node.place)
    case .list(let elements):
      let filled = elements.enumerated().map { self.filled($1, path.appending($0)) }
      return SpecNode(.list(filled), at: node.place)
    case .object(let members):
      let filled = members.map { member in
        SpecNode.Member(
          key: member.key, keyPlace: member.keyPlace, node: self.filled(member.node, path.appending(member.key)))
      }
      return SpecNode(.object(filled), at: node.place)
    }
  }

  private mutating func filled(_ text: String, at place: Place, _ path: SpecPath) -> String {
    var pieces = text.split(separator: Self.opening, omittingEmptySubsequences: false).map(String.init)
    guard pieces.count > 1 else { return text }
    var filled = pieces.removeFirst()
    for piece in pieces {
      guard let end = piece.firstIndex(of: "}") else {
        report(place, path, "has \(quoted(Self.opening + piece)) without an end", expected: "a } after the name")
        continue
      }
      filled += value(of: String(piece[..<end]), at: place, path) + piece[piece.index(after: end)...]
    }
    return filled
  }

  private mutating func value(of name: String, at place: Place, _ path: SpecPath) -> String {
    if let value = values?[name] { return value }
    let use = "\(Self.opening)\(clipped(name))}"
    if let values {
      report(place, path, "\(use) is not known", expected: "one of \(values.keys.sorted().joined(separator: ", "))")
    } else {
      report(place, path, "\(use) is used without a sweep", expected: "a matrix, or --array, or --tasks")
    }
    return ""
  }

  private mutating func refuse(_ node: SpecNode, _ path: SpecPath) {
    switch node.value {
    case .null, .bool, .number: break
    case .string(let text):
      guard Self.isUsed(in: text) else { return }
      report(
        node.place, path, "a value of the matrix cannot be used here", expected: "it in \(SpecFields.list(Self.fields))"
      )
    case .list(let elements):
      for (index, element) in elements.enumerated() { refuse(element, path.appending(index)) }
    case .object(let members):
      for member in members { refuse(member.node, path.appending(member.key)) }
    }
  }

  private mutating func report(_ place: Place, _ path: SpecPath, _ wrong: String, expected: String) {
    problems.append(SpecProblem(at: place, path: path.description, message: "\(wrong); expected \(expected)"))
  }
}
