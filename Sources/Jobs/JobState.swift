// Every transition of a job is in this file; nothing else may change a state.
// It is pure: the time comes in with the event, the plan with the context.

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where a job stands, and what was tried before.
package struct JobState: Codable, Hashable, Sendable {
  package var phase: Phase
  package var past: [PastAttempt]

  package init(phase: Phase = .choosing, past: [PastAttempt] = []) {
    self.phase = phase
    self.past = past
  }
}

/// The phases in the order of a life. Each carries only what is known to be true there.
///
/// The durable commit of a phase *is* the commit of the intent of its effect: what a phase asks for may have been
/// done any number of times when a process finds it in the store.
package enum Phase: Codable, Hashable, Sendable {
  /// Nothing is rented. Nothing can be billed.
  case choosing
  /// The names are durable; a POST for each may have left. The only phase whose effect must not be repeated blindly.
  case creating(Attempt)
  /// At least one POST has an unknown outcome: its name is looked for in lists, and never posted again.
  case settling(Attempt)
  /// Every machine exists. Its price is read once more before anything else is spent on it.
  case pricing(Attempt)
  /// Billed, not usable yet.
  case booting(Attempt)
  /// The API says active; sshd may not be there yet, or not know the key yet.
  case connecting(Attempt)
  /// Host keys are pinned.
  case uploading(Attempt)
  /// The command may have been started, at most once: the supervisor's gate decides.
  case launching(Attempt)
  case running(Attempt)
  /// The command is to end before its own end, for the reason the outcome gives.
  case stopping(Attempt, Outcome)
  /// The command is over on every node; logs are complete; outputs are not here yet.
  case collecting(Attempt, Outcome)
  /// The task is over, its outputs are here, and its machines are well: another task of its sweep may have them.
  case handing(Attempt, Outcome)
  /// The outcome is settled. All that remains is to be rid of the machines.
  case releasing(Attempt, Outcome)
  /// DELETE was sent before the logs and outputs were safe: what still comes is taken.
  case salvaging(Attempt, Outcome)
  /// DELETE was accepted, which proves nothing.
  case proving(Attempt, Outcome)
  /// Over. `kept` holds machines that the user asked to keep, and that go on costing.
  case finished(Outcome, kept: Attempt?)
}

/// What a transition may know besides state and event.
package struct JobContext: Codable, Equatable, Sendable {
  package var id: String
  /// Six characters that mark this installation in every name.
  package var owner: String
  package var plan: JobPlan

  package init(id: String, owner: String, plan: JobPlan) {
    self.id = id
    self.owner = owner
    self.plan = plan
  }
}

/// What a phase asks the world to do. All but `create` may be asked for any number of times.
package enum Effect: Equatable, Sendable {
  case choose([PastAttempt])
  case create(Attempt)
  case look(Attempt)
  case price(Attempt)
  case observe(Attempt)
  case reach(Attempt)
  case upload(Attempt)
  case launch(Attempt)
  case follow(Attempt)
  case stop(Attempt)
  case collect(Attempt)
  case clear(Attempt)
  case delete(Attempt)
  case salvage(Attempt)
  case verify(Attempt)
}

/// What came of an effect, or came instead of it.
package enum Event: Equatable, Sendable {
  /// A process took the job from the store; what the last one was doing is not known.
  case restarted
  case chosen(Offering)
  /// One for each machine of the attempt.
  case posted([PostAnswer])
  case listed(Listing)
  /// nil: the price could not be read.
  case priced(Offering?)
  /// One for each machine of the attempt.
  case observed([Observation])
  /// One for each machine of the attempt.
  case reached([Contact])
  case uploaded
  case launched
  /// The nodes whose command is over, by rank.
  case ended([NodeEnd])
  case stopped([NodeEnd])
  case collected(missing: [String])
  /// Nothing of the task runs any more.
  case cleared
  /// The task of this name has the machines now: durable in the same moment as this end.
  case handedOver(to: String)
  /// No task waits for the machines.
  case unwanted
  /// No node can be reached; `wasConnected` when the connection was there and broke.
  case unreachable(String, wasConnected: Bool)
  case deleted([DeleteAnswer])
  case salvaged
  /// Reads of every instance, and a list in which siblings of our names would show.
  case verified([InstanceRead], Listing)
  /// This cannot go on, and trying again would not help.
  case failed(Outcome)
  /// `trouble`: what was in the way last, where that is known.
  case deadline(Deadline, trouble: String?)
  case cancelRequested
  case interrupted(Signal)
}

package enum PostAnswer: Equatable, Sendable {
  case made(id: String)
  case notSent(String)
  case rejected(Outcome)
  case unknown(String)
  /// 4xx with `provider_error`.
  case unlikely(String)
  /// The machine existed already, or was not asked for in this round.
  case untouched
}

/// A list of instances, as far as it can be believed.
package enum Listing: Equatable, Sendable {
  /// HTTP 200, every element readable, and no instance missing that is known to live.
  case trusted([Listed])
  case unreadable(String)

  package struct Listed: Equatable, Sendable {
    package var id: String
    package var name: String
    package var isDeleted: Bool
    /// As the cloud says.
    package var createdAt: Moment?

    package init(id: String, name: String, isDeleted: Bool, createdAt: Moment? = nil) {
      self.id = id
      self.name = name
      self.isDeleted = isDeleted
      self.createdAt = createdAt
    }
  }
}

/// One machine as GET with `refresh=true` shows it.
package enum Observation: Equatable, Sendable {
  case active(Address)
  /// Creating, restarting, active without an address, or a status nobody knows.
  case notYet(status: String)
  /// `error`, `deleting`, `deleted`.
  case ending(status: String)
  case notFound
  /// The read failed: says nothing.
  case unknown(String)
}

package struct Contact: Equatable, Sendable {
  package var hostKey: String
  package var user: String

  package init(hostKey: String, user: String) {
    self.hostKey = hostKey
    self.user = user
  }
}

package struct NodeEnd: Equatable, Sendable {
  package enum How: Equatable, Sendable {
    case ended(CommandEnd)
    case lost(String)
    case rebooted(String)
    case preempted(String)
  }
  package var node: Int
  package var how: How

  package init(node: Int, how: How) {
    self.node = node
    self.how = how
  }
}

package struct DeleteAnswer: Equatable, Sendable {
  package enum How: Equatable, Sendable { case accepted, notFound, refused(String), unknown(String) }
  package var id: String
  package var how: How
  /// A GET on the way answered 2xx.
  package var wasRead: Bool

  package init(id: String, how: How, wasRead: Bool = false) {
    self.id = id
    self.how = how
    self.wasRead = wasRead
  }
}

package struct InstanceRead: Equatable, Sendable {
  package enum How: Equatable, Sendable { case present(status: String), deleted, notFound, unknown(String) }
  package var id: String
  package var how: How

  package init(id: String, how: How) {
    self.id = id
    self.how = how
  }
}

package enum Deadline: Equatable, Sendable { case boot, duration, budget, grace, idle }

package struct IllegalTransition: Error, CustomStringConvertible {
  package var state: JobState
  package var event: Event
  package var description: String { "a job that is \(state.word) cannot take the event \(event)" }
}

// MARK: - What to do next

extension JobState {
  package enum Next: Equatable, Sendable { case perform(Effect), done(Outcome, kept: Attempt?) }

  /// What this state asks of the world: a function of the state and of how often it was asked in vain.
  ///
  /// Where a verb on the machine fails, every second try asks the API instead whether the machine is still there.
  package func next(tries: Int = 0) -> Next {
    let doubt = tries % 2 == 1
    return switch phase {
    case .choosing: .perform(.choose(past))
    case .creating(let attempt): .perform(.create(attempt))
    case .settling(let attempt): .perform(.look(attempt))
    case .pricing(let attempt): .perform(.price(attempt))
    case .booting(let attempt): .perform(.observe(attempt))
    case .connecting(let attempt): .perform(tries % 6 == 5 ? .observe(attempt) : .reach(attempt))
    case .uploading(let attempt): .perform(doubt ? .observe(attempt) : .upload(attempt))
    case .launching(let attempt): .perform(doubt ? .observe(attempt) : .launch(attempt))
    case .running(let attempt): .perform(doubt ? .observe(attempt) : .follow(attempt))
    case .stopping(let attempt, _): .perform(doubt ? .observe(attempt) : .stop(attempt))
    case .collecting(let attempt, _): .perform(doubt ? .observe(attempt) : .collect(attempt))
    case .handing(let attempt, _): .perform(.clear(attempt))
    case .releasing(let attempt, _): .perform(doubt ? .verify(attempt) : .delete(attempt))
    case .salvaging(let attempt, _): .perform(.salvage(attempt))
    case .proving(let attempt, _): .perform(.verify(attempt))
    case .finished(let outcome, let kept): .done(outcome, kept: kept)
    }
  }
}

// MARK: - Where an event leads

extension JobState {
  /// Where `event` leads from here.
  ///
  /// First what may happen anywhere, then each phase's own events. Whatever happens, an attempt is left only by way
  /// of ``Phase/releasing(_:_:)`` or on the user's own wish to keep the machine.
  /// - Parameter asked: the answer that the event holds was asked for then, or later; nil: now.
  /// - Throws: ``IllegalTransition`` for an event that this phase cannot meet; the state is unchanged then.
  package func after(_ event: Event, in context: JobContext, at now: Moment, asked: Moment? = nil) throws -> JobState {
    switch event {
    case .interrupted(let signal): return interrupted(.interrupted(signal), at: now)
    case .cancelRequested: return cancelled(at: now)
    case .failed(let outcome): return failed(outcome, at: now)
    case .deadline(let deadline, let trouble):
      return afterDeadline(deadline, trouble, in: context, at: now)
    case .unreachable(let why, let wasConnected):
      return unreachable(why, wasConnected: wasConnected, in: context, at: now)
    case .observed(let observations): return try observed(observations, in: context, at: now)
    case .restarted: return restarted(at: now)
    case .chosen, .posted, .listed, .priced, .reached, .uploaded, .launched, .ended, .stopped, .collected, .cleared,
      .handedOver, .unwanted, .deleted, .salvaged, .verified:
      return try progressed(event, in: context, AnswerTime(asked: min(asked ?? now, now), now: now))
    }
  }

  private func progressed(_ event: Event, in context: JobContext, _ time: AnswerTime) throws -> JobState {
    let now = time.now
    return switch (phase, event) {
    case (.choosing, .chosen(let offering)):
      with(.creating(.planned(number: past.count + 1, at: offering, in: context, now: now)))
    case (.choosing, .listed(let listing)): foundLate(in: listing, at: now)
    case (.creating(let attempt), .posted(let answers)): posted(answers, in: attempt, at: now)
    // The answer to a POST that was out when the job was given up.
    case (.releasing(let attempt, let outcome), .posted(let answers)):
      with(.releasing(attempt.taking(answers, at: now), outcome))
    case (.settling(let attempt), .listed(let listing)): listed(listing, in: attempt, time)
    case (.pricing(let attempt), .priced(let offering)): priced(offering, in: attempt, context: context)
    case (.connecting(let attempt), .reached(let contacts)):
      attempt.hasOwnAddresses ? with(.uploading(attempt.pinned(contacts))) : self
    case (.uploading(let attempt), .uploaded): with(.launching(attempt.reachable))
    case (.launching(let attempt), .launched): with(.running(attempt.launched(at: now)))
    case (.running(let attempt), .ended(let ends)): ended(ends, in: attempt, context: context, at: now)
    case (.stopping(let attempt, let outcome), .stopped(let ends)):
      stopped(ends, in: attempt, outcome, context: context, at: now)
    case (.collecting(let attempt, let outcome), .collected(let missing)):
      leaving(attempt, outcome.judged(missing: missing), in: context, at: now)
    case (.handing(let attempt, let outcome), .handedOver): handedOver(attempt, outcome, at: now)
    case (.handing(let attempt, let outcome), .unwanted): with(.releasing(attempt, outcome))
    case (.releasing(let attempt, let outcome), .deleted(let answers)):
      deleted(answers, in: attempt, outcome, context: context, at: now)
    case (.salvaging(let attempt, let outcome), .salvaged): with(.proving(attempt, outcome))
    case (.releasing(let attempt, let outcome), .verified(let reads, let listing)),
      (.proving(let attempt, let outcome), .verified(let reads, let listing)):
      verified(reads, listing, in: attempt, outcome, context: context, time)
    // A default over our own enums: all other pairs are one and the same answer, and a table test walks over them.
    default: throw IllegalTransition(state: self, event: event)
    }
  }

  private func with(_ phase: Phase) -> JobState { JobState(phase: phase, past: past) }
}

// MARK: - What may happen anywhere

extension JobState {
  /// A POST that was about to be sent may have been sent.
  private func restarted(at now: Moment) -> JobState {
    guard case .creating(let attempt) = phase else { return self }
    return with(.settling(attempt.maybeSent(at: now)))
  }

  /// A signal: the machines go first, whatever can still be saved comes second (rulings 10).
  private func interrupted(_ outcome: Outcome, at now: Moment) -> JobState {
    switch phase {
    case .choosing: with(.finished(outcome, kept: nil))
    case .creating(let attempt): with(.releasing(attempt.maybeSent(at: now), outcome))
    case .settling(let attempt), .pricing(let attempt), .booting(let attempt), .connecting(let attempt),
      .uploading(let attempt), .launching(let attempt), .running(let attempt), .stopping(let attempt, _),
      .collecting(let attempt, _):
      with(.releasing(attempt, outcome))
    case .handing(let attempt, let settled): with(.releasing(attempt, settled))
    case .releasing, .salvaging, .proving, .finished: self
    }
  }

  /// `fcrun cancel`: the command is stopped and its outputs are fetched first, within `output_grace`.
  private func cancelled(at now: Moment) -> JobState {
    switch phase {
    case .running(let attempt), .launching(let attempt): with(.stopping(attempt.ending(at: now), .cancelled))
    case .finished(let outcome, let kept?): with(.releasing(kept, outcome))
    case .stopping(let attempt, _): with(.stopping(attempt, .cancelled))
    case .collecting(let attempt, _): with(.collecting(attempt.ending(at: now), .cancelled))
    case .choosing, .creating, .settling, .pricing, .booting, .connecting, .uploading, .handing, .releasing,
      .salvaging, .proving, .finished:
      interrupted(.cancelled, at: now)
    }
  }

  private func failed(_ outcome: Outcome, at now: Moment) -> JobState {
    switch phase {
    case .choosing: with(.finished(past.isEmpty ? outcome : outcome.following(past), kept: nil))
    case .stopping(let attempt, let reason), .collecting(let attempt, let reason):
      with(.releasing(attempt, reason.isSuccess ? outcome : reason))
    case .creating(let attempt): with(.releasing(attempt.maybeSent(at: now), outcome))
    // What fcrun could not do with the log says nothing about the outputs: they are still fetched.
    case .running(let attempt) where outcome.isOurs: with(.stopping(attempt.ending(at: now), outcome))
    case .settling(let attempt), .pricing(let attempt), .booting(let attempt), .connecting(let attempt),
      .uploading(let attempt), .launching(let attempt), .running(let attempt):
      with(.releasing(attempt, outcome))
    case .handing(let attempt, let settled): with(.releasing(attempt, settled))
    case .releasing, .proving, .finished: self
    case .salvaging(let attempt, let outcome): with(.proving(attempt, outcome))
    }
  }

  private func unreachable(_ why: String, wasConnected: Bool, in context: JobContext, at now: Moment) -> JobState {
    switch phase {
    case .uploading(let attempt):
      return with(attempt.unreached(why, wasConnected, at: now, else: Phase.uploading))
    case .launching(let attempt):
      return with(attempt.unreached(why, wasConnected, at: now, else: Phase.launching))
    case .running(let attempt):
      return with(attempt.unreached(why, wasConnected, at: now, else: Phase.running))
    case .stopping(let attempt, let outcome):
      return with(.stopping(attempt.notingUnreachable(wasConnected, at: now), outcome))
    case .collecting(let attempt, let outcome):
      let noted = attempt.notingUnreachable(wasConnected, at: now)
      let isGivenUp = noted.isGivenUp(at: now, after: .seconds(context.plan.limits.outputGrace))
      return with(
        isGivenUp ? .releasing(noted, outcome.judged(uncollected: why)) : .collecting(noted, outcome))
    // A machine that cannot be reached now is no gift.
    case .handing(let attempt, let outcome): return with(.releasing(attempt, outcome))
    case .choosing, .creating, .settling, .pricing, .booting, .connecting, .releasing, .salvaging, .proving, .finished:
      return self
    }
  }

  private func observed(_ observations: [Observation], in context: JobContext, at now: Moment) throws -> JobState {
    switch phase {
    case .booting(let attempt):
      let seen = attempt.observed(observations)
      if let why = seen.strikeOut(observations) { return with(.releasing(seen, .bootFailed(why))) }
      return with(seen.hasAddresses(observations) ? .connecting(seen) : .booting(seen))
    case .connecting(let attempt):
      let seen = attempt.observed(observations)
      return with(seen.strikeOut(observations).map { .releasing(seen, .bootFailed($0)) } ?? .connecting(seen))
    case .uploading(let attempt): return with(attempt.doubted(observations, else: Phase.uploading))
    case .launching(let attempt): return with(attempt.doubted(observations, else: Phase.launching))
    case .running(let attempt): return with(attempt.doubted(observations, else: Phase.running))
    case .stopping(let attempt, let outcome):
      return with(attempt.doubted(observations, outcome) { .stopping($0, outcome) })
    case .collecting(let attempt, let outcome):
      return with(attempt.doubted(observations, outcome) { .collecting($0, outcome) })
    case .choosing, .creating, .settling, .pricing, .handing, .releasing, .salvaging, .proving, .finished:
      throw IllegalTransition(state: self, event: .observed(observations))
    }
  }
}

// MARK: - Deadlines

extension JobState {
  /// The next moment at which something has run out, and what.
  package func deadline(in context: JobContext) -> (at: Moment, what: Deadline)? {
    switch phase {
    case .choosing, .handing, .releasing, .salvaging, .proving, .finished: return nil
    case .creating(let attempt), .settling(let attempt), .pricing(let attempt), .booting(let attempt),
      .connecting(let attempt):
      return earlier((attempt.bootDeadline(in: context.plan), .boot), budget(of: attempt, in: context.plan))
    case .uploading(let attempt), .launching(let attempt):
      return budget(of: attempt, in: context.plan)
    case .running(let attempt):
      return earlier(attempt.durationDeadline(in: context.plan), budget(of: attempt, in: context.plan))
    case .stopping(let attempt, _):
      return attempt.endedAt.map { ($0 + context.plan.limits.stopPatience, .grace) }
    case .collecting(let attempt, _):
      return attempt.endedAt.map { ($0 + .seconds(context.plan.limits.outputGrace), .grace) }
    }
  }

  private func earlier(_ one: (Moment, Deadline)?, _ other: (Moment, Deadline)?) -> (Moment, Deadline)? {
    guard let one, let other else { return one ?? other }
    return one.0 <= other.0 ? one : other
  }

  /// When `max_cost` is used up: what past attempts cost, and what this one's machines cost since their POST.
  private func budget(of attempt: Attempt, in plan: JobPlan) -> (Moment, Deadline)? {
    guard let cap = plan.limits.maxCost else { return nil }
    let left = cap - past.reduce(0) { $0 + $1.cost }
    return (attempt.sentAt + Money.duration(of: left, at: attempt.hourlyPrice), .budget)
  }

  private func afterDeadline(
    _ deadline: Deadline, _ trouble: String?, in context: JobContext, at now: Moment
  ) -> JobState {
    let outcome = deadline.outcome(of: self.attempt, in: context.plan, trouble)
    return afterDeadline(outcome, at: now)
  }

  private func afterDeadline(_ spent: Outcome, at now: Moment) -> JobState {
    switch phase {
    case .choosing, .handing, .releasing, .salvaging, .proving, .finished: self
    case .creating(let attempt), .settling(let attempt), .pricing(let attempt), .booting(let attempt),
      .connecting(let attempt):
      with(.releasing(attempt.maybeSent(at: now), spent))
    case .uploading(let attempt): with(.releasing(attempt, spent))
    case .launching(let attempt), .running(let attempt):
      with(.stopping(attempt.ending(at: now), spent))
    case .stopping(let attempt, let outcome): with(.collecting(attempt.endedNow(now), outcome))
    case .collecting(let attempt, let outcome):
      with(.releasing(attempt, outcome.judged(uncollected: "the outputs did not come within output_grace")))
    }
  }
}

// MARK: - Creating and settling

extension JobState {
  private func posted(_ answers: [PostAnswer], in attempt: Attempt, at now: Moment) -> JobState {
    settled(attempt.taking(answers, at: now), refusal: answers.lazy.compactMap(\.refusal).first, at: now)
  }

  private func listed(_ listing: Listing, in attempt: Attempt, _ time: AnswerTime) -> JobState {
    let now = time.now
    let next = settled(attempt.adopting(listing, time), refusal: nil, at: now)
    // The list may be the last one for long that shows a machine of an earlier attempt.
    return switch next.phase {
    case .pricing(let made): with(.pricing(made.takingAlong(past, in: listing, at: now)))
    case .releasing(let left, let outcome): with(.releasing(left.takingAlong(past, in: listing, at: now), outcome))
    case .choosing, .creating, .settling, .booting, .connecting, .uploading, .launching, .running, .stopping,
      .collecting, .handing, .salvaging, .proving, .finished:
      next
    }
  }

  /// A refused or absent sibling ends the attempt for all: created all or none.
  private func settled(_ attempt: Attempt, refusal: Outcome?, at now: Moment) -> JobState {
    if let refusal { return with(.releasing(attempt, refusal)) }
    if attempt.machines.contains(where: { $0.post == .absent }) {
      return with(.releasing(attempt, .noCapacity(attempt.absence)))
    }
    if attempt.machines.contains(where: { $0.post == .unsent }) { return with(.creating(attempt)) }
    return with(attempt.isSettled ? .pricing(attempt) : .settling(attempt))
  }

  /// What was created must still be what the plan allows (reliability.md fault 40).
  private func priced(_ offering: Offering?, in attempt: Attempt, context: JobContext) -> JobState {
    guard let offering else { return with(.booting(attempt)) }
    var attempt = attempt
    attempt.offering = offering
    guard let why = context.plan.resources.priceRefusal(of: offering) else { return with(.booting(attempt)) }
    return with(.releasing(attempt, .noCapacity(why)))
  }
}

// MARK: - Running

extension JobState {
  /// What is decided ends the nodes that still run; see ``Attempt/decision(in:)``.
  private func ended(_ ends: [NodeEnd], in attempt: Attempt, context: JobContext, at now: Moment) -> JobState {
    let attempt = attempt.reachable.ended(ends).losing(ends, in: context.plan)
    if let loss = attempt.mortalLoss(ends, in: context.plan) {
      return with(attempt.present.isEmpty ? .releasing(attempt, loss) : .stopping(attempt.ending(at: now), loss))
    }
    guard let outcome = attempt.decision(in: context.plan) else { return with(.running(attempt)) }
    guard attempt.unended.isEmpty else { return with(.stopping(attempt.ending(at: now), outcome)) }
    return with(.collecting(outcome.isOfJob ? attempt : attempt.ending(at: now), outcome))
  }

  private func stopped(
    _ ends: [NodeEnd], in attempt: Attempt, _ outcome: Outcome, context: JobContext, at now: Moment
  ) -> JobState {
    let attempt = attempt.reachable.ended(ends).endedNow(now)
    return with(.collecting(attempt, attempt.judgedAgain(outcome, in: context.plan)))
  }

  /// The end of the work on the machines: they are given back, unless the user asked to keep them.
  private func leaving(
    _ attempt: Attempt, _ outcome: Outcome, in context: JobContext, at now: Moment
  ) -> JobState {
    let keeps =
      switch context.plan.teardown {
      case .always: false
      case .onSuccess: !outcome.isSuccess
      case .never: true
      }
    let isRetried = isRetried(outcome, after: past.tries + 1, in: context.plan.retry)
    if !keeps, !isRetried, outcome.isOfJob, !outcome.blamesOffering, attempt.canBeHandedOver(in: context.plan, at: now)
    {
      return with(.handing(attempt, outcome))
    }
    return with(
      keeps && !isRetried && !outcome.endsPaying ? .finished(outcome, kept: attempt) : .releasing(attempt, outcome))
  }

  /// Another task has the machines, and gives them back. What they cost until now was this one's.
  private func handedOver(_ attempt: Attempt, _ outcome: Outcome, at now: Moment) -> JobState {
    JobState(
      phase: .finished(outcome, kept: nil), past: past + [PastAttempt(attempt, outcome: outcome, releasedAt: now)])
  }

  /// The other side of it: a task that has had no machine yet begins on those of another one.
  package func inheriting(_ attempt: Attempt, at now: Moment) -> JobState {
    precondition(isUnbegun, "only a task that waits can inherit a machine")
    return JobState(phase: .connecting(attempt.inherited(at: now)), past: past)
  }

  /// Nothing was ever rented for the job.
  package var isUnbegun: Bool { if case .choosing = phase { past.isEmpty } else { false } }
}

// MARK: - Giving back

extension JobState {
  private func deleted(
    _ answers: [DeleteAnswer], in attempt: Attempt, _ outcome: Outcome, context: JobContext, at now: Moment
  ) -> JobState {
    // Every POST was refused: there is nothing to delete, nothing to prove, and nothing that could show late.
    if attempt.wasRefused, past.allSatisfy(\.wasRefused) { return released(attempt, outcome, in: context, at: now) }
    var attempt = attempt.confirmed(by: answers)
    attempt.deleteAskedAt = now
    guard answers.allSatisfy(\.isTaken) else { return self }
    return with(outcome.needsSalvage(of: attempt) ? .salvaging(attempt, outcome) : .proving(attempt, outcome))
  }

  /// Towards the proof (rulings 6), never on a 2xx alone, on a list alone, or on giving up.
  private func verified(
    _ reads: [InstanceRead], _ listing: Listing, in attempt: Attempt, _ outcome: Outcome, context: JobContext,
    _ time: AnswerTime
  ) -> JobState {
    let (known, now) = (attempt.instanceIDs, time.now)
    let attempt = attempt.reading(reads, listing, time).adopting(listing, time).takingAlong(past, in: listing, at: now)
    // A sibling would show in the list only: one that can be read is worth a moment's wait.
    let isLeft = attempt.isGone && (listing.isTrusted || !attempt.mayWaitForList(outcome, at: now))
    if isLeft { return released(attempt, outcome, in: context, at: now) }
    if attempt.instanceIDs != known { return with(.releasing(attempt, outcome)) }
    guard case .proving = phase else { return with(.releasing(attempt, outcome)) }
    // After a signal there are ten seconds in all: a DELETE that shows no effect is not waited for that long.
    let isHurried = outcome.isHurried && reads.contains(where: \.isUntouched)
    let patience = isHurried ? Window.deleteAgainHurried : Window.deleteAgain
    let isStale = attempt.deleteAskedAt.map { now - $0 >= patience } ?? true
    return with(isStale && !attempt.isVanishing ? .releasing(attempt, outcome) : .proving(attempt, outcome))
  }

  /// Before another attempt: what shows under the name of an earlier one goes first.
  private func foundLate(in listing: Listing, at now: Moment) -> JobState {
    guard let last = past.last, let strays = Attempt(strays: past, in: listing, at: now) else { return self }
    return with(.releasing(strays, last.outcome))
  }

  /// Proved gone: the next attempt, if the plan allows one, or the end.
  private func released(_ attempt: Attempt, _ outcome: Outcome, in context: JobContext, at now: Moment) -> JobState {
    let past = past + [PastAttempt(attempt, outcome: outcome, releasedAt: now)]
    let isSpent = context.plan.limits.maxCost.map { cap in past.reduce(0) { $0 + $1.cost } >= cap } ?? false
    let mayRetry = !isSpent && isRetried(outcome, after: past.tries, in: context.plan.retry)
    let mayWait = outcome.retryAt != nil && past.count < Window.rateLimitedAttempts
    return JobState(phase: mayRetry || mayWait ? .choosing : .finished(outcome, kept: nil), past: past)
  }
}

extension JobState {
  private func isRetried(_ outcome: Outcome, after attempts: Int, in retry: Retry) -> Bool {
    attempts < retry.attempts && outcome.isRetried(by: retry)
  }
}

// MARK: - Words

extension JobState {
  /// The phase in one word, as `ps`, the store and docs/states.md spell it.
  package var word: String {
    switch phase {
    case .choosing: "choosing"
    case .creating: "creating"
    case .settling: "settling"
    case .pricing: "pricing"
    case .booting: "booting"
    case .connecting: "connecting"
    case .uploading: "uploading"
    case .launching: "launching"
    case .running: "running"
    case .stopping: "stopping"
    case .collecting: "collecting"
    case .handing: "handing"
    case .releasing: "releasing"
    case .salvaging: "salvaging"
    case .proving: "proving"
    case .finished(_, let kept): kept == nil ? "finished" : "kept"
    }
  }

  /// The attempt under way, or kept.
  package var attempt: Attempt? {
    switch phase {
    case .choosing: nil
    case .creating(let attempt), .settling(let attempt), .pricing(let attempt), .booting(let attempt),
      .connecting(let attempt), .uploading(let attempt), .launching(let attempt), .running(let attempt),
      .stopping(let attempt, _), .collecting(let attempt, _), .handing(let attempt, _), .releasing(let attempt, _),
      .salvaging(let attempt, _), .proving(let attempt, _):
      attempt
    case .finished(_, let kept): kept
    }
  }

  /// Every name that a POST of this job has carried, or is about to: each commit puts them under watch for
  /// ``Window/watch`` anew, so that they are watched for that long after the job's end.
  package var namesToWatch: [String] { past.flatMap(\.names) + (attempt?.machines.map(\.name) ?? []) }

  package var outcome: Outcome? {
    switch phase {
    case .choosing, .creating, .settling, .pricing, .booting, .connecting, .uploading, .launching, .running: nil
    case .stopping(_, let outcome), .collecting(_, let outcome), .handing(_, let outcome), .releasing(_, let outcome),
      .salvaging(_, let outcome), .proving(_, let outcome), .finished(let outcome, _):
      outcome
    }
  }

  package func isLaunching(_ attempt: Attempt) -> Bool {
    if case .launching(let known) = phase { known.number == attempt.number } else { false }
  }

  /// Something may be rented, or was: the loop must not end here because of this computer.
  package var mayCostMoney: Bool {
    switch phase {
    case .choosing: false
    case .creating(let attempt): attempt.mayExist
    case .settling, .pricing, .booting, .connecting, .uploading, .launching, .running, .stopping, .collecting,
      .handing, .releasing, .salvaging, .proving, .finished:
      true
    }
  }

  /// On the way out: nothing but time and the cloud's answer is needed any more.
  package var isReleasing: Bool {
    switch phase {
    case .releasing, .salvaging, .proving: true
    case .choosing, .creating, .settling, .pricing, .booting, .connecting, .uploading, .launching, .running, .stopping,
      .collecting, .handing, .finished:
      false
    }
  }
}
