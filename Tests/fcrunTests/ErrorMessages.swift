import Foundation
import TestSupport

/// Every error message and warning in the sources, as it is written there.
///
/// A message is a literal that goes into an error: an argument of an error type or of a case of one, of a function that
/// makes an error out of the text it is given, or what an error's `description` says. Which types and functions those are
/// is read from the sources as well, so that a new one needs no entry here.
struct ErrorMessages {
  private(set) var all: [SwiftLiteral] = []
  /// Every literal, message or not.
  let literals: [SwiftLiteral]
  private var types: Set<String>
  /// Error types and cases with a text.
  private var makers: Set<String>
  /// As `Jobs.report`.
  private var functions: Set<String> = []

  init(_ readers: [SwiftReader]) {
    let blocks = readers.flatMap(\.blocks)
    literals = readers.flatMap(\.literals)
    // Of ArgumentParser; what ends an attempt; and one of `SpecProblems`.
    types = ["ValidationError", "Outcome", "SpecProblem"]
    for block in blocks { types.formUnion(Self.errorType(block.head)) }
    makers = types.union(["warn", "warning"])
    for block in blocks
    where isOfError(block.head) || block.head.hasPrefix("enum Kind") && isOfError(block.around.last?.head ?? "") {
      makers.formUnion(cases(block.body))
    }
    spread(blocks)
    all = literals.filter(isMessage)
  }

  static func ofTheSources() throws -> ErrorMessages {
    let root = Binaries.repository + "/Sources"
    return ErrorMessages(
      try FileManager.default.subpathsOfDirectory(atPath: root).sorted()
        .filter { $0.hasSuffix(".swift") && !$0.hasSuffix("EmbeddedTemplates.swift") }
        .map { SwiftReader(try String(contentsOfFile: "\(root)/\($0)", encoding: .utf8), file: $0) })
  }

  /// `struct X: Error`, `extension X: Error`
  private static func errorType(_ head: String) -> [String] {
    guard let declared = head.firstMatch(of: /^(?:struct|enum|extension) (\w+): [^{]*\bError\b/) else { return [] }
    return [String(declared.1)]
  }

  private func isOfError(_ head: String) -> Bool {
    head.firstMatch(of: /^(?:struct|enum|extension) (\w+)/).map { types.contains(String($0.1)) } ?? false
  }

  /// `case lost(String)`
  private func cases(_ body: String) -> [String] {
    body.matches(of: /\bcase (\w+)\([^)\n]*String/).map { String($0.1) }
  }

  /// What errors call their sentence.
  private static let labels: Set = ["message", "description", "text"]

  /// Functions that hand a text on to what makes an error of it; until there are no more.
  private mutating func spread(_ blocks: [SwiftReader.Block]) {
    var grew = true
    while grew {
      let before = functions.count
      for block in blocks where handsOn(block) {
        guard let name = block.head.firstMatch(of: /^func (\w+)/)?.1 else { continue }
        functions.insert(Self.module(block.file) + "." + name)
      }
      grew = functions.count > before
    }
  }

  /// Whether the text it is given is a message, or begins one.
  private func handsOn(_ block: SwiftReader.Block) -> Bool {
    guard let text = block.head.firstMatch(of: /_ (\w+): String[,)]/)?.1 else { return false }
    let ways =
      ["(\(text))", "(\(text),", ", \(text))", ", \(text),", "[\(text),", "\"<\(text)"]
      + Self.labels.map { "\($0): \(text)" }
    return block.body.replacing("\\(", with: "<").split(separator: "\n").contains { line in
      ways.contains(where: line.contains)
        && line.matches(of: /(\w+)\(/).contains { makes(String($0.1), in: block.file) }
    }
  }

  private func makes(_ name: String, in file: String) -> Bool {
    makers.contains(name) || functions.contains(Self.module(file) + "." + name)
  }

  private static func module(_ file: String) -> Substring { file.prefix { $0 != "/" } }

  private func isMessage(_ literal: SwiftLiteral) -> Bool {
    if literal.text.hasPrefix("warning: ") { return true }
    // What begins with a mark goes on from another literal.
    guard literal.text.contains(" "), literal.text.first.map({ !";: ,".contains($0) }) ?? false else { return false }
    guard literal.text.count(where: \.isLetter) > 2, let inner = literal.around.last(where: { !$0.isGroup }) else {
      return false
    }
    guard inner.bracket == "(" else { return isDescription(literal) }
    return isMade(by: inner.head, literal) && (inner.label.map(Self.labels.contains) ?? true)
  }

  /// A simulated cloud's answers are its own; what the simulator itself cannot do is fcrun's.
  private func isMade(by maker: String, _ literal: SwiftLiteral) -> Bool {
    if literal.file.hasPrefix("Simulator/") { return maker == "SimulatorFailure" }
    return makes(maker, in: literal.file) || maker == "init" && literal.around.contains { isOfError($0.head) }
  }

  /// In `description`, `message` or `sentence` of an error.
  private func isDescription(_ literal: SwiftLiteral) -> Bool {
    !literal.file.hasPrefix("Simulator/") && literal.around.contains { isOfError($0.head) }
      && literal.around.contains { $0.head.contains(/^var (?:description|message|sentence)\b/) }
  }
}

extension SwiftLiteral.Scope {
  /// Brackets that only hold things together.
  fileprivate var isGroup: Bool { bracket != "{" && head.isEmpty }
}
