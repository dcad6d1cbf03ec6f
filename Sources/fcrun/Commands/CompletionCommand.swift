import ArgumentParser
import ForwardCompute
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

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

  func run() throws { try Output.print(script + "\n") }

  /// As the parser writes it, and with no space after `JOB:`, where a path goes on. Fish leaves it out by itself.
  private var script: String {
    switch shell {
    case .bash: Fcrun.completionScript(for: .bash) + Self.noSpaceInBash
    case .zsh: Fcrun.completionScript(for: .zsh).replacing(Self.describesInZsh, with: Self.noSpaceInZsh)
    case .fish: Fcrun.completionScript(for: .fish)
    }
  }

  private static let noSpaceInBash = """


    _fcrun_without_space() {
        _fcrun "${@}"
        if [[ "${COMPREPLY[0]}" == *: ]]; then compopt -o nospace +o filenames 2>/dev/null || true; fi
    }
    complete -o filenames -F _fcrun_without_space fcrun
    """

  private static let describesInZsh = #"local -ar non_empty_completions=("${@:#(|:*)}")"#

  private static let noSpaceInZsh = #"""
    local -ar places=("${(M)@:#*\\:}")
            _describe -V '' places -S ''
            local -ar non_empty_completions=("${@:#(|:*|*\\:)}")
    """#
}

/// What is completed where a word is not one of a fixed set.
enum Completions {
  /// Ids and names of jobs and of their sweeps, the newest first.
  static let jobs = CompletionKind.custom { _, _, _ in
    let (jobs, sweeps) = recent()
    return words(sweeps.map { ($0.id, $0.name) }) + words(jobs.map { ($0.id, $0.name) })
  }

  /// Ids and names of sweeps, the newest first.
  static let sweeps = CompletionKind.custom { _, _, _ in words(recent().sweeps.map { ($0.id, $0.name) }) }

  private static func recent() -> (jobs: [JobRecord], sweeps: [SweepRecord]) {
    guard let store = try? Installation.open().store, let jobs = try? store.jobs(unfinishedOnly: false, limit: 100)
    else { return ([], []) }
    var seen: Set<String> = []
    let sweeps = jobs.compactMap(\.sweep).filter { seen.insert($0).inserted }
    return (jobs, sweeps.compactMap { try? store.sweep($0) })
  }

  private static func words(_ named: [(id: String, name: String)]) -> [String] {
    named.map(\.id) + Set(named.map(\.name)).sorted()
  }

  /// `JOB:` for jobs that are not over, and paths on this computer.
  static let places = CompletionKind.custom { _, _, typed in
    let jobs = (try? Installation.open().store.jobs(unfinishedOnly: true, limit: 100)) ?? []
    let machines = words(jobs.map { ($0.id, $0.name) }).map { $0 + ":" }
    // A colon begins a description there.
    guard CompletionShell.requesting == .zsh else { return machines + paths(typed) }
    return (machines + paths(typed)).map { $0.replacing(":", with: "\\:") }
  }

  /// What is in the folder that has been typed so far; a folder goes on with a slash.
  private static func paths(_ typed: String) -> [String] {
    let folder = typed.lastIndex(of: "/").map { typed[...$0] } ?? ""
    let at = LocalText.absolute(folder.isEmpty ? "." : String(folder))
    return ((try? FileManager.default.contentsOfDirectory(atPath: at)) ?? []).sorted().map { name in
      folder + name + (FileManager.default.fileExists(atPath: "\(at)/\(name)/.") ? "/" : "")
    }
  }

  /// Names of templates.
  static let templates = CompletionKind.custom { _, _, _ in EmbeddedTemplates.all.map(\.name) }

  /// Ids of offerings, asked from the API; nothing where it does not answer while somebody would still wait.
  static let offerings = CompletionKind.custom { _, _, _ async in
    await withTaskGroup(of: [String].self) { group in
      group.addTask {
        let listing = try? await Listing<ComputeOffering>.of(.computeOfferings)
        return listing?.elements.compactMap { $0.object?.id } ?? []
      }
      group.addTask {
        try? await Task.sleep(for: .seconds(1))
        return []
      }
      defer { group.cancelAll() }
      return await group.next() ?? []
    }
  }

  /// Job files.
  static let specs = CompletionKind.file(extensions: ["json", "yaml", "yml"])
}
