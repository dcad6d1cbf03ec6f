#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

// Knobs by name, as the command line and the control path turn them.

extension Knobs {
  /// Why a knob could not be turned: one sentence.
  package struct Refused: Error, Sendable, CustomStringConvertible {
    /// The sentence.
    package var description: String
  }

  /// The knobs with every member of `object` turned. Throws ``Refused``.
  package func turned(_ object: JSON) throws(Refused) -> Knobs {
    guard case .object(let members) = object, case .object(var all) = try json() else {
      throw Refused(description: #"knobs are a JSON object, for example {"preempt": true}"#)
    }
    for member in members {
      guard let place = all.firstIndex(where: { $0.key == member.key }) else {
        throw Refused(description: "there is no knob `\(member.key)`; \(Knobs.suggestion(for: member.key))")
      }
      all[place].value = member.value
    }
    return try Knobs.decoded(.object(all))
  }

  /// The knobs with `name=value` turned; the value is JSON, or a bare word for a string. Throws ``Refused``.
  package func turned(argument: String) throws(Refused) -> Knobs {
    guard let sign = argument.firstIndex(of: "=") else {
      throw Refused(description: "`\(argument)` is not name=value, for example preempt=true")
    }
    let text = String(argument[argument.index(after: sign)...])
    let value = (try? JSON(parsing: text)) ?? .string(text)
    return try turned(.object([JSON.Member(key: String(argument[..<sign]), value: value)]))
  }

  /// Every knob with its value, in the order of the documentation.
  package func json() throws(Refused) -> JSON {
    do {
      let encoded = try JSON(parsing: Array(try JSONEncoder().encode(self)))
      return .object(Key.allCases.map { JSON.Member(key: $0.rawValue, value: encoded[$0.rawValue] ?? .null) })
    } catch {
      throw Refused(description: "the knobs cannot be written as JSON: \(error)")
    }
  }

  private static func decoded(_ object: JSON) throws(Refused) -> Knobs {
    do {
      return try JSONDecoder().decode(Knobs.self, from: Data(object.encoded.utf8))
    } catch DecodingError.typeMismatch(_, let context), DecodingError.dataCorrupted(let context),
      DecodingError.valueNotFound(_, let context)
    {
      let path = context.codingPath.map(\.stringValue).joined(separator: ".")
      throw Refused(description: "knob `\(path)`: \(context.debugDescription)")
    } catch {
      throw Refused(description: "these knobs cannot be turned: \(error)")
    }
  }

  private static func suggestion(for name: String) -> String {
    let letters = Set(name)
    let nearest = Key.allCases.map(\.rawValue).min { left, right in
      distance(letters, left) < distance(letters, right)
    }
    return "did you mean `\(nearest ?? "")`?"
  }

  private static func distance(_ letters: Set<Character>, _ name: String) -> Int {
    letters.symmetricDifference(name).count
  }

  /// The faults that are not the same in both.
  func faultsDiffering(from other: Knobs) -> [Key] {
    Knobs.faults.filter { self[keyPath: $0.path] != other[keyPath: $0.path] }.map(\.key)
  }
}
