import ArgumentParser
import Simulation

/// `torture`: the campaigns behind docs/guarantees.md, in virtual time and with real processes.
@main
struct Torture: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "torture", abstract: "Try to make fcrun leave a machine behind.",
    subcommands: [Seeds.self, Model.self])
}

/// Jobs in virtual time, one for each seed.
struct Seeds: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "seeds", abstract: "Run seeds in virtual time.")

  @Option(help: "The first seed.")
  var from: UInt64 = 1

  @Option(help: "How many.")
  var count: UInt64 = 1000

  func run() async throws {
    for seed in from..<(from + count) {
      var scenario = Scenario(seed: seed)
      for violation in await scenario.run() { print("seed \(seed): \(violation)") }
    }
  }
}
