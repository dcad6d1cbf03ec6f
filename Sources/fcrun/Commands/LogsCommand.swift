import ArgumentParser
import ForwardCompute
import Jobs
import Remote
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `fcrun logs`: what the job wrote.
struct LogsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logs", abstract: "Print a job's stdout and stderr, also after its machine is gone.",
    usage: "fcrun logs [<options>] <job>",
    discussion: """
      Byte for byte as the job wrote it, file after file; with an option that needs lines, in the order in which they came in.

        fcrun logs -f train
        fcrun logs train --since 10m --grep 'loss|error' --timestamps
        fcrun logs train --stream stderr --attempt 2 --node 0 -n 50
      """)

  @Argument(help: "Id, the beginning of one, or a name.", completion: Completions.jobs)
  var job: String

  @Flag(name: .shortAndLong, help: "Go on until the job is over.")
  var follow = false

  @Option(
    name: .customShort("n"), parsing: .unconditional,
    help: ArgumentHelp("Only the last lines of each file.", valueName: "N"), transform: Count.parse)
  var lines: Int?

  @Option(help: ArgumentHelp("Only lines that came in later: 10m ago, or an RFC 3339 time.", valueName: "time"))
  var since: String?

  @Option(help: ArgumentHelp("Only lines that came in before: 10m ago, or an RFC 3339 time.", valueName: "time"))
  var until: String?

  @Flag(help: "Before each line the time at which it came in, in UTC.")
  var timestamps = false

  @Option(help: "Only stdout, or only stderr.")
  var stream: LogGrowth.Stream?

  @Option(help: ArgumentHelp("Only lines in which this is found.", valueName: "regex"))
  var grep: String?

  @Option(help: ArgumentHelp("Only this attempt, from 1.", valueName: "N"))
  var attempt: Int?

  @Option(help: ArgumentHelp("Only the node of this rank, from 0.", valueName: "N"))
  var node: Int?

  @Flag(help: "As it is, on a terminal too: control sequences and all.")
  var raw = false

  @Flag(help: "Print NDJSON, an object for each line, on stdout.")
  var json = false

  func run() async throws {
    let installation = try Installation.openAndLook()
    let selection = LogSelection(attempt: attempt, node: node, stream: stream)
    if case .sweep(let sweep) = try installation.subject(job) { return try await print(sweep, selection, installation) }
    let record = try installation.job(job)
    if !follow || record.isOver { try selection.require(in: record) }
    let reader = try reader(of: record, selection, installation.folder(of: record.id))
    if follow && !record.isOver {
      _ = try await Watch(installation: installation, printer: reader, selection: selection).untilOver(record.id)
    } else {
      await reader.finish(selection.files(of: record))
    }
  }

  /// Each line with its task before it.
  private func print(_ sweep: SweepRecord, _ selection: LogSelection, _ installation: Installation) async throws {
    let filter = try filter()
    if needsTimes(filter) {
      for task in try installation.store.tasks(of: sweep.id) {
        try selection.requireTimes(of: task, in: installation.folder(of: task.id))
      }
    }
    try await SweepLogs(installation, selection, form, filter, last: lines).print(sweep, follow: follow)
  }

  private func reader(of record: JobRecord, _ selection: LogSelection, _ folder: String) throws -> any LogReader {
    let filter = try filter()
    guard json || timestamps || filter.isNeeded else {
      let printer = LogPrinter(folder: folder, to: raw ? .rawCopies : .copies)
      if let lines { printer.skip(toLast: lines, of: selection.files(of: record)) }
      return printer
    }
    if needsTimes(filter) { try selection.requireTimes(of: record, in: folder) }
    return LinePrinter(folder: folder, form: form, filter: filter, last: lines)
  }

  private var form: LinePrinter.Form { json ? .json : .text(timestamps: timestamps, isRaw: raw) }

  private func needsTimes(_ filter: LineFilter) -> Bool { timestamps || filter.needsTimes }

  private func filter() throws -> LineFilter {
    LineFilter(
      since: try since.map { try Time.parse($0, option: "--since") },
      until: try until.map { try Time.parse($0, option: "--until") },
      pattern: try grep.map(LinePattern.init))
  }
}

extension LogGrowth.Stream: ExpressibleByArgument {}

/// How many, as `-n` takes it.
enum Count {
  static func parse(_ text: String) throws -> Int {
    guard let count = Int(text), count >= 0 else { throw ValidationError("expected a whole number, 0 or more") }
    return count
  }
}

/// Which of a job's log files are wanted.
struct LogSelection: Sendable {
  var attempt: Int?
  var node: Int?
  var stream: LogGrowth.Stream?

  func files(of record: JobRecord) -> [LogPrinter.LogFile] {
    LogFiles.of(record).filter { file in
      (attempt ?? file.attempt) == file.attempt && (node ?? file.node) == file.node
        && (stream ?? file.stream) == file.stream
    }
  }

  /// - Throws: ``Failure`` 64 for an attempt or a node that the job does not have.
  func require(in record: JobRecord) throws {
    let all = LogFiles.of(record)
    guard !all.isEmpty, files(of: record).isEmpty else { return }
    let attempts = all.map(\.attempt).max() ?? 1
    let nodes = all.map(\.node).max() ?? 0
    throw Failure(
      status: .usage,
      message: "\(record.id) has no such log: its attempts are 1 to \(attempts), its nodes 0 to \(nodes)")
  }

  /// - Throws: ``Failure`` 64 for a log without a record of when it came in.
  func requireTimes(of record: JobRecord, in folder: String) throws {
    for file in files(of: record) {
      let path = file.path(in: folder)
      let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int ?? 0
      guard size > 0, !FileManager.default.fileExists(atPath: Arrivals.path(of: path)) else { continue }
      throw Failure(
        status: .usage,
        message: "nothing is known of when \(path) came in: its record \(Arrivals.path(of: path)) is missing",
        next: "leave out --since, --until and --timestamps")
    }
  }
}
