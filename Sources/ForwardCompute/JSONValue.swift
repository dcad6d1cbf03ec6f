#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A JSON document as it was written: numbers keep their literal, objects keep the order of their fields.
///
/// Money must not pass through a binary fraction, and a list must be shown with the fields this library does not know.
public enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// The literal as it stood in the text, such as `3.015` or `8e-05`.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([Field])

  /// One name and value of an object.
  public struct Field: Sendable, Equatable {
    /// The name that its owner chose.
    public var name: String
    /// What the variable is set to.
    public var value: JSONValue

    /// Pairs a name with its value.
    public init(name: String, value: JSONValue) {
      self.name = name
      self.value = value
    }
  }

  /// An object of the fields that have a value, in the order given.
  public static func object(of fields: [(String, JSONValue?)]) -> JSONValue {
    .object(fields.compactMap { name, value in value.map { Field(name: name, value: $0) } })
  }

  /// A number of an integer.
  public static func integer(_ value: Int) -> JSONValue {
    .number(String(value))
  }

  /// The value of the field `name`, when this is an object that has it.
  public subscript(name: String) -> JSONValue? {
    guard case .object(let fields) = self else { return nil }
    return fields.firstIndex { $0.name == name }.map { fields[$0].value }
  }
}

// MARK: - Text

extension JSONValue {
  /// The document on one line, or indented by two spaces when `pretty`.
  public func text(pretty: Bool = false) -> String {
    var text = ""
    write(to: &text, indent: pretty ? 0 : nil)
    return text
  }

  private func write(to text: inout String, indent: Int?) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .number(let literal): text += literal
    case .string(let value): Self.write(value, to: &text)
    case .array(let elements):
      Self.write(elements, between: "[", "]", to: &text, indent: indent) { element, text, inner in
        element.write(to: &text, indent: inner)
      }
    case .object(let fields):
      Self.write(fields, between: "{", "}", to: &text, indent: indent) { field, text, inner in
        Self.write(field.name, to: &text)
        text += inner == nil ? ":" : ": "
        field.value.write(to: &text, indent: inner)
      }
    }
  }

  private static func write<Item>(
    _ items: [Item], between open: String, _ close: String, to text: inout String, indent: Int?,
    item write: (Item, inout String, Int?) -> Void
  ) {
    text += open
    for (index, item) in items.enumerated() {
      if index > 0 { text += "," }
      breakLine(in: &text, indent: indent.map { $0 + 1 })
      write(item, &text, indent.map { $0 + 1 })
    }
    if !items.isEmpty { breakLine(in: &text, indent: indent) }
    text += close
  }

  private static func breakLine(in text: inout String, indent: Int?) {
    guard let indent else { return }
    text += "\n" + String(repeating: "  ", count: indent)
  }

  /// What could move a cursor or turn the direction of reading is escaped: the text may end on a terminal.
  ///
  /// What needs no escape is taken over in one piece: a job's whole log may come through here.
  private static func write(_ value: String, to text: inout String) {
    text += "\""
    var rest = value.unicodeScalars[...]
    while let place = rest.firstIndex(where: { !isPlain($0) }) {
      text += Substring(rest[..<place])
      text += escaped(rest[place])
      rest = rest[rest.index(after: place)...]
    }
    text += Substring(rest)
    text += "\""
  }

  private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
    if (0x20..<0x7F).contains(scalar.value) { return scalar != "\"" && scalar != "\\" }
    return !Excerpt.isInvisible(scalar)
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\"": "\\\""
    case "\\": "\\\\"
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default: String(scalar).utf16.map { "\\u" + hexadecimal(UInt32($0), digits: 4) }.joined()
    }
  }

  private static func hexadecimal(_ value: UInt32, digits: Int) -> String {
    let short = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - short.count)) + short
  }
}

// MARK: - Codable

extension JSONValue: Codable {
  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// Reads any document; the order of an object's fields is then alphabetical, because a decoder does not tell it.
  public init(from decoder: any Decoder) throws {
    if let fields = try? decoder.container(keyedBy: Key.self) {
      let keys = fields.allKeys.sorted { $0.stringValue < $1.stringValue }
      self = .object(
        try keys.map { Field(name: $0.stringValue, value: try fields.decode(JSONValue.self, forKey: $0)) })
      return
    }
    if var elements = try? decoder.unkeyedContainer() {
      var array: [JSONValue] = []
      while !elements.isAtEnd { array.append(try elements.decode(JSONValue.self)) }
      self = .array(array)
      return
    }
    self = try Self.scalar(decoder.singleValueContainer())
  }

  private static func scalar(_ container: any SingleValueDecodingContainer) throws -> JSONValue {
    if container.decodeNil() { return .null }
    if let value = try? container.decode(Bool.self) { return .bool(value) }
    if let value = try? container.decode(String.self) { return .string(value) }
    return .number("\(try container.decode(Decimal.self))")
  }

  /// Writes the document through any encoder.
  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .null, .bool, .number, .string: try encodeScalar(to: encoder)
    case .array(let elements):
      var container = encoder.unkeyedContainer()
      for element in elements { try container.encode(element) }
    case .object(let fields):
      var container = encoder.container(keyedBy: Key.self)
      for field in fields { try container.encode(field.value, forKey: Key(stringValue: field.name)) }
    }
  }

  private func encodeScalar(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .number(let literal):
      if let integer = Int(literal) {
        try container.encode(integer)
      } else {
        try container.encode(Money.exact(literal) ?? .nan)
      }
    case .array, .object: preconditionFailure("not a scalar")
    }
  }
}
