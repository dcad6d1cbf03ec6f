import ArgumentParser
import Store

/// `fcrun completion`: what a shell needs to complete commands, options and job ids.
struct CompletionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "completion", abstract: "Print the completion script of a shell.",
    discussion: """
        fcrun completion bash > ~/.local/share/bash-completion/completions/fcrun
        fcrun completion zsh > "${fpath[1]}/_fcrun"
        fcrun completion fish > ~/.config/fish/completions/fcrun.fish

      make install puts them, and the man pages, where shells and man look for them.
      """)

  enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

  @Argument(help: "bash, zsh or fish.")
  var shell: Shell

  func run() throws {
    let script =
      switch shell {
      case .bash: Fcrun.completionScript(for: .bash)
      case .zsh: Fcrun.completionScript(for: .zsh)
      case .fish: Fcrun.completionScript(for: .fish)
      }
    try Output.print(script + "\n")
  }
}

/// What is completed where a word is not one of a fixed set.
enum Completions {
  /// Ids and names of jobs, the newest first.
  static let jobs = CompletionKind.custom { _, _, _ in
    guard let jobs = try? Installation.open().store.jobs(unfinishedOnly: false, limit: 100) else { return [] }
    return jobs.map(\.id) + Set(jobs.map(\.name)).sorted()
  }

  /// Job files.
  static let specs = CompletionKind.file(extensions: ["json", "yaml", "yml"])
}
