import ArgumentParser
import ProtocolModel

/// Every interleaving of the create and delete protocols, with the shipping reducer as the client.
struct Model: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model", abstract: "Explore the create and delete protocols exhaustively.",
    discussion: "With the defaults a few seconds in a release build; two nodes and two attempts need gigabytes.")

  @Option(help: "Machines of one attempt.")
  var nodes = 1

  @Option(help: "Attempts; nodes times attempts is at most 4.")
  var attempts = 2

  @Option(help: "Ticks of 20 s within which a POST is executed, or never.")
  var delay = 2

  @Option(help: "Ticks for which lists and reads may not know a new machine.")
  var lag = 1

  @Option(help: "How often the client is killed.")
  var crashes = 2

  @Flag(inversion: .prefixedNo, help: "The cloud may execute one POST twice.")
  var twice = true

  @Flag(inversion: .prefixedNo, help: "The user may interrupt or cancel, once.")
  var interrupt = true

  @Flag(help: "The cloud may make a machine and answer provider_error.")
  var falseRefusals = false

  @Option(help: "shipping, or one that was broken on purpose: \(Client.broken.map(\.name).joined(separator: ", ")).")
  var client = Client.shipping.name

  @Option(help: "Situations after which it gives up.")
  var limit = 50_000_000

  func run() async throws {
    let bounds = Bounds(
      nodes: nodes, attempts: attempts, delay: delay, lag: lag, crashes: crashes, executesTwice: twice,
      refusesFalsely: falseRefusals, isInterrupted: interrupt)
    guard let client = ([.shipping] + Client.broken).first(where: { $0.name == client }) else {
      throw ValidationError("--client \(client): no such client")
    }
    let clock = ContinuousClock()
    let start = clock.now
    var exploration = Exploration(client, bounds)
    let findings = exploration.run(untilViolated: client.name != Client.shipping.name, limit: limit)
    print(
      """
      \(findings.situations) situations, \(findings.steps) steps, depth \(findings.depth)\
      \(findings.isComplete ? "" : " (the limit came first)"), \(findings.clientStates) states of the client, \
      \(findings.reducerCalls) questions to the reducer, \(start.duration(to: clock.now))
      """)
    for violation in findings.violations {
      print("VIOLATED: \(violation.what)\n  " + violation.trace.joined(separator: "\n  "))
    }
    if !findings.violations.isEmpty { throw ExitCode.failure }
  }
}
