// The steps of JobState.swift on one attempt. Pure, and called from there only.

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The windows of the create and delete protocols (rulings 3, 6, 7).
package enum Window {
  /// A POST that no trusted list shows until then was not executed, as far as `retry` is concerned.
  package static let settle = Duration.seconds(60)
  /// A name stays watched until then: a POST may be executed late.
  package static let watch = Duration.seconds(24 * 3600)
  /// Between the two reads of a proof.
  package static let proof = Duration.seconds(2)
  /// How long a release whose reads are a proof waits for a list that can be read.
  package static let list = Duration.seconds(20)
  /// A DELETE that was accepted and shows no effect is sent again.
  package static let deleteAgain = Duration.seconds(60)
  package static let deleteAgainHurried = Duration.seconds(3)
  /// A machine that the API calls active and nobody can reach is given up.
  package static let unreachable = Duration.seconds(300)
  /// The supervisor ends the command at `max_duration` by itself; the client steps in this much after its kill.
  package static let supervisorLead = Duration.seconds(5)
  /// Reads in a row that must agree before a machine is believed to be failing.
  package static let strikes = 2
  /// Attempts that ended in 429 do not count as attempts, but they do end.
  package static let rateLimitedAttempts = 20
}

/// When an answer was given: between these. A process may stand still in between, and what was read before it did is old.
package struct AnswerTime: Sendable {
  /// Not before.
  package var asked: Moment
  package var now: Moment
}

extension Attempt {
  static func planned(number: Int, at offering: Offering, in context: JobContext, now: Moment) -> Attempt {
    let expiry = MachineName.expiry(sentAt: now, plan: context.plan, offering: offering)
    let machines = (0..<context.plan.nodes).map { node in
      Machine(
        node: node,
        name: MachineName(
          owner: context.owner, job: context.id, attempt: number, node: node, expiry: expiry
        ).text(label: context.plan.name))
    }
    return Attempt(number: number, offering: offering, machines: machines, sentAt: now)
  }

  /// A machine found in the cloud's list: nothing but its release is left to do.
  ///
  /// It goes by its id. Others may live under its name, and be wanted: they are not released along with it.
  package init(found id: String, node: Int, number: Int, at now: Moment) {
    var machine = Machine(node: node, name: id)
    machine.take(.made(id: id))
    let unknown = Offering(
      id: "", instanceType: "", provider: "", region: "", deploymentType: "", available: false, hourlyPrice: 0,
      pricePerGPUHour: 0)
    self.init(number: number, offering: unknown, machines: [machine], sentAt: now)
  }

  private init(number: Int, offering: Offering, machines: [Machine], sentAt: Moment) {
    self.number = number
    self.offering = offering
    self.machines = machines
    self.sentAt = sentAt
  }

  /// After a crash or a cut nobody can say that a POST has not left, nor when: at the latest now.
  func maybeSent(at now: Moment) -> Attempt {
    changing { attempt in
      if attempt.machines.contains(where: { $0.post == .unsent }) {
        attempt.postTrouble = attempt.postTrouble ?? "nobody heard the answer to the request"
        attempt.postedAt = now
      }
      for index in attempt.machines.indices where attempt.machines[index].post == .unsent {
        attempt.machines[index].post = .unknown
      }
    }
  }

  func taking(_ answers: [PostAnswer], at now: Moment) -> Attempt {
    changing { attempt in
      for (index, answer) in answers.enumerated() { attempt.machines[index].take(answer, since: lastPostAt) }
      attempt.notePosts(answers, at: now)
      attempt.postTrouble = answers.lazy.compactMap(\.trouble).first ?? attempt.postTrouble
    }
  }

  var lastPostAt: Moment { postedAt ?? sentAt }

  /// A POST that was answered, or should have been, has left by now: it may have been put off since the intent was
  /// committed, or the computer may have slept. One that is put off is noted too, but not each time: a change of the
  /// state would begin the back-off anew.
  mutating func notePosts(_ answers: [PostAnswer], at now: Moment) {
    let isPutOff = machines.contains { $0.post == .unsent } && now - lastPostAt >= .seconds(10)
    if isPutOff || answers.contains(where: \.hasLeft) { postedAt = now }
  }

  var isSettled: Bool { machines.allSatisfy { $0.post == .made } }

  /// No POST of it has left, or each was refused.
  var wasRefused: Bool {
    machines.allSatisfy { $0.instances.isEmpty && ($0.post == .unsent || $0.post == .rejected) }
  }

  var reachable: Attempt { changing { $0.unreachableSince = nil } }

  func launched(at now: Moment) -> Attempt {
    changing {
      $0.launchedAt = $0.launchedAt ?? now
      $0.unreachableSince = nil
    }
  }

  /// The command is to end: from now on its patience runs.
  func ending(at now: Moment) -> Attempt { changing { $0.endedAt = $0.endedAt ?? now } }

  /// The command has ended: from now on `output_grace` runs.
  func endedNow(_ now: Moment) -> Attempt { changing { $0.endedAt = now } }

  /// Why an attempt whose POST came to nothing has no machine.
  var absence: String {
    let isUnlikely = machines.contains { if case .unlikely = $0.post { true } else { false } }
    let never = "no machine ever showed under \(machines.map(\.name).joined(separator: ", "))"
    return postTrouble.map { isUnlikely ? $0 : "\($0); \(never)" } ?? never
  }

  func ended(_ ends: [NodeEnd]) -> Attempt {
    changing { attempt in
      for end in ends {
        guard case .ended(let record) = end.how else { continue }
        attempt.machines[end.node].end = attempt.machines[end.node].end ?? record
      }
    }
  }

  func pinned(_ contacts: [Contact]) -> Attempt {
    changing { attempt in
      for (index, contact) in contacts.enumerated() {
        attempt.machines[index].hostKey = contact.hostKey
        attempt.machines[index].address?.user = contact.user
      }
      attempt.unreachableSince = nil
    }
  }

  func changing(_ change: (inout Attempt) -> Void) -> Attempt {
    var copy = self
    change(&copy)
    return copy
  }
}

// MARK: - From one task to the next

extension Attempt {
  /// Whether a task of the same spec could still run to its end on these machines before the deadline in their names.
  func canBeHandedOver(in plan: JobPlan, at now: Moment) -> Bool {
    guard plan.task?.reuses == true else { return false }
    let needed = (plan.limits.maxDuration ?? 0) + plan.limits.killGrace + plan.limits.outputGrace
    return machines.allSatisfy { machine in
      // One that was made twice, or that is about to end, is given back.
      guard machine.instances.count == 1, machine.strikes == 0, let name = MachineName(machine.name) else {
        return false
      }
      return name.expiry == 0 || !name.isExpired(at: now + .seconds(needed))
    }
  }

  /// The same machines, with their names, addresses and pinned keys, as the first attempt of another task.
  func inherited(at now: Moment) -> Attempt {
    changing { attempt in
      attempt.number = 1
      attempt.sentAt = now
      (attempt.launchedAt, attempt.endedAt, attempt.unreachableSince, attempt.deleteAskedAt) = (nil, nil, nil, nil)
      for index in attempt.machines.indices { attempt.machines[index].beginAgain(at: now) }
    }
  }
}

extension Machine {
  /// For another task, which pays from now on.
  fileprivate mutating func beginAgain(at now: Moment) {
    (end, hasRestarted) = (nil, nil)
    for index in instances.indices { instances[index].since = now }
  }
}

// MARK: - Reads while the machine is wanted

extension Attempt {
  func observed(_ observations: [Observation]) -> Attempt {
    changing { attempt in
      for (index, observation) in observations.enumerated() { attempt.machines[index].take(observation) }
    }
  }

  /// A machine that was not seen again since may have lost its address to another one of the same attempt.
  var hasOwnAddresses: Bool {
    let places = machines.compactMap(\.address).map { "\($0.host) \($0.port)" }
    return Set(places).count == places.count
  }

  /// Each machine is active, at an address of its own: where two have the same, one of them is another one's by now
  /// (reliability.md fault 58).
  func hasAddresses(_ observations: [Observation]) -> Bool {
    let places = observations.compactMap {
      if case .active(let address) = $0 { "\(address.host) \(address.port)" } else { nil }
    }
    return Set(places).count == observations.count
  }

  /// The reason to give up, once enough reads in a row agree.
  func strikeOut(_ observations: [Observation]) -> String? {
    for (machine, observation) in zip(machines, observations) where machine.strikes >= Window.strikes {
      return "\(machine.id ?? machine.name) \(observation.asReason)"
    }
    return nil
  }

  /// Nobody could be reached, so the API was asked: gone by both signs was taken away, everything else goes on.
  func doubted(_ observations: [Observation], _ outcome: Outcome? = nil, else going: (Attempt) -> Phase) -> Phase {
    let seen = observed(observations).notingRestarts(observations)
    guard let why = seen.strikeOut(observations) else { return going(seen) }
    let lost = observations.outcome("the machine is gone: \(why)")
    return .releasing(seen, outcome.map { $0.isSuccess ? lost : $0 } ?? lost)
  }

  private func notingRestarts(_ observations: [Observation]) -> Attempt {
    changing { attempt in
      for (index, observation) in observations.enumerated() where observation == .notYet(status: "restarting") {
        attempt.machines[index].hasRestarted = true
      }
    }
  }

  /// How the first node was lost; a machine that restarted has lost its command by that.
  func loss(_ ends: [NodeEnd]) -> Outcome? {
    for end in ends {
      guard let loss = end.loss else { continue }
      guard case .lost(let why) = loss, machines[end.node].hasRestarted == true else { return loss }
      return .rebooted("the machine has restarted: \(why)")
    }
    return nil
  }

  func notingUnreachable(_ wasConnected: Bool, at now: Moment) -> Attempt {
    changing { $0.unreachableSince = wasConnected ? now : $0.unreachableSince ?? now }
  }

  /// Tried again, until nobody has reached a machine for too long.
  func unreached(_ why: String, _ wasConnected: Bool, at now: Moment, else going: (Attempt) -> Phase) -> Phase {
    let noted = notingUnreachable(wasConnected, at: now)
    return noted.isGivenUp(at: now) ? .releasing(noted, .unreached(why)) : going(noted)
  }

  func isGivenUp(at now: Moment, after limit: Duration = Window.unreachable) -> Bool {
    unreachableSince.map { now - $0 >= limit } ?? false
  }
}

extension Machine {
  mutating func take(_ observation: Observation) {
    switch observation {
    case .active(let new):
      address = Address(host: new.host, port: new.port, user: new.user ?? address?.user)
      markRead()
    case .notYet: markRead()
    case .ending: strikes += 1
    case .notFound: strikes += instances.first?.wasRead == true ? 1 : 0
    case .unknown: break
    }
  }

  private mutating func markRead() {
    strikes = 0
    if !instances.isEmpty { instances[0].wasRead = true }
  }

  /// - Parameter sent: no POST that this answers has left before.
  mutating func take(_ answer: PostAnswer, since sent: Moment? = nil) {
    switch answer {
    case .made(let id):
      // One that was taken for sent before its answer came may have left at any time since the intent.
      instances.append(MadeInstance(id: id, since: post == .unknown ? nil : sent))
      post = .made
    case .notSent: post = .unsent
    case .rejected: post = .rejected
    case .unknown: post = .unknown
    case .unlikely: post = .unlikely(unseenSince: nil)
    case .untouched: break
    }
  }
}

extension [Observation] {
  /// A machine in error is lost; one that is on its way out, or not there, was taken away.
  fileprivate func outcome(_ why: String) -> Outcome {
    contains { $0 == .ending(status: "error") } ? .lost(why) : .preempted(why)
  }
}

extension Observation {
  var asReason: String {
    switch self {
    case .ending(let status): "has the status \(status)"
    case .notFound: "is not found any more"
    case .active: "is active"
    case .notYet(let status): "has the status \(status)"
    case .unknown(let why): why
    }
  }
}

// MARK: - Looking for a name

extension Attempt {
  /// Takes every instance that carries one of our full names; the oldest, which stands first, is the adopted one.
  func adopting(_ listing: Listing, _ time: AnswerTime) -> Attempt {
    guard case .trusted(let listed) = listing else { return self }
    return changing { attempt in
      for index in attempt.machines.indices {
        let name = attempt.machines[index].name
        guard MachineName(name) != nil else { continue }
        attempt.machines[index].adopt(listed.filter { $0.name == name }, from: sentAt, sentAt: lastPostAt, time)
      }
    }
  }
}

extension Attempt {
  /// What of earlier attempts shows in a list, to be released by itself; nil where nothing does.
  init?(strays past: [PastAttempt], in listing: Listing, at now: Moment) {
    guard let last = past.last, let name = last.names.first else { return nil }
    var machine = Machine(node: 0, name: name)
    machine.post = .made
    self.init(number: past.count + 1, offering: last.offering, machines: [machine], sentAt: now)
    self = takingAlong(past, in: listing, at: now)
    if instanceIDs.isEmpty { return nil }
  }

  /// Every instance is gone, and not for long: a list that cannot be read may be readable in a moment. After a signal there
  /// are no moments.
  func mayWaitForList(_ outcome: Outcome, at now: Moment) -> Bool {
    guard !outcome.isHurried, let last = machines.flatMap(\.instances).compactMap(\.goneSince).max() else {
      return false
    }
    return now - last < Window.list
  }

  /// A machine of an attempt that was given up as never made may show later, when its name is nobody's any more: it is
  /// given back together with this attempt's own.
  func takingAlong(_ past: [PastAttempt], in listing: Listing, at now: Moment) -> Attempt {
    guard case .trusted(let listed) = listing, !past.isEmpty else { return self }
    let names = past.flatMap(\.names)
    return changing { attempt in
      attempt.machines[0].take(listed.filter { names.contains($0.name) }, from: past[0].sentAt, at: now)
    }
  }
}

extension Machine {
  /// - Parameter start: nothing of these was asked for before.
  mutating func take(_ found: [Listing.Listed], from start: Moment, at now: Moment) {
    for one in found where !one.isDeleted && !instances.contains(where: { $0.id == one.id }) {
      // The cloud's clock is not ours.
      let since = one.createdAt.map { min(now, max(start, $0)) } ?? start
      instances.append(MadeInstance(id: one.id, seenAt: now, since: since))
    }
  }

  mutating func adopt(_ found: [Listing.Listed], from start: Moment, sentAt: Moment, _ time: AnswerTime) {
    take(found, from: start, at: time.now)
    // Not what is among the instances: one of an earlier attempt may have been taken along.
    let isFound = found.contains { !$0.isDeleted }
    switch post {
    case .unsent, .made, .rejected, .absent: break
    case .unknown:
      if isFound { post = .made } else if time.asked - sentAt >= Window.settle { post = .absent }
    case .unlikely(nil):
      post = isFound ? .made : .unlikely(unseenSince: time.now)
    case .unlikely(let since?):
      if isFound { post = .made } else if time.asked - since >= Window.proof { post = .absent }
    }
  }
}

// MARK: - The proof

extension Attempt {
  /// What a DELETE is due for, and a proof.
  package var unproved: [MadeInstance] { machines.flatMap(\.instances).filter { !$0.isProvedGone } }

  /// Instances that a true list must show. What was just read as gone is none of them.
  fileprivate func knownAlive(after reads: [InstanceRead]?) -> [String] {
    let known = machines.flatMap(\.instances).filter { $0.wasRead && $0.goneSince == nil }.map(\.id)
    guard let reads else { return known }
    let alive = Set(reads.filter(\.isUntouched).map(\.id))
    return known.filter(alive.contains)
  }

  /// At least one instance has been read as gone: the proof only needs its second read.
  var isVanishing: Bool {
    machines.flatMap(\.instances).allSatisfy { $0.isProvedGone || $0.goneSince != nil }
  }

  func confirmed(by answers: [DeleteAnswer]) -> Attempt {
    let seen = answers.filter(\.wasRead).map(\.id)
    return changing { attempt in
      for machine in attempt.machines.indices {
        for place in attempt.machines[machine].instances.indices
        where seen.contains(attempt.machines[machine].instances[place].id) {
          attempt.machines[machine].instances[place].wasRead = true
        }
      }
    }
  }

  func reading(_ reads: [InstanceRead], _ listing: Listing, _ time: AnswerTime) -> Attempt {
    changing { attempt in
      for index in attempt.machines.indices {
        for place in attempt.machines[index].instances.indices {
          let id = attempt.machines[index].instances[place].id
          guard let read = reads.first(where: { $0.id == id }) else { continue }
          attempt.machines[index].instances[place].take(read, listing, sentAt: lastPostAt, time)
        }
      }
    }
  }
}

extension MadeInstance {
  mutating func take(_ read: InstanceRead, _ listing: Listing, sentAt: Moment, _ time: AnswerTime) {
    switch read.how {
    case .present:
      wasRead = true
      goneSince = nil
      goneByAbsence = false
    case .unknown: break
    case .deleted:
      wasRead = true
      noteGone(listing, time)
    case .notFound:
      // Right after a create a 404 may only be a replica that has not heard of it yet; and a POST may be executed late.
      guard wasRead || time.asked - (seenAt ?? sentAt) >= Window.settle else { return }
      goneByAbsence = true
      noteGone(listing, time)
    }
  }

  private mutating func noteGone(_ listing: Listing, _ time: AnswerTime) {
    guard let since = goneSince else { return goneSince = time.now }
    guard time.asked - since >= Window.proof else { return }
    isProvedGone = !goneByAbsence || listing.isWithout(id)
  }
}

extension Listing {
  /// What was shown, as far as it can be believed: a list that hides what is known to live says nothing
  /// (reliability.md b.3, "trusted list").
  /// - Parameter reads: what was read just before; it knows better than the attempt who lives.
  package static func shown(_ listed: [Listed], expecting attempt: Attempt, after reads: [InstanceRead]? = nil)
    -> Listing
  {
    let shown = Set(listed.map(\.id))
    guard let missing = attempt.knownAlive(after: reads).first(where: { !shown.contains($0) }) else {
      return .trusted(listed)
    }
    return .unreadable("it does not show \(missing), which lives")
  }

  var isTrusted: Bool { if case .trusted = self { true } else { false } }

  /// True when the list can be trusted and does not show `id` as alive.
  func isWithout(_ id: String) -> Bool {
    guard case .trusted(let listed) = self else { return false }
    return !listed.contains { $0.id == id && !$0.isDeleted }
  }
}

// MARK: - Time and money of an attempt

extension Attempt {
  /// USD per hour of all machines together.
  package var hourlyPrice: Decimal { offering.hourlyPrice * Decimal(machines.count) }

  func bootDeadline(in plan: JobPlan) -> Moment { sentAt + .seconds(plan.bootTimeout(for: offering)) }

  func durationDeadline(in plan: JobPlan) -> (Moment, Deadline)? {
    guard let limit = plan.limits.maxDuration, let launchedAt else { return nil }
    return (launchedAt + .seconds(limit + plan.limits.killGrace) + Window.supervisorLead, .duration)
  }
}

extension PastAttempt {
  var counts: Bool { outcome.retryAt == nil }

  /// The only refusal after which a job goes on.
  var wasRefused: Bool { instanceIDs.isEmpty && outcome.retryAt != nil }
}

extension [PastAttempt] {
  /// Whether something lives under one of their names.
  package func areAlive(in listing: Listing) -> Bool {
    guard case .trusted(let listed) = listing else { return false }
    let names = Set(flatMap(\.names))
    return listed.contains { !$0.isDeleted && names.contains($0.name) }
  }

  /// How many attempts `retry.attempts` counts: not those for which the API only asked to come back later, nor what was
  /// found late under the name of an earlier one.
  var tries: Int {
    indices.count { self[$0].counts && !isOfStrays($0) }
  }

  private func isOfStrays(_ place: Int) -> Bool {
    self[..<place].contains { $0.names.first == self[place].names.first }
  }
}

// MARK: - Outcomes from facts

extension Outcome {
  /// When the API said to come back.
  package var retryAt: Moment? { if case .rateLimited(_, let moment) = self { moment } else { nil } }

  /// The user asked for an end of the cost, whatever `teardown` says.
  var endsPaying: Bool {
    switch self {
    case .cancelled, .interrupted, .outOfBudget: true
    case .exited, .noCapacity, .bootFailed, .preempted, .rebooted, .lost, .unauthorized, .rateLimited, .notConfigured,
      .outOfTime, .failed:
      false
    }
  }

  /// fcrun itself failed, the machine did not.
  var isOurs: Bool { if case .failed = self { true } else { false } }

  /// A signal: ten seconds are all there is.
  package var isHurried: Bool { if case .interrupted = self { true } else { false } }

  static func unreached(_ why: String) -> Outcome {
    .lost("the machine could not be reached for \(Int(Window.unreachable.seconds)) s: \(why)")
  }

  /// No offering is left after attempts that failed: what they failed of is the better answer.
  func following(_ past: [PastAttempt]) -> Outcome {
    guard case .noCapacity = self, let last = past.last?.outcome, last.retryAt == nil else { return self }
    return last
  }

  /// A missing output is a warning after a failure, and fcrun's own failure after a success.
  func judged(missing: [String]) -> Outcome {
    guard isSuccess, !missing.isEmpty else { return self }
    return .failed("the command succeeded, but these outputs are not there: \(missing.joined(separator: ", "))")
  }

  func judged(uncollected why: String) -> Outcome {
    isSuccess ? .failed("the command succeeded, but its outputs could not be fetched: \(why)") : self
  }

  /// Interrupted while something on the machine was worth saving.
  func needsSalvage(of attempt: Attempt) -> Bool {
    if case .interrupted = self { attempt.launchedAt != nil } else { false }
  }
}

extension CommandEnd {
  func outcome(in plan: JobPlan) -> Outcome {
    switch reason {
    case .exited, .stopped: .exited(self)
    case .timedOut: Deadline.duration.outcome(of: nil, in: plan, nil)
    }
  }
}

extension Deadline {
  func outcome(of attempt: Attempt?, in plan: JobPlan, _ trouble: String?) -> Outcome {
    switch self {
    case .boot:
      .bootFailed(
        "not usable within boot_timeout of \(attempt.map { Durations.format(plan.bootTimeout(for: $0.offering)) } ?? "?")"
          + (trouble.map { ": \($0)" } ?? ""))
    case .duration:
      .outOfTime("max_duration of \(Durations.format(plan.limits.maxDuration ?? 0)) ran out")
    case .budget where plan.task != nil:
      .outOfBudget("the task's part of max_cost, $\(Money.exact(plan.limits.maxCost ?? 0)), ran out")
    case .budget: .outOfBudget("max_cost of $\(Money.exact(plan.limits.maxCost ?? 0)) ran out")
    case .grace: .outOfTime("output_grace ran out")
    case .idle: .outOfTime("idle_gpu ran out: \(plan.limits.idleGPU?.inWords ?? "")")
    }
  }
}

extension IdleLimit {
  fileprivate var inWords: String { "no GPU was used \(below) % or more for \(Durations.format(duration))" }
}

extension Limits {
  /// Seconds between TERM and KILL.
  package var killGrace: Int { min(10, max(1, outputGrace / 2)) }

  /// How long a command that is to end may take for it, before its outputs are fetched all the same.
  var stopPatience: Duration { .seconds(killGrace + 10) }
}

extension PostAnswer {
  /// Bytes of the request have left in this round.
  var hasLeft: Bool {
    switch self {
    case .made, .rejected, .unknown, .unlikely: true
    case .notSent, .untouched: false
    }
  }

  var trouble: String? {
    switch self {
    case .unknown(let why), .unlikely(let why), .notSent(let why): why
    case .made, .rejected, .untouched: nil
    }
  }

  var refusal: Outcome? { if case .rejected(let outcome) = self { outcome } else { nil } }
}

extension NodeEnd {
  var loss: Outcome? {
    switch how {
    case .ended: nil
    case .lost(let why): .lost(why)
    case .rebooted(let why): .rebooted(why)
    case .preempted(let why): .preempted(why)
    }
  }
}

extension InstanceRead {
  /// As if no DELETE had come.
  var isUntouched: Bool { if case .present(let status) = how { status != "deleting" } else { false } }
}

extension DeleteAnswer {
  /// There is nothing more to ask for; whether it is true is for the proof.
  var isTaken: Bool {
    switch how {
    case .accepted, .notFound: true
    case .refused, .unknown: false
    }
  }
}
