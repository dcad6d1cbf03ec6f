import ArgumentParser

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Every command with its arguments, as ArgumentParser describes them (`--experimental-dump-help`).
struct Manual: Decodable {
  struct Command: Decodable {
    var commandName: String
    var abstract: String?
    var discussion: String?
    var shouldDisplay: Bool?
    var subcommands: [Command]?
    var arguments: [Argument]?
  }

  struct Argument: Decodable {
    struct Name: Decodable {
      var kind: String
      var name: String

      var text: String { kind == "long" ? "--\(name)" : "-\(name)" }
    }
    var kind: String
    var shouldDisplay: Bool
    var isOptional: Bool
    var isRepeating: Bool
    var names: [Name]?
    var valueName: String?
    var defaultValue: String?
    var abstract: String?
  }

  var command: Command

  /// - Throws: a decoding error where ArgumentParser describes commands in another form.
  static func ofFcrun() throws -> Manual {
    try JSONDecoder().decode(Manual.self, from: Data(Fcrun._dumpHelp().utf8))
  }

  /// Each command that is shown, under the words that are typed for it.
  private var commands: [(words: [String], command: Command)] { Self.commands(command, after: []) }

  private static func commands(_ command: Command, after words: [String]) -> [(words: [String], command: Command)] {
    let words = words + [command.commandName]
    let shown = (command.subcommands ?? []).filter { $0.shouldDisplay != false && $0.commandName != "help" }
    return [(words, command)] + shown.flatMap { commands($0, after: words) }
  }
}

extension Manual.Command {
  /// The command that these words name from here.
  func below(_ words: some Collection<String>) -> Manual.Command? {
    guard let word = words.first else { return self }
    return subcommands?.first { $0.commandName == word }?.below(words.dropFirst())
  }

  var shownArguments: [Manual.Argument] { (arguments ?? []).filter { $0.shouldDisplay && !$0.isEverywhere } }
}

extension Manual.Argument {
  /// `--help` and `--version` are said once.
  var isEverywhere: Bool { names?.contains { ["help", "version"].contains($0.name) } ?? false }

  /// As it is typed: `-n, --lines <n>`, or `<job>`.
  var term: String {
    let value = "<\(valueName ?? "value")>" + (isRepeating ? "..." : "")
    guard let names, kind != "positional" else { return value }
    let short = names.sorted { $0.text.count < $1.text.count }.map(\.text).joined(separator: ", ")
    return kind == "flag" ? short : "\(short) \(value)"
  }

  var meaning: String {
    let fallback = defaultValue.flatMap { $0.isEmpty || kind == "flag" ? nil : " Default: \($0)." } ?? ""
    return (abstract ?? "") + fallback
  }
}

// MARK: - Markdown

extension Manual {
  var markdown: String {
    """
    # Command reference

    Written from the parser by `fcrun manual --markdown`; a test compares them. What the commands are for is in [commands.md](commands.md).
    Every command has `--help`, `fcrun --version` says which fcrun it is.


    """ + commands.dropFirst().map(Self.section).joined(separator: "\n")
  }

  private static func section(_ words: [String], _ command: Command) -> String {
    let heading = "## \(words.joined(separator: " "))\n\n\(command.abstract ?? "")\n"
    let rows = command.shownArguments.map { "| `\($0.term)` | \($0.meaning.replacing("|", with: "\\|")) |\n" }
    let table = rows.isEmpty ? "" : "\n| argument or option | meaning |\n|---|---|\n" + rows.joined()
    return heading + (command.discussion.map { "\n```text\n\($0)\n```\n" } ?? "") + table
  }
}

// MARK: - man pages

extension Manual {
  /// Name and text of each page, in the language of man(7).
  var pages: [(name: String, text: String)] {
    commands.map { words, command in (words.joined(separator: "-"), Self.page(words, command)) }
  }

  private static func page(_ words: [String], _ command: Command) -> String {
    let name = words.joined(separator: "-")
    var lines = [".TH \(name.uppercased()) 1 \"\" \"fcrun \(Version.text)\"", ".SH NAME"]
    lines.append("\(roff(name)) \\- \(roff(command.abstract ?? ""))")
    lines += [".SH SYNOPSIS", ".B \(roff(words.joined(separator: " ")))"]
    lines.append(roff(command.shownArguments.map { $0.isOptional ? "[\($0.term)]" : $0.term }.joined(separator: " ")))
    if let discussion = command.discussion { lines += [".SH DESCRIPTION", ".nf", roff(discussion), ".fi"] }
    if !command.shownArguments.isEmpty { lines.append(".SH OPTIONS") }
    for argument in command.shownArguments { lines += [".TP", ".B \(roff(argument.term))", roff(argument.meaning)] }
    let below = (command.subcommands ?? []).filter { $0.shouldDisplay != false && $0.commandName != "help" }
    if !below.isEmpty { lines.append(".SH COMMANDS") }
    for one in below { lines += [".TP", ".BR \(roff("\(name)-\(one.commandName)")) (1)", roff(one.abstract ?? "")] }
    return lines.filter { !$0.isEmpty }.joined(separator: "\n") + "\n"
  }

  /// A backslash starts a request, a dash may become a hyphen, and a dot or a quote at the start of a line is a request.
  private static func roff(_ text: String) -> String {
    text.replacing("\\", with: "\\e").replacing("-", with: "\\-").split(
      separator: "\n", omittingEmptySubsequences: false
    )
    .map { $0.hasPrefix(".") || $0.hasPrefix("'") ? "\\&" + $0 : String($0) }.joined(separator: "\n")
  }
}
