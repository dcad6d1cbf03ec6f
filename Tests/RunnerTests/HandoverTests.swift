import ForwardCompute
import Jobs
import Remote
import Runner
import Simulation
import Store
import Synchronization
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Machines that go from one task to the next: the shipped driver and the shipped store in virtual time, crashed at every
/// call that it makes of a port.
@Suite struct HandoverTests {
  @Test("Without a crash one machine runs all tasks, and boot is paid once")
  func oneMachine() async throws {
    let sweep = try SweepWorld(tasks: 5, parallel: 1)
    #expect(await sweep.run() == [])
    #expect(sweep.cloud.posts == 1)
  }

  @Test("Two at once make two machines at most")
  func twoMachines() async throws {
    let sweep = try SweepWorld(tasks: 9, parallel: 2)
    #expect(await sweep.run() == [])
    // One, where the first is free before anything is asked for the second.
    #expect(sweep.cloud.posts <= 2)
  }

  @Test(
    "Crashed at every call, before and after its effect: each task ran once, and no machine is left or is two jobs'")
  func everyCrash() async throws {
    let calm = try SweepWorld(tasks: 3, parallel: 1)
    _ = await calm.run()
    #expect(calm.life.calls > 40)
    for call in 1...calm.life.calls {
      for isDone in [false, true] {
        let sweep = try SweepWorld(tasks: 3, parallel: 1, crashes: [Crash(call: call, isDone: isDone)])
        let wrongs = await sweep.run()
        #expect(wrongs == [], "crash at call \(call), \(isDone ? "after" : "before") its effect")
      }
    }
  }

  @Test("Crashed again and again at random calls, two tasks at once", arguments: 0..<100)
  func randomCrashes(seed: Int) async throws {
    var dice = SystemDice(seed: UInt64(seed))
    let crashes = (0..<3).map { _ in Crash(call: dice.number(1...90), isDone: dice.number(0...1) == 0) }
    let sweep = try SweepWorld(tasks: 6, parallel: 2, crashes: crashes)
    let wrongs = await sweep.run()
    #expect(wrongs == [], "\(crashes)")
  }
}

/// A process dies in this call of a port, before or after what it does.
struct Crash: Sendable { var call: Int, isDone: Bool }

/// SplitMix64: the same numbers for the same seed.
private struct SystemDice {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func number(_ range: ClosedRange<Int>) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return range.lowerBound + Int((mixed ^ (mixed >> 31)) % UInt64(range.count))
  }
}

// MARK: - The course of a sweep

/// One sweep with a store, a cloud, and one process after the other, as many as it takes.
private final class SweepWorld: Sendable {
  let store: JobStore
  let cloud = TinyCloud()
  private let sweep: SweepRecord
  private let crashes: [Crash]
  private let lives = Mutex<[Life]>([])

  var life: Life { lives.withLock { $0[$0.count - 1] } }

  init(tasks: Int, parallel: Int, crashes: [Crash] = []) throws {
    let all = (0..<tasks).map { SweepTask(index: $0, values: [], reuses: true) }
    let now = TinyCloud.start
    sweep = SweepRecord(
      id: "ssssssssssssssss", name: "s", tasks: all, maxParallel: parallel, maxCost: nil, failsFast: false, root: "/",
      createdAt: now)
    self.crashes = crashes
    store = try JobStore.empty()
    try store.insert(sweep, all.map { Self.job($0, of: sweep) })
  }

  private static func job(_ task: SweepTask, of sweep: SweepRecord) -> JobRecord {
    var plan = JobPlan(
      name: "s-\(task.index)", file: "/s.json", root: "/", resources: Resources(), command: .script("true"),
      limits: Limits(maxDuration: 600))
    plan.task = task
    let id = String(repeating: Character(UnicodeScalar(UInt8(ascii: "a") + UInt8(task.index))), count: 16)
    let arrangement = Arrangement(
      baseURL: "", isLocal: false, accountFingerprint: "f", accountOwner: nil, sshKeyID: nil, key: .file(path: "/k"),
      candidates: [TinyCloud.offering], volumeIDs: [])
    return JobRecord(
      context: JobContext(id: id, owner: "owner1", plan: plan), arrangement: arrangement, state: JobState(),
      sweep: sweep.id, epoch: 0, createdAt: sweep.createdAt, updatedAt: sweep.createdAt)
  }

  /// Runs to the end and says what was wrong on the way.
  func run() async -> [String] {
    for turn in 0..<20 {
      let life = Life(crash: turn < crashes.count ? crashes[turn] : nil)
      lives.withLock { $0.append(life) }
      await drive(in: life)
      check()
      if tasks.allSatisfy(\.isOver) { break }
    }
    checkEnd()
    return cloud.wrongs
  }

  private var tasks: [JobRecord] { (try? store.tasks(of: sweep.id)) ?? [] }

  /// As `SweepDrive` of the command line does it.
  private func drive(in life: Life) async {
    await withTaskGroup(of: String.self) { group in
      var running: Set<String> = []
      while true {
        while running.count < sweep.maxParallel, !life.isDead, let next = next(besides: running) {
          running.insert(next)
          group.addTask {
            while !life.isDead, (try? self.store.job(next).isOver) == false { await self.drive(next, in: life) }
            return next
          }
        }
        guard let ended = await group.next() else { return }
        running.remove(ended)
      }
    }
  }

  private func next(besides running: Set<String>) -> String? {
    let begun = (try? store.begunTasks(of: sweep.id)) ?? []
    return begun.first { !running.contains($0) }
      ?? tasks.first { $0.state.isUnbegun && !running.contains($0.id) }?.id
  }

  /// A task of its own: a process that is killed is cancelled.
  private func drive(_ id: String, in life: Life) async {
    await Task {
      guard let record = try? store.claim(id) else { return }
      let world = World(
        api: TinyAPI(cloud: cloud, life: life), clock: TinyClock(cloud: cloud), entropy: TinyEntropy(),
        hosts: TinyHosts(cloud: cloud, life: life), wakes: TinyWakes(life: life), secrets: TinySecrets(),
        narrator: TinyNarrator(), logFolder: { _, _, _ in "" }, strands: StrandsInOrder())
      // With several drivers the world may move while it is looked at: it is looked at when they have ended.
      let journal = TinyJournal(store: store, life: life) { if self.sweep.maxParallel == 1 { self.check() } }
      _ = try? await Driver(world: world, journal: journal, handsOver: true).run(record)
    }.value
  }

  /// Each living machine is one job's that wants it, by the names alone, and is in no other job's hands.
  private func check() {
    var hands: [String: String] = [:]
    for task in tasks {
      for id in task.state.attempt?.instanceIDs ?? [] {
        if let other = hands[id] { cloud.wrong("\(id) is in the hands of \(other) and \(task.name)") }
        hands[id] = task.name
      }
    }
    for machine in cloud.living {
      guard let name = MachineName(machine.name), let holder = try? store.holder(of: name),
        let record = try? store.job(holder)
      else {
        cloud.wrong("\(machine.id) is nobody's")
        continue
      }
      if record.state.isStray(machine.id, named: name) { cloud.wrong("\(machine.id) is a stray of \(record.name)") }
      if case .finished = record.state.phase { cloud.wrong("\(record.name) is finished, and \(machine.id) lives") }
    }
  }

  private func checkEnd() {
    for task in tasks where task.state.outcome?.isSuccess != true {
      cloud.wrong("\(task.name) is \(task.state.word): \(task.state.outcome?.sentence ?? "not over")")
    }
    let starts = cloud.starts
    if starts.count != sweep.tasks.count { cloud.wrong("\(starts.count) tasks were started") }
    for (place, count) in starts where count != 1 { cloud.wrong("\(place) was started \(count) times") }
    for machine in cloud.living { cloud.wrong("\(machine.id) is left") }
    let billed = cloud.billed
    let reported = tasks.reduce(Decimal(0)) { $0 + $1.state.cost(at: $1.updatedAt) }
    if reported < billed { cloud.wrong("\(reported) is reported, \(billed) was billed") }
  }
}

extension JobRecord {
  fileprivate var isOver: Bool { if case .finished = state.phase { true } else { false } }
}

/// A process: it counts its calls, and is dead from one of them on.
private final class Life: Sendable {
  private let state = Mutex((calls: 0, isDead: false))
  private let crash: Crash?

  init(crash: Crash?) { self.crash = crash }

  var calls: Int { state.withLock { $0.calls } }
  var isDead: Bool { state.withLock { $0.isDead } }

  /// nil: the process was dead, or died in this call.
  func call<Answer>(_ effect: () -> Answer) -> Answer? {
    let fate: (happens: Bool, answers: Bool) = state.withLock { state in
      guard !state.isDead else { return (false, false) }
      state.calls += 1
      guard let crash, crash.call == state.calls else { return (true, true) }
      state.isDead = true
      return (crash.isDone, false)
    }
    guard fate.happens else { return nil }
    let answer = effect()
    return fate.answers ? answer : nil
  }
}

// MARK: - The cloud and its machines

private final class TinyCloud: Sendable {
  static let start = Moment(milliseconds: 1_800_000_000_000)
  static let offering = Offering(
    id: "off", instanceType: "t", provider: "p", region: "r", deploymentType: "vm", available: true, hourlyPrice: 3600,
    pricePerGPUHour: 3600)

  struct Machine {
    var id: String
    var name: String
    var created: Moment
    var deleted: Moment?
    /// The control folder whose command runs.
    var busy: String?
  }

  private struct State {
    var now = TinyCloud.start
    var machines: [Machine] = []
    var starts: [String: Int] = [:]
    var wrongs: [String] = []
  }
  private let state = Mutex(State())

  var now: Moment { state.withLock { $0.now } }
  var posts: Int { state.withLock { $0.machines.count } }
  var starts: [String: Int] { state.withLock { $0.starts } }
  var wrongs: [String] { state.withLock { $0.wrongs } }
  var machines: [Machine] { state.withLock { $0.machines } }
  var living: [Machine] { machines.filter { $0.deleted == nil } }
  /// USD, at a dollar for each second.
  var billed: Decimal { machines.reduce(0) { $0 + Decimal((($1.deleted ?? now) - $1.created).milliseconds) / 1000 } }

  func advance(_ duration: Duration) { state.withLock { $0.now = $0.now + duration } }
  func wrong(_ what: String) { state.withLock { if !$0.wrongs.contains(what) { $0.wrongs.append(what) } } }

  func create(_ name: String) -> String {
    state.withLock { state in
      if state.machines.contains(where: { $0.name == name }) { state.wrongs.append("two POSTs for \(name)") }
      let id = "i-\(state.machines.count)"
      state.machines.append(Machine(id: id, name: name, created: state.now))
      return id
    }
  }

  func delete(_ id: String) {
    state.withLock { state in
      for place in state.machines.indices where state.machines[place].id == id && state.machines[place].deleted == nil {
        state.machines[place].deleted = state.now
      }
    }
  }

  /// Behind a gate that opens once for a control folder, as on a real machine.
  func launch(_ control: String, on id: String) {
    state.withLock { state in
      guard let place = state.machines.firstIndex(where: { $0.id == id && $0.deleted == nil }) else { return }
      if state.starts.keys.contains("\(id) \(control)") { return }
      if let other = state.machines[place].busy { state.wrongs.append("\(control) is started beside \(other)") }
      state.machines[place].busy = control
      state.starts["\(id) \(control)", default: 0] += 1
    }
  }

  func end(_ control: String, on id: String) {
    state.withLock { state in
      for place in state.machines.indices where state.machines[place].id == id && state.machines[place].busy == control
      {
        state.machines[place].busy = nil
      }
    }
  }
}

// MARK: - Ends of the ports

private struct TinyAPI: ForwardComputeAPI {
  let cloud: TinyCloud
  let life: Life

  private static let cut = APIError(kind: .connectionLost, operation: "tiny", message: "cut")
  private static let none = APIError(kind: .status(404), operation: "tiny", message: "none", status: 404)

  private func ask<Answer>(_ effect: () -> Answer) throws(APIError) -> Answer {
    guard let answer = life.call(effect) else { throw Self.cut }
    return answer
  }

  private func wire(_ machine: TinyCloud.Machine) -> Instance {
    Instance(
      id: machine.id, name: machine.name, status: machine.deleted == nil ? .active : .deleted, sshUser: "root",
      ip: machine.id)
  }

  private var offering: ComputeOffering {
    let offering = TinyCloud.offering
    return ComputeOffering(
      id: offering.id, available: true, deploymentType: "vm", hourlyPrice: offering.hourlyPrice,
      pricePerGPUHour: offering.pricePerGPUHour, instanceType: "t", provider: "p", region: "r")
  }

  func createInstance(_ request: CreateInstance) async -> Creation {
    guard let id = life.call({ cloud.create(request.name) }) else { return .ambiguous(Self.cut) }
    return .created(id: id, instance: nil)
  }

  func instances() async throws(APIError) -> [Instance] { try ask { cloud.machines.map(wire) } }
  func instance(_ id: String, refresh: Bool) async throws(APIError) -> Instance {
    guard let machine = try ask({ cloud.machines.first { $0.id == id } }) else { throw Self.none }
    return wire(machine)
  }
  func deleteInstance(_ id: String) async throws(APIError) { try ask { cloud.delete(id) } }
  func computeOfferings() async throws(APIError) -> [ComputeOffering] { try ask { [offering] } }
  func computeOffering(_ id: String) async throws(APIError) -> ComputeOffering { try ask { offering } }
  func volumeOfferings() async throws(APIError) -> [VolumeOffering] { [] }
  func volumeOffering(_ id: String) async throws(APIError) -> VolumeOffering { throw Self.none }
  func volumes() async throws(APIError) -> [Volume] { [] }
  func volume(_ id: String, refresh: Bool) async throws(APIError) -> Volume { throw Self.none }
  func sshKeys() async throws(APIError) -> [SSHKey] { [] }
  func models() async throws(APIError) -> [Model] { [] }
  func model(_ id: String) async throws(APIError) -> Model { throw Self.none }
}

private struct TinyHosts: Hosts {
  let cloud: TinyCloud
  let life: Life

  private static let broken = Failure(kind: .dropped, message: "the connection broke")

  func connect(_ link: Link) async -> Result<Connected, Failure> {
    let isThere = life.call { cloud.living.contains { $0.id == link.host } } ?? false
    let key = "ssh-ed25519 \(link.host)"
    guard isThere, link.pin == nil || link.pin == key else { return .failure(Self.broken) }
    return .success(Connected(hostKey: key, fingerprint: "", user: link.users[0]))
  }

  func perform(
    _ verb: Request.Verb, on link: Link, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void
  ) async -> WorkerEvent.Kind {
    guard let answer = life.call({ cloud.living.contains { $0.id == link.host } ? answer(verb, link.host) : nil })
    else {
      return .failed(Self.broken)
    }
    cloud.advance(.seconds(1))
    return answer ?? .failed(Self.broken)
  }

  private func answer(_ verb: Request.Verb, _ id: String) -> WorkerEvent.Kind {
    let end = ExitRecord(code: 0, phase: .command, ending: .exited, stdoutBytes: 0, stderrBytes: 0)
    switch verb {
    case .launch(let launch):
      cloud.launch(launch.control, on: id)
      return .status(.running)
    case .follow(let follow):
      cloud.end(follow.control, on: id)
      return .status(.exited(end))
    case .stop(let stop):
      cloud.end(stop.control, on: id)
      return .status(.exited(end))
    case .upload, .collect: return .transferred(Transferred(files: 0, bytes: 0))
    case .connect, .exec, .status, .forward, .cancel: return .failed(Self.broken)
    }
  }

  func close(_ machine: String) async {}
}

private struct TinyJournal: Journal {
  let store: JobStore
  let life: Life
  /// After every transaction.
  let check: @Sendable () -> Void

  func job(_ id: String) throws(StoreError) -> JobRecord { try store.job(id) }

  func commit(_ job: JobRecord, event: String, at now: Moment) throws(StoreError) {
    let result = life.call { Result { () throws(StoreError) in try store.commitAlone(job, event: event, at: now) } }
    check()
    // A dead process hears nothing any more; this ends its loop.
    guard let result else { throw .fenced(job.id) }
    try result.get()
  }

  func handOver(
    _ job: JobRecord, at now: Moment, event: (_ heir: String) -> String
  ) throws(StoreError) -> JobRecord? {
    let result = life.call { Result { () throws(StoreError) in try store.handOver(job, at: now, event: event) } }
    check()
    guard let result else { throw .fenced(job.id) }
    return try result.get()
  }
}

private struct TinyClock: Runner.Clock {
  let cloud: TinyCloud
  func now() -> Moment { cloud.now }
  func sleep(for duration: Duration) async {
    cloud.advance(duration)
    await Task.yield()
  }
}

private struct TinyEntropy: Entropy { func fraction() -> Double { 0.5 } }

private struct TinyWakes: Wakes {
  let life: Life

  func run(
    job: String, within limit: Duration?, mercy: Duration, listensForCancel: Bool, heard: (Wake) async -> Void,
    _ operation: @escaping @Sendable () async -> Event?
  ) async -> (event: Event?, wake: Wake?) {
    let event = await operation()
    guard life.isDead else { return (event, nil) }
    withUnsafeCurrentTask { $0?.cancel() }
    return (nil, .signal(.terminate))
  }
}

private struct TinySecrets: Secrets { func value(of name: String) -> String? { nil } }

private struct TinyNarrator: Narrator { func tell(_ notice: Notice) {} }
