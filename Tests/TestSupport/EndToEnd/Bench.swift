import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One test's world: a folder of its own, a state folder of fcrun and, unless it wants none, a simulated cloud.
///
/// Everything that it started is ended when the test is over, also when it failed.
package final class Bench: Sendable {
  package let folder: String
  private let simulator: SimulatedCloud?
  private let children = Mutex<[ChildProcess]>([])
  private let terminals = Mutex<[PseudoTerminal]>([])

  package var home: String { folder + "/state" }
  /// Where specs are.
  package var work: String { folder + "/work" }
  package var counter: String { folder + "/counter" }
  /// The cloud; only for benches that have one.
  package var cloud: SimulatedCloud {
    guard let simulator else { preconditionFailure("this bench has no cloud") }
    return simulator
  }

  /// What a test does with the computer most of the time, and so which of its slots it takes.
  package enum Load {
    case working, waiting, offline

    fileprivate var slots: Slots {
      switch self {
      case .working: .working
      case .waiting: .waiting
      case .offline: .offline
      }
    }
  }

  /// Runs `body` on a bench with a simulated cloud of these knobs (`name=value`).
  package static func run(
    _ knobs: [String] = [], bootTime: String = "0.3", load: Load = .working, hosts: String = "loopback",
    _ body: (Bench) async throws -> Void
  ) async throws {
    try await load.slots.occupied { try await outcome(cloud: (knobs, bootTime, hosts), body).get() }
  }

  /// Runs `body` on a bench without any cloud: its API is a port where nobody listens.
  package static func offline(_ body: (Bench) async throws -> Void) async throws {
    try await Load.offline.slots.occupied { try await outcome(cloud: nil, body).get() }
  }

  private static func outcome(
    cloud: (knobs: [String], bootTime: String, hosts: String)?, _ body: (Bench) async throws -> Void
  ) async -> Result<Void, any Error> {
    do {
      try Binaries.require()
      let folder = try makeFolder()
      do {
        let bench = try await Bench(folder: folder, cloud: cloud)
        do { try await body(bench) } catch {
          await bench.close()
          throw error
        }
        await bench.close()
      } catch {
        remove(folder)
        throw error
      }
      remove(folder)
      return .success(())
    } catch { return .failure(error) }
  }

  private init(folder: String, cloud: (knobs: [String], bootTime: String, hosts: String)?) async throws {
    self.folder = folder
    try FileManager.default.createDirectory(atPath: folder + "/work", withIntermediateDirectories: true)
    guard let cloud else {
      simulator = nil
      return
    }
    simulator = try await SimulatedCloud(
      cloud.knobs, bootTime: cloud.bootTime, folder: folder, environment: Bench.surroundings(folder),
      hosts: cloud.hosts)
  }

  private static func makeFolder() throws -> String {
    var template = Array((NSTemporaryDirectory() + "/fcrun-e2e-XXXXXX").utf8CString)
    guard mkdtemp(&template) != nil else { throw Unmet("no temporary folder: \(String(cString: strerror(errno)))") }
    let path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return realpath(path, nil).map { text in
      defer { free(text) }
      return String(cString: text)
    } ?? path
  }

  /// FCRUN_E2E_KEEP=1 leaves everything for a look.
  private static func remove(_ folder: String) {
    guard ProcessInfo.processInfo.environment["FCRUN_E2E_KEEP"] != "1" else { return }
    try? FileManager.default.removeItem(atPath: folder)
  }

  // MARK: - Processes

  private static func surroundings(_ folder: String) -> [String: String] {
    [
      "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": folder, "TMPDIR": folder,
      "LANG": "C.UTF-8", "FCRUN_HOME": folder + "/state",
    ]
  }

  package var environment: [String: String] {
    var all = Bench.surroundings(folder)
    all["FORWARD_COMPUTE_BASE_URL"] = simulator?.baseURL ?? "http://127.0.0.1:9"
    all["FORWARD_COMPUTE_API_KEY"] = simulator?.token ?? "none"
    all["FCRUN_SSH_KEY"] = simulator?.privateKey
    return all
  }

  /// Starts a program in `work`.
  package func start(program: String = Binaries.fcrun, _ arguments: [String], env: [String: String] = [:]) throws
    -> ChildProcess
  {
    try children.withLock { children in
      let child = try ChildProcess(
        program, arguments, environment: environment.merging(env) { $1 }, folder: work,
        stem: "\(folder)/child-\(children.count)")
      children.append(child)
      return child
    }
  }

  package func start(_ arguments: String..., env: [String: String] = [:]) throws -> ChildProcess {
    try start(arguments, env: env)
  }

  /// Starts fcrun on a terminal of its own, in `work`.
  package func onTerminal(_ arguments: String...) throws -> PseudoTerminal { try onTerminal(arguments) }

  package func onTerminal(
    program: String = Binaries.fcrun, _ arguments: [String], env: [String: String] = [:], stdout: String? = nil,
    columns: UInt16 = 80
  ) throws -> PseudoTerminal {
    let terminal = try PseudoTerminal(
      program, arguments, environment: environment.merging(["TERM": "xterm"]) { $1 }.merging(env) { $1 },
      folder: work, stdout: stdout, columns: columns)
    terminals.withLock { $0.append(terminal) }
    return terminal
  }

  /// Runs fcrun to its end.
  @discardableResult
  package func fcrun(_ arguments: String..., env: [String: String] = [:], within seconds: Double = 60) async throws
    -> Ended
  {
    try await start(arguments, env: env).end(within: seconds)
  }

  /// Runs a shell script, in which `$FCRUN` is fcrun.
  package func shell(_ script: String, env: [String: String] = [:], within seconds: Double = 60) async throws -> Ended {
    try await start(program: "/bin/sh", ["-c", script], env: env.merging(["FCRUN": Binaries.fcrun]) { $1 })
      .end(within: seconds)
  }

  private func close() async {
    for child in children.withLock({ $0 }) { await child.destroy() }
    for terminal in terminals.withLock({ $0 }) { await terminal.destroy() }
    await stopLocalCloud()
    for pid in strays { kill(pid, SIGKILL) }
    await simulator?.stop()
  }

  /// Detached drivers and the cloud of `--local`: not our children, but started by them.
  private var strays: [pid_t] { Processes.having("FCRUN_HOME=\(home)").filter { $0 != simulator?.process.pid } }

  /// In good order, so that its machines go with it.
  private func stopLocalCloud() async {
    guard let pid = localCloud else { return }
    kill(pid, SIGTERM)
    _ = try? await eventually("the local cloud ends") { strays.contains(pid) ? nil : true }
  }

  /// The process of the cloud that `--local` started, if it still runs.
  package var localCloud: pid_t? {
    let file = JSONTree(FileManager.default.contents(atPath: home + "/sim/sim.json") ?? Data())
    return file["pid"].int.map { pid_t($0) }.flatMap { strays.contains($0) ? $0 : nil }
  }

  // MARK: - Files

  /// Writes a file below `work`, with its folders.
  @discardableResult
  package func write(_ path: String, _ bytes: Data, mode: Int = 0o644) throws -> String {
    let whole = work + "/" + path
    let parent = String(whole[..<(whole.lastIndex(of: "/") ?? whole.endIndex)])
    try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    guard FileManager.default.createFile(atPath: whole, contents: bytes, attributes: [.posixPermissions: mode]) else {
      throw Unmet("\(whole) cannot be written")
    }
    chmod(whole, mode_t(mode))
    return whole
  }

  @discardableResult
  package func write(_ path: String, _ text: String, mode: Int = 0o644) throws -> String {
    try write(path, Data(text.utf8), mode: mode)
  }

  /// Writes a spec; `resources` and `max_duration` are given when it says nothing of them.
  @discardableResult
  package func spec(_ fields: [String: Any], named file: String = "job.json") throws -> String {
    var fields = fields
    fields["resources"] = fields["resources"] ?? ["max_hourly_price": "30.00"]
    fields["limits"] = fields["limits"] ?? ["max_duration": "10m"]
    try write(file, try JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys]))
    return file
  }

  package func read(_ path: String) -> Data? { FileManager.default.contents(atPath: work + "/" + path) }
  package func text(_ path: String) -> String? { read(path).map { String(decoding: $0, as: UTF8.self) } }

  /// How often a command that appends a line to `counter` has run.
  package var runs: Int {
    (FileManager.default.contents(atPath: counter) ?? Data()).count { $0 == 10 }
  }

  // MARK: - Jobs

  /// The newest job's id.
  package func job() async throws -> String {
    let list = try await fcrun("ps", "-a", "-q").out
    guard let first = list.split(separator: "\n").first else { throw Unmet("there is no job") }
    return String(first)
  }

  /// `fcrun show --json` of the newest job, or of `id`.
  package func show(_ id: String? = nil) async throws -> JSONTree {
    let wanted: String
    if let id { wanted = id } else { wanted = try await job() }
    return try await fcrun("show", wanted, "--json").json
  }

  /// A log file as it lies in the state folder.
  package func log(_ stream: String, job: String? = nil, attempt: Int = 1, node: Int = 0) async throws -> Data {
    let id: String
    if let job { id = job } else { id = try await self.job() }
    let folder = "\(home)/jobs/\(id)/attempt-\(attempt)/node-\(node)"
    return FileManager.default.contents(atPath: "\(folder)/\(stream).log") ?? Data()
  }

  /// Waits until the newest job is in one of these states.
  package func reaches(_ states: Set<String>, within seconds: Double = 60) async throws {
    try await eventually("the job is \(states)", within: seconds) {
      states.contains(try await fcrun("ps", "-a", "--json").json["data"][0]["state"].text ?? "") ? true : nil
    }
  }
}
