import Foundation
import TestSupport
import Testing

/// `docs/troubleshooting.md` against the messages in the sources.
struct TroubleshootingTests {
  @Test("Every error message of the sources is on the page")
  func everyMessageIsOnThePage() async throws {
    let missing = try await aside {
      let messages = try ErrorMessages.ofTheSources().all
      try #require(messages.count > 300, "the reader finds \(messages.count)")
      let entries = try Entry.all()
      return messages.filter { message in !entries.contains { $0.matches(message.text) } }
        .map { "**`\($0.text)`** (Sources/\($0.file):\($0.line))" }
    }
    #expect(missing.isEmpty, "docs/troubleshooting.md has no entry \(missing.joined(separator: ", nor "))")
  }

  @Test("Every message on the page is one that fcrun, or make, can still print")
  func noEntryIsStale() async throws {
    let stale = try await aside {
      let makefile = try String(contentsOfFile: Binaries.repository + "/Makefile", encoding: .utf8)
      let texts =
        try ErrorMessages.ofTheSources().literals.map(\.text) + makefile.split(separator: "\n").map(String.init)
      return try Entry.all().filter { Entry.letters($0.text) < 4 || !$0.isMade(of: texts) }.map(\.text)
    }
    #expect(stale.isEmpty, "would match anything, or no source says it any more: \(stale.joined(separator: "; "))")
  }

  @Test("Every message on the page has a cause or a cure below it")
  func everyEntryIsExplained() throws {
    for paragraph in try Entry.paragraphs() where paragraph.hasPrefix("**`") {
      #expect(paragraph.contains("\n"), "\(paragraph) says nothing of what to do")
    }
  }

  @Test("The contents of the page are its sections")
  func contents() throws {
    let page = try Entry.page()
    let sections = page.matches(of: /(?m)^## (.+)$/).map { String($0.1) }
    let listed = page.matches(of: /(?m)^- \[(.+)\]\(#(.+)\)$/).map { (String($0.1), String($0.2)) }
    #expect(listed.map(\.0) == sections)
    #expect(listed.allSatisfy { $0.0.lowercased().replacing(" ", with: "-") == $0.1 })
  }

  @Test("A message is what goes into an error, however it gets there, and nothing else")
  func reader() {
    let source = #"""
      struct Broken: Error { var message: String }
      enum Ended: Error, CustomStringConvertible {
        case badly(String)
        var description: String { switch self { case .badly(let why): "it ended badly: \(why)" } }
      }
      func report(_ message: String, expected: String) { problems.append(Broken(message: "\(message); expected \(expected)")) }
      func broken(at place: Int, _ verb: String) -> Broken { Broken(message: "cannot \(verb) it") }
      func run() throws {
        print("all is well")  // Broken(message: "not a literal")
        report("is out of place", expected: "another place")
        guard let x = find("a key") else { throw Broken(message: "one \(x.map { "inner \($0)" } ?? "or other") is" + " gone") }
        throw Ended.badly("the power went")
      }
      """#
    let found = ErrorMessages([SwiftReader(source, file: "a.swift")]).all.map(\.text)
    #expect(
      found == [
        "it ended badly: …", "…; expected …", "cannot … it", "is out of place", "one … is gone", "the power went",
      ])
  }
}

/// A message on the page, with `…` for what differs.
private struct Entry {
  var text: String

  static func page() throws -> String {
    try String(contentsOfFile: Binaries.repository + "/docs/troubleshooting.md", encoding: .utf8)
  }

  static func paragraphs() throws -> [String] {
    try page().replacing(/\n\n+/, with: "\u{0}").split(separator: "\u{0}").map(String.init)
  }

  static func all() throws -> [Entry] {
    try page().matches(of: /\*\*(`+)(.+?)\1\*\*/).map { Entry(text: String($0.2).trimmingCharacters(in: .whitespaces)) }
  }

  static func letters(_ text: String) -> Int { text.count(where: \.isLetter) }

  /// A warning may stand without that word, what was being done may stand before a message, and what was expected behind it.
  func matches(_ message: String) -> Bool {
    let message = Self.plain(message)
    return [
      text, text.trimmed("warning: "), text.trimmed("cannot …: "), text.trimmed("…: "), text.cut("; …"),
      text.cut("; expected …"),
    ]
    .contains { ($0 == text || Self.letters($0) >= 6) && Self.matches($0, whole: message) }
  }

  /// Whether each of its pieces is in one of the texts: a message is often put together from several.
  func isMade(of texts: [String]) -> Bool {
    pieces.allSatisfy { piece in texts.contains { Self.plain($0).contains(piece) } }
  }

  private static func plain(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }

  private var pieces: [String] {
    text.split(separator: /…|[:;,][ ]/).map { $0.trimmingCharacters(in: .punctuationCharacters.union(.whitespaces)) }
      .filter { $0.contains(where: \.isLetter) }
  }

  private static func matches(_ text: String, whole message: String) -> Bool {
    let parts = text.split(separator: "…", omittingEmptySubsequences: false)
    guard let first = parts.first, let last = parts.last, message.hasPrefix(first), message.hasSuffix(last) else {
      return false
    }
    if parts.count == 1 { return message == text }
    var rest = message.dropFirst(first.count)
    for part in parts.dropFirst().dropLast() where !part.isEmpty {
      guard let range = rest.range(of: part) else { return false }
      rest = rest[range.upperBound...]
    }
    return rest.count >= last.count
  }
}

extension String {
  fileprivate func trimmed(_ prefix: String) -> String { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self }
  fileprivate func cut(_ suffix: String) -> String { hasSuffix(suffix) ? String(dropLast(suffix.count)) : self }
}
