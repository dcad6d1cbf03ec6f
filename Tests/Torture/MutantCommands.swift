import ArgumentParser
import Foundation
import Simulation
import TestSupport

/// Writes a copy of the package in which every mutant is a switch.
struct Mutate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mutate", abstract: "Copy the package, with every protocol mutant as a switch in it.")

  @Argument(help: "The folder to write; what is in it is replaced.")
  var folder: String

  func run() throws {
    let edited = try Mutants(repository: Binaries.repository).edited(in: Binaries.repository)
    try Self.copyPackage(to: folder)
    for (file, text) in edited { try write(text, file) }
    try write(Self.switchboard, "Sources/Jobs/Mutant.swift")
    let hook = "Tests/Simulation/Mutation.swift"
    let text = try String(contentsOfFile: "\(Binaries.repository)/\(hook)", encoding: .utf8)
    try write("import Jobs\n\n" + text.replacing("? = nil", with: "? = { activeMutant = $0 }"), hook)
  }

  private func write(_ text: String, _ file: String) throws {
    try text.write(toFile: "\(folder)/\(file)", atomically: true, encoding: .utf8)
  }

  private static let switchboard = """
    package nonisolated(unsafe) var activeMutant = 0

    package func isMutant(_ number: Int) -> Bool { activeMutant == number }

    """

  /// Sources and tests; what was built there before stays, so that a second time is quick.
  private static func copyPackage(to folder: String) throws {
    let files = FileManager.default
    try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for part in ["Package.swift", "Sources", "Tests"] {
      try? files.removeItem(atPath: "\(folder)/\(part)")
      try files.copyItem(atPath: "\(Binaries.repository)/\(part)", toPath: "\(folder)/\(part)")
    }
  }
}

/// Runs every mutant until a promise is broken: `make mutants`.
struct MutantRuns: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mutants", abstract: "Let the simulation catch every protocol mutant.")

  @Option(help: "In at most so many seeds.")
  var seeds: UInt64 = 10_000

  @Option(help: "Only the mutant of this name.")
  var only: String?

  @Option(help: "How many at once.")
  var cores = ProcessInfo.processInfo.activeProcessorCount

  func run() async throws {
    guard let turnOn = Mutation.turnOn else { throw ValidationError("this build has no mutants; run: make mutants") }
    let mutants = try Mutants(repository: Binaries.repository).all.filter { only == nil || $0.name == only }
    var missed: [String] = []
    for mutant in mutants {
      turnOn(mutant.number)
      let tally = await Campaign(seeds: 1..<(seeds + 1), repeats: false, stopsAtFirstFailure: true).run(cores: cores)
      if tally.failures.isEmpty { missed.append(mutant.name) }
      show(mutant, tally)
    }
    print("\(mutants.count - missed.count) of \(mutants.count) mutants caught within \(seeds) seeds")
    if !missed.isEmpty { throw ExitCode.failure }
  }

  private func show(_ mutant: Mutants.Mutant, _ tally: Campaign.Tally) {
    let first = tally.failures.min { $0.seed < $1.seed }
    let end = first.map { "seed \($0.seed): \($0.violations[0])" } ?? "NOT CAUGHT in \(tally.seeds) seeds"
    print("\(mutant.name): \(end)")
    // Who writes to a file or a pipe wants to see how far it is, too.
    fflush(nil)
  }
}
