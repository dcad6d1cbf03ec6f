import Jobs
import Store

/// How a process leaves a job.
package struct Verdict: Sendable, Equatable {
  package var record: JobRecord
  /// The signal that ended this process' driving, if one did.
  package var signal: Signal?

  package init(record: JobRecord, signal: Signal?) {
    self.record = record
    self.signal = signal
  }

  /// Set only when every machine is proved gone, or kept on the user's wish.
  package var outcome: Outcome? {
    if case .finished(let outcome, _) = record.state.phase { outcome } else { nil }
  }

  /// 75 wins over every other code: a machine may still be billing.
  package var exitCode: Int32 {
    guard let outcome else { return 75 }
    return signal.map { 128 + $0.rawValue } ?? outcome.exitCode
  }
}

/// The only loop that changes a job.
///
/// Performs what the state asks for, and commits the answer together with the next intent. Starting a job, resuming one
/// after a crash and retrying a teardown are all this one call.
package struct Driver: Sendable {
  let world: World
  let journal: any Journal
  /// Somebody here drives the task on that gets a machine of this one.
  let handsOver: Bool

  package init(world: World, journal: any Journal, handsOver: Bool = false) {
    self.world = world
    self.journal = journal
    self.handsOver = handsOver
  }

  /// Drives until the job is finished, or until the release stays unproved for as long as is reported (rulings 7).
  /// - Parameter first: what happens to the job as it is taken; a cancel where the driver is started for that.
  /// - Throws: ``StoreError`` when the store fails before anything is rented, or when the job was taken over.
  package func run(_ record: JobRecord, first: Event = .restarted) async throws -> Verdict {
    try await Driver(world: world.onTimeLine(of: record), journal: journal, handsOver: handsOver)
      .drive(record, first: first)
  }

  private func drive(_ record: JobRecord, first: Event) async throws -> Verdict {
    var run = Run(record: record)
    if record.state.isReleasing { run.releasingSince = world.clock.now() }
    try await step(&run, .restarted)
    if first != .restarted { try await step(&run, first) }
    while case .perform(let effect) = run.record.state.next(tries: run.tries) {
      // A cancelled task gets no answers any more: what it leaves is as a crash leaves it.
      guard !run.isOverdue(at: world.clock.now()), !Task.isCancelled else { break }
      if let why = try await unstoredIntent(of: effect, in: &run) {
        try await step(&run, .failed(.failed(why)))
        continue
      }
      let (event, wake) = try await perform(effect, for: &run)
      try await take(event, wake, in: &run)
      // A signal that came while a machine was given back: there is no next attempt.
      if let signal = run.signal?.what, case .choosing = run.record.state.phase {
        try await step(&run, .interrupted(signal))
      }
    }
    try await insist(on: &run)
    return Verdict(record: run.record, signal: run.signal?.what)
  }

  private func take(_ event: Event?, _ wake: Wake?, in run: inout Run) async throws {
    switch (event, wake) {
    // Told to end before anything is asked for: nothing is.
    case (.chosen, .signal), (nil, _): break
    case (.cleared, nil): try await handOver(&run)
    // Who is told to end hands nothing over.
    case (.cleared, _): break
    case (let event?, _): try await step(&run, event)
    }
    if let wake { try await step(&run, waking: wake) }
  }

  private func perform(_ effect: Effect, for run: inout Run) async throws -> (Event?, Wake?) {
    let record = run.record
    let pause = Pace.pause(before: effect, in: run, at: world.clock.now(), jitter: world.entropy.fraction())
    let isPost = if case .create = effect { true } else { false }
    let limit = run.deadline.map { max(.zero, $0 - world.clock.now()) }
    let listensForCancel = !run.isEnding
    run.askedAt = world.clock.now() + pause
    var heard: Result<Void, any Error> = .success(())
    // A POST that is out is worth waiting for a little: its answer holds the id. That the job is over is durable before.
    let answer = await world.wakes.run(
      job: record.id, within: limit, mercy: isPost && pause == .zero ? Pace.mercyForPost : .zero,
      listensForCancel: listensForCancel,
      heard: { wake in
        do { try await step(&run, waking: wake) } catch { heard = .failure(error) }
      },
      {
        if pause > .zero { await world.clock.sleep(for: pause) }
        return Task.isCancelled ? effect.undone : await world.perform(effect, for: record)
      })
    try heard.get()
    return answer
  }
}

extension Effect {
  /// What is known of it where it was not begun; nil where that says nothing.
  fileprivate var undone: Event? {
    guard case .create(let attempt) = self else { return nil }
    return .posted(attempt.machines.map { $0.post == .unsent ? .notSent("the job was interrupted") : .untouched })
  }
}

// MARK: - One step

extension Driver {
  /// What this process knows of the job besides its durable state.
  struct Run: Sendable {
    var record: JobRecord
    /// How often the state's effect was asked for without changing the state.
    var tries = 0
    var lastEvent: Event?
    /// What is known of the present effect was asked for then, or later.
    var askedAt: Moment?
    /// What was in the way of the state's effect last, and what of it the user was told.
    var trouble: String?
    var told: String?
    var signal: (what: Signal, at: Moment)?
    var cancelIsTaken = false
    var releasingSince: Moment?
    /// What a process would find in the store now.
    var stored: JobState
    /// The last event that the store does not know, and why.
    var unstored: (event: Event, why: String)?

    init(record: JobRecord) {
      self.record = record
      stored = record.state
    }

    /// A request to cancel would change nothing any more.
    var isEnding: Bool { cancelIsTaken || signal != nil || record.state.isReleasing }

    /// Until when the present effect may take.
    var deadline: Moment? {
      record.state.isReleasing ? reportAt : record.state.deadline(in: record.context)?.at
    }

    /// When an unproved release is reported instead of waited for.
    var reportAt: Moment? {
      let normal = releasingSince.map { $0 + Pace.reportUnproved }
      let hurried = signal.map { $0.at + Pace.reportUnprovedAfterSignal }
      guard let normal, let hurried else { return normal ?? hurried }
      return min(normal, hurried)
    }

    func isOverdue(at now: Moment) -> Bool {
      record.state.isReleasing && reportAt.map { now >= $0 } ?? false
    }
  }

  private func step(_ run: inout Run, waking wake: Wake) async throws {
    switch wake {
    case .signal(let signal):
      run.signal = run.signal ?? (signal, world.clock.now())
      try await step(&run, .interrupted(signal))
    case .cancelRequest:
      run.cancelIsTaken = true
      try await step(&run, .cancelRequested)
    case .deadline:
      guard let (at, what) = run.record.state.deadline(in: run.record.context), world.clock.now() >= at else { return }
      try await step(&run, .deadline(what, trouble: run.trouble))
    }
  }

  private func step(_ run: inout Run, _ event: Event) async throws {
    let now = world.clock.now()
    let next = try run.record.state.after(event, in: run.record.context, at: now, asked: run.askedAt)
    run.lastEvent = event
    if next == run.record.state {
      guard !event.comesFromOutside else { return }
      run.tries += 1
      note(event, in: &run)
      return
    }
    (run.tries, run.told) = (0, nil)
    if next.word != run.record.state.word { run.trouble = nil }
    run.record.state = next
    if next.isReleasing { run.releasingSince = run.releasingSince ?? now } else { run.releasingSince = nil }
    try await commit(&run, event, at: now)
    world.narrator.tell(.moved(run.record, event: event, at: now))
  }

  /// The same trouble is told once, however often it comes back.
  private func note(_ event: Event, in run: inout Run) {
    run.trouble = event.trouble ?? event.delay ?? run.trouble
    guard let trouble = event.trouble, trouble != run.told else { return }
    run.told = trouble
    world.narrator.tell(.warning(job: run.record.id, trouble))
  }

}

// MARK: - From one task to the next

extension Driver {
  /// The machines are the next task's, or are given back. Nothing may come between the choice and the transaction, and what
  /// cannot be stored does not happen.
  private func handOver(_ run: inout Run) async throws {
    let now = world.clock.now()
    do {
      let word: (String) -> String = { Event.handedOver(to: $0).word }
      guard handsOver, let heir = try journal.handOver(run.record, at: now, event: word) else {
        return try await step(&run, .unwanted)
      }
      let event = Event.handedOver(to: heir.name)
      run.record.state = try run.record.state.after(event, in: run.record.context, at: now)
      run.record.updatedAt = now
      (run.stored, run.unstored) = (run.record.state, nil)
      world.narrator.tell(.moved(run.record, event: event, at: now))
    } catch let error as StoreError {
      if case .fenced = error { throw error }
      world.narrator.tell(.warning(job: run.record.id, "the machine is not reused: \(error)"))
      try await step(&run, .unwanted)
    }
  }
}

// MARK: - A store that fails

extension Driver {
  /// A full disk must not keep a machine alive, nor hide a result: only before something is rented may the store not fail.
  /// What could not be committed is in the next commit, which holds the whole state.
  private func commit(_ run: inout Run, _ event: Event, at now: Moment) async throws {
    do {
      try await journal.commit(run.record, event: event.word, at: now)
      (run.stored, run.unstored) = (run.record.state, nil)
    } catch StoreError.fenced(let id) {
      throw StoreError.fenced(id)
    } catch {
      guard run.record.state.mayCostMoney else { throw error }
      run.unstored = (event, "\(error)")
      world.narrator.tell(.warning(job: run.record.id, "\(error); the job goes on without it"))
    }
  }

  /// The command may start only once it is durable that it may have: a later process would start it again in another attempt.
  private func unstoredIntent(of effect: Effect, in run: inout Run) async throws -> String? {
    guard case .launch(let attempt) = effect, let event = run.unstored?.event, !run.stored.isLaunching(attempt) else {
      return nil
    }
    try await commit(&run, event, at: world.clock.now())
    return run.unstored.map { "the command was not started, because the job cannot be stored: \($0.why)" }
  }

  /// The end of a job is worth waiting for a disk a little: a later process would take the machine for lost.
  private func insist(on run: inout Run) async throws {
    for _ in 0..<Pace.insistence where run.signal == nil && !Task.isCancelled {
      guard let event = run.unstored?.event else { return }
      await world.clock.sleep(for: .seconds(1))
      try await commit(&run, event, at: world.clock.now())
    }
  }
}
