import Foundation
import Remote
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Something that listens and is no sshd, or one that attacks.
@Suite("A server that is not what it should be")
struct OddServerTests {
  private func peakMemory(of worker: WorkerProcess) -> Int? {
    let status = text(of: "/proc/\(worker.pid)/status") ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
  }

  static let banners: [(name: String, bytes: [UInt8], isEndless: Bool)] = [
    ("garbage", (0..<20_000).map { UInt8(truncatingIfNeeded: $0 &* 97 &+ $0 >> 5) }, false),
    ("version 1", Array("SSH-1.5-old\r\n".utf8), false),
    ("a web page", Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".utf8), false),
    ("nothing", [], false),
    ("lines of 255 before it", Array((String(repeating: "x", count: 253) + "\r\n").utf8), true),
    ("one line without end", Array(repeating: UInt8(ascii: "y"), count: 65536), true),
    ("a version without end", Array("SSH-2.0-".utf8) + Array(repeating: UInt8(ascii: "z"), count: 65536), true),
  ]

  @Test(.faults(67, 112), arguments: banners.indices) func aBannerThatIsNoneEndsWithinItsDeadline(_ index: Int) throws {
    let banner = Self.banners[index]
    let server = try LoopbackServer { connection in
      repeat {
        guard LoopbackServer.write(banner.bytes, to: connection) else { return }
      } while banner.isEndless
      // It says no more, and does not hang up.
      var byte: UInt8 = 0
      while recv(connection, &byte, 1, 0) > 0 {}
    }
    // Each key in it is checked before the network: one that is there is needed.
    let sshd = try PrivateSSHD()
    let worker = try WorkerProcess()
    let start = Date()
    let end = try worker.perform(
      .connect(
        Connect(
          host: "127.0.0.1", port: server.port, users: ["root"], key: .file(path: sshd.key, passphrase: nil), pin: nil,
          timeout: 3)))
    #expect(end.failure != nil, "\(banner.name)")
    #expect(Date().timeIntervalSince(start) < 6, "\(banner.name)")
    if let peak = peakMemory(of: worker) { #expect(peak < 64 * 1024, "\(banner.name)") }
    // The worker is in order: it can talk to a real one.
    guard case .connected = try worker.connect(to: sshd) else {
      Issue.record("the worker is of no use after \(banner.name)")
      return
    }
  }

  /// After a valid version: packets with absurd lengths, key exchanges that are cut or lie about lengths, and noise.
  private static func attack(_ seed: UInt64) -> [UInt8] {
    var random = Seeded(state: seed)
    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) } }
    func number(_ value: UInt32) -> [UInt8] { (0..<4).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
    func packet(_ length: UInt32, _ padding: UInt8, _ body: [UInt8]) -> [UInt8] { number(length) + [padding] + body }
    let lists = (0..<10).map { _ in
      let length = [0, 5, 0xFFFF_FFFF, 0x7FFF_FFFF, 100].randomElement(using: &random) ?? 0
      return number(UInt32(length)) + bytes(Int.random(in: 0...40, using: &random))
    }
    let exchange = [20] + bytes(16) + lists.flatMap { $0 } + [0] + number(0)
    let whole = packet(UInt32(exchange.count + 9), 8, exchange + bytes(8))
    let shapes: [[UInt8]] = [
      packet(0xFFFF_FFFF, 4, bytes(200)), packet(0, 0, []), packet(1, 255, bytes(10)), packet(35_001, 4, bytes(40_000)),
      whole, Array(whole.prefix(Int.random(in: 1..<whole.count, using: &random))), bytes(5000),
      whole + packet(12, 10, [31] + bytes(10)), whole + packet(500, 4, [31] + number(0xFFFF_FFF0) + bytes(490)),
      packet(28, 4, [1] + number(2) + number(0xFFFF_FFFF) + bytes(14)),
    ]
    return Array("SSH-2.0-OpenSSH_9.9\r\n".utf8) + (shapes.randomElement(using: &random) ?? [])
  }

  @Test(
    "A hundred and twenty attacks before authentication: the worker fails in time, or is what dies", .faults(68, 112))
  func attacksEndTheConnectionOnly() throws {
    let sshd = try PrivateSSHD()
    var worker = try WorkerProcess()
    for seed in UInt64(1)...120 {
      let server = try LoopbackServer { connection in
        LoopbackServer.write(Self.attack(seed), to: connection)
        usleep(20_000)
      }
      let start = Date()
      do {
        let end = try worker.perform(
          .connect(
            Connect(
              host: "127.0.0.1", port: server.port, users: ["root"], key: .file(path: sshd.key, passphrase: nil),
              pin: nil, timeout: 3)), within: 10)
        #expect(end.failure != nil, "seed \(seed)")
      } catch let error as WorkerProcess.NoAnswer where error.description.contains("the worker ended") {
        // A crash is contained: fcrun starts another.
        worker = try WorkerProcess()
      }
      #expect(Date().timeIntervalSince(start) < 8, "seed \(seed)")
    }
    if let peak = peakMemory(of: worker) { #expect(peak < 128 * 1024) }
  }
}

/// Machines that are real, and odd.
@Suite("An odd machine", .enabled(if: PrivateSSHD.isUsable))
struct OddMachineTests {
  let local: TemporaryFolder

  init() throws { local = try TemporaryFolder() }

  private func run(
    _ script: String, on sshd: PrivateSSHD, worker: WorkerProcess? = nil, maxDuration: Double? = nil
  ) throws -> ExitRecord {
    let worker = try worker ?? WorkerProcess.connected(to: sshd)
    _ = try worker.status(Launch.of(.script(script), maxDuration: maxDuration))
    let end = try worker.perform(
      .follow(
        Follow(
          control: "~/c/job", stdout: "\(local.path)/stdout.log", stderr: "\(local.path)/stderr.log", mask: [])),
      within: 60)
    guard case .status(.exited(let record)) = end else { throw WorkerProcess.NoAnswer(description: "\(end)") }
    return record
  }

  private func upload(_ worker: WorkerProcess, bytes: Int, within seconds: Double = 60) throws -> WorkerEvent.Kind {
    try local.file("src/a", (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    let source = Upload.Source(source: "\(local.path)/src", destination: "code", exclude: [])
    return try worker.perform(
      .upload(Upload(control: "~/c", workdir: "~/files", sources: [source])), within: seconds)
  }

  // MARK: The connection

  @Test("At 150 kB/s a transfer takes as long as it takes", .faults(72)) func slowConnection() throws {
    let sshd = try PrivateSSHD()
    let proxy = try LoopbackServer.proxy(to: sshd.port, bytesPerSecond: 150_000)
    let worker = try WorkerProcess()
    let connected = try worker.perform(
      .connect(
        Connect(
          host: "127.0.0.1", port: proxy.port, users: [sshd.user], key: .file(path: sshd.key, passphrase: nil),
          pin: nil, timeout: 20)))
    guard case .connected = connected else {
      Issue.record("\(connected)")
      return
    }
    let start = Date()
    #expect(try upload(worker, bytes: 1_500_000).transferred?.files == 1)
    #expect(Date().timeIntervalSince(start) > 5, "the connection was not slow")
    #expect(bytes(of: "\(sshd.home)/files/code/a") == bytes(of: "\(local.path)/src/a"))
    #expect(try run("echo through", on: sshd, worker: worker).code == 0)
    worker.kill()
  }

  @Test("A forced command is an error that shows what it said", .faults(73)) func forcedCommand() throws {
    let sshd = try PrivateSSHD(["ForceCommand /bin/echo this account is for mail only"])
    let failure = try upload(WorkerProcess.connected(to: sshd), bytes: 10).failure
    #expect(failure != nil)
    #expect(failure?.kind != .dropped)
  }

  @Test("One session at a time, and no SFTP, are enough for all that a job needs at once", .faults(73))
  func fewSessions() throws {
    let sshd = try PrivateSSHD(["MaxSessions 2"])
    let worker = try WorkerProcess.connected(to: sshd)
    #expect(try upload(worker, bytes: 100_000).transferred?.files == 1)
    #expect(try run("cat code/a | wc -c; exit 3", on: sshd, worker: worker).code == 3)
    #expect(text(of: "\(local.path)/stdout.log") == "100000\n")
  }

  @Test("One key is shown, once for each user, and no agent is lent", .faults(127)) func oneKey() throws {
    let sshd = try PrivateSSHD(["LogLevel VERBOSE", "AllowAgentForwarding yes"])
    let worker = try WorkerProcess.connected(to: sshd)
    let said = try worker.perform(.exec(Exec(command: "echo ${SSH_AUTH_SOCK-none}", timeout: 10))).executed
    #expect(said?.stdout == "none\n")
    let stranger = try PrivateSSHD()
    let refused = try WorkerProcess().perform(
      .connect(
        Connect(
          host: "127.0.0.1", port: sshd.port, users: [sshd.user], key: .file(path: stranger.key, passphrase: nil),
          pin: nil, timeout: 20)))
    #expect(refused.failure?.kind == .notAuthenticated)
    let log = text(of: "\(sshd.folder.path)/log") ?? ""
    #expect(log.split(separator: "\n").count { $0.contains("Accepted publickey") } == 1)
    #expect(log.split(separator: "\n").count { $0.contains("Failed publickey") } <= 1, "\(log)")
  }

  @Test("A channel that the server closes without an exit status is never a success", .faults(85))
  func noExitStatus() throws {
    let sshd: PrivateSSHD
    // OpenSSH 9.2 and later.
    do { sshd = try PrivateSSHD(["ChannelTimeout session:*=1s"]) } catch {
      let old = try WorkerProcess.connected(to: try PrivateSSHD())
      let killed = try old.perform(.exec(Exec(command: "kill -s KILL $PPID; sleep 5", timeout: 10)))
      #expect(killed.failure != nil)
      return
    }
    let worker = try WorkerProcess.connected(to: sshd)
    let end = try worker.perform(.exec(Exec(command: "sleep 4; echo done", timeout: 10)), within: 20)
    #expect(end.executed == nil, "\(end)")
    #expect(end.failure != nil)
  }

  @Test("A machine that cannot start another process fails the request, and the next one works", .faults(90))
  func cannotFork() throws {
    let folder = try TemporaryFolder()
    let script = try folder.file(
      "session",
      Array(
        """
        #!/bin/sh
        if mkdir '\(folder.path)/once' 2>/dev/null; then
          echo 'sh: 1: Cannot fork' >&2
          exit 2
        fi
        exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"

        """.utf8), mode: 0o755)
    let sshd = try PrivateSSHD(["ForceCommand \(script)"])
    let worker = try WorkerProcess.connected(to: sshd)
    let failure = try worker.perform(.status(Status(control: "~/c/job"))).failure
    #expect([.remote, .unanswered].contains(failure?.kind), "\(String(describing: failure))")
    #expect(failure?.message.contains("Cannot fork") == true, "\(String(describing: failure))")
    #expect(try worker.status(.status(Status(control: "~/c/job"))) == .notBegun)
  }

  /// A checkpoint that is written under another name and renamed, just when it is read: once, or each time.
  @Test("A file that goes away while outputs are read is left out of the next reading", arguments: [true, false])
  func vanishingFile(_ once: Bool) throws {
    let tool = """
      #!/bin/sh
      rm -f "$HOME"/files/d/.next*
      \(once ? "" : #"echo 1 >"$HOME/files/d/.next$$""#)
      exec /usr/bin/tar "$@"

      """
    let sshd = try PrivateSSHD(tools: ["tar": tool])
    let worker = try WorkerProcess.connected(to: sshd)
    let made = try worker.perform(
      .exec(Exec(command: "mkdir -p ~/files/d && cd ~/files/d && echo 7 >steps && echo 8 >.next", timeout: 20)))
    #expect(made.executed?.exitCode == 0, "\(made)")
    let end = try worker.perform(
      .collect(
        Collect(
          control: "~/c/job", workdir: "~/files", outputs: [Collect.Output(source: "d", destination: nil)],
          outputFolder: nil, root: "\(local.path)/got", partial: "\(local.path)/got/.partial")))
    if once {
      #expect(end.transferred?.files == 1, "\(end)")
      #expect(text(of: "\(local.path)/got/d/steps") == "7\n")
    } else {
      #expect(end.failure?.kind == .integrity, "\(end)")
      #expect(end.failure?.message.contains("changed while they were read") == true, "\(end)")
      #expect(text(of: "\(local.path)/got/d/steps") == nil)
    }
  }

  // MARK: The machine

  @Test(
    "A disk that is too small for the upload is told in the machine's own words", .faults(74),
    .enabled(if: MountNamespace.isAllowed, "no mount namespace"))
  func diskTooSmallForTheUpload() throws {
    let sshd = try PrivateSSHD(disk: "256k")
    let failure = try upload(WorkerProcess.connected(to: sshd), bytes: 2_000_000).failure
    #expect(failure?.kind == .remote)
    #expect(failure?.message.contains("no space is left") == true, "\(String(describing: failure))")
  }

  @Test(
    "A disk that the command fills still takes the record of its end", .faults(74),
    .enabled(if: MountNamespace.isAllowed, "no mount namespace"))
  func diskFilledByTheCommand() throws {
    let sshd = try PrivateSSHD(disk: "512k")
    let record = try run("cat /dev/zero > fill; echo full >&2; exit 9", on: sshd)
    #expect(record.code == 9 && record.ending == .exited)
    #expect(bytes(of: "\(local.path)/stdout.log")?.count == record.stdoutBytes)
  }

  #if os(Linux)
    @Test(
      "A wall clock that jumps by an hour every second decides nothing on the machine", .faults(87),
      .enabled(if: WallClock.compiler != nil, "no C compiler"))
    func jumpingClock() throws {
      let folder = try TemporaryFolder()
      let source = try folder.file("clock.c", Array(WallClock.source.utf8))
      let library = "\(folder.path)/clock.so"
      guard try Spawned.run([WallClock.compiler ?? "cc", "-shared", "-fPIC", "-o", library, source]).status == 0 else {
        Issue.record("cc")
        return
      }
      let sshd = try PrivateSSHD([])
      let script = "export LD_PRELOAD='\(library)' CLOCK_SHIFT=-3600 CLOCK_JUMPS=1"
      try Data("\(script)\n".utf8).write(to: URL(fileURLWithPath: "\(sshd.home)/clock"))
      let odd = try PrivateSSHD(["ForceCommand . '\(sshd.home)/clock'; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\""])
      let lines = """
        i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo $i; sleep 0.1; done
        d=$(date +%s); echo $d >&2; i=0
        while e=$(date +%s); [ $((e - d)) -lt 3000 ] && [ $((d - e)) -lt 3000 ] && [ $i -lt 200 ]; do i=$((i+1)); sleep 0.1; done
        echo $e >&2
        """
      let record = try run(lines + "\nexit 6", on: odd, maxDuration: 60)
      #expect(record.code == 6 && record.ending == .exited)
      #expect(text(of: "\(local.path)/stdout.log") == (1...40).map { "\($0)\n" }.joined())
      let dates = (text(of: "\(local.path)/stderr.log") ?? "").split(separator: "\n").compactMap { Int($0) }
      #expect(dates.count == 2 && abs(dates[1] - dates[0]) > 3000, "the clock did not jump: \(dates)")
    }
  #endif

  @Test(
    "A supervisor that is told to end, as before a machine is taken away, ends the command and records it", .faults(95))
  func noticeOfPreemption() throws {
    let sshd = try PrivateSSHD()
    let worker = try WorkerProcess.connected(to: sshd)
    let script = "trap 'echo saved > state; exit 4' TERM; echo up; while :; do sleep 0.1; done"
    _ = try worker.status(Launch.of(.script(script)))
    for _ in 0..<500 where text(of: "\(sshd.home)/c/job/stdout") != "up\n" { usleep(10_000) }
    let supervisor = try #require(Int32((text(of: "\(sshd.home)/c/job/sup") ?? "").prefix { $0 != " " }))
    kill(supervisor, SIGTERM)
    let record = try run(script, on: sshd, worker: worker)
    #expect(record.code == 4 && record.ending == .stopped)
    #expect(text(of: "\(sshd.home)/files/state") == "saved\n")
  }

  @Test("A command that closes its streams and leaves a daemon is waited for alone", .faults(81))
  func closedStreams() throws {
    let sshd = try PrivateSSHD()
    let record = try run(
      "echo up; exec >&- 2>&-; (setsid sleep 60 </dev/null >/dev/null 2>&1 &); sleep 1; exit 5", on: sshd)
    #expect(record.code == 5)
    #expect(text(of: "\(local.path)/stdout.log") == "up\n")
  }

  @Test("A command that is killed for want of memory is 137", .faults(82))
  func outOfMemory() throws {
    let sshd = try PrivateSSHD()
    // What the kernel's OOM killer sends.
    let record = try run("sh -c 'kill -s KILL $$'; code=$?; echo $code; exit $code", on: sshd)
    #expect(record.code == 137 && record.ending == .exited)
  }

  @Test(
    "A machine cannot fill our memory with a line, or with names, that do not end", .faults(115),
    arguments: ["", " matches 0\\n"])
  func endlessAnswer(_ section: String) throws {
    let endless = section.isEmpty ? "tr -d '\\n'" : "tr '\\n' '\\0'"
    let sshd = try PrivateSSHD([
      #"ForceCommand eval "set -- $SSH_ORIGINAL_COMMAND"; printf '%s\n' "$6"; "#
        + (section.isEmpty ? "" : #"printf '%s matches 0\n' "$6"; "#) + "yes d | \(endless)"
    ])
    let worker = try WorkerProcess.connected(to: sshd)
    let verb = Collect(
      control: "~/c", workdir: "~/files", outputs: [Collect.Output(source: "d", destination: nil)], outputFolder: nil,
      root: "\(local.path)/got", partial: "\(local.path)/got/.partial")
    let end = try worker.perform(.collect(verb), within: 60)
    #expect(end.failure?.kind == .remote, "\(end)")
    let status = text(of: "/proc/\(worker.pid)/status") ?? ""
    let peak = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }?.split(separator: " ").dropFirst().first
    if let kilobytes = peak.flatMap({ Int($0) }) { #expect(kilobytes < 512 * 1024) }
  }
}
