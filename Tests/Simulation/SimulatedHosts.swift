import Jobs
import Remote
import Runner
import Simulator
import Store

/// What lies and runs on one machine: it outlives connections, not always reboots.
final class SimulatedHost {
  struct Run {
    var place: RunPlace
    var control: String
    var boots: Int
    var start: Moment
    var length: Duration
    var code: Int
    var limit: Duration?
    var stoppedAt: Moment?
    /// Bytes of log for each second.
    var rate: Int64
    /// From then on no GPU is used.
    var idleFrom: Moment?
    /// The supervisor was killed then: no exit record will ever be written.
    var unsupervisedSince: Moment?
  }
  /// Control folders that an upload has made.
  var uploaded: Set<String> = []
  /// Commands that were started, by control folder. The gate: one for each, ever.
  var runs: [String: Run] = [:]
  /// Who is connected: each process has a connection for each machine that it thinks of.
  private struct Side: Hashable {
    var process: Int
    var machine: String
  }
  /// What the open connections were made to: gone when the machine changes.
  private var connections: [Side: (boots: Int, moves: Int)] = [:]

  func connection(of process: VirtualProcess, to name: String) -> (boots: Int, moves: Int)? {
    connections[Side(process: process.number, machine: name)]
  }

  func connect(_ machine: SimMachine, _ process: VirtualProcess, as name: String) {
    connections[Side(process: process.number, machine: name)] = (machine.boots, machine.moves)
  }

  func disconnect(_ process: VirtualProcess, from name: String) {
    connections[Side(process: process.number, machine: name)] = nil
  }

  /// Starts of which the machine remembers nothing any more.
  private(set) var forgotten: [Run] = []

  /// The disk did not outlive a reboot.
  func wipe() {
    forgotten += runs.values
    (uploaded, runs) = ([], [:])
  }
}

/// Hosts behind the addresses of the cloud model's machines, with a lossy network in between.
struct SimulatedHosts: Hosts {
  let process: VirtualProcess
  private var kernel: Kernel { process.kernel }

  init(process: VirtualProcess) { self.process = process }

  func connect(_ link: Link) async -> Result<Connected, Failure> {
    guard await process.call("connect", {}) != nil, await process.pass(.milliseconds(kernel.between(40, 600))) else {
      return .failure(.cancelled)
    }
    guard let machine = machine(at: link), machine.power == .on else {
      return .failure(Failure(kind: .refused, message: "nobody listens"))
    }
    let hostKey = "ssh-ed25519 \(machine.id)-\(machine.hostKeys)"
    if let pin = link.pin, pin != hostKey {
      return .failure(Failure(kind: .hostKeyChanged, message: "the host key changed"))
    }
    guard !machine.authorizedKeys.isEmpty else {
      return .failure(Failure(kind: .notAuthenticated, message: "not yet"))
    }
    kernel.host(machine.id).connect(machine, process, as: link.machine)
    return .success(Connected(hostKey: hostKey, fingerprint: "", user: link.users[0]))
  }

  func perform(
    _ verb: Request.Verb, on link: Link, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void
  ) async -> WorkerEvent.Kind {
    if live(link) == nil, case .failure(let failure) = await connect(link) { return .failed(failure) }
    guard let machine = live(link) else { return .failed(.dropped) }
    let host = kernel.host(machine.id)
    let place = RunPlace(attempt: verb.attempt, node: MachineName(link.machine)?.node ?? 0)
    guard await process.call(verb.name, { perform(verb, at: place, on: host, machine) }) != nil,
      await process.pass(length(of: verb))
    else { return .failed(.cancelled) }
    if let failure = mishap(on: host, link) { return .failed(failure) }
    guard live(link) != nil else { return .failed(.dropped) }
    return await answer(verb, at: place, on: host, link)
  }

  func close(_ machine: String) async {}

  private func mishap(on host: SimulatedHost, _ link: Link) -> Failure? {
    if kernel.lossPercent > 0, kernel.fraction() * 100 < kernel.lossPercent {
      host.disconnect(process, from: link.machine)
      return .dropped
    }
    guard kernel.remoteFailurePercent > 0, kernel.fraction() * 100 < kernel.remoteFailurePercent else { return nil }
    return Failure(kind: .unanswered, message: "the remote script was killed")
  }

  // MARK: - Effects

  private func perform(_ verb: Request.Verb, at place: RunPlace, on host: SimulatedHost, _ machine: SimMachine) {
    switch verb {
    case .upload(let upload):
      host.uploaded.insert(upload.control)
      kernel.checkPutBack(upload.sources.map(\.source), at: place)
    case .launch(let launch): start(launch, at: place, on: host, machine)
    case .stop(let stop): end(stop.control, at: place, on: host, machine)
    case .connect, .exec, .status, .follow, .collect, .forward, .cancel: break
    }
  }

  private func start(_ launch: Launch, at place: RunPlace, on host: SimulatedHost, _ machine: SimMachine) {
    guard host.uploaded.contains(launch.control), host.runs[launch.control] == nil else { return }
    kernel.checkStart(in: place.attempt)
    kernel.witness.starts[place, default: 0] += 1
    process.note("the command starts on \(machine.id), node \(place.node) of attempt \(place.attempt)")
    host.runs[launch.control] = run(launch, at: place, on: machine)
  }

  private func run(_ launch: Launch, at place: RunPlace, on machine: SimMachine) -> SimulatedHost.Run {
    SimulatedHost.Run(
      place: place, control: launch.control, boots: machine.boots, start: kernel.now,
      length: serves(place) ? .seconds(1_000_000) : .milliseconds(kernel.between(100, 900_000)),
      code: kernel.fraction() < 0.8 ? 0 : 7,
      limit: launch.maxDuration.map { .seconds($0) }, rate: kernel.between(0, 1_000),
      idleFrom: kernel.fraction() < 0.3 ? kernel.now + .milliseconds(kernel.between(0, 300_000)) : nil)
  }

  /// A node that the command does not run on serves the one where it does, until it is told to end.
  private func serves(_ place: RunPlace) -> Bool { place.node > 0 && kernel.disk.record.context.plan.brings.runsOnHead }

  private func end(_ control: String, at place: RunPlace, on host: SimulatedHost, _ machine: SimMachine) {
    guard let run = host.runs[control] else {
      // The gate closes: a later launch starts nothing.
      host.runs[control] = SimulatedHost.Run(
        place: place, control: control, boots: machine.boots, start: kernel.now, length: .zero, code: 130, limit: nil,
        stoppedAt: kernel.now, rate: 0)
      return
    }
    if run.stoppedAt == nil, kernel.now < run.end { host.runs[control]?.stoppedAt = kernel.now }
  }

  private func length(of verb: Request.Verb) -> Duration {
    switch verb {
    case .upload, .collect: .milliseconds(kernel.between(50, 20_000))
    case .connect, .exec, .launch, .status, .follow, .stop, .forward, .cancel: .milliseconds(kernel.between(5, 100))
    }
  }

  // MARK: - Answers

  private func answer(_ verb: Request.Verb, at place: RunPlace, on host: SimulatedHost, _ link: Link) async
    -> WorkerEvent.Kind
  {
    switch verb {
    case .upload: .transferred(Transferred(files: 1, bytes: 1))
    case .collect(let collect): collected(collect, at: place, on: host, link)
    case .launch(let launch): .status(status(launch.control, on: host, link))
    case .status(let request): .status(status(request.control, on: host, link))
    case .stop(let stop): .status(status(stop.control, on: host, link))
    case .follow(let follow): await self.follow(follow.control, at: place, on: host, link)
    case .exec(let exec) where exec.command == Remote.Script.utilization: .executed(utilization(of: host))
    case .exec(let exec): .executed(Executed(exitCode: 0, stdout: answer(to: exec), stderr: ""))
    case .connect, .forward, .cancel: .failed(Failure(kind: .badRequest, message: "not simulated"))
    }
  }

  /// Of the GPUs, or of why a command failed.
  private func answer(to exec: Exec) -> String {
    guard kernel.deadGPUPercent > 0, kernel.fraction() * 100 < kernel.deadGPUPercent else { return "gpus 8\n" }
    return exec.command == Remote.Script.gpus ? "dead exit code 9: no driver\n" : "gpu NVRM: Xid (PCI:0000:01:00): 79\n"
  }

  private func utilization(of host: SimulatedHost) -> Executed {
    guard kernel.fraction() * 100 >= kernel.silentGPUPercent else {
      return Executed(exitCode: 9, stdout: "no driver", stderr: "")
    }
    let isIdle = host.runs.values.allSatisfy { $0.isIdle(at: kernel.now) }
    return Executed(exitCode: 0, stdout: isIdle ? "0\n3\n" : "0\n97\n", stderr: "")
  }

  private func status(_ control: String, on host: SimulatedHost, _ link: Link) -> JobStatus {
    guard let run = host.runs[control] else { return .notBegun }
    if let record = run.record(at: kernel.now) { return .exited(record) }
    if run.boots != live(link)?.boots { return .lost(reason: "the machine was rebooted") }
    return run.unsupervisedSince == nil ? .running : .lost(reason: "the supervisor is gone")
  }

  private func collected(_ collect: Collect, at place: RunPlace, on host: SimulatedHost, _ link: Link)
    -> WorkerEvent.Kind
  {
    guard let machine = live(link) else { return .failed(.dropped) }
    // A machine that lost its disk has no outputs, also where the gate was closed since; what was fetched before stays.
    guard let run = host.runs[collect.control], host.uploaded.contains(collect.control) else {
      return .transferred(Transferred(files: 0, bytes: 0, missing: collect.outputs.map(\.source)))
    }
    if collect.outputs.map(\.source) == [VirtualCheckpoints.source] {
      kernel.files.begunCheckpoints[place.node] = CheckpointContent(
        source: RunID(machine: machine.id, control: collect.control), place: place, progress: run.bytes(at: kernel.now))
      return .transferred(Transferred(files: 1, bytes: 1))
    }
    let isFinal = run.record(at: kernel.now) != nil
    kernel.files.outputs[place.node] = LocalFiles.Outputs(
      source: RunID(machine: machine.id, control: collect.control), isFinal: isFinal)
    return .transferred(Transferred(files: 1, bytes: 1))
  }

  /// Appends to the local log what is there, until the exit record is there and all bytes of it are local.
  private func follow(_ control: String, at place: RunPlace, on host: SimulatedHost, _ link: Link) async
    -> WorkerEvent.Kind
  {
    while true {
      guard let machine = live(link) else { return await dropped(host, link) }
      let now = status(control, on: host, link)
      append(host.runs[control], at: place, of: RunID(machine: machine.id, control: control))
      guard now == .running, let run = host.runs[control] else { return .status(now) }
      // As long as nothing changes by itself the command runs on; what changes is looked at when it happens.
      let until = min(run.end, kernel.nextChange ?? run.end)
      guard await process.pass(max(.milliseconds(1), until - kernel.now)) else { return .failed(.cancelled) }
    }
  }

  /// A connection that broke without a word is given up after a while.
  private func dropped(_ host: SimulatedHost, _ link: Link) async -> WorkerEvent.Kind {
    guard await process.pass(.seconds(15)) else { return .failed(.cancelled) }
    host.disconnect(process, from: link.machine)
    return .failed(.dropped)
  }

  private func append(_ run: SimulatedHost.Run?, at place: RunPlace, of source: RunID) {
    guard let run, !process.isDead else { return }
    var log = kernel.files.logs[place] ?? LocalFiles.Log(source: source, bytes: 0, synced: 0)
    if log.source != source, log.bytes > 0 {
      kernel.violate("I7: bytes of \(source.machine) are appended to the log of \(log.source.machine)")
    }
    log.source = source
    log.bytes = max(log.bytes, run.bytes(at: kernel.now))
    log.synced = run.record(at: kernel.now) == nil ? kernel.between(log.synced, log.bytes) : log.bytes
    kernel.files.logs[place] = log
  }

  // MARK: - Machines

  private func machine(at link: Link) -> SimMachine? {
    kernel.cloud.machines.last { $0.address.ip == link.host && $0.address.port == link.port && $0.power != .absent }
  }

  /// The machine behind an open connection, while the connection can be alive.
  private func live(_ link: Link) -> SimMachine? {
    guard let machine = machine(at: link), machine.power == .on,
      let connection = kernel.host(machine.id).connection(of: process, to: link.machine),
      connection == (machine.boots, machine.moves)
    else { return nil }
    return machine
  }
}

extension SimulatedHost.Run {
  var end: Moment { start + min(length, limit ?? length) }

  /// When the command was over.
  var finalMoment: Moment { stoppedAt.map { min($0, end) } ?? end }

  /// Bytes of log that the command has written until then.
  func bytes(at now: Moment) -> Int64 { max(0, (min(now, finalMoment) - start).milliseconds) * rate / 1000 }

  /// The last moment at which a GPU was used.
  var busyUntil: Moment { min(finalMoment, idleFrom ?? finalMoment) }

  func isIdle(at now: Moment) -> Bool { idleFrom.map { $0 <= now } ?? false || record(at: now) != nil }

  /// The atomic exit record, once it is written.
  func record(at now: Moment) -> ExitRecord? {
    if let unsupervisedSince, unsupervisedSince < finalMoment { return nil }
    if let stoppedAt, stoppedAt <= end { return record(143, .stopped) }
    guard now >= end else { return nil }
    return limit.map { length > $0 } ?? false ? record(143, .timedOut) : record(code, .exited)
  }

  private func record(_ code: Int, _ ending: ExitRecord.Ending) -> ExitRecord {
    ExitRecord(
      code: code, phase: .command, ending: ending, stdoutBytes: Int(bytes(at: finalMoment)), stderrBytes: 0)
  }
}

extension Failure {
  static let cancelled = Failure(kind: .cancelled, message: "given up")
  static let dropped = Failure(kind: .dropped, message: "the connection broke")
}

extension Request.Verb {
  var name: String { "\(self)".prefix { $0 != "(" }.description }

  /// The attempt that a control folder is of: it ends in `/a<number>`.
  fileprivate var attempt: Int {
    let control: String? =
      switch self {
      case .upload(let upload): upload.control
      case .launch(let launch): launch.control
      case .status(let status): status.control
      case .follow(let follow): follow.control
      case .stop(let stop): stop.control
      case .collect(let collect): collect.control
      case .connect, .exec, .forward, .cancel: nil
      }
    return control.flatMap { $0.split(separator: "/").last?.dropFirst() }.flatMap { Int($0) } ?? 0
  }
}
