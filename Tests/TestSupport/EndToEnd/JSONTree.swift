import Foundation

/// A JSON document to look into: what is not there is an absent tree, not a failure.
package struct JSONTree: CustomStringConvertible {
  private let value: Any?

  /// Reads a document; an unreadable one is absent.
  package init(_ data: Data) { value = try? JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed) }
  private init(value: Any?) { self.value = value }

  package subscript(_ key: String) -> JSONTree { JSONTree(value: (value as? [String: Any])?[key]) }
  package subscript(_ index: Int) -> JSONTree { items.indices.contains(index) ? items[index] : JSONTree(value: nil) }

  package var items: [JSONTree] { (value as? [Any] ?? []).map { JSONTree(value: $0) } }
  package var keys: Set<String> { Set((value as? [String: Any] ?? [:]).keys) }
  package var text: String? { value as? String }
  package var int: Int? { (value as? NSNumber).map(\.intValue) }
  package var bool: Bool? { (value as? NSNumber).map(\.boolValue) }
  package var isNull: Bool { value is NSNull }
  package var isObject: Bool { value is [String: Any] }
  package var isArray: Bool { value is [Any] }
  package var isAbsent: Bool { value == nil }
  package var description: String {
    guard let value, JSONSerialization.isValidJSONObject(value) else { return "\(value ?? "absent")" }
    let data = (try? JSONSerialization.data(withJSONObject: value, options: [.sortedKeys])) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }
}
