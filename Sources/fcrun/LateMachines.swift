import ForwardCompute
import Jobs
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

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
    // What is not proved gone stays watched, and so do the others: the next look is cheap.
    guard !Task.isCancelled, !results.contains(where: { $0.taken == .notProved }) else { return }
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

// MARK: - Beside a command

extension LateMachines {
  /// How far apart two looks are at least: `ps` may be asked every second.
  private static let interval = 30.0

  /// Starts the look as a process of its own where a name is under watch: the command neither waits for it nor fails of it.
  ///
  /// What it finds and does is in `$FCRUN_HOME/late.log`.
  static func lookBeside(_ installation: Installation) {
    guard let account = Account.ofEnvironment,
      let names = try? installation.store.lateNames(account: account.fingerprint),
      !names.isEmpty, isDue(installation.home + "/late.look")
    else { return }
    var spawn = Spawn(Executable.own, ["reap", "--late"])
    spawn.isDetached = true
    spawn.stderr = .appended(to: installation.home + "/late.log")
    _ = try? spawn.start()
  }

  /// Takes this interval's look; false when another process has.
  private static func isDue(_ path: String) -> Bool {
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var status = stat()
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, fstat(descriptor, &status) == 0 else { return false }
    let age = Date().timeIntervalSince1970 - Double(status.lastChange.tv_sec)
    guard status.st_size == 0 || age < 0 || age >= interval else { return false }
    return ftruncate(descriptor, 0) == 0 && write(descriptor, "1", 1) == 1
  }
}

extension stat {
  fileprivate var lastChange: timespec {
    #if canImport(Darwin)
      st_mtimespec
    #else
      st_mtim
    #endif
  }
}

extension Account {
  /// Whom the environment names; nil without a key.
  fileprivate static var ofEnvironment: Account? {
    Context.environment("FORWARD_COMPUTE_API_KEY").map { key in
      Account(
        baseURL: Context.environment("FORWARD_COMPUTE_BASE_URL") ?? Context.defaultBaseURL, apiKey: key, isLocal: false)
    }
  }
}
