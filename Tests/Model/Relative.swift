import Jobs

// States of the client that differ only in what can make no difference any more are taken for one: each window is
// measured from a moment, and beyond the window it does not matter how far back that is; texts are for people.

extension JobState {
  /// The same state after `duration`.
  func shifted(by duration: Duration) -> JobState {
    var copy = self
    copy.phase = phase.changing { attempt in
      attempt.change { Moment(milliseconds: $0.milliseconds - duration.milliseconds) }
    }
    return copy
  }

  /// The state with nothing in it but what may still matter.
  func relative(in plan: JobPlan) -> JobState {
    var copy = self
    copy.past = past.map(\.relative)
    if case .finished(_, nil) = phase {
      for index in copy.past.indices { (copy.past[index].instanceIDs, copy.past[index].outcome) = ([], .cancelled) }
      return JobState(phase: .finished(.cancelled, kept: nil), past: copy.past)
    }
    copy.phase = phase.changing { $0.forget(in: self, plan) }.withoutText
    return copy
  }
}

extension Attempt {
  fileprivate mutating func change(_ moved: (Moment) -> Moment) {
    sentAt = moved(sentAt)
    postedAt = postedAt.map(moved)
    launchedAt = launchedAt.map(moved)
    endedAt = endedAt.map(moved)
    unreachableSince = unreachableSince.map(moved)
    deleteAskedAt = deleteAskedAt.map(moved)
    for machine in machines.indices {
      if case .unlikely(let since?) = machines[machine].post {
        machines[machine].post = .unlikely(unseenSince: moved(since))
      }
      for place in machines[machine].instances.indices {
        machines[machine].instances[place].seenAt = machines[machine].instances[place].seenAt.map(moved)
        machines[machine].instances[place].goneSince = machines[machine].instances[place].goneSince.map(moved)
      }
    }
  }

  /// Each moment no further back than its window can tell; what only the work on a machine needs, not after it.
  fileprivate mutating func forget(in state: JobState, _ plan: JobPlan) {
    let isLeaving = state.isReleasing
    let isStarting = ["creating", "settling", "pricing", "booting", "connecting"].contains(state.word)
    sentAt = sentAt.within(isStarting ? max(boot(plan), Window.settle) : postedAt == nil ? Window.settle : .zero)
    postedAt = postedAt?.within(Window.settle)
    launchedAt = launchedAt?.within(.zero)
    endedAt = isLeaving ? nil : endedAt?.within(.seconds(plan.limits.outputGrace))
    deleteAskedAt = ["proving", "salvaging"].contains(state.word) ? deleteAskedAt?.within(Window.deleteAgain) : nil
    postTrouble = nil
    for machine in machines.indices {
      machines[machine].forget()
      if isLeaving { machines[machine].forgetWork() }
    }
  }

  private func boot(_ plan: JobPlan) -> Duration { .seconds(plan.limits.bootTimeout ?? 0) }
}

extension Machine {
  fileprivate mutating func forget() {
    if case .unlikely(let since?) = post { post = .unlikely(unseenSince: since.within(Window.proof)) }
    hasRestarted = nil
    for place in instances.indices {
      instances[place].seenAt = instances[place].wasRead ? nil : instances[place].seenAt?.within(Window.settle)
      instances[place].goneSince = instances[place].goneSince?.within(Window.proof)
      // Of account for the cost only.
      instances[place].since = nil
      // A proof is not taken back.
      if instances[place].isProvedGone {
        (instances[place].goneSince, instances[place].goneByAbsence) = (nil, false)
        (instances[place].wasRead, instances[place].seenAt) = (true, nil)
      }
    }
  }

  fileprivate mutating func forgetWork() { (address, hostKey, end, strikes) = (nil, nil, nil, 0) }
}

extension Moment {
  /// No further back than `window`, in whole ticks.
  fileprivate func within(_ window: Duration) -> Moment {
    let longest = Bounds.tick.milliseconds * Int64(Bounds.ticks(window))
    return Moment(milliseconds: max(milliseconds, ClientTable.now.milliseconds - longest))
  }
}

extension PastAttempt {
  /// When it was is of no account without `max_cost`.
  fileprivate var relative: PastAttempt {
    var copy = self
    (copy.sentAt, copy.releasedAt, copy.billed) = (ClientTable.now, ClientTable.now, nil)
    copy.outcome = outcome.withoutText
    return copy
  }
}

extension Outcome {
  fileprivate var withoutText: Outcome {
    switch self {
    case .noCapacity: .noCapacity("")
    case .bootFailed: .bootFailed("")
    case .preempted: .preempted("")
    case .rebooted: .rebooted("")
    case .lost: .lost("")
    case .unauthorized: .unauthorized("")
    case .rateLimited(_, let moment): .rateLimited("", retryAt: moment)
    case .notConfigured: .notConfigured("")
    case .outOfTime: .outOfTime("")
    case .outOfBudget: .outOfBudget("")
    case .failed: .failed("")
    case .exited, .cancelled, .interrupted: self
    }
  }
}

extension Phase {
  fileprivate var withoutText: Phase {
    switch self {
    case .choosing, .creating, .settling, .pricing, .booting, .connecting, .uploading, .launching, .running: self
    case .stopping(let attempt, let outcome): .stopping(attempt, outcome.withoutText)
    case .collecting(let attempt, let outcome): .collecting(attempt, outcome.withoutText)
    case .handing(let attempt, let outcome): .handing(attempt, outcome.withoutText)
    case .releasing(let attempt, let outcome): .releasing(attempt, outcome.withoutText)
    case .salvaging(let attempt, let outcome): .salvaging(attempt, outcome.withoutText)
    case .proving(let attempt, let outcome): .proving(attempt, outcome.withoutText)
    case .finished(let outcome, let kept): .finished(outcome.withoutText, kept: kept)
    }
  }

  func changing(_ change: (inout Attempt) -> Void) -> Phase {
    func changed(_ attempt: Attempt) -> Attempt {
      var copy = attempt
      change(&copy)
      return copy
    }
    return switch self {
    case .choosing: self
    case .creating(let attempt): .creating(changed(attempt))
    case .settling(let attempt): .settling(changed(attempt))
    case .pricing(let attempt): .pricing(changed(attempt))
    case .booting(let attempt): .booting(changed(attempt))
    case .connecting(let attempt): .connecting(changed(attempt))
    case .uploading(let attempt): .uploading(changed(attempt))
    case .launching(let attempt): .launching(changed(attempt))
    case .running(let attempt): .running(changed(attempt))
    case .stopping(let attempt, let outcome): .stopping(changed(attempt), outcome)
    case .collecting(let attempt, let outcome): .collecting(changed(attempt), outcome)
    case .handing(let attempt, let outcome): .handing(changed(attempt), outcome)
    case .releasing(let attempt, let outcome): .releasing(changed(attempt), outcome)
    case .salvaging(let attempt, let outcome): .salvaging(changed(attempt), outcome)
    case .proving(let attempt, let outcome): .proving(changed(attempt), outcome)
    case .finished(let outcome, let kept): .finished(outcome, kept: kept.map(changed))
    }
  }
}
