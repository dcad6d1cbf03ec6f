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

/// The id that `submit --id` gives to a job.
enum SubmitID {
  static func isValid(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  /// - Throws: ``Failure`` 64 when the job asks for something else than `plan` does.
  static func requireSame(_ record: JobRecord, _ plan: JobPlan, isLocal: Bool) throws {
    var differences = plan.differences(from: record.context.plan)
    if record.arrangement.isLocal != isLocal { differences.append("--local") }
    guard !differences.isEmpty else { return }
    throw Failure(
      status: .usage,
      message:
        "another job was submitted with --id \(record.arrangement.submitID ?? ""): \(record.id) differs in \(differences.joined(separator: ", "))",
      next: "another id, or the same spec; what was submitted is in: fcrun show \(record.id)")
  }
}
