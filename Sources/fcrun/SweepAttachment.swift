import Jobs
import Runner
import Store

/// `attach` to a sweep, and a submit of one that was submitted before: its table or its events, and its exit code, whoever
/// drives it and whether or not it is over.
struct SweepAttachment: Sendable {
  let installation: Installation
  let sweep: SweepRecord
  let form: Console.Form

  /// How often the store is asked what has changed.
  private static let glance = Duration.milliseconds(300)

  /// Follows the sweep to its end; drives it when nobody does.
  /// - Returns: the exit code.
  func follow(_ signals: SignalInbox) async throws -> Int32 {
    let teller = SweepTeller(sweep, try tasks(), form, installation)
    while true {
      try await lookOn(teller)
      let tasks = try tasks()
      guard let next = tasks.first(where: { !$0.isFinished }) else {
        let code = SweepDrive.exitCode(of: tasks)
        await teller.finish(tasks, code: code)
        return code
      }
      if let code = try await drive(like: next, teller, signals) { return code }
    }
  }

  /// While another process drives it.
  private func lookOn(_ teller: SweepTeller) async throws {
    var seen: [String: Moment] = [:]
    var isDriven = installation.isDriven(sweep: sweep.id)
    while isDriven {
      // The last look is after the end.
      isDriven = installation.isDriven(sweep: sweep.id)
      for task in try tasks() where seen.updateValue(task.updatedAt, forKey: task.id) != task.updatedAt {
        teller.saw(task)
      }
      try await Task.sleep(for: Self.glance)
    }
  }

  /// nil when another process was faster.
  private func drive(
    like task: JobRecord, _ teller: SweepTeller, _ signals: SignalInbox
  ) async throws -> Int32? {
    signals.open(leavingBehind: sweep, like: task, in: isText ? installation : nil)
    let cloud = try await Cloud.of(task, home: installation.home)
    do {
      return try await SweepDrive(installation: installation, form: form, teller: teller)
        .run(sweep, on: cloud, signals: signals)
    } catch let failure as Failure where failure.status == .usage && installation.isDriven(sweep: sweep.id) {
      return nil
    }
  }

  private var isText: Bool { if case .text = form { true } else { false } }

  private func tasks() throws -> [JobRecord] { try installation.store.tasks(of: sweep.id) }
}
