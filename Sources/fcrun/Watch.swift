import Jobs
import Remote
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Looks on while another process drives a job: reads the store and the log files, changes nothing.
struct Watch: Sendable {
  let installation: Installation
  let printer: (any LogReader)?
  /// Which files the printer is told of.
  var selection = LogSelection()

  private static let looksWithoutDriver = 4

  /// How often files are looked at; the store every few times.
  private static let glance = Duration.milliseconds(50)

  /// Until the job is finished, or nobody drives it any more.
  func untilOver(_ id: String) async throws -> JobRecord {
    try await untilOver(id, isDriven: installation.isCaredFor)
  }

  /// The same of a task, for the driver of its sweep.
  func untilLeft(_ id: String) async throws -> JobRecord {
    try await untilOver(id) { installation.isDriven($0.id) }
  }

  private func untilOver(_ id: String, isDriven: (JobRecord) -> Bool) async throws -> JobRecord {
    var glances = 0
    var idle = 0
    while true {
      let isLookDue = glances % 6 == 0
      let record = isLookDue ? try installation.store.job(id) : nil
      let isDriven = record.map(isDriven) ?? true
      if let record { grew(record) }
      if let record {
        // One driver may follow another: only who finds nobody again and again concludes that there is none.
        idle = isDriven ? 0 : idle + 1
        if record.isFinished || idle >= Self.looksWithoutDriver { return try await last(record) }
      }
      glances += 1
      try await Task.sleep(for: Self.glance)
    }
  }

  /// Until every task of the sweep is finished, or one is driven by nobody.
  /// - Returns: the exit code of the whole.
  func untilOver(_ sweep: SweepRecord) async throws -> Int32 {
    for task in try installation.store.tasks(of: sweep.id) where !task.isFinished {
      if try await !untilOver(task.id).isFinished { break }
    }
    return SweepDrive.exitCode(of: try installation.store.tasks(of: sweep.id))
  }

  private func last(_ record: JobRecord) async throws -> JobRecord {
    let final = try installation.store.job(record.id)
    await printer?.finish(selection.files(of: final))
    return final
  }

  private func grew(_ record: JobRecord) {
    printer?.grew(selection.files(of: record))
  }
}

/// Which log files a job has.
enum LogFiles {
  static func of(_ record: JobRecord) -> [LogPrinter.LogFile] {
    let past = record.state.past.map { ($0.number, $0.names.count) }
    let present = record.state.attempt.map { [($0.number, $0.machines.count)] } ?? []
    return (past + present).flatMap { number, nodes in
      (0..<nodes).flatMap { node in
        [LogGrowth.Stream.stdout, .stderr].map { LogPrinter.LogFile(attempt: number, node: node, stream: $0) }
      }
    }
  }
}
