#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// What the machines of a simulator stand on.
package enum HostKind: String, Sendable, CaseIterable {
  /// All are 127.0.0.1, each has a port of its own.
  case loopback
  /// Each has a loopback address of its own.
  case addresses
  /// Each is a network namespace with an address, a hostname, processes, a home folder and a /tmp of its own.
  case netns
}

/// Where machines are put, and what they get there.
enum Ground: Sendable {
  case loopback
  case addresses
  case namespaces(Namespaces)

  /// Namespaces need rights; where they are missing loopback addresses do what they can, and it is said.
  static func make(
    _ kind: HostKind, state: String, report: @Sendable (String) -> Void
  ) async -> Ground {
    switch kind {
    case .loopback: return .loopback
    case .addresses: return .addresses
    case .netns:
      do {
        return .namespaces(try await Namespaces(state: state))
      } catch {
        report("\(error); the machines are loopback addresses instead: one kernel, one /tmp, and no cable to pull")
        return .addresses
      }
    }
  }

  /// A place that nobody else has; the same one again where a machine is to get an old one.
  func place(_ number: Int, again address: SimAddress) throws(SimulatorFailure) -> (SimAddress, Port?) {
    switch self {
    case .loopback: return try Self.held("127.0.0.1", again: address)
    case .addresses:
      let ip = address.ip.hasPrefix("127.") ? address.ip : "127.1.\(number / 250).\(number % 250 + 1)"
      return try Self.held(ip, again: address)
    case .namespaces(let namespaces):
      let ip = namespaces.holds(address.ip) ? address.ip : namespaces.address(number)
      return (SimAddress(ip: ip, port: 22), nil)
    }
  }

  private static func held(_ ip: String, again address: SimAddress) throws(SimulatorFailure) -> (SimAddress, Port?) {
    let again = address.ip == ip ? try? Port(address.port, of: ip) : nil
    let port: Port
    if let again { port = again } else { port = try Port(of: ip) }
    return (SimAddress(ip: ip, port: port.number), port)
  }

  func close() async {
    if case .namespaces(let namespaces) = self { await namespaces.close() }
  }
}

/// A network of one simulator's own: a bridge on this computer, and on it a namespace for each machine.
struct Namespaces: Sendable {
  private let bridge: String
  /// The first three bytes of every address.
  private let subnet: String
  private let ip: String
  private let unshare: String

  /// - Throws: ``SimulatorFailure`` where this user may not make them, or a program is missing.
  init(state: String) async throws(SimulatorFailure) {
    // Two simulators are two networks: which one follows from where its state is.
    let hash = state.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    bridge = "fcs" + String(hash & 0xFF_FFFF, radix: 16)
    subnet = "10.\(64 + hash >> 24 & 63).\(hash >> 8 & 255)"
    guard let ip = Spawn.find("ip", folders: ["/usr/sbin", "/sbin"]),
      let unshare = Spawn.find("unshare", folders: ["/usr/bin"])
    else { throw SimulatorFailure("no ip or no unshare on this computer; install iproute2 and util-linux") }
    (self.ip, self.unshare) = (ip, unshare)
    guard geteuid() == 0, await run(unshare, "--net", "--mount", "--pid", "--fork", "true") else {
      throw SimulatorFailure("this user may not make network namespaces")
    }
    _ = await run(ip, "link", "delete", bridge)
    guard await run(ip, "link", "add", bridge, "type", "bridge"),
      await run(ip, "address", "add", subnet + ".1/24", "dev", bridge), await run(ip, "link", "set", bridge, "up")
    else { throw SimulatorFailure("no bridge can be made for the machines") }
  }

  func close() async { _ = await run(ip, "link", "delete", bridge) }

  func address(_ number: Int) -> String { "\(subnet).\(number % 240 + 11)" }

  func holds(_ address: String) -> Bool { address.hasPrefix(subnet + ".") }

  private func run(_ program: String, _ arguments: String...) async -> Bool {
    (try? await Spawn.run(program, arguments)) == 0
  }

  // MARK: One machine

  /// Starts sshd as the first process of a computer of its own: with it everything ends there.
  func start(_ sshd: [String], of marker: MachineMarker, at address: String, home: String, log: String)
    async throws(SimulatorFailure) -> pid_t
  {
    let name = String(marker.id.map { $0 == "_" ? "-" : $0 })
    try Files.write("127.0.0.1 localhost\n\(address) \(name)\n", to: "\(marker.folder)/etc/hosts", mode: 0o644)
    // Nobody answers names: at once, and not after the ten seconds that a resolver is patient.
    try Files.write(
      "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", to: "\(marker.folder)/etc/resolv.conf", mode: 0o644)
    Files.remove("\(marker.folder)/etc/go")
    let spaces = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL"]
    let pid = try Spawn.start(
      unshare, spaces + ["/bin/sh", "-c", Self.becoming, "fcrun", marker.folder, name, home] + sshd,
      environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"], output: log)
    try await plugIn(pid, address)
    try Files.write("", to: "\(marker.folder)/etc/go", mode: 0o600)
    return pid
  }

  /// The machine's own folder stays where it was, wherever that is, so that its paths mean the same inside and outside.
  private static let becoming = #"""
    set -e
    folder=$1 name=$2 home=$3; shift 3
    hostname "$name"
    mount -t proc proc /proc
    mount --bind "$folder/etc/hosts" /etc/hosts
    mount --bind "$folder/etc/resolv.conf" /etc/resolv.conf
    mount -t tmpfs -o size=512m,mode=1777 shm /dev/shm
    mount --bind "$folder" /mnt
    mount --bind /mnt/home "$home"
    mount --bind /mnt/tmp /tmp
    mkdir -p "$folder"
    mount --bind /mnt "$folder"
    umount /mnt
    ip link set lo up
    while [ ! -e "$folder/etc/go" ]; do sleep 0.02; done
    cd /
    exec "$@"
    """#

  /// A cable from the machine to the bridge.
  private func plugIn(_ pid: pid_t, _ address: String) async throws(SimulatorFailure) {
    let cable = cable(address)
    _ = await run(ip, "link", "delete", cable)
    let inside = { (words: [String]) in ["-t", "\(pid)", "-n", ip] + words }
    guard let nsenter = Spawn.find("nsenter", folders: ["/usr/bin"]), await isApart(pid),
      await run(ip, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", "\(pid)"),
      await run(ip, "link", "set", cable, "master", bridge), await run(ip, "link", "set", cable, "up"),
      (try? await Spawn.run(nsenter, inside(["address", "add", address + "/24", "dev", "eth0"]))) == 0,
      (try? await Spawn.run(nsenter, inside(["link", "set", "eth0", "up"]))) == 0,
      (try? await Spawn.run(nsenter, inside(["route", "add", "default", "via", subnet + ".1"]))) == 0
    else { throw SimulatorFailure("the machine at \(address) cannot be connected to the network of this simulator") }
  }

  /// unshare(1) has made its namespaces: until then the cable would end in ours.
  private func isApart(_ pid: pid_t) async -> Bool {
    let ours = link("/proc/self/ns/net")
    for _ in 0..<400 {
      let its = link("/proc/\(pid)/ns/net")
      if !its.isEmpty, its != ours { return true }
      try? await Task.sleep(for: .milliseconds(5))
    }
    return false
  }

  private func link(_ path: String) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    let length = readlink(path, &buffer, buffer.count - 1)
    return String(decoding: buffer[..<max(length, 0)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func cable(_ address: String) -> String { bridge + "v" + (address.split(separator: ".").last ?? "") }

  /// Takes a machine apart from all others that are so; whoever runs the simulator still reaches it.
  func isolate(_ address: String) async -> Bool {
    await run(ip, "link", "set", "dev", cable(address), "type", "bridge_slave", "isolated", "on")
  }

  /// Pulls the cable of a machine out, or puts it back: nothing is refused, packets just vanish.
  func setCable(of address: String, isIn: Bool) async -> Bool {
    await run(ip, "link", "set", cable(address), isIn ? "up" : "down")
  }
}
