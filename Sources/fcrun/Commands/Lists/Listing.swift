import ArgumentParser
import ForwardCompute

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `--json`, for every command that answers.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON document instead of a table.")
  var json = false
}

/// The elements of a list, each as received and, where it can be read, as its type.
struct Listing<Object: WireObject> {
  struct Element {
    var json: JSONValue
    var object: Object?
  }

  var elements: [Element]

  /// Asks the API for the list.
  static func of(_ read: Read) async throws -> Listing {
    let document = try await Context.api().document(read)
    return Listing(elements: document.objects.map { Element(json: $0, object: try? Object(json: $0)) })
  }

  /// The elements that satisfy the filter; one that cannot be read satisfies none.
  func filtered(_ holds: (Object) -> Bool) -> Listing {
    Listing(elements: elements.filter { $0.object.map(holds) ?? false })
  }

  /// In ascending order of a key; equal ones keep the API's order, those that cannot be read come last.
  func sorted<Key: Comparable>(by key: (Object) -> Key) -> Listing {
    let keyed = elements.enumerated().map { (offset: $0, key: $1.object.map(key), element: $1) }
    let sorted = keyed.sorted { left, right in
      switch (left.key, right.key) {
      case (let a?, let b?) where a != b: a < b
      case (.some, nil): true
      case (nil, .some): false
      default: left.offset < right.offset  // equal, or both unreadable
      }
    }
    return Listing(elements: sorted.map(\.element))
  }

  /// Prints the list as a table, or as `{"data": […]}`.
  func print(_ options: OutputOptions, header: [Column], row: (Object) -> [String]) throws {
    if options.json { return try Output.json(.object(of: [("data", .array(elements.map(\.json)))])) }
    let readable = elements.compactMap(\.object)
    try Output.table(header: header, rows: readable.map(row))
    if readable.count < elements.count {
      Report.warn("\(elements.count - readable.count) of \(elements.count) could not be read; --json shows them")
    }
  }
}

/// One object of the API, as received.
enum Showing {
  /// Prints the object as lines, or as JSON without a wrapper.
  ///
  /// - Parameter next: the command that lists what there is, for the error when there is no such object.
  static func print(_ read: Read, called what: String, _ options: OutputOptions, next: String) async throws {
    let object = try await found(read, what, next)
    if options.json { try Output.json(object) } else { try Output.object(object) }
  }

  private static func found(_ read: Read, _ what: String, _ next: String) async throws -> JSONValue {
    do {
      return try await Context.api().document(read).objects.first ?? .null
    } catch let error as APIError where error.kind == .status(404) {
      throw Failure(status: .usage, message: "there is no \(what)", next: next)
    }
  }
}

/// Words of a table.
enum Cell {
  static let unknown = "-"

  static func text(_ value: String?) -> String {
    guard let value, !value.isEmpty else { return unknown }
    return value
  }

  static func number(_ value: Int?) -> String {
    value.map { String($0) } ?? unknown
  }

  /// At least two decimals, and as many as there are: `3.10`, `3.015`.
  static func money(_ amount: Decimal?) -> String {
    guard let amount else { return unknown }
    let text = "\(amount)"
    let decimals = text.firstIndex(of: ".").map { text[$0...].count - 1 } ?? 0
    return text + (decimals == 0 ? ".00" : decimals == 1 ? "0" : "")
  }

  static func claim(_ value: Bool?) -> String {
    value.map { $0 ? "yes" : "no" } ?? unknown
  }
}
