import ArgumentParser
import Foundation
import Simulation

/// Jobs in virtual time, one for each seed: `make torture SEEDS=1000000`.
struct Seeds: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "seeds", abstract: "Run the shipped driver in virtual time, one job for each seed.")

  @Option(help: "How many seeds.")
  var count: UInt64 = 1_000_000

  @Option(help: "The first seed.")
  var from: UInt64 = 1

  @Option(help: "How many at once.")
  var cores = ProcessInfo.processInfo.activeProcessorCount

  @Flag(
    help: ArgumentHelp(
      "Print one number for the traces of every hundredth seed, and nothing else.", visibility: .hidden))
  var fingerprint = false

  func run() async throws {
    let campaign = Campaign(seeds: from..<(from + count))
    if fingerprint { return print(await campaign.fingerprint()) }
    let start = ContinuousClock.now
    let tally = await campaign.run(cores: cores)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    Self.show(tally, seconds)
    try checkHashSeeds()
    if !tally.failures.isEmpty { throw ExitCode.failure }
  }

  private static func show(_ tally: Campaign.Tally, _ seconds: Double) {
    for (seed, violations) in tally.failures.sorted(by: { $0.seed < $1.seed }) {
      print("seed \(seed): \(violations.joined(separator: "; "))\n  replay: torture replay \(seed) --shrink")
    }
    print("what went wrong, and in how many seeds:")
    for (kind, count) in tally.drawn.sorted(by: { $0.key < $1.key }) { print("  \(count)\t\(kind)") }
    print("how the jobs ended:")
    for (word, count) in tally.outcomes.sorted(by: { $0.key < $1.key }) { print("  \(count)\t\(word)") }
    print(
      """
      \(tally.seeds) seeds, \(tally.calls) calls of ports, \(tally.withCrash) seeds with a crash, \
      \(tally.withThreeKinds) with three kinds of faults or more
      \(tally.repeated) seeds ran twice
      \(Int(seconds)) s, \(Int(Double(tally.seeds) / max(seconds, 0.001))) seeds/s
      \(tally.failures.count) seeds broke a promise
      """)
  }

  /// The order of a `Set` differs between two processes: nothing may depend on it.
  private func checkHashSeeds() throws {
    let few = ["seeds", "--from", "\(from)", "--count", "\(min(count, 5_000))", "--fingerprint"]
    let prints = try (0..<2).map { _ in try Self.output(of: few) }
    guard prints[0] == prints[1] else {
      print("two processes do not agree on the traces of the same seeds")
      throw ExitCode.failure
    }
    print("two processes with other hash seeds agree on every trace")
  }

  private static func output(of arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }
}
