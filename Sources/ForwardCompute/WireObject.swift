#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// An object of the API, with the API's own field names on the wire.
///
/// A required field must be there and of its type. An optional one may be absent, null or odd: it is then nil.
/// Unknown fields are ignored.
public protocol WireObject: Codable, Sendable, Equatable {
  /// Reads the object; throws which field was wrong.
  init(json: JSONValue) throws(WireProblem)
  /// The object as the API would write it, without the fields that are nil.
  var json: JSONValue { get }
}

/// A field that is missing or not of its type.
public struct WireProblem: Error, Sendable, Equatable, CustomStringConvertible {
  /// The field's name, such as `hourly_price` or `data[3].id`.
  public var field: String
  /// What was wrong and what was expected.
  public var message: String

  /// For messages.
  public var description: String { field.isEmpty ? message : "\(field): \(message)" }

  /// A problem at a field; an empty name means the object itself.
  public init(field: String, message: String) {
    self.field = field
    self.message = message
  }

  func inside(_ outer: String) -> WireProblem {
    WireProblem(field: field.isEmpty ? outer : "\(outer).\(field)", message: message)
  }
}

extension WireObject {
  /// Reads the wire form through any decoder.
  public init(from decoder: any Decoder) throws {
    let json = try JSONValue(from: decoder)
    do {
      try self.init(json: json)
    } catch {
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: error.description))
    }
  }

  /// Writes the wire form through any encoder.
  public func encode(to encoder: any Encoder) throws {
    try json.encode(to: encoder)
  }
}

/// The fields of one object, read by name and type.
struct WireFields {
  private let json: JSONValue

  init(_ json: JSONValue) throws(WireProblem) {
    guard case .object = json else { throw WireProblem(field: "", message: "an object was expected") }
    self.json = json
  }

  subscript(name: String) -> JSONValue? {
    let value = json[name]
    if case .null? = value { return nil }
    return value
  }

  func string(_ name: String) throws(WireProblem) -> String {
    try required(name, "a string") { if case .string(let text) = $0 { text } else { nil } }
  }

  /// A string that is there and not empty.
  func identifier(_ name: String) throws(WireProblem) -> String {
    try required(name, "a string that is not empty") {
      if case .string(let text) = $0, !text.isEmpty { text } else { nil }
    }
  }

  func bool(_ name: String) throws(WireProblem) -> Bool {
    try required(name, "true or false") { if case .bool(let value) = $0 { value } else { nil } }
  }

  func integer(_ name: String) throws(WireProblem) -> Int {
    try required(name, "an integer", Self.integer)
  }

  /// An amount that is not negative: a decimal string, or a number by its literal.
  func money(_ name: String) throws(WireProblem) -> Decimal {
    try required(name, "an amount of money such as \"24.12\"") { value in
      switch value {
      case .string(let text): Money.plain(text)
      case .number(let literal): Money.exact(literal).flatMap { $0 < 0 ? nil : $0 }
      case .null, .bool, .array, .object: nil
      }
    }
  }

  func object<Object: WireObject>(_ name: String, as type: Object.Type) throws(WireProblem) -> Object {
    guard let value = self[name] else { throw WireProblem(field: name, message: "an object was expected") }
    do {
      return try Object(json: value)
    } catch {
      throw error.inside(name)
    }
  }

  private func required<Value>(
    _ name: String, _ expected: String, _ read: (JSONValue) -> Value?
  ) throws(WireProblem) -> Value {
    guard let json = self[name] else { throw WireProblem(field: name, message: "missing; expected \(expected)") }
    guard let value = read(json) else { throw WireProblem(field: name, message: "expected \(expected)") }
    return value
  }
}

// MARK: - Optional fields

extension WireFields {
  func optionalString(_ name: String) -> String? {
    if case .string(let text) = self[name] { text } else { nil }
  }

  func optionalBool(_ name: String) -> Bool? {
    if case .bool(let value) = self[name] { value } else { nil }
  }

  func optionalInteger(_ name: String) -> Int? {
    self[name].flatMap(Self.integer)
  }

  func optionalNumber(_ name: String) -> Decimal? {
    switch self[name] {
    case .number(let literal): Money.exact(literal)
    case .string(let text): Money.plain(text)
    case nil, .null, .bool, .array, .object: nil
    }
  }

  func optionalObject<Object: WireObject>(_ name: String, as type: Object.Type) -> Object? {
    self[name].flatMap { try? Object(json: $0) }
  }

  func optionalStrings(_ name: String) -> [String]? {
    guard case .array(let elements) = self[name] else { return nil }
    return elements.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }

  func optionalObjects<Object: WireObject>(_ name: String, as type: Object.Type) -> [Object]? {
    guard case .array(let elements) = self[name] else { return nil }
    return elements.compactMap { try? Object(json: $0) }
  }

  /// `8` and `8.0` are the same number in JSON.
  private static func integer(_ value: JSONValue) -> Int? {
    guard case .number(let literal) = value else { return nil }
    if let integer = Int(literal) { return integer }
    return Money.exact(literal).flatMap { Int("\($0)") }
  }
}

extension JSONValue {
  /// A field that may be absent, for ``object(of:)``.
  static func optional(_ text: String?) -> JSONValue? { text.map(JSONValue.string) }
  static func optional(_ value: Bool?) -> JSONValue? { value.map(JSONValue.bool) }
  static func optional(_ value: Int?) -> JSONValue? { value.map(JSONValue.integer) }
  static func optional(_ value: Decimal?) -> JSONValue? { value.map { .number("\($0)") } }
  static func optional(_ texts: [String]?) -> JSONValue? { texts.map { .array($0.map(JSONValue.string)) } }
  static func optional(_ objects: [some WireObject]?) -> JSONValue? { objects.map { .array($0.map(\.json)) } }
  static func money(_ amount: Decimal) -> JSONValue { .string("\(amount)") }
}
