#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// One instance made real: a private sshd with a HOME of its own. It is told what it should be and becomes that.
actor Machine {
  let marker: MachineMarker
  private let openSSH: OpenSSH
  private let ground: Ground
  private var port: Port?
  private var wanted: SimMachine
  private var reached: SimMachine?
  private var sshd: ProcessIdentity?
  private var newestOrder: UInt64 = 0
  private var working: Task<Void, Never>?
  /// Called with a sentence when the machine cannot be made what it should be.
  private let onFailure: @Sendable (String, SimulatorFailure) async -> Void

  init(
    _ wanted: SimMachine, folder: String, port: Port?, openSSH: OpenSSH, ground: Ground,
    onFailure: @escaping @Sendable (String, SimulatorFailure) async -> Void
  ) {
    marker = MachineMarker(id: wanted.id, folder: folder)
    self.wanted = wanted
    self.port = port
    self.openSSH = openSSH
    self.ground = ground
    self.onFailure = onFailure
  }

  /// Says what it should be from now on; the word with the highest `order` counts. A new address comes with its port.
  func become(_ machine: SimMachine, order: UInt64, port moved: Port?) {
    guard order >= newestOrder else { return }
    newestOrder = order
    wanted = machine
    if let moved {
      port?.release()
      port = moved
    }
    guard working == nil, reached != wanted else { return }
    working = Task { await self.work() }
  }

  /// Waits until it is what it should be.
  func settled() async {
    while let working { await working.value }
  }

  private func work() async {
    while reached != wanted {
      let goal = wanted
      do {
        try await reach(goal)
      } catch {
        await onFailure(marker.id, error)
      }
      reached = goal
    }
    working = nil
  }

  private func reach(_ goal: SimMachine) async throws(SimulatorFailure) {
    switch goal.power {
    case .absent: await remove()
    case .off: await turnOff()
    case .on: try await turnOn(goal)
    }
  }

  private func turnOn(_ goal: SimMachine) async throws(SimulatorFailure) {
    try await prepare(goal)
    if let reached, reached.power == .on, reached.boots != goal.boots { await turnOff() }
    if let reached, reached.moves != goal.moves || reached.hostKeys != goal.hostKeys { await stopListening() }
    guard sshd == nil else { return }
    try await startListening(at: goal.address, attempts: 3)
  }

  private func prepare(_ goal: SimMachine) async throws(SimulatorFailure) {
    let folder = marker.folder
    for name in ["", "/etc", "/home", "/tmp"] { try Files.makeFolder(folder + name, mode: 0o700) }
    if reached?.hostKeys != goal.hostKeys || access("\(folder)/etc/host_ed25519", F_OK) != 0 {
      do {
        try await openSSH.makeKey(at: "\(folder)/etc/host_ed25519", comment: marker.id)
      } catch {
        throw SimulatorFailure("machine \(marker.id) has no host key: \(error)")
      }
    }
    let keys = goal.authorizedKeys.map { $0 + "\n" }.joined()
    try Files.write(keys, to: "\(folder)/etc/authorized_keys", mode: 0o600)
    let session = OpenSSH.session(of: marker, envs: goal.envs, home: home, tmp: temporary)
    try Files.write(session, to: "\(folder)/etc/session", mode: 0o700)
    let configuration = openSSH.configuration(of: marker, at: goal.address, home: home, tmp: temporary)
    try Files.write(configuration, to: "\(folder)/etc/sshd_config", mode: 0o600)
  }

  /// In a namespace of its own a machine has the paths that all have.
  private var home: String { if case .namespaces = ground { openSSH.home } else { marker.folder + "/home" } }
  private var temporary: String { if case .namespaces = ground { "/tmp" } else { marker.folder + "/tmp" } }

  /// Starts sshd and waits until it answers. Between our giving up the port and its taking it, a stranger's connection may have it for a moment:
  /// that is what the attempts are for.
  private func startListening(at address: SimAddress, attempts: Int) async throws(SimulatorFailure) {
    port?.release()
    port = nil
    let log = "\(marker.folder)/etc/sshd.log"
    let pid = try await startSSHD(at: address.ip, log: log)
    sshd = ProcessIdentity(pid: pid, started: Machine.startTime(of: pid))
    try Files.write("\(pid) \(sshd?.started ?? "")\n", to: "\(marker.folder)/etc/sshd.pid", mode: 0o600)
    guard let status = try await endBeforeListening(pid, address) else { return }
    sshd = nil
    guard attempts > 1 else {
      let said = Files.read(log)?.split(whereSeparator: \.isNewline).suffix(3).joined(separator: "; ") ?? ""
      throw SimulatorFailure("sshd of \(marker.id) ended with \(status): \(said)")
    }
    try? await Task.sleep(for: .milliseconds(100))
    try await startListening(at: address, attempts: attempts - 1)
  }

  private func startSSHD(at ip: String, log: String) async throws(SimulatorFailure) -> pid_t {
    let arguments = ["-D", "-e", "-f", "\(marker.folder)/etc/sshd_config"]
    if case .namespaces(let namespaces) = ground {
      return try await namespaces.start([openSSH.sshd] + arguments, of: marker, at: ip, home: home, log: log)
    }
    return try Spawn.start(
      openSSH.sshd, arguments, environment: ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"], output: log)
  }

  /// Nil when sshd listens; its exit status when it ended instead.
  private func endBeforeListening(_ pid: pid_t, _ address: SimAddress) async throws(SimulatorFailure) -> Int32? {
    for _ in 0..<Machine.patience {
      // Its own end first: whoever has the port then is somebody else.
      if let status = Spawn.reap(pid) { return status }
      if Port.isOpen(address.port, of: address.ip) { return nil }
      try? await Task.sleep(for: .milliseconds(5))
    }
    throw SimulatorFailure("sshd of \(marker.id) did not listen on port \(address.port) within 10 s; see its sshd.log")
  }

  /// Looks at a new sshd, 5 ms each.
  private static let patience = 2000

  private static func startTime(of pid: pid_t) -> String {
    #if os(Linux)
      ProcessTable.row(pid)?.identity.started ?? ""
    #else
      ""
    #endif
  }

  private func stopListening() async {
    // There sshd is the first process, and its end the end of all.
    if case .namespaces = ground { return await turnOff() }
    await Sweep(marker: marker, sshd: sshd).cutConnections()
    sshd = nil
  }

  private func turnOff() async {
    if await !Sweep(marker: marker, sshd: sshd).run() {
      await onFailure(marker.id, SimulatorFailure("processes of machine \(marker.id) could not be killed"))
    }
    sshd = nil
  }

  private func remove() async {
    await turnOff()
    port?.release()
    port = nil
    Files.remove(marker.folder)
  }

  /// Ends what an earlier simulator left in its folder of machines, without asking. Says how many machines there were.
  static func sweepLeftovers(in folder: String) async -> Int {
    let ids = Files.names(in: folder)
    for id in ids {
      let marker = MachineMarker(id: id, folder: "\(folder)/\(id)")
      _ = await Sweep(marker: marker, sshd: recordedSSHD(of: marker)).run()
      Files.remove(marker.folder)
    }
    return ids.count
  }

  private static func recordedSSHD(of marker: MachineMarker) -> ProcessIdentity? {
    let words = Files.read("\(marker.folder)/etc/sshd.pid")?.split(whereSeparator: \.isWhitespace) ?? []
    guard words.count == 2, let pid = pid_t(words[0]) else { return nil }
    return ProcessIdentity(pid: pid, started: String(words[1]))
  }
}
