import ArgumentParser
import Foundation
import TestSupport

/// How much is moved.
struct Sizes {
  var megabytes: Int
  var files: Int
  var logMegabytes: Int
  var floodMegabytes: Int
  var ticks: Int
  var offerings = 10_000
  var nodeMegabytes = 16
  var wideMegabytes = 64
  var jobs: Int
  var finished: Int

  static let full = Sizes(
    megabytes: 1024, files: 10_000, logMegabytes: 200, floodMegabytes: 10_000, ticks: 600, jobs: 200, finished: 100_000)
  static let quick = Sizes(
    megabytes: 64, files: 2000, logMegabytes: 50, floodMegabytes: 300, ticks: 200, jobs: 10, finished: 10_000)
}

/// `bench`: everything that a person waits for, beside what they would type instead.
@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Time fcrun beside OpenSSH and rsync, and write docs/benchmarks.md.")

  @Flag(help: "Small sizes and two rounds: about three minutes.")
  var quick = false

  @Option(help: "Rounds of each contest.")
  var rounds: Int?

  @Option(help: "Only works whose name or way has one of these words in it, and wide, logs, flood, jobs, and nodes.")
  var only: [String] = []

  @Option(help: "A folder for the files of it; memory is best.")
  var folder = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()

  @Option(help: "MiB of a large file.")
  var megabytes: Int?

  @Option(help: "How many small files.")
  var files: Int?

  @Option(help: "MB of a log in a flood.")
  var flood: Int?

  @Flag(help: "Write docs/benchmarks.md and docs/benchmarks.json.")
  var write = false

  func run() throws {
    signal(SIGPIPE, SIG_IGN)
    let own = folder + "/fcrun-bench-\(getpid())"
    try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: own) }
    let machine = try Machine(in: own)
    defer { machine.stop() }
    print(try measured(machine, own).table)
  }

  /// What is measured is written at once: a run is long.
  private func publish(_ report: Report) throws {
    if write { try report.publish(besides: Binaries.repository + "/docs") }
  }

  private func measured(_ machine: Machine, _ folder: String) throws -> Report {
    var sizes = quick ? Sizes.quick : .full
    sizes.megabytes = megabytes ?? sizes.megabytes
    sizes.files = files ?? sizes.files
    sizes.floodMegabytes = flood ?? sizes.floodMegabytes
    let cloud = CloudJobs(folder: folder, sizes: sizes)
    let rounds = rounds ?? (quick ? 2 : 5)
    let logs = Logs(machine: machine, folder: folder, sizes: sizes)
    let contests = try Transfers(machine: machine, folder: folder, sizes: sizes).contests() + logs.contests()
    var report = Report(isQuick: quick)
    func judged(_ verdict: Verdict) throws {
      report.verdicts.append(verdict)
      try publish(report)
      FileHandle.standardError.write(Data((Report.lines(verdict).joined(separator: "\n") + "\n").utf8))
    }
    for contest in contests where isWanted("\(contest.work), \(contest.link.name)") {
      try judged(contest.judge(rounds: rounds))
    }
    if isWanted("wide") {
      let wide = try FanOutContest(count: 4, folder: folder, megabytes: sizes.wideMegabytes)
      defer { wide.stop() }
      try judged(wide.contest.judge(rounds: rounds))
    }
    if isWanted("logs") { report.figures += try logs.figures() }
    if isWanted("flood") { report.figures += try cloud.flood() }
    if isWanted("jobs") {
      let (verdict, requests) = try cloud.noOp(rounds: rounds)
      try judged(verdict)
      report.figures += requests
      report.figures += try cloud.figures()
    }
    if isWanted("nodes") { report.figures += try cloud.nodes() }
    try publish(report)
    return report
  }

  private func isWanted(_ name: String) -> Bool { only.isEmpty || only.contains { name.contains($0) } }
}
