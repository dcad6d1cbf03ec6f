import ArgumentParser
import Simulation

/// One seed again, with everything that happened in it.
struct Replay: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Run one seed again and print what happened.",
    discussion: """
      torture replay 4711                  the whole script
      torture replay 4711 --shrink         look for the fewest ingredients that still break a promise
      torture replay 4711 --only 3,7       only these ingredients of the script
      """)

  @Argument(help: "The seed.")
  var seed: UInt64

  @Option(help: "Numbers of the ingredients to keep, separated by commas.")
  var only: String?

  @Flag(help: "Leave out what does not matter.")
  var shrink = false

  func run() async throws {
    var script = Script(seed: seed)
    if let only { script = script.keeping(only.split(separator: ",").compactMap { Int($0) }) }
    if shrink { script = await shrunk(script) }
    var scenario = Scenario(script, isTraced: true)
    let violations = await scenario.run()
    print("seed \(seed)\n\(script.recipe)\n")
    for line in scenario.trace.lines { print(line) }
    print(violations.isEmpty ? "\nno promise was broken" : "\n\(violations.joined(separator: "\n"))")
    if !violations.isEmpty { throw ExitCode.failure }
  }

  private func shrunk(_ script: Script) async -> Script {
    guard let numbers = await Shrinking.fewest(of: script) else { return script }
    print("\(script.ingredients.count) ingredients, of which \(numbers.count) matter:")
    print("torture replay \(seed) --only \(numbers.map(String.init).joined(separator: ","))\n")
    return script.keeping(numbers)
  }
}
