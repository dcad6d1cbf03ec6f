/// How an attempt or a whole job ended, and what that means to a caller.
package enum Outcome: Codable, Hashable, Sendable {
  /// The command, or its `setup`, ran to its own end.
  case exited(CommandEnd)
  /// No offering fits, the cloud has none, or the price rose above the cap.
  case noCapacity(String)
  /// Asked for and billed, and never usable.
  case bootFailed(String)
  /// Pre-empted, rebooted, deleted by somebody, or not reachable any more.
  case lost(String)
  case unauthorized(String)
  /// The API asks to come back later; the name was refused and a new one is tried.
  case rateLimited(String, retryAt: Moment)
  case notConfigured(String)
  case outOfTime(String)
  case outOfBudget(String)
  case cancelled
  case interrupted(Signal)
  /// fcrun itself could not do its part.
  case failed(String)
}

/// A signal that ends fcrun, by its number.
package enum Signal: Int32, Codable, Sendable, CaseIterable {
  case hangup = 1
  case interrupt = 2
  case terminate = 15

  package var name: String {
    switch self {
    case .hangup: "SIGHUP"
    case .interrupt: "SIGINT"
    case .terminate: "SIGTERM"
    }
  }
}

extension Outcome {
  /// The contract's exit code (job-spec.md, "The command line"). 75 is not here: it says that the *release* is not
  /// proved, whatever the outcome was.
  package var exitCode: Int32 {
    switch self {
    case .exited(let end): Int32(truncatingIfNeeded: end.code)
    case .noCapacity, .bootFailed, .rateLimited: 69
    case .lost: 76
    case .unauthorized: 77
    case .notConfigured: 78
    case .outOfTime, .outOfBudget: 124
    case .failed: 125
    case .cancelled: 130
    case .interrupted(let signal): 128 + signal.rawValue
    }
  }

  /// True when the code is the job's own and not fcrun's.
  package var isOfJob: Bool { if case .exited = self { true } else { false } }

  package var isSuccess: Bool { if case .exited(let end) = self { end.code == 0 } else { false } }

  /// One word for lists and events.
  package var word: String {
    switch self {
    case .exited(let end): end.code == 0 ? "succeeded" : "failed"
    case .noCapacity, .rateLimited: "no_capacity"
    case .bootFailed: "boot_failed"
    case .lost: "lost"
    case .unauthorized: "unauthorized"
    case .notConfigured: "not_configured"
    case .outOfTime: "out_of_time"
    case .outOfBudget: "out_of_budget"
    case .cancelled: "cancelled"
    case .interrupted: "interrupted"
    case .failed: "error"
    }
  }

  /// One sentence for a person.
  package var sentence: String {
    switch self {
    case .exited(let end):
      end.phase == .setup ? "setup failed with exit code \(end.code)" : "the command ended with exit code \(end.code)"
    case .noCapacity(let why), .bootFailed(let why), .lost(let why), .unauthorized(let why), .notConfigured(let why),
      .outOfTime(let why), .outOfBudget(let why), .failed(let why), .rateLimited(let why, _):
      why
    case .cancelled: "cancelled"
    case .interrupted(let signal): "interrupted by \(signal.name)"
    }
  }

  /// Whether `retry.on` names this outcome.
  package func isRetried(by retry: Retry) -> Bool {
    retry.on.contains { trigger in
      switch (trigger, self) {
      case (.noCapacity, .noCapacity), (.bootFailed, .bootFailed), (.preempted, .lost): true
      case (.exit(let code), .exited(let end)): code == end.code
      case (.noCapacity, _), (.bootFailed, _), (.preempted, _), (.exit, _): false
      }
    }
  }

  /// Whether the offering is to blame, so that another one is tried first.
  package var blamesOffering: Bool {
    switch self {
    case .noCapacity, .bootFailed, .lost: true
    case .exited, .unauthorized, .rateLimited, .notConfigured, .outOfTime, .outOfBudget, .cancelled, .interrupted,
      .failed:
      false
    }
  }
}
