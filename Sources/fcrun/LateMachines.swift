import ForwardCompute
import Jobs
import Runner
import Store

/// Machines that appear under a name when nobody waits for them any more: the cloud may execute a POST late, or twice.
struct LateMachines: Sendable {
  let installation: Installation
  let cloud: Cloud

  /// One list where a name is under watch, none where none is; what nobody wants is given back and told.
  ///
  /// Never an error: the job that was asked for goes on, and the next start looks again.
  func giveBack() async {
    guard let names = try? watched(), !names.isEmpty, let reaper = try? reaper() else { return }
    let now = LiveClock().now()
    guard let results = try? await reaper.giveBackStrays(under: names, standing: installation.standing) else { return }
    for (finding, taken) in results { tell(finding.instance, taken) }
    try? installation.store.endWatch(lookedAt: now, account: cloud.account.fingerprint)
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

  /// Again and again beside a job that is driven, until the task is cancelled: a machine that nobody knows of must not cost
  /// for as long as a training takes.
  func watch() async {
    var pause = Duration.zero
    while !Task.isCancelled {
      try? await Task.sleep(for: pause)
      if !Task.isCancelled { await giveBack() }
      // The first look after the job's own POST comes when every list must show what it made.
      pause = pause == .zero ? Window.settle + .seconds(5) : .seconds(600)
    }
  }

  /// Names of this account.
  private func watched() throws -> [String] {
    try installation.store.watchedNames().filter { $0.accountFingerprint == cloud.account.fingerprint }.map(\.name)
  }

  private func reaper() throws -> Reaper {
    let drive = Drive(installation: installation, form: .quiet)
    let console = Console(.quiet, folder: installation.home)
    return Reaper(
      world: try drive.world(cloud, console, SignalInbox(), Passphrases.none), owner: installation.owner)
  }
}
