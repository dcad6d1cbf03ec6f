import Jobs

/// What a JSON Schema says about a value: the places that are wrong, none when it is valid.
///
/// Knows the keywords that `fcrun schema` uses and stops at any other, so that none is passed over.
struct SchemaValidator {
  let schema: SpecNode

  func problems(_ node: SpecNode) -> [String] { Self.problems(node, schema, "") }

  private static func problems(_ node: SpecNode, _ schema: SpecNode, _ path: String) -> [String] {
    guard case .object(let keywords) = schema.value else { return ["\(path): the schema is no object"] }
    return keywords.flatMap { keyword in
      problems(node, keyword.key, keyword.node, schema, path).map { "\(path.isEmpty ? "spec" : path): \($0)" }
    }
  }

  private static func problems(
    _ node: SpecNode, _ keyword: String, _ rule: SpecNode, _ schema: SpecNode, _ path: String
  ) -> [String] {
    switch keyword {
    case "$schema", "$id", "title", "description", "examples": return []
    case "type": return isOf(type: rule.text, node) ? [] : ["not \(rule.text)"]
    case "enum": return rule.items.contains { unplaced($0) == unplaced(node) } ? [] : ["not in enum"]
    case "anyOf": return rule.items.contains { problems(node, $0, path).isEmpty } ? [] : ["none of anyOf"]
    case "oneOf":
      return rule.items.filter { problems(node, $0, path).isEmpty }.count == 1 ? [] : ["not one of oneOf"]
    case "not": return problems(node, rule, path).isEmpty ? ["not"] : []
    default: break
    }
    switch node.value {
    case .string(let text): return problems(text, keyword, rule)
    case .number(let literal): return problems(number: Double(literal) ?? .nan, keyword, rule)
    case .list(let nodes): return problems(nodes, keyword, rule, path)
    case .object(let members): return problems(members, keyword, rule, schema, path)
    case .null, .bool: return []
    }
  }

  private static func problems(_ text: String, _ keyword: String, _ rule: SpecNode) -> [String] {
    switch keyword {
    case "pattern":
      guard let pattern = try? Regex(rule.text) else { return ["no pattern: \(rule.text)"] }
      return text.firstMatch(of: pattern) == nil ? ["pattern"] : []
    case "maxLength": return text.unicodeScalars.count > rule.number ? ["maxLength"] : []
    default: return known(keyword)
    }
  }

  private static func problems(number: Double, _ keyword: String, _ rule: SpecNode) -> [String] {
    switch keyword {
    case "minimum": number < Double(rule.number) ? ["minimum"] : []
    case "maximum": number > Double(rule.number) ? ["maximum"] : []
    default: known(keyword)
    }
  }

  private static func problems(_ nodes: [SpecNode], _ keyword: String, _ rule: SpecNode, _ path: String) -> [String] {
    switch keyword {
    case "items": return nodes.enumerated().flatMap { problems($1, rule, "\(path)[\($0)]") }
    case "minItems": return nodes.count < rule.number ? ["minItems"] : []
    case "uniqueItems":
      let values = nodes.map(unplaced)
      return values.indices.contains { index in values[..<index].contains(values[index]) } ? ["uniqueItems"] : []
    default: return known(keyword)
    }
  }

  private static func problems(
    _ members: [SpecNode.Member], _ keyword: String, _ rule: SpecNode, _ schema: SpecNode, _ path: String
  ) -> [String] {
    func below(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
    switch keyword {
    case "properties":
      return members.flatMap { member in rule[member.key].map { problems(member.node, $0, below(member.key)) } ?? [] }
    case "additionalProperties":
      let more = members.filter { schema["properties"]?[$0.key] == nil }
      if rule.value == .bool(false) { return more.map { "unknown \($0.key)" } }
      return more.flatMap { problems($0.node, rule, below($0.key)) }
    case "propertyNames":
      return members.flatMap { problems(SpecNode(.string($0.key), at: $0.keyPlace), rule, below($0.key)) }
    case "required":
      return rule.items.filter { name in !members.contains { $0.key == name.text } }.map { "without \($0.text)" }
    case "minProperties": return members.count < rule.number ? ["minProperties"] : []
    case "dependentRequired":
      let names = Set(members.map(\.key))
      return rule.members.filter { names.contains($0.key) }.flatMap { needed in
        needed.node.items.filter { !names.contains($0.text) }.map { "\(needed.key) without \($0.text)" }
      }
    default: return known(keyword)
    }
  }

  /// A keyword for values of another type says nothing; one that is not known at all is a hole in the test.
  private static func known(_ keyword: String) -> [String] {
    let all = [
      "pattern", "maxLength", "minimum", "maximum", "items", "minItems", "uniqueItems", "properties",
      "additionalProperties", "propertyNames", "required", "minProperties", "dependentRequired",
    ]
    return all.contains(keyword) ? [] : ["the keyword \(keyword) is not known to this test"]
  }

  private static func isOf(type: String, _ node: SpecNode) -> Bool {
    switch node.value {
    case .null: type == "null"
    case .bool: type == "boolean"
    case .string: type == "string"
    case .list: type == "array"
    case .object: type == "object"
    case .number(let literal):
      type == "number" || (type == "integer" && (Double(literal).map { $0.rounded() == $0 } ?? false))
    }
  }
}

extension SpecNode {
  fileprivate var text: String { if case .string(let text) = value { text } else { "" } }
  fileprivate var number: Int { if case .number(let literal) = value { Int(literal) ?? 0 } else { 0 } }
  fileprivate var items: [SpecNode] { if case .list(let nodes) = value { nodes } else { [] } }
  fileprivate var members: [Member] { if case .object(let members) = value { members } else { [] } }
}
