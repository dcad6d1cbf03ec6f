/// How an attempt or a whole job ended, and what that means to a caller.
package enum Outcome: Codable, Hashable, Sendable {
  /// The command, or its `setup`, ran to its own end.
  case exited(CommandEnd)
  /// No offering fits, the cloud has none, or the price rose above the cap.
  case noCapacity(String)
  /// Asked for and billed, and never usable.
  case bootFailed(String)
  /// The cloud took the machine away, or somebody deleted it.
  case preempted(String)
  /// The machine runs, but not since the command began.
  case rebooted(String)
  /// Not reachable any more, or nothing there knows what became of the command.
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
    case .preempted, .rebooted, .lost: 76
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
    case .exited(let end): end.code == 0 ? "succeeded" : end.trouble?.kind.rawValue ?? "failed"
    case .noCapacity, .rateLimited: "no_capacity"
    case .bootFailed: "boot_failed"
    case .preempted: "preempted"
    case .rebooted: "rebooted"
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
      (end.phase == .setup ? "setup failed with exit code \(end.code)" : "the command ended with exit code \(end.code)")
        + (end.trouble.map { ": \($0.sentence)" } ?? "")
    case .noCapacity(let why), .bootFailed(let why), .preempted(let why), .rebooted(let why), .lost(let why),
      .unauthorized(let why), .notConfigured(let why),
      .outOfTime(let why), .outOfBudget(let why), .failed(let why), .rateLimited(let why, _):
      why
    case .cancelled: "cancelled"
    case .interrupted(let signal): "interrupted by \(signal.name)"
    }
  }

  /// Whether `retry.on` names this outcome.
  package func isRetried(by retry: Retry) -> Bool {
    retry.on.contains { trigger in
      switch self {
      case .noCapacity: trigger == .noCapacity
      case .bootFailed: trigger == .bootFailed
      case .preempted: trigger == .preempted
      case .rebooted: trigger == .preempted || trigger == .rebooted
      case .lost: trigger == .preempted || trigger == .lost
      case .exited(let end): trigger == .exit(end.code) || trigger == end.trouble?.cause
      case .unauthorized, .rateLimited, .notConfigured, .outOfTime, .outOfBudget, .cancelled, .interrupted, .failed:
        false
      }
    }
  }

  /// Whether the offering is to blame, so that others are tried first.
  package var blamesOffering: Bool {
    switch self {
    case .noCapacity, .bootFailed, .preempted, .rebooted, .lost: true
    case .exited(let end): end.trouble?.kind == .gpuFault
    case .unauthorized, .rateLimited, .notConfigured, .outOfTime, .outOfBudget, .cancelled, .interrupted, .failed: false
    }
  }
}

extension MachineTrouble {
  fileprivate var cause: RetryCause {
    switch kind {
    case .outOfMemory: .outOfMemory
    case .gpuFault: .gpuFault
    }
  }
}
