import ArgumentParser
import Jobs

/// The command that the words of a command line name, for what is said when they are wrong.
struct Usage {
  /// Without `fcrun`: `["offerings", "list"]`, also where `list` is left out; empty where no command is named.
  private var path: [String] = []
  private var command: any ParsableCommand.Type = Fcrun.self
  private var rest: ArraySlice<String>
  /// Where a command is expected, a word that is none: ArgumentParser takes it for an argument too many.
  private(set) var unknownCommand: Failure?

  /// - Parameter words: what follows the program's name.
  init(of words: some Sequence<String>) {
    rest = Array(words)[...]
    if rest.first == "help" { rest.removeFirst() }
    while let word = rest.first, let named = commands.first(where: { $0._commandName == word }) {
      step(to: named)
      rest.removeFirst()
    }
    if let word = rest.first, !word.hasPrefix("-"), !commands.isEmpty {
      unknownCommand = noCommand(called: word)
    } else if let usual = command.configuration.defaultSubcommand {
      step(to: usual)
    }
  }

  private var commands: [any ParsableCommand.Type] { command.configuration.subcommands }

  private mutating func step(to next: any ParsableCommand.Type) {
    command = next
    path.append(next._commandName)
  }

  private func noCommand(called word: String) -> Failure {
    let known = commands.map { $0._commandName } + (path.isEmpty ? ["help"] : [])
    let hint = EditDistance.nearest(to: word, in: known).map { ", did you mean \($0)?" } ?? ""
    return Failure(
      status: .usage, message: "there is no command \((path + [word]).joined(separator: " "))\(hint)", next: help)
  }

  /// What ArgumentParser says is wrong, how the command is used, and where more is said.
  func failure(saying message: String) -> Failure {
    if message.hasPrefix("Missing value for"), let (option, value) = valueWithDash {
      return Failure(
        status: .usage, message: "the value of \(option), \(value), begins with a dash, as an option does",
        next: "\(option)=\(value)")
    }
    return Failure(
      status: .usage, message: message.prefix(1).lowercased() + message.dropFirst(), next: help,
      usage: Fcrun.usageString(for: command))
  }

  private var help: String { (["fcrun", "help"] + path).joined(separator: " ") }

  /// An option and what would be its value if ArgumentParser did not take it for another option.
  private var valueWithDash: (option: String, value: String)? {
    let arguments = (try? Manual.ofFcrun())?.command.below(path)?.arguments ?? []
    let all = Set(arguments.flatMap { $0.names ?? [] }.map(\.text))
    let takingValues = Set(arguments.filter { $0.kind == "option" }.flatMap { $0.names ?? [] }.map(\.text))
    let words = rest.prefix { $0 != "--" }
    let pair = zip(words, words.dropFirst()).first { option, value in
      takingValues.contains(option) && value.hasPrefix("-") && !all.contains(value)
    }
    return pair.map { (option: $0.0, value: $0.1) }
  }
}
