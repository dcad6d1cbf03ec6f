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
    try installation.store.lateNames(at: LiveClock().now(), account: cloud.account.fingerprint)
      .filter { installation.standing($0.job) == .over }.map(\.name)
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
      let names = try? installation.store.lateNames(at: LiveClock().now(), account: account.fingerprint),
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
