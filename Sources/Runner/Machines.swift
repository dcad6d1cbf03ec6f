// Creating machines and giving them back: both protocols of the cloud side stand here together, so that whoever
// changes the one sees the other. Intent, windows and proof are JobState's; here is what is asked and what an answer is.

import ForwardCompute
import Jobs
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension World {
  /// The plan's own order at first; later what the cloud offers now, without what has failed while others remain, and only
  /// where nothing of an earlier attempt shows: it may have been executed late.
  func choose(after past: [PastAttempt], for job: JobRecord) async -> Event {
    if past.isEmpty, let first = job.arrangement.candidates.first { return .chosen(first) }
    var answer = await choice(after: past, for: job)
    for round in 1...7 {
      // Nothing is rented: an API that is down for a minute is worth waiting for, one that is down for an hour is not.
      guard case .failure(let error) = answer, error.isWorthRepeating, !Task.isCancelled else { break }
      await clock.sleep(for: .milliseconds(500 << round))
      answer = await choice(after: past, for: job)
    }
    switch answer {
    case .success(let event): return event
    case .failure(let error): return .failed(error.outcome)
    }
  }

  private func choice(after past: [PastAttempt], for job: JobRecord) async -> Result<Event, APIError> {
    do throws(APIError) {
      let listing = Listing.trusted(try await api.instances().oldestFirst.map(Listing.Listed.init))
      if past.areAlive(in: listing) { return .success(.listed(listing)) }
      let offerings = try await api.computeOfferings().map(Offering.init)
      let plan = job.context.plan
      let ranking = Matching.rank(offerings, for: plan.resources, volumes: try await volumes(of: job))
      let blamed = Set(past.filter(\.outcome.blamesOffering).map(\.offering.id))
      let candidates = blame(job, clock.now()).ordered(ranking.candidates)
      guard let next = candidates.first(where: { !blamed.contains($0.id) }) ?? candidates.first else {
        return .success(.failed(.noCapacity("no offering fits any more; try: fcrun plan, or widen resources")))
      }
      return .success(.chosen(next))
    } catch {
      return .failure(error)
    }
  }

  private func volumes(of job: JobRecord) async throws(APIError) -> [AttachedVolume] {
    guard !job.arrangement.volumeIDs.isEmpty else { return [] }
    let wanted = Set(job.arrangement.volumeIDs)
    return try await api.volumes().filter { wanted.contains($0.id) }.map(AttachedVolume.init)
  }
}

// MARK: - Create

extension World {
  /// One POST for each name that has none yet. The intent is durable: the state that asks for this was committed.
  func create(_ attempt: Attempt, for job: JobRecord) async -> Event {
    .posted(
      await each(attempt.machines) { machine in
        guard machine.post == .unsent else { return .untouched }
        return postAnswer(await api.createInstance(job.request(for: machine, in: attempt)))
      })
  }

  private func postAnswer(_ creation: Creation) -> PostAnswer {
    switch creation {
    case .created(let id, _): .made(id: id)
    case .notSent(let error): .notSent(error.sentence)
    case .rejected(let error): .rejected(error.refusal)
    case .rateLimited(let error, let after):
      .rejected(.rateLimited(error.sentence, retryAt: clock.now() + (after ?? .seconds(10))))
    case .ambiguous(let error): error.isUnlikelyToHaveCreated ? .unlikely(error.sentence) : .unknown(error.sentence)
    }
  }

  /// The price of what exists now: the instance itself does not say it.
  ///
  /// Asked for a few times: without it neither the price cap nor the cost of the run would hold.
  func price(_ attempt: Attempt) async -> Event {
    for round in 0...3 {
      do {
        return .priced(Offering(try await api.computeOffering(attempt.offering.id)))
      } catch {
        guard round < 3, error.isWorthRepeating, !Task.isCancelled else {
          narrator.tell(.warning(job: "", "the price could not be read again: \(error.sentence)"))
          return .priced(nil)
        }
        await clock.sleep(for: .milliseconds(500 << round))
      }
    }
    return .priced(nil)
  }

  func observe(_ attempt: Attempt, tellingOf job: JobRecord) async -> [Observation] {
    if case .booting = job.state.phase {
      narrator.tell(.booting(job: job.id, age: clock.now() - attempt.sentAt, attempt.offering))
    }
    return await observe(attempt)
  }

  func observe(_ attempt: Attempt) async -> [Observation] {
    await each(attempt.machines) { machine in
      guard let id = machine.id else { return .unknown("no id yet") }
      do throws(APIError) {
        return Observation(try await api.instance(id, refresh: true))
      } catch {
        return error.isNotFound ? .notFound : .unknown(error.sentence)
      }
    }
  }
}

// MARK: - Look and give back

extension World {
  /// A list is believed when it is readable and shows what is known to live (reliability.md b.3, "trusted list").
  func list(expecting attempt: Attempt, after reads: [InstanceRead]? = nil) async -> Listing {
    do {
      let listed = try await api.instances().oldestFirst.map(Listing.Listed.init)
      return .shown(listed, expecting: attempt, after: reads)
    } catch {
      return .unreadable(error.sentence)
    }
  }

  /// Sends DELETE for every instance that is not proved gone: for all at once, a signal leaves a second for it.
  func delete(_ attempt: Attempt) async -> Event {
    .deleted(
      await each(attempt.unproved) { instance in
        instance.wasRead ? await deleteAnswer(instance.id) : await readAndDelete(instance.id)
      })
  }

  private func deleteAnswer(_ id: String) async -> DeleteAnswer {
    DeleteAnswer(id: id, how: await delete(id), wasRead: false)
  }

  /// An id that no GET has confirmed yet is read on the way: a later 404 is then a proof, and not only a lag.
  private func readAndDelete(_ id: String) async -> DeleteAnswer {
    enum Half { case read(InstanceRead.How), deletion(DeleteAnswer.How) }
    var answer = DeleteAnswer(id: id, how: .unknown("it was not asked"))
    for half: Half in await strands.all([{ .read(await read(id)) }, { .deletion(await delete(id)) }]) {
      switch half {
      case .read(.present), .read(.deleted): answer.wasRead = true
      case .read(.notFound), .read(.unknown): break
      case .deletion(let how): answer.how = how
      }
    }
    return answer
  }

  func delete(_ id: String) async -> DeleteAnswer.How {
    do {
      try await api.deleteInstance(id)
      return .accepted
    } catch {
      if error.isNotFound { return .notFound }
      return error.isRefusal ? .refused(error.sentence) : .unknown(error.sentence)
    }
  }

  /// Reads each instance back, then lists once: the list shows siblings that a second execution of our POST made.
  func verify(_ attempt: Attempt) async -> Event {
    let reads = await each(attempt.unproved) { InstanceRead(id: $0.id, how: await read($0.id)) }
    return .verified(reads, await list(expecting: attempt, after: reads))
  }

  func read(_ id: String) async -> InstanceRead.How {
    do {
      let instance = try await api.instance(id, refresh: true)
      return instance.status == .deleted ? .deleted : .present(status: instance.status.rawValue)
    } catch {
      return error.isNotFound ? .notFound : .unknown(error.sentence)
    }
  }
}

// MARK: - Requests and answers in Jobs' words

extension JobRecord {
  fileprivate func request(for machine: Machine, in attempt: Attempt) -> CreateInstance {
    CreateInstance(
      name: machine.name, offeringID: attempt.offering.id, sshKeyID: arrangement.sshKeyID,
      volumeIDs: arrangement.volumeIDs,
      envs: context.plan.envs.map { EnvironmentVariable(name: $0.name, value: $0.value) })
  }
}

extension Sequence<Instance> {
  /// By `created`, then as listed; one that does not say when comes last.
  fileprivate var oldestFirst: [Instance] {
    enumerated().sorted { left, right in
      let (one, other) = (left.element.created ?? "~", right.element.created ?? "~")
      return one == other ? left.offset < right.offset : one < other
    }.map(\.element)
  }
}

extension Instance {
  /// When it was made, as the cloud says.
  var createdMoment: Moment? {
    createdAt.map { Moment(milliseconds: Int64(($0.timeIntervalSince1970 * 1000).rounded(.down))) }
  }
}

extension Listing.Listed {
  fileprivate init(_ instance: Instance) {
    self.init(
      id: instance.id, name: instance.name, isDeleted: instance.status == .deleted, createdAt: instance.createdMoment)
  }
}

extension Observation {
  init(_ instance: Instance) {
    switch instance.status {
    case .active:
      self =
        instance.ip.map { .active(Address(host: $0, port: instance.sshPort, user: instance.sshUser)) }
        ?? .notYet(status: "active, without an address")
    case .error, .deleting, .deleted: self = .ending(status: instance.status.rawValue)
    default: self = .notYet(status: instance.status.rawValue)  // creating, restarting, and what nobody knows yet
    }
  }
}

extension APIError {
  /// A sentence for people; never the token.
  var sentence: String { description }

  var isNotFound: Bool { status == 404 }

  /// An answer that will not change by asking again at once: not authorised, not allowed, not now.
  var isRefusal: Bool { status.map { (400..<500).contains($0) && $0 != 429 } ?? false }

  /// Rulings 5: 4xx with `provider_error`.
  var isUnlikelyToHaveCreated: Bool { type == .providerError && isRefusal }

  /// What a definite refusal of a POST means for the job.
  var refusal: Outcome {
    switch type {
    case .some(.authenticationError), .some(.unauthorized), .some(.forbidden), .some(.insufficientBalance):
      .unauthorized(sentence)
    case .some(.validationError) where !isAboutOffering: .failed(sentence)
    default: .noCapacity(sentence)
    }
  }

  /// A request that is wrong stays wrong with any offering; one about the offering does not.
  private var isAboutOffering: Bool {
    if let field { return field == "offering_id" }
    return ["offering", "capacity", "available", "stock"].contains { message.lowercased().contains($0) }
  }

  /// What a read that stays impossible means for the job.
  var outcome: Outcome {
    switch (kind, status) {
    case (.notConfigured, _): .notConfigured(sentence)
    case (_, 401?), (_, 403?), (_, 402?): .unauthorized(sentence)
    default: .failed(sentence)
    }
  }
}
