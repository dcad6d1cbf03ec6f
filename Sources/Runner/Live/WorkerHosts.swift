import Jobs
import Remote
import Store

/// The machines over SSH: one worker process for each connection.
package actor WorkerHosts: Hosts {
  private let executable: String
  private let passphrase: @Sendable (_ path: String) -> String?
  private let agentSocket: String?
  private let listeners: [Int32]
  private var workers: [String: Worker] = [:]

  /// - Parameters:
  ///   - executable: absolute path of `fcrun-ssh`.
  ///   - agentSocket: `SSH_AUTH_SOCK`, handed to the worker by message: it has no environment.
  ///   - listeners: sockets that each worker gets as its descriptors 3, 4, …, for ``Forward``.
  ///   - passphrase: asks for the passphrase of a key file, or answers nil.
  package init(
    executable: String, agentSocket: String?, listeners: [Int32] = [],
    passphrase: @escaping @Sendable (_ path: String) -> String? = { _ in nil }
  ) {
    self.executable = executable
    self.agentSocket = agentSocket
    self.listeners = listeners
    self.passphrase = passphrase
  }

  package func connect(_ link: Link) async -> Result<Connected, Failure> {
    await close(link.machine)
    let worker: Worker
    do throws(Failure) { worker = try Worker(executable: executable, listeners: listeners) } catch {
      return .failure(error)
    }
    let answer = await worker.ask(.connect(request(for: link)), silence: link.timeout + .seconds(10)) { _ in }
    switch answer {
    case .connected(let connected):
      workers[link.machine] = worker
      return .success(connected)
    case .failed(let failure):
      worker.end()
      return .failure(failure)
    case .progress, .log, .refused, .executed, .transferred, .status:
      worker.kill()
      return .failure(Failure(kind: .dropped, message: "the SSH worker answered out of turn"))
    }
  }

  package func perform(
    _ verb: Request.Verb, on link: Link, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void
  ) async -> WorkerEvent.Kind {
    let worker: Worker
    switch await openWorker(link) {
    case .success(let open): worker = open
    case .failure(let failure): return .failed(failure)
    }
    let answer = await keepingWatch(over: worker, verb) {
      await worker.ask(verb, silence: verb.silence, watching: watching)
    }
    if case .failed(let failure) = answer, failure.kind == .dropped { await close(link.machine) }
    return answer
  }

  package func close(_ machine: String) async {
    workers.removeValue(forKey: machine)?.end()
  }

  private func openWorker(_ link: Link) async -> Result<Worker, Failure> {
    if let worker = workers[link.machine], !worker.isOver { return .success(worker) }
    switch await connect(link) {
    case .failure(let failure): return .failure(failure)
    case .success:
      guard let worker = workers[link.machine] else {
        return .failure(Failure(kind: .dropped, message: "the connection was closed while it was opened"))
      }
      return .success(worker)
    }
  }

  /// A follow may be silent for hours, a hash of a large file for many minutes: that its worker still turns is asked by another request.
  private func keepingWatch(
    over worker: Worker, _ verb: Request.Verb, _ ask: @Sendable () async -> WorkerEvent.Kind
  ) async -> WorkerEvent.Kind {
    guard let (control, patience) = verb.watched else { return await ask() }
    let watch = Task.detached {
      while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(30))
        guard !Task.isCancelled, !worker.isOver else { return }
        _ = await worker.ask(.status(Status(control: control)), silence: patience) { _ in }
      }
    }
    defer { watch.cancel() }
    return await ask()
  }

  private func request(for link: Link) -> Connect {
    Connect(
      host: link.host, port: link.port, users: link.users, key: key(link.key), pin: link.pin,
      timeout: link.timeout.seconds, silence: link.silence.seconds)
  }

  private func key(_ key: Arrangement.PrivateKey) -> Connect.Key {
    switch key {
    case .file(let path): .file(path: path, passphrase: passphrase(path))
    case .agent(let publicKey): .agent(publicKey: publicKey, socket: agentSocket ?? "")
    }
  }
}

extension Request.Verb {
  /// How long a worker may say nothing before it is taken for stuck; nil where silence is normal.
  fileprivate var silence: Duration? {
    switch self {
    case .connect, .status, .cancel: .seconds(30)
    case .exec(let exec): .seconds(exec.timeout + 10)
    case .launch: .seconds(60)
    case .stop(let stop): .seconds(stop.grace + 30)
    case .follow, .upload, .collect, .forward: nil
    }
  }

  /// What a long request is about, and how long its worker may be busy with itself.
  fileprivate var watched: (control: String, patience: Duration)? {
    switch self {
    case .follow(let follow): (follow.control, .seconds(30))
    case .upload(let upload): (upload.control, .seconds(300))
    case .collect(let collect): (collect.control, .seconds(300))
    case .connect, .exec, .launch, .status, .stop, .forward, .cancel: nil
    }
  }
}
