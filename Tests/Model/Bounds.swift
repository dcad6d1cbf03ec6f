import Jobs

/// How large the explored world is, and how unfriendly.
///
/// Time goes in ticks: a tick is longer than ``Window/proof`` and divides ``Window/settle`` and ``Window/deleteAgain``,
/// so that each of these windows is met from both sides.
package struct Bounds: Sendable {
  package static let tick = Duration.seconds(20)
  /// POSTs and instances of one name that are told apart; what is more is not explored.
  static let copies = 2

  /// Machines of one attempt; `nodes * attempts` is at most 4.
  package var nodes: Int
  package var attempts: Int
  /// Ticks within which a POST that was sent is executed, or never.
  package var delay: Int
  /// Ticks for which lists and GETs may not know a new instance; once a GET has shown it, every GET does (rulings 6).
  package var lag: Int
  /// How often the client is killed.
  package var crashes: Int
  /// The cloud may execute one POST a second time.
  package var executesTwice: Bool
  /// The cloud may make a machine and answer 4xx `provider_error`.
  package var refusesFalsely: Bool
  /// The user may interrupt or cancel, once.
  package var isInterrupted: Bool

  package init(
    nodes: Int = 1, attempts: Int = 1, delay: Int = 2, lag: Int = 1, crashes: Int = 2, executesTwice: Bool = true,
    refusesFalsely: Bool = false, isInterrupted: Bool = true
  ) {
    precondition((1...4).contains(nodes * attempts), "at most four names")
    precondition((0...12).contains(delay) && (0...3).contains(lag) && (0...3).contains(crashes), "out of the encoding")
    self.nodes = nodes
    self.attempts = attempts
    self.delay = delay
    self.lag = lag
    self.crashes = crashes
    self.executesTwice = executesTwice
    self.refusesFalsely = refusesFalsely
    self.isInterrupted = isInterrupted
  }

  /// What the settle window rests on (rulings 3, 5): then nothing at all may be left behind.
  package var areAssumed: Bool { Self.tick * (delay + lag) <= Window.settle && !refusesFalsely }

  var names: Int { nodes * attempts }

  /// Ticks after which `window` has passed.
  static func ticks(_ window: Duration) -> Int { Int((window.seconds / tick.seconds).rounded(.up)) }
}
