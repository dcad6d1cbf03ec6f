import Jobs

// The shipping reducer with one thought taken away each: what is wrong with a protocol shows in a trace, or the model is
// worth nothing.

extension Client {
  /// The intent becomes durable only with the answer: a crash leaves no trace of the POST.
  package static let recordsLate = Client(
    "record-after-post",
    afterCrash: { state in
      if case .creating = state.phase { JobState(phase: .choosing, past: state.past) } else { state }
    })

  /// A POST without an answer is sent once more.
  package static let retriesBlindly = Client(
    "blind-retry",
    after: { state, event, context, now in
      guard case .posted(let answers) = event else { return try state.after(event, in: context, at: now) }
      let hopeful = answers.map { if case .unknown(let why) = $0 { PostAnswer.notSent(why) } else { $0 } }
      return try state.after(.posted(hopeful), in: context, at: now)
    })

  /// A process that takes over does not ask what the last one may have sent.
  package static let forgetsItsPast = Client(
    "restart-posts",
    after: { state, event, context, now in
      if case .restarted = event { state } else { try state.after(event, in: context, at: now) }
    })

  /// One list without the name, and the name is posted again.
  package static let looksOnce = Client(
    "list-once",
    after: { state, event, context, now in
      let next = try state.after(event, in: context, at: now)
      guard case .listed(.trusted) = event, case .settling(var attempt) = next.phase else { return next }
      for index in attempt.machines.indices where attempt.machines[index].post == .unknown {
        attempt.machines[index].post = .unsent
      }
      return JobState(phase: .creating(attempt), past: next.past)
    })

  /// A list that cannot be read counts as an empty one.
  package static let takesSilenceForAbsence = Client(
    "unreadable-is-empty",
    after: { state, event, context, now in
      switch event {
      case .listed(.unreadable): try state.after(.listed(.trusted([])), in: context, at: now)
      case .verified(let reads, .unreadable): try state.after(.verified(reads, .trusted([])), in: context, at: now)
      default: try state.after(event, in: context, at: now)
      }
    })

  /// The settle window counts from the commit of the intent, whenever the POST has left.
  package static let countsFromTheIntent = Client(
    "settles-from-intent",
    after: { state, event, context, now in
      var next = try state.after(event, in: context, at: now)
      next.phase = next.phase.changing { $0.postedAt = nil }
      return next
    })

  /// DELETE was accepted, so the machine is gone.
  package static let believesDelete = Client(
    "accepted-is-gone",
    after: { state, event, context, now in
      let next = try state.after(event, in: context, at: now)
      guard case .deleted = event, case .proving(var attempt, let outcome) = next.phase else { return next }
      for machine in attempt.machines.indices {
        for place in attempt.machines[machine].instances.indices {
          attempt.machines[machine].instances[place].isProvedGone = true
        }
      }
      return try JobState(phase: .proving(attempt, outcome), past: next.past)
        .after(.verified([], .trusted([])), in: context, at: now)
    })

  /// 404 is 404, also for a machine that no read has shown yet.
  package static let believesNotFound = Client(
    "not-found-is-gone",
    after: { state, event, context, now in
      guard case .verified(let reads, let listing) = event else { return try state.after(event, in: context, at: now) }
      let believed = reads.map { $0.how == .notFound ? InstanceRead(id: $0.id, how: .deleted) : $0 }
      return try state.after(.verified(believed, listing), in: context, at: now)
    })

  /// A release that is given up is over.
  package static let givesUp = Client(
    "giving-up-is-gone",
    afterLeaving: { JobState(phase: .finished($0.outcome ?? .cancelled, kept: nil), past: $0.past) })

  /// Nobody looks for a name once its job is over.
  package static let watchesNothing = Client("no-watch", watch: .zero)

  /// A name is watched no longer than it is looked for.
  package static let watchesBriefly = Client("watch-is-settle", watch: Window.settle)

  package static let broken = [
    recordsLate, retriesBlindly, forgetsItsPast, looksOnce, takesSilenceForAbsence, countsFromTheIntent, believesDelete,
    believesNotFound, givesUp, watchesNothing, watchesBriefly,
  ]
}
