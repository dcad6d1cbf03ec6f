import Foundation
import Testing

@testable import Simulator

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Without sshd there is nothing to test here; where it has to be there, its absence is a failure.
private let hasSSHD =
  Spawn.find("sshd", folders: ["/usr/sbin"]) != nil || getenv("FCRUN_REQUIRE_SSHD").map { String(cString: $0) } == "1"

@Suite(.enabled(if: hasSSHD, "install the package openssh-server")) struct MachineTests {
  @Test func aMachineHasItsOwnHomeFolderAndEnvironment() async throws {
    try await withSimulator(boots: true) { client, address in
      let body =
        #"{"name":"x","offering_id":"spot_coff_a10x1000001","envs":[{"name":"ODD","value":"a'b\n$HOME \\ é"}]}"#
      let created = try await client.reply("POST", "/v1/spot/instances/", body: body)
      let id = try #require(created.json["id"]?.text)
      let login = try await Login(client, address, id)
      let home = try await login.run(#"printf %s "$HOME""#)
      #expect(home.status == 0 && home.output.hasSuffix("/machines/\(id)/home"))
      #expect(try await login.run("pwd -P").output == home.output + "\n")
      #expect(try await login.run(#"printf %s "$ODD""#).output == "a'b\n$HOME \\ é")
      #expect(try await login.run(#"printf %s "$TMPDIR""#).output.hasSuffix("/machines/\(id)/tmp"))
      #expect(try await login.run("echo out; exit 7").status == 7)
      #expect(try await login.run("env | grep -c SSH_ORIGINAL_COMMAND").output == "0\n")
    }
  }

  @Test func deletingLeavesNoProcessWhateverItDidToGetAway() async throws {
    try await withSimulator(boots: true) { client, address in
      let id = try await client.createActive()
      let login = try await Login(client, address, id)
      let started = try await login.run(
        "setsid sleep 271828 </dev/null >/dev/null 2>&1 & "
          + "(setsid env -i sleep 271828 </dev/null >/dev/null 2>&1 &) ; "
          + "setsid sh -c 'trap \"\" TERM HUP; cd /; while :; do sleep 271828; done' </dev/null >/dev/null 2>&1 & sleep 0.2"
      )
      #expect(started.status == 0)
      let marker = try await client.marker(of: id, address)
      let running = ProcessTable.now().members(of: marker, sshd: nil)
      #expect(running.count >= 4, "\(running.map(\.name))")
      _ = try await client.reply("DELETE", "/v1/spot/instances/\(id)")
      #expect(try await client.wait(id, for: "deleted")["status"] == "deleted")
      let alive = ProcessTable.now().rows.map(\.identity)
      #expect(running.allSatisfy { !alive.contains($0.identity) })
      #expect(access(marker.folder, F_OK) != 0)
    }
  }

  @Test func oneMachineDiesAloneAndPreemptionAsksNobody() async throws {
    try await withSimulator(boots: true) { client, address in
      let (first, second) = (try await client.createActive("a"), try await client.createActive("b"))
      let (one, two) = (try await Login(client, address, first), try await Login(client, address, second))
      #expect(try await two.run("setsid sleep 314159 </dev/null >/dev/null 2>&1 & echo $!").status == 0)
      _ = try await client.reply("POST", "/_sim/preempt/\(first)")
      _ = try await client.wait(first, for: "deleted")
      #expect(try await one.run("true").status == 255)
      #expect(try await two.run("pgrep -f '^sleep 314159'").status == 0)
    }
  }

  @Test func aRebootKillsProcessesAndKeepsFilesPortAndHostKey() async throws {
    try await withSimulator(boots: true, turn: { $0.knobs.restartTakesSeconds = .seconds(0.1) }) { client, address in
      let id = try await client.createActive()
      let login = try await Login(client, address, id)
      let started = try await login.run("echo kept > file; setsid sleep 161803 </dev/null >/dev/null 2>&1 & echo $!")
      let pid = try #require(pid_t(started.output.trimmingCharacters(in: .whitespacesAndNewlines)))
      _ = try await client.reply("POST", "/_sim/reboot/\(id)")
      #expect(try await client.wait(id, for: "active")["status"] == "active")
      #expect(try await login.runWhenUp("cat file").output == "kept\n")
      #expect(kill(pid, 0) != 0 || ProcessTable.row(pid) == nil)
    }
  }

  @Test func sshdAndItsKeysCanBeLate() async throws {
    try await withSimulator(boots: true) { client, address in
      try await client.turn(#"{"sshd_late_seconds":3600}"#)
      let deaf = try await Login(client, address, client.createActive("deaf"), waits: false)
      #expect(try await deaf.run("true").complaint.contains("refused"))
      try await client.turn(#"{"sshd_late_seconds":0,"key_late_seconds":3600}"#)
      let strict = try await Login(client, address, client.createActive("strict"))
      #expect(try await strict.run("true").complaint.contains("Permission denied"))
    }
  }

  @Test func theHostKeyCanChangeWhileTheJobLivesOn() async throws {
    try await withSimulator(boots: true) { client, address in
      let id = try await client.createActive()
      let login = try await Login(client, address, id)
      let started = try await login.run("setsid sleep 141421 </dev/null >/dev/null 2>&1 & echo $!")
      let pid = try #require(pid_t(started.output.trimmingCharacters(in: .whitespacesAndNewlines)))
      #expect(try await client.reply("POST", "/_sim/change-host-key/\(id)").status == 200)
      _ = try await client.wait(id, for: "active")
      let changed = try await login.run("true")
      #expect(changed.status == 255 && changed.complaint.contains("IDENTIFICATION HAS CHANGED"))
      #expect(kill(pid, 0) == 0)
    }
  }

  @Test func theAddressCanChangeWhileTheJobLivesOn() async throws {
    try await withSimulator(boots: true) { client, address in
      let id = try await client.createActive()
      let before = try await Login(client, address, id)
      #expect(try await before.run("echo kept > file").status == 0)
      #expect(try await client.reply("POST", "/_sim/move/\(id)").status == 200)
      let after = try await Login(client, address, id)
      #expect(after.port != before.port)
      #expect(try await after.run("cat file").output == "kept\n")
      #expect(!Port.isOpen(before.port))
    }
  }

  @Test func anAddressThatIsGivenAgainHasAnotherHostKey() async throws {
    try await withSimulator(boots: true, turn: { $0.knobs.reuseAddress = true }) { client, address in
      let first = try await client.createActive("first")
      let before = try await Login(client, address, first)
      #expect(try await before.run("true").status == 0)
      _ = try await client.reply("DELETE", "/v1/spot/instances/\(first)")
      _ = try await client.wait(first, for: "deleted")
      let second = try await client.createActive("second")
      let after = try await Login(client, address, second)
      #expect(after.port == before.port)
      #expect(try await after.run("true").complaint.contains("IDENTIFICATION HAS CHANGED"))
    }
  }

  @Test func anSSHDThatCannotStartMakesTheInstanceFail() async throws {
    try await withSimulator(boots: true, turn: { $0.knobs.bootSeconds = .seconds(0.5) }) { client, address in
      guard case .reply(let created) = await client.create() else { throw Unexpected("no reply") }
      let id = try #require(created.json["id"]?.text)
      // A folder stands where the machine's configuration has to be written.
      let marker = try await client.marker(of: id, address)
      try Files.makeFolder(marker.folder, mode: 0o700)
      for name in ["/etc", "/etc/sshd_config"] { try Files.makeFolder(marker.folder + name, mode: 0o700) }
      #expect(try await client.wait(id, for: "error")["status"] == "error")
    }
  }

  @Test func anOrphanedSimulatorIsSweptByTheNextOne() async throws {
    let folder = TemporaryFolder()
    defer { folder.remove() }
    let marker = try await killedSimulator(in: folder)
    let running = ProcessTable.now().members(of: marker, sshd: nil)
    #expect(running.count >= 2, "\(running.map(\.name))")
    let options = SimulatorOptions(state: folder.path, token: "secret", obeysSignals: false)
    try await SimulatorServer.run(options: options) { address in
      Task { await RawClient(port: address.port, token: "secret").stop() }
    }
    let alive = ProcessTable.now().rows.map(\.identity)
    #expect(running.allSatisfy { !alive.contains($0.identity) })
    #expect(Files.names(in: "\(folder.path)/machines").isEmpty)
  }

  /// Starts a simulator as a process of its own, puts a job on a machine of it and kills it.
  private func killedSimulator(in folder: TemporaryFolder) async throws -> MachineMarker {
    let program = Files.real("/proc/self/exe").split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/fcrun"
    let pid = try Spawn.start(
      program, ["sim", "--state", folder.path, "--token", "secret", "--boot-time", "0.05"],
      environment: ["PATH=/usr/bin:/bin"], output: "\(folder.path)/output")
    defer {
      kill(pid, SIGKILL)
      while Spawn.reap(pid) == nil { usleep(1000) }
    }
    let limit = ContinuousClock.now + .seconds(20)
    while SimulatorAddress.read(state: folder.path) == nil, .now < limit {
      try await Task.sleep(for: .milliseconds(10))
    }
    let address = try #require(
      SimulatorAddress.read(state: folder.path), "\(Files.read("\(folder.path)/output") ?? "")")
    #expect(address.pid == pid)
    let output = try #require(Files.read("\(folder.path)/output"))
    #expect(output.contains("export FORWARD_COMPUTE_BASE_URL=\(address.baseURL)\n"))
    #expect(output.contains("export FCRUN_SSH_KEY='\(folder.path)/id_ed25519'\n"))
    let client = RawClient(port: address.port, token: "secret")
    let id = try await client.createActive()
    let login = try await Login(client, address, id)
    #expect(try await login.run("setsid sleep 173205 </dev/null >/dev/null 2>&1 &").status == 0)
    return MachineMarker(id: id, folder: "\(folder.path)/machines/\(id)")
  }

  @Test func aSignalEndsItWithEveryMachine() async throws {
    let folder = TemporaryFolder()
    defer { folder.remove() }
    let program = Files.real("/proc/self/exe").split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/fcrun"
    let pid = try Spawn.start(
      program, ["sim", "--state", folder.path, "--token", "secret", "--boot-time", "0.05"],
      environment: ["PATH=/usr/bin:/bin"], output: "\(folder.path)/output")
    let limit = ContinuousClock.now + .seconds(20)
    while SimulatorAddress.read(state: folder.path) == nil, .now < limit {
      try await Task.sleep(for: .milliseconds(10))
    }
    let address = try #require(SimulatorAddress.read(state: folder.path))
    let client = RawClient(port: address.port, token: "secret")
    let id = try await client.createActive()
    // A connection that waits for an answer must not hold up the end.
    _ = try await client.turn(#"{"create_silent":true}"#)
    async let silent = client.create("silent")
    try await Task.sleep(for: .milliseconds(100))
    kill(pid, SIGTERM)
    let asked = ContinuousClock.now
    while Spawn.reap(pid) == nil, .now < limit { try await Task.sleep(for: .milliseconds(5)) }
    #expect(.now - asked < .seconds(5))
    _ = await silent
    let marker = MachineMarker(id: id, folder: "\(folder.path)/machines/\(id)")
    #expect(ProcessTable.now().members(of: marker, sshd: nil).isEmpty)
    #expect(SimulatorAddress.read(state: folder.path) == nil)
  }

  @Test func aPidThatHasANewOwnerIsLeftAlone() async throws {
    let folder = TemporaryFolder()
    defer { folder.remove() }
    // Our own pid with another start time stands for a record whose process is long gone.
    try Files.makeFolder("\(folder.path)/machines", mode: 0o700)
    try Files.makeFolder("\(folder.path)/machines/old", mode: 0o700)
    try Files.makeFolder("\(folder.path)/machines/old/etc", mode: 0o700)
    let bystander = try Spawn.start("/bin/sleep", ["60"], environment: [], output: "/dev/null")
    defer {
      kill(bystander, SIGKILL)
      while Spawn.reap(bystander) == nil { usleep(1000) }
    }
    try Files.write("\(bystander) 12345\n", to: "\(folder.path)/machines/old/etc/sshd.pid", mode: 0o600)
    #expect(await Machine.sweepLeftovers(in: "\(folder.path)/machines") == 1)
    #expect(kill(bystander, 0) == 0 && Spawn.reap(bystander) == nil)
  }

  @Test func bytesAreFoundWhereverTheyAre() {
    let bytes = Array("A=1\0AB=2\0".utf8)
    for text in ["A=1", "AB=2\0", "2\0", "", "A=1\0AB=2\0"] { #expect(bytes.holds(text)) }
    for text in ["A=2", "AB=2\0\0", "AB=3", "longer than everything there is"] { #expect(!bytes.holds(text)) }
    #expect(![UInt8]().holds("x"))
  }

  @Test func aStartedProgramInheritsNoDescriptor() async throws {
    let folder = TemporaryFolder()
    defer { folder.remove() }
    // Deliberately without close-on-exec, as a careless library would open it.
    let leak = open("/dev/null", O_RDONLY)
    defer { close(leak) }
    let status = try await Spawn.run("/bin/ls", ["/proc/self/fd"], output: "\(folder.path)/list")
    #expect(status == 0)
    let descriptors = Files.read("\(folder.path)/list")?.split(separator: "\n").compactMap { Int32($0) } ?? []
    // 3 is the folder that ls itself has open.
    #expect(descriptors.sorted() == [0, 1, 2, 3])
  }

  @Test func aProgramThatIsNotThereIsExplained() async throws {
    await #expect(throws: SimulatorFailure.self) { try await Spawn.run("/nowhere/sshd", []) }
  }
}

/// The `ssh` program on one machine.
struct Login: Sendable {
  var port: Int
  private var user: String
  private var key: String
  private var folder: String

  init(_ client: RawClient, _ address: SimulatorAddress, _ id: String, waits: Bool = true) async throws {
    let instance = try await client.wait(id, for: "active")
    port = try #require(instance["ssh_port"]?.digits.flatMap { Int($0) })
    user = try #require(instance["ssh_user"]?.text)
    key = try #require(address.privateKey)
    folder = key.split(separator: "/").dropLast().map { "/\($0)" }.joined()
    let limit = ContinuousClock.now + .seconds(10)
    while waits, !Port.isOpen(port), .now < limit { try await Task.sleep(for: .milliseconds(10)) }
  }

  struct Result: Sendable {
    var status: Int32
    var output: String
    /// What ssh itself had to say.
    var complaint: String
  }

  func run(_ command: String) async throws -> Result {
    let stem = "\(folder)/ssh-\(UUID().uuidString)"
    defer {
      Files.remove(stem)
      Files.remove(stem + ".log")
    }
    let options = [
      "-i", key, "-p", "\(port)", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
      "StrictHostKeyChecking=accept-new",
      "-o", "UserKnownHostsFile=\(folder)/known_hosts", "-o", "ConnectTimeout=10", "-F", "/dev/null",
      "-E", stem + ".log", "\(user)@127.0.0.1", command,
    ]
    let status = try await Spawn.run("/usr/bin/ssh", options, output: stem)
    let complaints = Files.read(stem + ".log")?.split(whereSeparator: \.isNewline)
      .filter { !$0.hasPrefix("Warning: Permanently") }
    return Result(
      status: status, output: Files.read(stem) ?? "", complaint: complaints?.joined(separator: "\n") ?? "")
  }

  func runWhenUp(_ command: String) async throws -> Result {
    let limit = ContinuousClock.now + .seconds(10)
    while !Port.isOpen(port), .now < limit { try await Task.sleep(for: .milliseconds(10)) }
    return try await run(command)
  }
}

extension RawClient {
  func createActive(_ name: String = "job") async throws -> String {
    guard case .reply(let created) = await create(name), let id = created.json["id"]?.text else {
      throw Unexpected("no instance")
    }
    _ = try await wait(id, for: "active")
    return id
  }

  func marker(of id: String, _ address: SimulatorAddress) async throws -> MachineMarker {
    let key = try #require(address.privateKey)
    return MachineMarker(
      id: id, folder: key.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/machines/\(id)")
  }
}
