import Hummingbird
import Logging
import NIOCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a simulator is to run.
package struct SimulatorOptions: Sendable {
  /// Folder of its own: keys, machines, `sim.json`. One simulator at a time.
  package var state: String
  /// Port of 127.0.0.1; 0: any free one.
  package var port: Int
  /// The API key to ask for; nil: a new random one.
  package var token: String?
  /// What the cloud is like.
  package var knobs: Knobs
  /// Paths of `.pub` files to register; none: a pair is made in the state folder.
  package var publicKeys: [String]
  /// Ends by itself when nothing was rented and nobody asked for anything for so long; nil: never.
  package var idleExit: Duration?
  /// Of the cloud's random numbers. A random one unless given: ids of an earlier cloud must not come again in a client's records.
  package var seed: UInt64
  /// SIGTERM, SIGINT and SIGHUP stop it in good order. Off in tests that run it inside their own process.
  package var obeysSignals: Bool
  /// A private sshd for each instance; without it addresses are made up and nothing answers there.
  package var bootsMachines: Bool
  /// What they stand on.
  package var hosts: HostKind
  /// What is for rent.
  package var offerings: [SimOffering]

  /// A friendly cloud on any free port.
  package init(
    state: String, port: Int = 0, token: String? = nil, knobs: Knobs = Knobs(), publicKeys: [String] = [],
    idleExit: Duration? = nil, seed: UInt64? = nil, obeysSignals: Bool = true, bootsMachines: Bool = true,
    hosts: HostKind = .loopback,
    offerings: [SimOffering] = Catalogue.offerings
  ) {
    self.state = state
    self.port = port
    self.token = token
    self.knobs = knobs
    self.publicKeys = publicKeys
    self.idleExit = idleExit
    self.seed = seed ?? .random(in: .min ... .max)
    self.obeysSignals = obeysSignals
    self.bootsMachines = bootsMachines
    self.hosts = hosts
    self.offerings = offerings
  }
}

/// Where a running simulator is, and how to be let in. `sim.json` holds the same.
package struct SimulatorAddress: Sendable, Equatable {
  /// The simulator's process.
  package var pid: Int32
  /// Its port on 127.0.0.1.
  package var port: Int
  /// The API key it asks for.
  package var token: String
  /// Path of the private half of the key it made; nil when public keys were given.
  package var privateKey: String?
  /// For `FORWARD_COMPUTE_BASE_URL`.
  package var baseURL: String { "http://127.0.0.1:\(port)" }

  var json: JSON {
    [
      "pid": .number(pid), "port": .number(port), "token": .string(token), "base_url": .string(baseURL),
      "private_key": privateKey.map { .string($0) } ?? .null,
    ]
  }

  /// Reads the `sim.json` of a state folder; nil when there is none or it is not whole.
  package static func read(state: String) -> SimulatorAddress? {
    guard let text = Files.read("\(state)/sim.json"), let json = try? JSON(parsing: text),
      let pid = json["pid"]?.digits.flatMap({ Int32($0) }), let port = json["port"]?.digits.flatMap({ Int($0) }),
      let token = json["token"]?.text
    else { return nil }
    return SimulatorAddress(pid: pid, port: port, token: token, privateKey: json["private_key"]?.text)
  }
}

/// The simulator as a server: the API on loopback, one private sshd for each instance.
package enum SimulatorServer {
  /// Runs until it is stopped: by a signal, by `POST /_sim/stop`, by being idle, or by cancellation. Every machine is dead when it returns.
  ///
  /// Throws ``SimulatorFailure`` when it cannot start.
  package static func run(
    options: SimulatorOptions, report: @escaping @Sendable (String) -> Void = { _ in },
    onReady: @escaping @Sendable (SimulatorAddress) -> Void
  ) async throws {
    let house = try House(state: options.state)
    defer { house.close() }
    let openSSH = options.bootsMachines ? try OpenSSH() : nil
    let left = await Machine.sweepLeftovers(in: house.machines)
    if left > 0 { report("machines that an earlier simulator left, ended now: \(left), in \(house.folder)") }
    let keyring = try await Keyring(options.publicKeys, house: house, openSSH: openSSH)
    let model = CloudModel(
      seed: options.seed, knobs: options.knobs, offerings: options.offerings, keys: keyring.keys,
      sshUser: openSSH?.user ?? "ubuntu")
    let ground = await Ground.make(options.hosts, state: house.folder, report: report)
    let places = openSSH.map {
      Cloud.MachinePlaces(folder: house.machines, openSSH: $0, ground: ground, report: report)
    }
    let cloud = Cloud(model, places: places)
    let ready: @Sendable (SimulatorAddress) throws -> Void = { address in
      try Files.write(address.json.encoded + "\n", to: "\(house.folder)/sim.json", mode: 0o600)
      onReady(address)
    }
    try await serve(options, cloud, keyring, ready)
    await cloud.stop()
    try? Files.write(await cloud.ledger().encoded + "\n", to: "\(house.folder)/ledger.json", mode: 0o600)
    Files.remove("\(house.folder)/sim.json")
  }

  private static func serve(
    _ options: SimulatorOptions, _ cloud: Cloud, _ keyring: Keyring,
    _ ready: @escaping @Sendable (SimulatorAddress) throws -> Void
  ) async throws {
    let token = options.token ?? "sim_" + String(UInt64.random(in: .min ... .max), radix: 36)
    let (ends, end) = AsyncThrowingStream.makeStream(of: Void.self)
    let shell = Shell(cloud: cloud, token: token, stop: { end.finish() })
    let application = Application(
      responder: shell, configuration: .init(address: .hostname("127.0.0.1", port: options.port), serverName: nil),
      onServerRunning: { channel in
        do {
          try ready(
            SimulatorAddress(
              pid: getpid(), port: channel.localAddress?.port ?? 0, token: token, privateKey: keyring.privateKey))
        } catch {
          end.finish(throwing: error)
        }
      }, logger: Logger(label: "fcrun.sim") { _ in SwiftLogNoOpLogHandler() })
    let signals = options.obeysSignals ? Signals { end.finish() } : nil
    defer { signals?.close() }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await listen(application) }
      group.addTask { for try await _ in ends {} }
      if let idle = options.idleExit { group.addTask { try await waitUntilIdle(cloud, idle) } }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  private static func listen(_ application: some ApplicationProtocol) async throws {
    do {
      try await application.run()
    } catch let error as IOError {
      throw SimulatorFailure("cannot listen on the port of 127.0.0.1: \(error); choose another with --port")
    }
  }

  private static func waitUntilIdle(_ cloud: Cloud, _ limit: Duration) async throws {
    while true {
      if let idle = await cloud.idleTime(), idle >= limit { return }
      try await Task.sleep(for: min(limit / 4 + .milliseconds(10), .seconds(1)))
    }
  }
}

/// The state folder, held by a lock for life.
struct House: Sendable {
  let folder: String
  let machines: String
  private let lock: Int32

  /// Makes the folder, for its owner only, and takes the lock. Throws ``SimulatorFailure`` when another simulator has it.
  init(state: String) throws(SimulatorFailure) {
    do {
      try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
    } catch {
      throw SimulatorFailure("cannot make the state folder \(state): \(error)")
    }
    folder = Files.real(state)
    chmod(folder, 0o700)
    machines = folder + "/machines"
    try Files.makeFolder(machines, mode: 0o700)
    lock = open("\(folder)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0 else { throw SimulatorFailure("cannot open \(folder)/lock: \(Spawn.errorText(errno))") }
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      systemClose(lock)
      throw SimulatorFailure(
        "another simulator runs with the state folder \(folder); its address is in sim.json there, or choose another --state"
      )
    }
  }

  func close() { systemClose(lock) }
}

/// The keys that instances take.
struct Keyring: Sendable {
  var keys: [SimKey]
  var privateKey: String?

  /// Reads these `.pub` files, or makes a pair once and keeps it. Throws ``SimulatorFailure``.
  init(_ paths: [String], house: House, openSSH: OpenSSH?) async throws {
    guard paths.isEmpty else {
      keys = try paths.enumerated().map { try Keyring.key(at: $0.element, number: $0.offset + 1) }
      return
    }
    guard let openSSH else {
      keys = [SimKey(id: "spot_sshk_000000000001", name: "nobody", publicKey: Keyring.nobody)]
      return
    }
    let path = "\(house.folder)/id_ed25519"
    if Files.read(path) == nil || Files.read(path + ".pub") == nil {
      try await openSSH.makeKey(at: path, comment: "fcrun-sim")
    }
    keys = [try Keyring.key(at: path + ".pub", number: 1)]
    privateKey = path
  }

  /// A key for a cloud without machines; its private half was thrown away.
  private static let nobody =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKAeqpENJ5RtsLRXPX9JmsYhXtfuJR56spEUl2d9M3/1 nobody"

  private static func key(at path: String, number: Int) throws(SimulatorFailure) -> SimKey {
    guard let text = Files.read(path) else {
      throw SimulatorFailure("cannot read the public key \(path): \(Spawn.errorText(errno))")
    }
    let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    let words = line.split(separator: " ", maxSplits: 2).map(String.init)
    guard words.count > 1, words[0].contains("-"), !line.contains("PRIVATE KEY") else {
      throw SimulatorFailure("\(path) is not a public key; give the file that ends in .pub")
    }
    let digits = String(number)
    let id = "spot_sshk_" + String(repeating: "0", count: max(0, 12 - digits.count)) + digits
    return SimKey(id: id, name: words.count > 2 ? words[2] : "key-\(number)", publicKey: line)
  }
}

private func systemClose(_ descriptor: Int32) { close(descriptor) }
