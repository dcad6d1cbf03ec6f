import ArgumentParser
import ForwardCompute
import Jobs
import Remote
import Runner
import Store
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// `fcrun port`: ports of a job's machine as ports of this computer.
struct PortCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "port", abstract: "Reach a port of a job's machine from this computer, through the SSH connection.",
    discussion: """
      Listens on 127.0.0.1 only. Goes on until the job is over or until Ctrl-C, over dropped connections and to the
      machine of a next attempt, too; the job is not touched.

        fcrun port notebook 8888
        fcrun port train 6006 8080:80
        fcrun port train 0:8888              any free port here
      """)

  @Argument(help: "Id, the beginning of one, or a name.", completion: Completions.jobs)
  var job: String

  @Argument(help: ArgumentHelp("A port, or one here and one of the machine.", valueName: "[here:]there"))
  var ports: [String]

  @Option(help: "Rank of the node.")
  var node = 0

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let pairs = try ports.map(PortPair.init)
    let installation = try Installation.openAndLook()
    let record = try installation.job(job)
    guard !record.isOver else {
      throw Failure.noMachine(of: record)
    }
    let listeners = try pairs.map { pair in try Listener(port: pair.here, for: pair.there, job: job) }
    Self.leaveOnSignals()
    try show(listeners, record)
    try await Tunnels(installation: installation, job: record.id, node: node, listeners: listeners).untilOver()
  }

  private func show(_ listeners: [Listener], _ record: JobRecord) throws {
    let shown = listeners.map { listener -> JSONValue in
      .object(of: [
        ("url", .string(listener.url)), ("local_port", .integer(listener.port)),
        ("remote_port", .integer(listener.remotePort)), ("job", .string(record.id)), ("node", .integer(node)),
      ])
    }
    if output.json { return try Output.json(.object(of: [("data", .array(shown))])) }
    try Output.print(listeners.map { $0.url + "\n" }.joined())
  }

  /// Nothing is left behind: the worker ends when we do.
  private static func leaveOnSignals() {
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number) { _exit(128 + $0) } }
    signal(SIGPIPE, SIG_IGN)
  }
}

/// `8888`, or `8080:8888`.
private struct PortPair {
  let here: Int
  let there: Int

  init(_ text: String) throws {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    guard (1...2).contains(parts.count), let here = parts[0], let there = parts[parts.count - 1],
      (1...65535).contains(there), (0...65535).contains(here)
    else {
      throw Failure(
        status: .usage, message: "\"\(text)\" is no port: expected 1 to 65535, or one here and one of the machine",
        next: "8888, or 8080:8888")
    }
    (self.here, self.there) = (here, there)
  }
}

/// A listening socket of 127.0.0.1.
struct Listener: Sendable {
  /// Above every number that a worker gets it as.
  let descriptor: Int32
  let port: Int
  let remotePort: Int

  var url: String { "http://127.0.0.1:\(port)" }

  init(port: Int, for remotePort: Int, job: String) throws {
    let socket = Self.socketOfOurs()
    var address = Self.address(port)
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0, listen(socket, 128) == 0 else {
      let why = errno == EADDRINUSE ? "is in use" : "cannot be listened on: \(String(cString: strerror(errno)))"
      throw Failure(
        status: .usage, message: "port \(port) of 127.0.0.1 \(why)", next: "fcrun port \(job) 0:\(remotePort)")
    }
    descriptor = fcntl(socket, F_DUPFD_CLOEXEC, 200)
    close(socket)
    self.port = Self.port(of: descriptor)
    self.remotePort = remotePort
  }

  private static func socketOfOurs() -> Int32 {
    #if canImport(Glibc)
      let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    #else
      let socket = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var on: Int32 = 1
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    return socket
  }

  private static func address(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    return address
  }

  private static func port(of descriptor: Int32) -> Int {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
    }
    return Int(in_port_t(bigEndian: address.sin_port))
  }
}

/// Keeps tunnels to whichever machine the job has, until it is over. Clients wait in the listeners meanwhile.
struct Tunnels: Sendable {
  let installation: Installation
  let job: String
  let node: Int
  let listeners: [Listener]

  private static let glance = Duration.milliseconds(300)

  /// - Throws: ``Failure`` for what trying again does not mend.
  func untilOver() async throws {
    let told = Told()
    var pause = Duration.milliseconds(250)
    while true {
      let record = try installation.store.job(job)
      guard !record.isOver else { break }
      guard let door = try door(of: record) else {
        told.say("\(job) is \(record.state.word): waiting for its machine")
        try await Task.sleep(for: Self.glance)
        continue
      }
      switch await door.connect() {
      case .success:
        told.say("connected to node \(node) of \(job)")
        pause = .milliseconds(250)
        await carry(through: door, told)
      case .failure(let failure):
        if [.hostKeyChanged, .keyUnusable, .local, .badRequest].contains(failure.kind) {
          throw Failure(failure, on: door.machine)
        }
        told.say("\(failure.message); trying again")
        // A refused key is refused longer when it is tried often: PerSourcePenalties of OpenSSH.
        try await Task.sleep(for: failure.kind == .notAuthenticated ? .seconds(6) : pause)
        pause = min(pause * 2, .seconds(5))
      }
      await door.close()
    }
    told.say("\(job) is over")
  }

  /// nil while there is no machine to connect to.
  private func door(of record: JobRecord) throws -> SideDoor? {
    guard let machines = record.state.attempt?.machines else { return nil }
    guard machines.indices.contains(node), machines[node].hostKey == nil || machines[node].isGone else {
      return try SideDoor(to: record, node: node, listeners: listeners.map(\.descriptor))
    }
    return nil
  }

  /// Until the connection is gone or the machine is no longer the job's.
  private func carry(through door: SideDoor, _ told: Told) async {
    await withTaskGroup(of: Void.self) { group in
      for (index, listener) in listeners.enumerated() {
        group.addTask {
          let verb = Forward(listener: 3 + index, host: "localhost", port: listener.remotePort)
          let end = await door.perform(.forward(verb)) { event in
            guard case .refused(let refused) = event else { return }
            told.say(
              "port \(refused.port) of the machine does not answer (\(refused.message)); is anything listening there?")
          }
          if case .failed(let failure) = end, !Task.isCancelled { told.say("\(failure.message); connecting again") }
        }
      }
      group.addTask { await untilGone(door) }
      await group.next()
      group.cancelAll()
    }
  }

  private func untilGone(_ door: SideDoor) async {
    while !Task.isCancelled {
      try? await Task.sleep(for: Self.glance)
      guard let now = try? installation.store.job(job) else { continue }
      if now.isOver || now.state.attempt?.machines.contains(where: { $0.name == door.machine.name }) != true { return }
    }
  }
}

/// Sentences on stderr; the same one only once in a row.
private final class Told: Sendable {
  private let last = Mutex("")

  func say(_ text: String) {
    let isNew = last.withLock { last in
      defer { last = text }
      return last != text
    }
    if isNew { _ = StandardStream.write("fcrun: \(Excerpt.escaped(text))\n", to: STDERR_FILENO) }
  }
}
