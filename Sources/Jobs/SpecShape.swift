/// A field of a job file: what the decoder knows, what the schema says, what the reference tells.
package struct SpecField: Sendable {
  package var name: String
  package var shape: SpecShape
  /// One sentence or two, for editors and for the reference.
  package var about: String
  /// What holds when it is left out; empty when it is required.
  package var otherwise: String
  /// Where it is required, the object is wrong without it.
  package var isRequired: Bool { otherwise.isEmpty }

  init(_ name: String, _ shape: SpecShape, _ about: String, otherwise: String = "none") {
    self.name = name
    self.shape = shape
    self.about = about
    self.otherwise = otherwise
  }
}

/// What a value looks like, as far as a JSON Schema can say it.
package indirect enum SpecShape: Sendable {
  /// A string with something in it; `pattern` is an ECMA regular expression for all of it.
  case text(_ words: String = "string", pattern: String = "\\S", longest: Int? = nil)
  /// A string that may be empty.
  case anyText(_ words: String = "string")
  case null
  case flag
  case number
  case integer(least: Int, most: Int? = nil)
  case word([String])
  /// US dollars above zero, as a string.
  case money
  case duration(least: Int)
  /// A whole number, or a range as a string.
  case range(least: Int)
  case list(of: SpecShape, least: Int = 0, isDistinct: Bool = false)
  /// `oneOf` names groups of fields of which exactly one must be there, `atMostOneOf` of which not both may.
  case object([SpecField], least: Int = 0, oneOf: [String] = [], atMostOneOf: [String] = [])
  /// An object of names of the user's own.
  case map(of: SpecShape, names: String, least: Int = 0)
  case either([SpecShape])

  /// In a reference: `list of strings`.
  package var words: String {
    switch self {
    case .text(let words, _, _): words
    case .anyText(let words): words
    case .null: "null"
    case .flag: "true or false"
    case .number: "number"
    case .integer(let least, let most?): "whole number, \(least) to \(most)"
    case .integer(let least, nil): "whole number, at least \(least)"
    case .word(let words): words.map { "`\"\($0)\"`" }.joined(separator: ", ")
    case .money: "money"
    case .duration: "duration"
    case .range: "number or range"
    case .list(let shape, _, _): "list of \(shape.plural)"
    case .object: "object"
    case .map(let shape, _, _): "object of \(shape.plural)"
    case .either(let shapes):
      shapes.map(\.words).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }.joined(separator: " or ")
    }
  }

  private var plural: String {
    switch self {
    case .either(let shapes):
      shapes.map(\.plural).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }.joined(separator: " or ")
    case .null: "null"
    case .flag: "flags"
    case .list: "lists"
    case .text, .anyText, .number, .integer, .word, .money, .duration, .range, .object, .map: words + "s"
    }
  }

  // MARK: JSON Schema 2020-12

  var schema: [(String, SpecNode.Value)] {
    switch self {
    case .text(_, let pattern, let longest):
      [("type", .string("string")), ("pattern", .string(pattern))]
        + (longest.map { [("maxLength", .number("\($0)"))] } ?? [])
    case .anyText: [("type", .string("string"))]
    case .null: [("type", .string("null"))]
    case .flag: [("type", .string("boolean"))]
    case .number: [("type", .string("number"))]
    case .integer(let least, let most):
      [("type", .string("integer")), ("minimum", .number("\(least)"))]
        + (most.map { [("maximum", .number("\($0)"))] } ?? [])
    case .word(let words): [("enum", .list(of: words.map { .string($0) }))]
    case .money:
      [("type", .string("string")), ("pattern", .string("^(?=.*[1-9])[0-9]+(\\.[0-9]+)?$"))]
        + [("examples", .list(of: [.string("2.50")]))]
    case .duration(let least): Self.either([.integer(least: least), .text(pattern: Self.durationPattern(least))])
    case .range(let least):
      Self.either([.integer(least: least), .text(pattern: "^([0-9]{1,9}\\.\\.[0-9]{0,9}|\\.\\.[0-9]{1,9})$")])
    case .list(let shape, let least, let isDistinct):
      [("type", .string("array")), ("items", .object(of: shape.schema))]
        + (least > 0 ? [("minItems", .number("\(least)"))] : [])
        + (isDistinct ? [("uniqueItems", .bool(true))] : [])
    case .object(let fields, let least, let oneOf, let atMostOneOf):
      Self.object(fields, least) + Self.choices(oneOf, atMostOneOf)
    case .map(let shape, let names, let least):
      [
        ("type", .string("object")), ("propertyNames", .object(of: [("pattern", .string(names))])),
        ("additionalProperties", .object(of: shape.schema)),
      ] + (least > 0 ? [("minProperties", .number("\(least)"))] : [])
    case .either(let shapes): Self.either(shapes)
    }
  }

  private static func either(_ shapes: [SpecShape]) -> [(String, SpecNode.Value)] {
    [("anyOf", .list(of: shapes.map { .object(of: $0.schema) }))]
  }

  private static func durationPattern(_ least: Int) -> String {
    let parts = ["d", "h", "m", "s"].map { "([0-9]{1,9}\($0))?" }.joined()
    return "^(?=.*\(least > 0 ? "[1-9]" : "[0-9]"))\(parts)$"
  }

  private static func object(_ fields: [SpecField], _ least: Int) -> [(String, SpecNode.Value)] {
    let required = fields.filter(\.isRequired).map { SpecNode.Value.string($0.name) }
    let properties = fields.map {
      ($0.name, SpecNode.Value.object(of: [("description", .string($0.about))] + $0.shape.schema))
    }
    return [("type", .string("object")), ("properties", .object(of: properties))]
      + (required.isEmpty ? [] : [("required", .list(of: required))])
      + (least > 0 ? [("minProperties", .number("\(least)"))] : [])
      + [("additionalProperties", .bool(false))]
  }

  private static func choices(_ oneOf: [String], _ atMostOneOf: [String]) -> [(String, SpecNode.Value)] {
    let each = oneOf.map { name in SpecNode.Value.object(of: [("required", .list(of: [.string(name)]))]) }
    let all = SpecNode.Value.object(of: [("required", .list(of: atMostOneOf.map { .string($0) }))])
    return (oneOf.isEmpty ? [] : [("oneOf", .list(of: each))]) + (atMostOneOf.isEmpty ? [] : [("not", all)])
  }
}

extension [SpecField] {
  package var names: [String] { map(\.name) }
}

extension SpecNode.Value {
  /// Values that nobody wrote, so that they stand nowhere.
  package static func object(of members: [(String, SpecNode.Value)]) -> SpecNode.Value {
    let nowhere = Place(file: "", line: 1, column: 1)
    return .object(members.map { SpecNode.Member(key: $0, keyPlace: nowhere, node: SpecNode($1, at: nowhere)) })
  }

  package static func list(of values: [SpecNode.Value]) -> SpecNode.Value {
    .list(values.map { SpecNode($0, at: Place(file: "", line: 1, column: 1)) })
  }

  /// As JSON, two spaces for each level; what has no objects in it stands on one line.
  package func json(indent: String = "") -> String {
    switch self {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .number(let literal): literal
    case .string(let text): Self.literal(text)
    case .list(let nodes):
      Self.block(
        "[", nodes.map { $0.value.json(indent: indent + "  ") }, "]", indent, isFlat: nodes.allSatisfy(\.value.isFlat))
    case .object(let members):
      Self.block(
        "{", members.map { "\(Self.literal($0.key)): \($0.node.value.json(indent: indent + "  "))" }, "}", indent,
        isFlat: members.isEmpty)
    }
  }

  private var isFlat: Bool {
    switch self {
    case .null, .bool, .number, .string: true
    case .list, .object: false
    }
  }

  private static func block(
    _ open: String, _ parts: [String], _ close: String, _ indent: String, isFlat: Bool
  ) -> String {
    if isFlat { return open + parts.joined(separator: ", ") + close }
    return "\(open)\n" + parts.map { "\(indent)  \($0)" }.joined(separator: ",\n") + "\n\(indent)\(close)"
  }

  private static func literal(_ text: String) -> String {
    var literal = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": literal += "\\\""
      case "\\": literal += "\\\\"
      case "\n": literal += "\\n"
      case "\t": literal += "\\t"
      case "\r": literal += "\\r"
      default:
        let digits = String(scalar.value, radix: 16)
        literal += isControl(scalar) ? "\\u" + String(repeating: "0", count: 4 - digits.count) + digits : String(scalar)
      }
    }
    return literal + "\""
  }
}
