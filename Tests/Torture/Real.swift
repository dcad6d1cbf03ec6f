import ArgumentParser
import Dispatch
import Foundation
import Kills
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Jobs with real processes, real sshd and real kills: each is hurt on its way and must come to the same end.
struct Real: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "real", abstract: "Kill, hurt and cut the built programs beside this one, and resume them.")

  @Option(help: "How many runs.")
  var count = 1000

  @Option(help: "Number of the first run.")
  var from = 0

  @Option(help: "Where every run follows from, with its number.")
  var seed: UInt64 = 1

  @Option(help: "Runs at one time; most of a run is waiting.")
  var jobs = 4

  @Option(help: "Only runs of this kind: \(Kind.allCases.map(\.rawValue).joined(separator: ", ")).")
  var kind: Kind?

  @Option(help: "One run as it was printed, instead of all that.")
  var plan: String?

  func run() async throws {
    let work = Task { plan == nil ? try await campaign() : try await replay(plan ?? "") }
    let signals = Self.cancelOnSignal(work)
    defer { for signal in signals { signal.cancel() } }
    guard try await work.value else { throw ExitCode.failure }
  }

  private func replay(_ text: String) async throws -> Bool {
    let report = await KillRun.perform(try Plan(text), load: .waiting)
    say("\(report.plan): struck \(report.struck), \(report.isClean ? "clean" : "NOT CLEAN")")
    show(report)
    return report.isClean
  }

  private func campaign() async throws -> Bool {
    let terrain = try await Terrain.survey()
    say(Self.words(terrain))
    let campaign = Campaign(seed: seed, numbers: from..<(from + count), kind: kind, jobs: jobs, terrain: terrain)
    let start = ContinuousClock.now
    let tally = await campaign.run { number, report, done in
      if done % 100 == 0 { say("\(done) of \(count) runs") }
      guard !report.isClean else { return }
      say("run \(number) is NOT CLEAN; again: \(CommandLine.arguments[0]) real --plan '\(report.plan)'")
      show(report)
    }
    say(tally.table)
    say("\(Int((ContinuousClock.now - start) / .seconds(1))) s, seed \(seed), \(jobs) at a time")
    return tally.isClean && !Task.isCancelled
  }

  private func show(_ report: Report) {
    guard !report.isClean else { return }
    for finding in report.findings { say("  \(finding)") }
    say(report.evidence.split(separator: "\n").map { "  | \($0)" }.joined(separator: "\n"))
  }

  private static func words(_ terrain: Terrain) -> String {
    """
    a run without a fault: \(terrain.seconds) s; POST \(terrain.post.there) + \(terrain.post.back) bytes; \
    SSH \(terrain.ssh.there) + \(terrain.ssh.back) bytes; \(terrain.sites.count) sites of system calls; \
    failpoints: \(terrain.hasFailpoints ? "yes" : "none in this build")
    """
  }

  /// An end in good order, so that no simulator and no machine is left.
  private static func cancelOnSignal(_ work: Task<Bool, any Error>) -> [any DispatchSourceSignal] {
    [SIGINT, SIGTERM, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { work.cancel() }
      source.resume()
      return source
    }
  }
}

extension Kind: ExpressibleByArgument {}

/// At once, also into a file or a pipe: a campaign is long.
private func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
