import ForwardCompute
import Jobs
import Remote
import Store

/// Performs effects on the ports. Knows how to ask; what an answer means is JobState's to say.
package struct World: Sendable {
  package var api: any ForwardComputeAPI
  package var clock: any Clock
  package var entropy: any Entropy
  package var hosts: any Hosts
  package var wakes: any Wakes
  package var secrets: any Secrets
  package var narrator: any Narrator
  /// The folder of one node's logs, made where it is missing; see docs/architecture.md "On disk".
  package var logFolder: @Sendable (_ job: String, _ attempt: Int, _ node: Int) -> String
  /// Which offerings failed lately, in whichever job of this account.
  package var blame: @Sendable (_ job: JobRecord, _ now: Moment) -> Blame = { _, _ in .none }
  /// nil: none are kept.
  package var checkpoints: (any Checkpoints)?
  package var strands: any Strands
  /// Of the job that is driven in it.
  let idleTime = IdleTime()

  package init(
    api: any ForwardComputeAPI, clock: any Clock, entropy: any Entropy, hosts: any Hosts, wakes: any Wakes,
    secrets: any Secrets, narrator: any Narrator,
    logFolder: @escaping @Sendable (_ job: String, _ attempt: Int, _ node: Int) -> String,
    checkpoints: (any Checkpoints)? = nil, strands: any Strands = LiveStrands()
  ) {
    self.api = api
    self.clock = clock
    self.entropy = entropy
    self.hosts = hosts
    self.wakes = wakes
    self.secrets = secrets
    self.narrator = narrator
    self.logFolder = logFolder
    self.checkpoints = checkpoints
    self.strands = strands
  }

  /// Never throws: a failure is an event like any other. After a signal no request waits behind those of other jobs.
  func perform(_ effect: Effect, for job: JobRecord) async -> Event {
    let isUrgent = job.state.isReleasing && job.state.outcome?.isHurried == true
    return await RequestUrgency.$isUrgent.withValue(isUrgent) { await answer(to: effect, for: job) }
  }

  private func answer(to effect: Effect, for job: JobRecord) async -> Event {
    switch effect {
    case .choose(let past): await choose(after: past, for: job)
    case .create(let attempt): await create(attempt, for: job)
    case .look(let attempt): .listed(await list(expecting: attempt))
    case .price(let attempt): await price(attempt)
    case .observe(let attempt): .observed(await observe(attempt, tellingOf: job))
    case .reach(let attempt): await reach(attempt, for: job)
    case .upload(let attempt): await upload(attempt, for: job)
    case .launch(let attempt): await launch(attempt, for: job)
    case .follow(let attempt): await follow(attempt, for: job)
    case .stop(let attempt): await stop(attempt, for: job)
    case .collect(let attempt): await collect(attempt, for: job)
    case .clear(let attempt): await clear(attempt, for: job)
    case .delete(let attempt): await delete(attempt)
    case .salvage(let attempt): await salvage(attempt, for: job)
    case .verify(let attempt): await verify(attempt)
    }
  }

  /// Asks for each of them, answers in their order.
  func each<Asked: Sendable, Answer: Sendable>(
    _ machines: [Asked], _ ask: @escaping @Sendable (Asked) async -> Answer
  ) async -> [Answer] {
    await strands.all(machines.map { machine in { await ask(machine) } })
  }

  /// The same world on the time line of a job, which never goes back: a wall clock that was set back between two processes
  /// would put every deadline of the job out of reach.
  func onTimeLine(of record: JobRecord) -> World {
    var copy = self
    copy.clock = LaterClock(clock: clock, by: max(.zero, record.updatedAt - clock.now()))
    return copy
  }
}

/// A clock that is ahead of another one.
private struct LaterClock: Clock {
  let clock: any Clock
  let lead: Duration

  init(clock: any Clock, by lead: Duration) {
    self.clock = clock
    self.lead = lead
  }

  func now() -> Moment { clock.now() + lead }
  func sleep(for duration: Duration) async { await clock.sleep(for: duration) }
}
