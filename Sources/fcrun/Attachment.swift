import Jobs
import Runner
import Store

/// A submit of a job that was submitted before: what it prints is the job's whole output, and its exit code the job's,
/// whoever drives it and whether or not it is over.
struct Attachment: Sendable {
  let installation: Installation
  let id: String
  let json: Bool

  /// Follows the job to its end; drives it when nobody does.
  /// - Returns: the exit code.
  func follow(_ signals: SignalInbox) async throws -> Int32 {
    let form: Console.Form = json ? .json : .text
    let printer = Console.printer(form, installation.folder(of: id), fromStart: true)
    while true {
      let record = try await Watch(installation: installation, printer: printer).untilOver(id)
      if record.isFinished { await ResumeCommand.leave(record, installation, form, printer) }
      if let code = try await drive(record, form, printer, signals) { return code }
    }
  }

  /// nil when another process was faster.
  private func drive(
    _ record: JobRecord, _ form: Console.Form, _ printer: LogPrinter, _ signals: SignalInbox
  ) async throws -> Int32? {
    if json { signals.open(leavingBehind: record) } else { signals.open(leavingBehind: record, in: installation) }
    let cloud = try await Cloud.of(record, home: installation.home)
    var drive = Drive(installation: installation, form: form)
    drive.printer = printer
    do {
      return try await drive.run(id, on: cloud, signals: signals).exitCode
    } catch let failure as Failure where failure.status == .usage && installation.isDriven(id) {
      return nil
    }
  }
}
