import ArgumentParser

/// `torture`: the campaigns behind docs/guarantees.md, in virtual time and with real processes.
@main
struct Torture: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "torture", abstract: "Try to make fcrun leave a machine behind.",
    subcommands: [Seeds.self, Replay.self, Boots.self, Model.self, Mutate.self, MutantRuns.self, Real.self])
}
