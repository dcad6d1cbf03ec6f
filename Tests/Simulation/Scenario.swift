import ForwardCompute
import Jobs
import Runner
import Simulator
import Store

/// One seed's life of one job: what the script says goes wrong, until a moment; then a friendly world in which it must end.
package struct Scenario {
  package let script: Script
  let kernel: Kernel
  /// In which order the processes came.
  private var processes = 0

  /// Processes that meet faults; those after them live in a friendly world.
  private static let troubled = 12

  package init(_ script: Script, isTraced: Bool = false) {
    self.script = script
    // A database in memory is opened or there is no memory.
    let disk = try! Disk(script.job, withShippedStore: script.hasShippedStore)
    kernel = Kernel(seed: script.seed, disk: disk, isTraced: isTraced)
    let kinds = Set(script.ingredients.map(\.kind))
    kernel.isFriendly = kinds.isEmpty
    kernel.listsLie = !kinds.isDisjoint(with: ["list_drops", "list_empty", "failure_is_provider_error", "key_revoked"])
    kernel.deceives = kinds.contains("reads_flicker") && !kinds.isDisjoint(with: ["list_drops", "list_empty"])
    addForeigners()
    for ingredient in script.ingredients { apply(ingredient.effect) }
  }

  package var trace: Trace { kernel.trace }
  package var calls: Int { kernel.calls }
  package var crashes: Int { kernel.crashes }
  package var violations: [String] { kernel.witness.violations }
  /// How the job ended; nil when its state folder was lost.
  package var outcome: Outcome? { kernel.disk.isLost ? nil : kernel.disk.record.state.outcome }

  /// What has struck, by kind.
  package var struck: [String: Int] {
    Dictionary(kernel.cloud.struck.map { ($0.key.stringValue, $0.value) }, uniquingKeysWith: +)
  }

  /// Machines of other people, some with names that look like ours.
  private func addForeigners() {
    let names = [
      "training", "fcr-owner1-aaaaaaaabbbbbbbb", "fcr-other9-aaaaaaaabbbbbbbb-a1-n0-0-sim",
      "fcr-other9-ccccccccdddddddd-a1-n0-zzzzzz", "xfcr-owner1-aaaaaaaabbbbbbbb-a1-n0-0",
    ]
    let offering = kernel.cloud.offeringList.first { $0.available }?.id ?? ""
    for name in names {
      _ = kernel.cloud.create(name: name, offeringID: offering, now: kernel.now.milliseconds)
    }
    kernel.witness.foreign = Set(kernel.cloud.living.map(\.id))
    // Past their own boots: what the script says of boots is about ours.
    kernel.advance(to: kernel.now + .seconds(120))
  }

  private func apply(_ effect: Ingredient.Effect) {
    switch effect {
    case .cloud(let turn): turn(&kernel.cloud.knobs)
    case .cloudBetween(let from, let until, let turn): turnBetween(from, until, turn)
    case .machines(let happen): happen(kernel)
    case .signal(let signal, let after): kernel.user.signal = (signal, kernel.now + after)
    case .cancel(let after): kernel.user.cancelAt = kernel.now + after
    case .disk(let percent): kernel.disk.failurePercent = percent
    case .diskFull(let phase): kernel.disk.fullFrom = phase
    case .crash, .stop, .takeover, .skew, .secretsGone, .stateLost: break
    }
  }

  private func turnBetween(_ from: Duration, _ until: Duration, _ turn: @escaping @Sendable (inout Knobs) -> Void) {
    let kernel = kernel
    kernel.after(from) {
      guard !kernel.isHealed else { return }
      let before = kernel.cloud.knobs
      turn(&kernel.cloud.knobs)
      kernel.after(until - from) { if !kernel.isHealed { kernel.cloud.knobs = before } }
    }
  }

  // MARK: - The course of a seed

  /// Runs to the end and says what was broken on the way.
  package mutating func run() async -> [String] {
    var dice = Dice(seed: script.seed &+ 77)
    while processes < 60 {
      if processes >= Self.troubled { heal() }
      let isOver = await runProcess()
      if isOver || kernel.disk.isLost { break }
      let rest = script.isCalm ? 0 : dice.number(0, dice.happens(0.2) ? 90_000 : 30)
      kernel.advance(to: kernel.now + .seconds(rest))
    }
    heal()
    if kernel.disk.isLost { await reapWithoutState() } else { await endWatch() }
    return violations
  }

  /// One process, or two where the script has one taken over; whether the job is over.
  private mutating func runProcess() async -> Bool {
    let effects = kernel.isHealed ? [] : script.process(processes)
    let takeover = effects.lazy.compactMap { if case .takeover(_, let after) = $0 { after } else { nil } }.first
    let first = makeProcess(effects)
    let one = self, kernel = kernel
    // A task of its own: a process that is killed is cancelled.
    guard let takeover else { return await Task { await one.live(first) }.value }
    let second = makeProcess([])
    kernel.isTakenOver = true
    let start = kernel.now
    let lives: [@Sendable () async -> Void] = [
      { _ = await one.live(first) },
      {
        await kernel.turns.wait(until: start + takeover) { false }
        kernel.advance(to: start + takeover)
        _ = await one.live(second)
      },
    ]
    await kernel.turns.run(lives, at: start) { _, _ in false }
    return isFinished
  }

  private mutating func makeProcess(_ effects: [Ingredient.Effect]) -> VirtualProcess {
    let process = VirtualProcess(kernel, number: processes)
    processes += 1
    for effect in effects {
      switch effect {
      case .crash(_, let call, let death, let cutsPower): process.death = (call, death, cutsPower)
      case .stop(_, let call, let length): process.stop = (call, length)
      case .skew(_, let skew): (process.skew, kernel.clocksAgree) = (skew, false)
      case .secretsGone: process.hasSecrets = false
      case .stateLost: process.takesStateAlong = true
      case .cloud, .cloudBetween, .machines, .takeover, .signal, .cancel, .disk, .diskFull: break
      }
    }
    return process
  }

  private var isFinished: Bool { if case .finished = kernel.disk.record.state.phase { true } else { false } }

  /// As `fcrun submit` and `fcrun resume` do it: a look for late machines, then the job.
  private func live(_ process: VirtualProcess) async -> Bool {
    process.note("starts, the job is \(kernel.disk.record.state.word)")
    await giveBackLateMachines(process)
    let verdict = await drive(process)
    kernel.check(leaving: process, verdict)
    if process.isBehind { kernel.witness.isForgetful = true }
    process.note("leaves: \(verdict.map { "exit code \($0.exitCode)" } ?? (process.isFenced ? "fenced" : "dead"))")
    if process.isDead { kernel.crashes += 1 }
    if process.isDead, process.death?.cutsPower == true { kernel.files.cutPower() }
    if process.takesStateAlong { kernel.disk.isLost = true }
    return verdict?.outcome != nil && isFinished
  }

  func drive(_ process: VirtualProcess) async -> Verdict? {
    guard !isFinished || !kernel.turns.isShared, !process.isDead else { return nil }
    do {
      let record = try kernel.disk.claim()
      return try await Driver(world: world(process), journal: VirtualJournal(process: process)).run(record)
    } catch let disagreement as Disagreement {
      kernel.violate("the store: \(disagreement.what)")
    } catch {
      process.note("cannot go on: \(error)")
      if case StoreError.unusable(let why) = error { kernel.violate("the store: \(why)") }
    }
    return nil
  }

  private func heal() {
    guard !kernel.isHealed else { return }
    kernel.note("the world heals")
    kernel.heal()
  }

  /// - Parameter hearsUser: a reaper has no ears for the job's signals.
  func world(_ process: VirtualProcess, hearsUser: Bool = true) -> World {
    World(
      api: RetryingForwardCompute(
        SimulatedAPI(process: process),
        limiter: RequestLimiter(now: { .milliseconds(process.now.milliseconds) }),
        policy: RetryPolicy(maxElapsed: .seconds(2), longestPause: .seconds(2)),
        pause: { if await !process.pass($0) { throw CancellationError() } },
        jitter: { process.kernel.fraction() }),
      clock: VirtualClock(process: process), entropy: VirtualEntropy(process: process),
      hosts: SimulatedHosts(process: process), wakes: VirtualWakes(process: process, hearsUser: hearsUser),
      secrets: VirtualSecrets(process: process), narrator: VirtualNarrator(process: process),
      logFolder: { _, _, _ in "" }, checkpoints: VirtualCheckpoints(process: process),
      strands: VirtualStrands(process: process))
  }
}

// MARK: - What is left behind

extension Scenario {
  /// What the cloud still does by itself happens; whoever starts fcrun next finds it by the watched names.
  private mutating func endWatch() async {
    await giveBackLateMachines(makeProcess([]))
    kernel.advance(to: kernel.now + .seconds(40_000))
    for _ in 0..<2 { await giveBackLateMachines(makeProcess([])) }
    kernel.checkEnd()
  }

  /// As `LateMachines` of the command line does it.
  private func giveBackLateMachines(_ process: VirtualProcess) async {
    guard let names = try? kernel.disk.watchedNames().map(\.name), !names.isEmpty else { return }
    let reaper = Reaper(world: world(process, hearsUser: false), owner: script.job.context.owner)
    let (now, kernel) = (process.now, kernel)
    let results = try? await reaper.giveBackStrays(under: names) { id, name in
      kernel.disk.record.state.isStray(id, named: name) ? .over : .driven
    }
    for (finding, taken) in results ?? [] where taken == .notProved { kernel.witness.told.insert(finding.instance.id) }
    if results != nil, !process.isDead { try? kernel.disk.endWatch(lookedAt: now) }
  }

  /// Nothing is left but the cloud's list: a reaper of another installation takes what is past its deadline.
  private mutating func reapWithoutState() async {
    let request = Reaper.Request(named: [], older: nil, anyOwner: true)
    for _ in 0..<3 {
      kernel.advance(to: kernel.now + .seconds(40_000))
      let reaper = Reaper(world: world(makeProcess([]), hearsUser: false), owner: "other1")
      guard let findings = try? await reaper.survey(request, standing: { _, _ in .unknown }) else { continue }
      for finding in findings where finding.isToBeTaken { _ = try? await reaper.take(finding) }
    }
    for instance in kernel.cloud.living where !kernel.witness.foreign.contains(instance.id) {
      guard let name = MachineName(instance.name) else {
        kernel.violate("I2: \(instance.name) cannot be read back")
        continue
      }
      // Without max_duration there is no deadline: it is listed, and only taken by name (rulings 2).
      if name.expiry != 0, kernel.clocksAgree {
        kernel.violate("I2: \(instance.id) (\(instance.name)) is past its deadline, and left")
      }
    }
    kernel.checkForeigners()
  }
}
