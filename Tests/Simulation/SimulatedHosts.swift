import Jobs
import Remote
import Runner
import Simulator

/// What lies and runs on one machine: it outlives connections, not reboots.
final class SimulatedHost {
  struct Run {
    var boots: Int
    var start: Moment
    var length: Duration
    var code: Int
    var limit: Duration?
    var stoppedAt: Moment?
  }
  /// Control folders that an upload has made.
  var uploaded: Set<String> = []
  /// Commands that were started, by control folder. The gate: one for each, ever.
  var runs: [String: Run] = [:]
  var starts: [String: Int] = [:]
  /// What the open connection was made to: gone when the machine changes.
  private(set) var connection: (boots: Int, moves: Int)?

  func connect(_ machine: SimMachine) { connection = (machine.boots, machine.moves) }
  func disconnect() { connection = nil }
}

/// Hosts behind the addresses of the cloud model's machines, with a lossy network in between.
struct SimulatedHosts: Hosts {
  let kernel: Kernel
  /// In a hundred verbs, how many lose their connection.
  let lossPercent: Double

  func connect(_ link: Link) async -> Result<Connected, Failure> {
    guard kernel.call("connect", {}) != nil, kernel.pass(.milliseconds(kernel.between(40, 600))) else {
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
    host(machine.id).connect(machine)
    return .success(Connected(hostKey: hostKey, fingerprint: "", user: link.users[0]))
  }

  func perform(
    _ verb: Request.Verb, on link: Link, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void
  ) async -> WorkerEvent.Kind {
    if live(link) == nil, case .failure(let failure) = await connect(link) { return .failed(failure) }
    guard let machine = live(link) else { return .failed(.dropped) }
    let host = host(machine.id)
    guard kernel.call(verb.name, { perform(verb, on: host, machine) }) != nil else { return .failed(.cancelled) }
    guard kernel.pass(length(of: verb)) else { return .failed(.cancelled) }
    if kernel.fraction() * 100 < lossPercent {
      host.disconnect()
      return .failed(.dropped)
    }
    guard live(link) != nil else { return .failed(.dropped) }
    return await answer(verb, on: host, link)
  }

  func close(_ machine: String) async {}

  // MARK: - Effects

  private func perform(_ verb: Request.Verb, on host: SimulatedHost, _ machine: SimMachine) {
    switch verb {
    case .upload(let upload): host.uploaded.insert(upload.control)
    case .launch(let launch): start(launch, on: host, machine)
    case .stop(let stop): end(stop.control, on: host, machine)
    case .connect, .exec, .status, .follow, .collect, .cancel: break
    }
  }

  private func start(_ launch: Launch, on host: SimulatedHost, _ machine: SimMachine) {
    guard host.uploaded.contains(launch.control), host.runs[launch.control] == nil else { return }
    host.starts[launch.control, default: 0] += 1
    kernel.note("command starts in \(launch.control)")
    host.runs[launch.control] = SimulatedHost.Run(
      boots: machine.boots, start: kernel.now, length: .milliseconds(kernel.between(100, 900_000)),
      code: kernel.fraction() < 0.8 ? 0 : 7, limit: launch.maxDuration.map { .seconds($0) }, stoppedAt: nil)
  }

  private func end(_ control: String, on host: SimulatedHost, _ machine: SimMachine) {
    if host.runs[control] == nil {
      host.runs[control] = SimulatedHost.Run(
        boots: machine.boots, start: kernel.now, length: .zero, code: 130, limit: nil, stoppedAt: kernel.now)
    } else if host.runs[control]?.stoppedAt == nil, let run = host.runs[control], kernel.now < run.start + run.length {
      host.runs[control]?.stoppedAt = kernel.now
    }
  }

  private func length(of verb: Request.Verb) -> Duration {
    switch verb {
    case .upload, .collect: .milliseconds(kernel.between(50, 20_000))
    case .connect, .exec, .launch, .status, .follow, .stop, .cancel: .milliseconds(kernel.between(5, 100))
    }
  }

  // MARK: - Answers

  private func answer(_ verb: Request.Verb, on host: SimulatedHost, _ link: Link) async -> WorkerEvent.Kind {
    switch verb {
    case .upload: .transferred(Transferred(files: 1, bytes: 1))
    case .collect: .transferred(Transferred(files: 1, bytes: 1))
    case .launch(let launch): .status(status(launch.control, on: host, link))
    case .status(let request): .status(status(request.control, on: host, link))
    case .stop(let stop): .status(status(stop.control, on: host, link))
    case .follow(let follow): await self.follow(follow.control, on: host, link)
    case .connect, .exec, .cancel: .failed(Failure(kind: .badRequest, message: "not simulated"))
    }
  }

  private func status(_ control: String, on host: SimulatedHost, _ link: Link) -> JobStatus {
    guard let run = host.runs[control] else { return .notBegun }
    if let record = run.record(at: kernel.now) { return .exited(record) }
    return run.boots == live(link)?.boots ? .running : .lost(reason: "the machine was rebooted")
  }

  private func follow(_ control: String, on host: SimulatedHost, _ link: Link) async -> WorkerEvent.Kind {
    while true {
      let now = status(control, on: host, link)
      guard now == .running, let run = host.runs[control] else { return .status(now) }
      // As long as nothing changes in the cloud the command runs on; what changes is looked at when it happens.
      let change = kernel.cloud.nextChange.map { Moment(milliseconds: $0) + .milliseconds(1) }
      let until = min(run.end, change ?? run.end)
      guard kernel.pass(max(.milliseconds(1), until - kernel.now)) else { return .failed(.cancelled) }
      if live(link) == nil {
        _ = kernel.pass(.seconds(15))
        host.disconnect()
        return .failed(.dropped)
      }
    }
  }

  // MARK: - Machines

  private func machine(at link: Link) -> SimMachine? {
    kernel.cloud.machines.last { $0.address.ip == link.host && $0.address.port == link.port && $0.power != .absent }
  }

  /// The machine behind an open connection, while the connection can be alive.
  private func live(_ link: Link) -> SimMachine? {
    guard let machine = machine(at: link), machine.power == .on, let connection = host(machine.id).connection,
      connection == (machine.boots, machine.moves)
    else { return nil }
    return machine
  }

  private func host(_ id: String) -> SimulatedHost {
    if let host = kernel.hosts[id] { return host }
    let host = SimulatedHost()
    kernel.hosts[id] = host
    return host
  }
}

extension SimulatedHost.Run {
  var end: Moment { start + min(length, limit ?? length) }

  /// The atomic exit record, once it is written.
  func record(at now: Moment) -> ExitRecord? {
    if let stoppedAt, stoppedAt <= end {
      return ExitRecord(code: 143, phase: .command, ending: .stopped, stdoutBytes: 0, stderrBytes: 0)
    }
    guard now >= end else { return nil }
    let isTimedOut = limit.map { length > $0 } ?? false
    return ExitRecord(
      code: isTimedOut ? 143 : code, phase: .command, ending: isTimedOut ? .timedOut : .exited, stdoutBytes: 0,
      stderrBytes: 0)
  }
}

extension Failure {
  static let cancelled = Failure(kind: .cancelled, message: "given up")
  static let dropped = Failure(kind: .dropped, message: "the connection broke")
}

extension Request.Verb {
  var name: String { "\(self)".prefix { $0 != "(" }.description }
}
