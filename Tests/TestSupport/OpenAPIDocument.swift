#if canImport(FoundationEssentials)
  package import FoundationEssentials
#else
  package import Foundation
#endif

/// The API's OpenAPI document, as far as answers and requests can be judged by it: type, required, enum, items, $ref.
///
/// Shares no code with the client or the simulator, so that it may judge both.
package struct OpenAPIDocument: Sendable {
  private let root: Tree

  /// Reads a document.
  package init(_ json: Data) throws {
    root = try JSONDecoder().decode(Tree.self, from: json)
  }

  /// The copy in `Tests/Fixtures`.
  package static func fixture(near file: StaticString = #filePath) throws -> OpenAPIDocument {
    let tests = URL(fileURLWithPath: "\(file)").deletingLastPathComponent().deletingLastPathComponent()
    return try OpenAPIDocument(Data(contentsOf: tests.appendingPathComponent("Fixtures/openapi.json")))
  }

  /// What is wrong with the body of an answer, one sentence each, none when it is as documented.
  ///
  /// An optional field may be null: the API says of no field whether "optional" means absent or null.
  package func validate(_ json: Data, operationId: String, status: Int) -> [String] {
    guard let answer = operation(operationId)?["responses"]?["\(status)"] else {
      return ["\(operationId) documents no answer \(status)"]
    }
    guard let schema = answer["content"]?["application/json"]?["schema"] else { return [] }
    return problems(json, schema)
  }

  /// What is wrong with the body of a request.
  package func validateRequest(_ json: Data, operationId: String) -> [String] {
    guard let schema = operation(operationId)?["requestBody"]?["content"]?["application/json"]?["schema"] else {
      return ["\(operationId) documents no request body"]
    }
    return problems(json, schema)
  }

  /// Every operation with the statuses it documents.
  package var operations: [(id: String, statuses: [Int])] {
    allOperations.compactMap { operation in
      guard case .string(let id)? = operation["operationId"] else { return nil }
      return (id, (operation["responses"]?.names ?? []).compactMap { Int($0) }.sorted())
    }.sorted { $0.id < $1.id }
  }

  private func operation(_ id: String) -> Tree? {
    allOperations.first { $0["operationId"] == .string(id) }
  }

  private var allOperations: [Tree] {
    root["paths"]?.values.flatMap { $0.values } ?? []
  }
}

// MARK: - Judging

extension OpenAPIDocument {
  private func problems(_ json: Data, _ schema: Tree) -> [String] {
    guard let value = try? JSONDecoder().decode(Tree.self, from: json) else { return ["$: not JSON"] }
    return problems(value, schema, at: "$")
  }

  private func problems(_ value: Tree, _ schema: Tree, at path: String) -> [String] {
    let schema = resolved(schema)
    if case .string(let type)? = schema["type"], !value.isOf(type) { return ["\(path): expected \(type)"] }
    if case .array(let allowed)? = schema["enum"], !allowed.contains(value) { return ["\(path): not one of the enum"] }
    switch value {
    case .object(let fields): return problems(fields, schema, at: path)
    case .array(let elements):
      guard let items = schema["items"] else { return [] }
      return elements.enumerated().flatMap { problems($1, items, at: "\(path)[\($0)]") }
    case .null, .bool, .number, .string: return []
    }
  }

  private func problems(_ fields: [String: Tree], _ schema: Tree, at path: String) -> [String] {
    let required = schema["required"]?.strings ?? []
    let missing = required.filter { fields[$0] == nil }.map { "\(path).\($0): missing" }
    let wrong = fields.sorted { $0.key < $1.key }.flatMap { name, value -> [String] in
      guard let inner = schema["properties"]?[name], value != .null || required.contains(name) else { return [] }
      return problems(value, inner, at: "\(path).\(name)")
    }
    return missing + wrong
  }

  private func resolved(_ schema: Tree) -> Tree {
    guard case .string(let reference)? = schema["$ref"] else { return schema }
    let steps = reference.split(separator: "/").dropFirst()
    return steps.reduce(root) { $0[String($1)] ?? .null }
  }
}

// MARK: - Making examples

extension OpenAPIDocument {
  /// Which of the shapes that a schema allows.
  package enum Shape: String, CaseIterable, Sendable {
    /// What is required, and nothing else.
    case least
    /// Every documented field.
    case everything
    /// Every optional field is null.
    case nulls
    /// Every documented field, and in each object some that nobody documents.
    case extras
  }

  /// A body that the schema of an answer allows; nil when the answer has none.
  package func example(operationId: String, status: Int, shape: Shape) throws -> Data? {
    let answer = operation(operationId)?["responses"]?["\(status)"]
    guard let schema = answer?["content"]?["application/json"]?["schema"] else { return nil }
    return try JSONEncoder().encode(example(schema, shape, name: ""))
  }

  private func example(_ schema: Tree, _ shape: Shape, name: String) -> Tree {
    let schema = resolved(schema)
    if case .array(let examples)? = schema["examples"], let first = examples.first { return first }
    if case .array(let allowed)? = schema["enum"], let first = allowed.first { return first }
    switch schema["type"] {
    case .string("object"): return object(schema, shape)
    case .string("array"):
      guard let items = schema["items"] else { return .array([]) }
      return .array([example(items, shape, name: name), example(items, shape, name: name)])
    case .string("boolean"): return .bool(true)
    case .string("integer"): return .number(7)
    case .string("number"): return .number(0.25)
    default: return .string(name == "created" || name == "modified" ? "2026-11-23T18:45:00Z" : "some-\(name)")
    }
  }

  private func object(_ schema: Tree, _ shape: Shape) -> Tree {
    let required = schema["required"]?.strings ?? []
    var fields: [String: Tree] = [:]
    for name in schema["properties"]?.names ?? [] {
      guard let inner = schema["properties"]?[name] else { continue }
      let isRequired = required.contains(name)
      if shape == .least && !isRequired { continue }
      fields[name] = shape == .nulls && !isRequired ? .null : example(inner, shape, name: name)
    }
    if shape == .extras {
      fields["x_unknown"] = .object(["deep": .array([.null, .bool(false), .number(1), .string("é\u{1}")])])
    }
    return .object(fields)
  }
}

// MARK: - Trees

/// A JSON value; numbers are doubles, which is enough to judge their type.
enum Tree: Codable, Equatable, Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([Tree])
  case object([String: Tree])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([Tree].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: Tree].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }

  subscript(name: String) -> Tree? {
    guard case .object(let fields) = self else { return nil }
    return fields[name]
  }

  var names: [String] {
    guard case .object(let fields) = self else { return [] }
    return fields.keys.sorted()
  }

  var values: [Tree] {
    guard case .object(let fields) = self else { return [] }
    return Array(fields.values)
  }

  var strings: [String] {
    guard case .array(let elements) = self else { return [] }
    return elements.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }

  func isOf(_ type: String) -> Bool {
    switch (self, type) {
    case (.null, "null"), (.bool, "boolean"), (.number, "number"), (.string, "string"), (.array, "array"),
      (.object, "object"):
      true
    case (.number(let value), "integer"): value == value.rounded()
    default: false  // every other pair is a mismatch
    }
  }
}
