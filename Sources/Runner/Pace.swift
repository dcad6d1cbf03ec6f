import Jobs
import Store

/// How long to wait before an effect: all back-off of the driver is here.
enum Pace {
  /// An unproved release is reported after this long at a normal end (rulings 7).
  static let reportUnproved = Duration.seconds(600)
  /// Contract: 10 s after a signal. A POST that was out may have had ``mercyForPost`` of them; the rest is for leaving.
  static let reportUnprovedAfterSignal = Duration.milliseconds(9_000)
  /// How long a POST may still answer after a signal: the DELETE has to be out within a second of it.
  static let mercyForPost = Duration.milliseconds(700)
  /// How long a connection may be silent before it is made again.
  static let silence = Duration.seconds(15)
  /// Of one of several nodes: those that wait for it in an engine cost money, and notice nothing. With ``lastCall`` it is lost within 15 s.
  static let silenceOfNode = Duration.seconds(9)
  /// How long a node that has fallen silent has to let us in once more.
  static let lastCall = Duration.seconds(4)
  /// How often a commit of a job's end is tried again, once a second.
  static let insistence = 10
  /// For what can still be saved after a DELETE.
  static let salvage = Duration.seconds(3)
  /// The command may still be writing: its logs have no end to wait for.
  static let salvageOfLogs = Duration.seconds(1)

  static func pause(before effect: Effect, in run: Driver.Run, at now: Moment, jitter: Double) -> Duration {
    let tries = run.tries
    let base: Duration =
      switch effect {
      case .choose(let past): max(.zero, (past.last?.outcome.retryAt).map { $0 - now } ?? .zero)
      case .create: tries == 0 ? .zero : doubling(.milliseconds(500), tries - 1, cap: .seconds(30))
      case .look: settle[min(tries, settle.count - 1)]
      case .price, .salvage: .zero
      case .observe(let attempt): observe(attempt, in: run, at: now)
      case .reach: reach(run)
      case .upload, .launch, .follow, .stop, .collect, .clear:
        tries == 0 ? .zero : doubling(.milliseconds(250), tries - 1, cap: .seconds(10))
      case .delete: tries == 0 ? .zero : doubling(.milliseconds(500), tries / 2, cap: .seconds(30))
      case .verify: verify(run)
      }
    return base + .milliseconds(Int64(Double(base.milliseconds) * 0.1 * jitter))
  }

  /// reliability.md b.3 step 4, with one early look.
  private static let settle: [Duration] = [1, 2, 4, 8, 15].map { .seconds($0) }

  /// While booting as ``BootPace`` says, but for the first look; elsewhere it is a second look at what seems to fail.
  private static func observe(_ attempt: Attempt, in run: Driver.Run, at now: Moment) -> Duration {
    guard case .booting = run.record.state.phase else { return .milliseconds(200) }
    // A look that taught something has been a look.
    let hasLooked = if case .observed = run.lastEvent { true } else { false }
    guard run.tries > 0 || hasLooked else { return .zero }
    let (offering, age) = (attempt.offering, now - attempt.sentAt)
    return BootPace.pause(at: age, min: offering.minBootSeconds, max: offering.maxBootSeconds)
  }

  /// Refused: from 0.25 s up to 5 s. Not authorised: 6 s, or sshd starts to refuse us (rulings 9).
  private static func reach(_ run: Driver.Run) -> Duration {
    guard run.tries > 0 else { return .zero }
    if case .unreachable(let why, _) = run.lastEvent, why.hasPrefix(World.notAuthenticated) { return .seconds(6) }
    return doubling(.milliseconds(250), run.tries - 1, cap: .seconds(5))
  }

  private static func verify(_ run: Driver.Run) -> Duration {
    if case .releasing = run.record.state.phase { return .zero }
    if case .deleted = run.lastEvent, run.tries == 0 { return .milliseconds(100) }
    if case .salvaged = run.lastEvent, run.tries == 0 { return .zero }
    if case .restarted = run.lastEvent, run.tries == 0 { return .zero }
    return run.tries < 30 ? Window.proof + .milliseconds(20) : run.tries < 60 ? .seconds(5) : .seconds(15)
  }

  private static func doubling(_ start: Duration, _ times: Int, cap: Duration) -> Duration {
    min(cap, start * Int(1 << min(times, 20)))
  }
}
