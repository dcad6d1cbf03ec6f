import Jobs
import Remote
import Runner
import Store

/// A connection of this process' own to a job's machine, beside whoever drives the job: by the pinned host key, and without the API.
struct SideDoor: Sendable {
  let record: JobRecord
  let attempt: Attempt
  let machine: Machine
  private let hosts: WorkerHosts

  /// - Parameter listeners: sockets for ``Forward``.
  /// - Throws: ``Failure`` 64 when that node has no machine now.
  init(to record: JobRecord, node: Int, listeners: [Int32] = []) throws {
    guard let attempt = record.state.attempt,
      let machine = attempt.machines.first(where: { $0.node == node && $0.address != nil && $0.hostKey != nil })
    else { throw Self.noMachine(record, node) }
    (self.record, self.attempt, self.machine) = (record, attempt, machine)
    let passphrases = try Passphrases(for: record.arrangement.key)
    hosts = WorkerHosts(
      executable: try Executable.worker(), agentSocket: Context.environment("SSH_AUTH_SOCK"), listeners: listeners,
      passphrase: { passphrases.of($0) })
  }

  private static func noMachine(_ record: JobRecord, _ node: Int) -> Failure {
    let count = record.state.attempt?.machines.count ?? 0
    guard node >= count, count > 0 else { return .noMachine(of: record) }
    return Failure(
      status: .usage, message: "\(record.id) has no node \(node): it has \(count), from 0",
      next: "fcrun show \(record.id)")
  }

  var control: String { record.control(of: attempt) }

  func connect() async -> Result<Connected, Remote.Failure> { await hosts.connect(record.link(to: machine)) }

  func perform(
    _ verb: Request.Verb, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void = { _ in }
  ) async -> WorkerEvent.Kind {
    await hosts.perform(verb, on: record.link(to: machine), watching: watching)
  }

  /// - Throws: ``Failure`` 76 when the machine could not be reached, 125 when it could not do it.
  func ask(
    _ verb: Request.Verb, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void = { _ in }
  ) async throws -> WorkerEvent.Kind {
    let answer = await perform(verb, watching: watching)
    if case .failed(let failure) = answer { throw Failure(failure, on: machine) }
    return answer
  }

  /// What a script of ours prints.
  /// - Throws: ``Failure`` also when it ends with another code than 0.
  func run(_ script: String, _ arguments: [String], timeout: Double = 30) async throws -> String {
    let answer = try await ask(.exec(Exec(command: Shell.command(script, arguments), timeout: timeout)))
    guard case .executed(let done) = answer, done.exitCode == 0 else {
      let words = if case .executed(let done) = answer { done.stderr.trimmingSpaces } else { "" }
      throw Failure(
        status: .failed, message: "node \(machine.node): \(words.isEmpty ? "the machine did not answer" : words)")
    }
    return done.stdout
  }

  func close() async { await hosts.close(machine.name) }
}

extension Failure {
  init(_ failure: Remote.Failure, on machine: Machine) {
    let status: ExitStatus =
      switch failure.kind {
      case .refused, .timedOut, .dropped, .unanswered, .notAuthenticated, .hostKeyChanged: .machineLost
      case .keyUnusable: .notConfigured
      case .local, .remote, .integrity, .cancelled, .badRequest: .failed
      }
    self.init(status: status, message: "node \(machine.node): \(failure.message)")
  }
}

extension String {
  fileprivate var trimmingSpaces: String {
    String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
  }
}

extension Failure {
  /// Of a job that has none yet, or none any more.
  static func noMachine(of record: JobRecord) -> Failure {
    Failure(
      status: .usage, message: "\(record.id) has no machine now: it is \(record.state.word)",
      next: record.isOver ? "fcrun logs \(record.id)" : "fcrun show \(record.id)")
  }
}
