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

  package init(world: World, journal: any Journal) {
    self.world = world
    self.journal = journal
  }

  /// Drives until the job is finished, or until the release stays unproved for as long as is reported (rulings 7).
  /// - Parameter first: what happens to the job as it is taken; a cancel where the driver is started for that.
  /// - Throws: ``StoreError`` when the store fails before anything is rented, or when the job was taken over.
  package func run(_ record: JobRecord, first: Event = .restarted) async throws -> Verdict {
    try await Driver(world: world.onTimeLine(of: record), journal: journal).drive(record, first: first)
  }

  private func drive(_ record: JobRecord, first: Event) async throws -> Verdict {
    var run = Run(record: record)
    if record.state.isReleasing { run.releasingSince = world.clock.now() }
    try step(&run, .restarted)
    if first != .restarted { try step(&run, first) }
    while case .perform(let effect) = run.record.state.next(tries: run.tries) {
      // A cancelled task gets no answers any more: what it leaves is as a crash leaves it.
      guard !run.isOverdue(at: world.clock.now()), !Task.isCancelled else { break }
      let (event, wake) = await perform(effect, for: run)
      if let event { try step(&run, event) }
      if let wake { try step(&run, waking: wake) }
      // A signal that came while a machine was given back: there is no next attempt.
      if let signal = run.signal?.what, case .choosing = run.record.state.phase { try step(&run, .interrupted(signal)) }
    }
    return Verdict(record: run.record, signal: run.signal?.what)
  }

  private func perform(_ effect: Effect, for run: Run) async -> (Event?, Wake?) {
    let record = run.record
    let pause = Pace.pause(before: effect, in: run, at: world.clock.now(), jitter: world.entropy.fraction())
    let isPost = if case .create = effect { true } else { false }
    // A POST that is out is worth waiting for a little: its answer holds the id.
    return await world.wakes.run(
      job: record.id, within: run.deadline.map { max(.zero, $0 - world.clock.now()) },
      mercy: isPost && pause == .zero ? Pace.mercyForPost : .zero,
      listensForCancel: !run.isEnding
    ) {
      if pause > .zero { await world.clock.sleep(for: pause) }
      return Task.isCancelled ? nil : await world.perform(effect, for: record)
    }
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
    /// What was in the way of the state's effect last, and what of it the user was told.
    var trouble: String?
    var told: String?
    var signal: (what: Signal, at: Moment)?
    var cancelIsTaken = false
    var releasingSince: Moment?

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

  private func step(_ run: inout Run, waking wake: Wake) throws {
    switch wake {
    case .signal(let signal):
      run.signal = run.signal ?? (signal, world.clock.now())
      try step(&run, .interrupted(signal))
    case .cancelRequest:
      run.cancelIsTaken = true
      try step(&run, .cancelRequested)
    case .deadline:
      guard let (at, what) = run.record.state.deadline(in: run.record.context), world.clock.now() >= at else { return }
      try step(&run, .deadline(what, trouble: run.trouble))
    }
  }

  private func step(_ run: inout Run, _ event: Event) throws {
    let now = world.clock.now()
    let next = try run.record.state.after(event, in: run.record.context, at: now)
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
    try commit(run, event, at: now)
    world.narrator.tell(.moved(run.record, event: event, at: now))
  }

  /// The same trouble is told once, however often it comes back.
  private func note(_ event: Event, in run: inout Run) {
    run.trouble = event.trouble ?? event.delay ?? run.trouble
    guard let trouble = event.trouble, trouble != run.told else { return }
    run.told = trouble
    world.narrator.tell(.warning(job: run.record.id, trouble))
  }

  /// A full disk must not keep a machine alive, nor hide a result: only before something is rented may the store not fail.
  private func commit(_ run: Run, _ event: Event, at now: Moment) throws {
    do {
      try journal.commit(run.record, event: event.word, at: now)
    } catch StoreError.fenced(let id) {
      throw StoreError.fenced(id)
    } catch {
      switch run.record.state.phase {
      case .choosing: throw error
      case .creating(let attempt) where !attempt.mayExist: throw error
      case .creating, .settling, .pricing, .booting, .connecting, .uploading, .launching, .running, .stopping,
        .collecting, .releasing, .salvaging, .proving, .finished:
        world.narrator.tell(.warning(job: run.record.id, "\(error); the job goes on without it"))
      }
    }
  }
}
