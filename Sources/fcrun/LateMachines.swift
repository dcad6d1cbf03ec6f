import ForwardCompute
import Jobs
import Runner
import Store

/// Machines that appear under a name of a job that is over: the cloud may execute a POST late, or twice.
struct LateMachines: Sendable {
  let installation: Installation
  let cloud: Cloud

  /// One list where a name is under watch, none where none is; what has appeared is given back and told.
  ///
  /// Never an error: the job that was asked for goes on, and the next start looks again.
  func giveBack() async {
    guard let names = try? watched(), !names.isEmpty, let reaper = try? reaper() else { return }
    let request = Reaper.Request(named: names, older: nil, anyOwner: false)
    guard let findings = try? await reaper.survey(request, standing: installation.standing) else { return }
    for finding in findings where finding.isToBeTaken {
      let taken = (try? await reaper.take(finding)) ?? .notProved
      tell(finding.instance, taken)
    }
  }

  private func tell(_ instance: Instance, _ taken: Reaper.Taken) {
    let end: String
    switch taken {
    case .wasGone, .left: return
    case .proved: end = "given back and proved gone"
    case .notProved: end = "NOT PROVED GONE; try: fcrun reap \(instance.id)"
    }
    Report.warn("\(instance.id) appeared late under \(instance.name): \(end)")
  }

  /// The same, but no longer than `limit`: a DELETE that was sent goes on without us.
  func giveBack(within limit: Duration) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await giveBack() }
      group.addTask { try? await Task.sleep(for: limit) }
      await group.next()
      group.cancelAll()
    }
  }

  /// Names of jobs that are over, of this account.
  private func watched() throws -> [String] {
    try installation.store.watchedNames(at: LiveClock().now())
      .filter { $0.accountFingerprint == cloud.account.fingerprint && installation.standing($0.job) == .over }
      .map(\.name)
  }

  private func reaper() throws -> Reaper {
    let drive = Drive(installation: installation, form: .quiet)
    let console = Console(.quiet, folder: installation.home)
    return Reaper(
      world: try drive.world(cloud, console, SignalInbox(), Passphrases.none), owner: installation.owner)
  }
}
