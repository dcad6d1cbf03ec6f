import Jobs
import Remote
import Runner
import Simulator
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a person at the keyboard does.
struct User {
  var signal: (what: Signal, at: Moment)?
  var cancelAt: Moment?
}

/// An onlooker who sees the whole world, and what each party can know of it.
struct Witness {
  /// Each broken promise once, with its number in reliability.md b.13.
  private(set) var violations: [String] = []
  /// The instances that the last answered list showed alive.
  var shownInList: Set<String> = []
  /// When that list was asked for.
  var listedAt = Moment(milliseconds: 0)
  /// Names of ours, in order of their POST, and when that was.
  private(set) var posted: [(name: String, at: Moment)] = []
  /// Instances that have nothing to do with us.
  var foreign: Set<String> = []
  private(set) var highestEpoch = 0
  var starts: [RunPlace: Int] = [:]
  /// The attempts whose command a process has seen come to its own end.
  private(set) var ends: [Int: Outcome] = [:]
  /// Machines that appeared late, and that a look has told as not proved gone.
  var told: Set<String> = []
  /// A process ended with something that its disk would not take.
  var isForgetful = false

  mutating func violate(_ what: String) {
    if !violations.contains(what) { violations.append(what) }
  }

  mutating func saw(commitOf job: JobRecord, by process: VirtualProcess) {
    if job.epoch < highestEpoch { violate("I9: a commit of epoch \(job.epoch) was taken after \(highestEpoch)") }
    highestEpoch = max(highestEpoch, job.epoch)
  }

  mutating func saw(endIn record: JobRecord) {
    // A success whose outputs are not here yet may still be lost with its machine.
    guard record.state.isReleasing, let attempt = record.state.attempt, let outcome = record.state.outcome,
      outcome.isOfJob
    else { return }
    ends[attempt.number] = ends[attempt.number] ?? outcome
  }

  mutating func saw(postOf name: String, at now: Moment) { posted.append((name, now)) }
}

extension Kernel {
  func violate(_ what: String) {
    note("VIOLATION \(what)")
    witness.violate(what)
  }
}

// MARK: - What must hold at every moment (reliability.md b.13)

extension Kernel {
  /// After every call of a port.
  func check() {
    for name in cloud.postCounts where name.count > 1 { violate("I4: \(name.count) POSTs for \(name.name)") }
    for (place, count) in witness.starts where count > 1 {
      violate("I5: the command started \(count) times on node \(place.node) in attempt \(place.attempt)")
    }
    checkReleased()
  }

  /// The command starts in an attempt.
  func checkStart(in attempt: Int) {
    let retry = disk.record.context.plan.retry
    for earlier in Set(witness.starts.keys.map(\.attempt)) where earlier < attempt {
      if let end = witness.ends[earlier], !end.isRetried(by: retry), !witness.isForgetful {
        violate("I5: the command starts in attempt \(attempt), and attempt \(earlier) was the end: \(end.sentence)")
      }
      switch disk.record.state.past.first(where: { $0.number == earlier })?.outcome {
      case .noCapacity, .bootFailed, .rateLimited:
        violate("I5: the command starts in attempt \(attempt), and attempt \(earlier) is said to have had no machine")
      case nil, .exited, .preempted, .rebooted, .lost, .unauthorized, .notConfigured, .outOfTime, .outOfBudget,
        .cancelled, .interrupted,
        .failed:
        break
      }
    }
  }

  /// What the record calls gone is not billed.
  private func checkReleased() {
    // A clock that leaps makes a machine of a minute one of years: a 404 counts at once then.
    guard !disk.record.state.past.isEmpty, clocksAgree, !deceives else { return }
    let released = Set(disk.record.state.past.flatMap(\.instanceIDs))
    for instance in cloud.living where released.contains(instance.id) && !cloud.returned.contains(instance.id) {
      violate("I3: the job says that \(instance.id) is gone, and it is billed")
    }
  }

  /// A POST is about to be executed by the cloud.
  func checkPost(of name: String, by process: VirtualProcess) {
    if process.toldAt != nil { violate("I4: a POST after a signal: \(name)") }
    if process.isFenced { violate("I9: a POST of a process that was fenced off: \(name)") }
    guard let attempt = disk.record.state.attempt, attempt.machines.contains(where: { $0.name == name }) else {
      // A process that hangs in its POSTs does not hear that another one has taken the job over and given up on them.
      return isTakenOver ? () : violate("I4: a POST of \(name) without a durable intent")
    }
    let earlier = witness.posted.map(\.name).filter { name in !attempt.machines.contains { $0.name == name } }
    for instance in livingOurs where clocksAgree && earlier.contains(instance.name) && isFindable(instance) {
      violate("I1: a POST of \(name) while \(instance.id) of an earlier attempt lives, and could be known")
    }
    witness.saw(postOf: name, at: now)
  }

  private typealias Living = (id: String, name: String, listedFrom: Int64)

  /// What may not live on behind the client's back.
  private var livingOurs: [Living] {
    cloud.living.filter { !witness.foreign.contains($0.id) && !cloud.returned.contains($0.id) }
  }

  /// In the last list that was read, or would have been if it had told the truth after the assumed bound (rulings 3).
  private func isFindable(_ instance: Living) -> Bool {
    if witness.shownInList.contains(instance.id) { return true }
    guard !listsLie, let sent = witness.posted.first(where: { $0.name == instance.name })?.at else { return false }
    return instance.listedFrom < min(sent.milliseconds + 58_000, witness.listedAt.milliseconds)
  }

  func checkDelete(of id: String, by process: VirtualProcess) {
    if witness.foreign.contains(id) { violate("I11: a DELETE of \(id), which is not ours") }
    if process.isFenced { violate("I9: a DELETE of a process that was fenced off: \(id)") }
    guard !disk.isLost, !disk.record.state.isReleasing, disk.failurePercent == 0, disk.fullFrom == nil,
      let attempt = disk.record.state.attempt
    else {
      return
    }
    if attempt.machines.contains(where: { $0.id == id }) { violate("I11: a DELETE of \(id), which the job works with") }
  }
}

// MARK: - What must hold when a process has ended

extension Kernel {
  /// A process that lives leaves in time: ten seconds after a signal, and with a proof or a report.
  func check(leaving process: VirtualProcess, _ verdict: Verdict?) {
    if process.isTurning { violate("I12: the driver turns in \(disk.record.state.word)") }
    guard !process.isDead, let verdict else { return }
    if let toldAt = process.toldAt, now - toldAt > .seconds(10) {
      violate("I12: the process left \((now - toldAt).seconds) s after its signal")
    }
    checkVerdict(verdict)
  }

  private func checkVerdict(_ verdict: Verdict) {
    guard let outcome = verdict.outcome else {
      if verdict.exitCode != 75 { violate("I2: left with \(verdict.exitCode) and without a proof") }
      return
    }
    // Nobody looks for others under the names of a machine that is kept before the next start.
    let keeps = verdict.record.state.attempt != nil
    // Between two attempts nothing is known to live, and nothing is waited for: what shows late then is the watch's.
    let isBetween = verdict.record.state.past.last.map { verdict.signal != nil && $0.outcome != outcome } ?? false
    for instance in livingOurs
    where !keeps && !isBetween && isFindable(instance) && !witness.told.contains(instance.id) {
      violate("I2: left with \(verdict.exitCode) while \(instance.id) (\(instance.name)) lives, and could be known")
    }
    if verdict.exitCode == 75 { violate("I6: left with 75, and everything is proved") }
    if verdict.signal == nil, verdict.exitCode != outcome.exitCode {
      violate("I6: left with \(verdict.exitCode) for \(outcome.sentence)")
    }
  }
}

// MARK: - What must hold at the end, when the world has been friendly for long enough

extension Kernel {
  func checkEnd() {
    let record = disk.record
    guard case .finished(let outcome, let kept) = record.state.phase else {
      return violate("I13: not finished after the world healed: \(record.state.word)")
    }
    let keptIDs = kept?.instanceIDs ?? []
    for instance in livingOurs where !keptIDs.contains(instance.id) && (clocksAgree || isFindable(instance)) {
      violate("I2: \(instance.id) (\(instance.name)) is left and nobody says so")
    }
    checkForeigners()
    checkResult(outcome, record)
    checkCost(record)
    checkCeiling(record)
    checkIdleness(record)
    checkSecrets(record)
  }

  func checkForeigners() {
    for entry in cloud.ledger() where witness.foreign.contains(entry.id) && entry.deletes > 0 {
      violate("I11: \(entry.id), which is not ours, was deleted")
    }
  }

  private func checkResult(_ outcome: Outcome, _ record: JobRecord) {
    guard case .exited(let end) = outcome, let last = record.state.attempt?.number ?? record.state.past.last?.number
    else { return }
    let runs = runs(of: last)
    if !runs.contains(where: { $0.run.record(at: now)?.code == end.code }) {
      violate("I6: exit code \(end.code) is no machine's, they ended with \(runs.map { $0.run.code })")
    }
    guard outcome.isSuccess else { return }
    for (place, id, run) in runs {
      checkLog(at: place, of: id, run)
      if files.outputs[place.node].map({ $0.source != id || !$0.isFinal }) ?? true {
        violate("I8: success without the outputs of node \(place.node)")
      }
    }
    if runs.count != record.context.plan.nodes {
      violate("I5: success, and the command started on \(runs.count) of \(record.context.plan.nodes) nodes")
    }
  }

  /// The log of a command that ran to its end is here, all of it, and only that.
  private func checkLog(at place: RunPlace, of id: RunID, _ run: SimulatedHost.Run) {
    guard let log = files.logs[place] else { return violate("I7: no log of node \(place.node)") }
    if log.source != id { violate("I7: the log of node \(place.node) is of another run") }
    if log.bytes != run.bytes(at: now) {
      violate("I7: \(log.bytes) of \(run.bytes(at: now)) bytes of the log of node \(place.node)")
    }
  }

  /// Money: without any fault no more is spent than `max_cost` and the time that an orderly end takes.
  private func checkCeiling(_ record: JobRecord) {
    guard isFriendly, record.state.attempt == nil, let cap = record.context.plan.limits.maxCost else { return }
    let ours = cloud.ledger().filter { !witness.foreign.contains($0.id) }
    let spent = ours.reduce(Decimal(0)) { $0 + $1.cost }
    let end = ours.reduce(Decimal(0)) { $0 + $1.hourlyPrice } * 200 / 3600
    if spent > cap + end { violate("I14: \(spent) is spent, max_cost is \(cap)") }
  }

  /// Idle_gpu ends what was idle for as long as it says, and nothing else; unseen for a while, it may take longer.
  private func checkIdleness(_ record: JobRecord) {
    guard let limit = record.context.plan.limits.idleGPU, clocksAgree else { return }
    let pause = min(60, max(1, Double(limit.duration) / 10))
    for past in record.state.past {
      let runs = runs(of: past.number).map(\.run)
      guard let end = runs.map(\.finalMoment).max(), let lastUse = runs.map(\.busyUntil).max() else { continue }
      let isEnded = if case .outOfTime(let why) = past.outcome { why.hasPrefix("idle_gpu") } else { false }
      if isEnded, end - lastUse < .seconds(limit.duration) {
        violate("I14: attempt \(past.number) was ended as idle after \((end - lastUse).seconds) of \(limit.duration) s")
      }
      if isFriendly, !isEnded, end - lastUse > .seconds(Double(limit.duration) + 3 * pause + 60) {
        violate("I14: attempt \(past.number) was idle for \((end - lastUse).seconds) s, and paid for")
      }
    }
  }

  private func runs(of attempt: Int) -> [(place: RunPlace, id: RunID, run: SimulatedHost.Run)] {
    hosts.sorted { $0.key < $1.key }.flatMap { machine, host in
      (host.runs.values + host.forgotten).filter { $0.place.attempt == attempt }.map {
        ($0.place, RunID(machine: machine, control: $0.control), $0)
      }
    }
  }

  /// What is reported is at least what the ledger says of these machines' time, at the price that was known (I14).
  ///
  /// A machine that showed late, or came back, is not in it: nobody can say since when it cost.
  private func checkCost(_ record: JobRecord) {
    guard clocksAgree else { return }
    let ledger = cloud.ledger()
    for past in record.state.past {
      let machines = ledger.filter { isOfAttempt($0, past) }
      let hours = machines.reduce(0) { $0 + $1.billedMilliseconds }
      let cost = past.offering.hourlyPrice * Decimal(hours) / 3_600_000
      if past.cost < cost * Decimal(0.999) {
        violate("I14: attempt \(past.number) is reported with \(past.cost), the ledger says \(cost)")
      }
    }
  }

  private func isOfAttempt(_ entry: LedgerEntry, _ past: PastAttempt) -> Bool {
    !cloud.returned.contains(entry.id) && past.instanceIDs.contains(entry.id) && past.names.contains(entry.name)
      && (past.sentAt.milliseconds - 1_000...past.sentAt.milliseconds + 60_000).contains(entry.created)
  }

  private func checkSecrets(_ record: JobRecord) {
    guard !record.context.plan.secrets.isEmpty, "\(record)".contains(VirtualSecrets.canary) else { return }
    violate("I10: the record holds a secret")
  }
}
