import Foundation
import Remote
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite("The supervisor on a machine", .enabled(if: PrivateSSHD.isUsable))
struct SupervisorTests {
  let sshd: PrivateSSHD
  let local: TemporaryFolder

  init() throws {
    sshd = try PrivateSSHD()
    local = try TemporaryFolder()
  }

  private var control: String { "\(sshd.home)/c/job" }

  private func follow(_ worker: WorkerProcess, mask: [String] = []) -> Int {
    worker.ask(
      .follow(
        Follow(
          control: "~/c/job", stdout: "\(local.path)/stdout.log", stderr: "\(local.path)/stderr.log", mask: mask)))
  }

  private func exit(_ worker: WorkerProcess) throws -> ExitRecord {
    let end = try worker.end(of: follow(worker))
    guard case .status(.exited(let record)) = end else { throw WorkerProcess.NoAnswer(description: "\(end)") }
    return record
  }

  private func exits(of worker: WorkerProcess, _ launch: Request.Verb) throws -> ExitRecord {
    guard try worker.status(launch) != .notBegun else { throw WorkerProcess.NoAnswer(description: "not begun") }
    return try exit(worker)
  }

  @Test(.faults(78, 80)) func tellsTheExitCodeAndBringsBothStreamsByteForByte() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let record = try exits(of: worker, Launch.of(.script("printf 'a\\0b'; printf err >&2; exit 7")))
    #expect(record == ExitRecord(code: 7, phase: .command, ending: .exited, stdoutBytes: 3, stderrBytes: 3))
    #expect(bytes(of: "\(local.path)/stdout.log") == [97, 0, 98])
    #expect(text(of: "\(local.path)/stderr.log") == "err")
  }

  @Test(.faults(82, 84)) func tellsDeathByASignalAs128PlusItsNumber() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    #expect(try exits(of: worker, Launch.of(.script("kill -s KILL $$"))).code == 137)
  }

  @Test(.faults(118)) func runsAnArgvWithoutAnyShellBetween() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let odd = ["%s|", "", "a b", "$HOME", "`x`", "'\"\\", "new\nline", "é*?"]
    _ = try exits(of: worker, Launch.of(.argv(["/usr/bin/printf"] + odd)))
    #expect(text(of: "\(local.path)/stdout.log") == odd.dropFirst().map { $0 + "|" }.joined())
  }

  @Test(.faults(118, 120)) func givesTheCommandItsEnvironmentAndLeavesNoSecretOnTheMachine() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let value = "c4nary 'q' \"d\" $HOME `x` \\ \n é end"
    let variables: [Launch.Variable] = [
      .init(name: "S", value: value), .init(name: "d", value: "d"), .init(name: "UID", value: "3"),
      .init(name: "PATH", value: "/usr/bin:/bin"),
    ]
    _ = try exits(
      of: worker, Launch.of(.script("printf '%s' \"$S\""), environment: variables, setup: "test \"$d\" = d"))
    #expect(text(of: "\(local.path)/stdout.log") == value)
    let found = try Spawned.run(["/bin/grep", "-rl", "c4nary", "\(sshd.home)/c"])
    #expect(String(decoding: found.output, as: UTF8.self) == "\(control)/stdout\n")
  }

  @Test func lettingTheUserOverrideTheOutputFolder() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    _ = try exits(
      of: worker,
      Launch.of(.script("echo $FCRUN_OUTPUT_DIR"), environment: [.init(name: "FCRUN_OUTPUT_DIR", value: "/mine")]))
    #expect(text(of: "\(local.path)/stdout.log") == "/mine\n")
  }

  @Test func endsWithTheCodeOfAFailedSetup() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let record = try exits(of: worker, Launch.of(.script("echo never"), setup: "echo out; echo err >&2; exit 9"))
    #expect(record == ExitRecord(code: 9, phase: .setup, ending: .exited, stdoutBytes: 0, stderrBytes: 8))
    #expect(text(of: "\(local.path)/stderr.log") == "out\nerr\n")
  }

  @Test func runsAScriptByItsOwnInterpreter() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    _ = try exits(of: worker, Launch.of(.script("#!/bin/cat\nbody\n")))
    #expect(text(of: "\(local.path)/stdout.log") == "#!/bin/cat\nbody\n")
  }

  @Test(.faults(8)) func startsTheCommandOnceForSixLaunchersAtTheSameTime() throws {
    let workers = try (0..<6).map { _ in try WorkerProcess.connected(to: sshd) }
    let launch = Launch.of(.script("echo x >> count; sleep 0.3"))
    let ids = workers.map { $0.ask(launch) }
    for (worker, id) in zip(workers, ids) {
      guard case .status(let status) = try worker.end(of: id) else {
        Issue.record("a launcher failed: \(worker.events)")
        continue
      }
      #expect(status != .notBegun)
    }
    _ = try exit(workers[0])
    #expect(try workers[1].status(launch) != .notBegun)
    #expect(text(of: "\(sshd.home)/files/count") == "x\n")
    #expect(try FileManager.default.contentsOfDirectory(atPath: control).filter { $0.hasPrefix("l.") }.count == 1)
  }

  @Test func letsTheCommandUseInterruptsAsUsual() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let script = "for s in HUP INT QUIT; do sh -c \"kill -s $s \\$\\$; echo survived $s\"; done; true"
    #expect(try exits(of: worker, Launch.of(.script(script))).stdoutBytes == 0)
  }

  @Test func endsTheGroupAtItsMaximalDuration() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let record = try exits(of: worker, Launch.of(.script("sleep 100 & sleep 100"), maxDuration: 0.3))
    #expect(record.ending == .timedOut)
    #expect(record.code == 143)
  }

  @Test func countsSetupIntoTheMaximalDurationAndThenStartsNothing() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let record = try exits(of: worker, Launch.of(.script("echo no"), setup: "sleep 100", maxDuration: 0.3))
    #expect(
      record == ExitRecord(code: 143, phase: .setup, ending: .timedOut, stdoutBytes: 0, stderrBytes: record.stderrBytes)
    )
  }

  @Test func stopsACommandThatIgnoresTermAfterTheGrace() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let launched = try worker.status(
      Launch.of(.script("trap '' TERM; echo up; while :; do sleep 0.1; done"), grace: 100))
    #expect(launched == .running)
    let following = follow(worker)
    try worker.event { if case .log = $0.kind { true } else { false } }
    let status = try worker.status(.stop(Stop(control: "~/c/job", grace: 0.2)))
    guard case .exited(let record) = status else {
      Issue.record("\(status)")
      return
    }
    #expect(record.ending == .stopped && record.code == 137)
    #expect(try worker.end(of: following) == .status(status))
  }

  @Test func takesTheGateWhenStoppedBeforeTheLaunch() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let end = JobStatus.exited(ExitRecord(code: 130, phase: .command, ending: .stopped, stdoutBytes: 0, stderrBytes: 0))
    #expect(try worker.status(.stop(Stop(control: "~/c/job", grace: 1))) == end)
    #expect(try worker.status(Launch.of(.script("touch ran"))) == end)
    #expect(try exit(worker).code == 130)
    #expect(!FileManager.default.fileExists(atPath: "\(sshd.home)/files/ran"))
  }

  @Test(.faults(83)) func tellsThatTheSupervisorWasKilled() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    #expect(try worker.status(Launch.of(.script("echo up; exec sleep 60"))) == .running)
    let following = follow(worker)
    try worker.event { if case .log = $0.kind { true } else { false } }
    let supervisor = try #require(Int32((text(of: "\(control)/sup") ?? "").prefix { $0 != " " }))
    kill(supervisor, SIGKILL)
    guard case .lost = try worker.status(.status(Status(control: "~/c/job"))) else {
      Issue.record("not lost")
      return
    }
    guard case .status(.lost) = try worker.end(of: following) else {
      Issue.record("the follower did not notice: \(worker.events)")
      return
    }
    guard case .lost = try worker.status(.stop(Stop(control: "~/c/job", grace: 0.1))) else {
      Issue.record("not lost after the stop")
      return
    }
    let words = (text(of: "\(control)/child") ?? "").split(separator: " ")
    let command = try #require(words.count > 1 ? words[1] : nil)
    // Gone, or a zombie where pid 1 does not reap.
    let state = (text(of: "/proc/\(command)/stat") ?? ") X").split(separator: ")").last?.split(separator: " ").first
    #expect(state == "Z" || state == "X")
  }

  @Test(.faults(60)) func tellsThatTheMachineWasRebooted() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    _ = try worker.status(Launch.of(.script("exec sleep 60")))
    let record = try #require(text(of: "\(control)/sup")).split(separator: " ")
    try Array("\(record[0]) \(record[1]) another-boot\n".utf8).withUnsafeBytes {
      try Data($0).write(to: URL(fileURLWithPath: "\(control)/sup"))
    }
    #expect(try worker.status(.status(Status(control: "~/c/job"))) == .lost(reason: "the machine was rebooted"))
    kill(try #require(Int32(record[0])), SIGTERM)
  }

  @Test(.faults(88)) func tellsThatTheRecordsAreGone() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    #expect(try worker.status(.status(Status(control: "~/c/job"))) == .notBegun)
    _ = try exits(of: worker, Launch.of(.script("true")))
    // rm, because the last follower may be removing its FIFO at the same time.
    #expect(try Spawned.run(["/bin/rm", "-rf", control]).status == 0)
    #expect(
      try worker.status(.status(Status(control: "~/c/job"))) == .lost(reason: "the records on the machine are gone"))
  }

  @Test(.faults(81)) func makesTheLogsFinalByEndingWhoeverStillHoldsThem() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let record = try exits(
      of: worker, Launch.of(.script("setsid sh -c 'while :; do echo late; sleep 0.05; done' & sleep 0.2; echo end")))
    let size = try #require(bytes(of: "\(control)/stdout")?.count)
    #expect(size == record.stdoutBytes)
    #expect(bytes(of: "\(local.path)/stdout.log")?.count == size)
  }

  @Test(.faults(81)) func leavesNoProcessBehind() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    _ = try exits(of: worker, Launch.of(.script("sleep 30 & true"), maxDuration: 1000))
    _ = worker.end()
    let marks = {
      (try Spawned.run([
        "/bin/sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null | grep -ac \"HOME=$1\" ", "x", sshd.home,
      ])).output
    }
    var left = ""
    for _ in 0..<100 {
      left = String(decoding: try marks(), as: UTF8.self)
      if left == "0\n" { break }
      usleep(20_000)
    }
    #expect(left == "0\n")
  }

  @Test(.faults(9, 15)) func resumesAfterTheWorkerWasKilledWithNoByteLostOrRepeated() throws {
    let first = try WorkerProcess.connected(to: sshd)
    let script = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo \"line $i secret-$i\"; echo e$i >&2; sleep 0.005; done"
    _ = try first.status(Launch.of(.script(script)))
    var worker = first
    for _ in 0..<4 {
      let following = follow(worker, mask: ["secret-1", "t-20"])
      let before = worker.events.count
      try worker.event { event in
        if case .log(let growth) = event.kind { event.id == following && growth.size > 40 } else { false }
      }
      #expect(worker.events.count > before)
      worker.kill()
      worker = try WorkerProcess.connected(to: sshd)
    }
    guard case .status(.exited(let record)) = try worker.end(of: follow(worker, mask: ["secret-1", "t-20"])) else {
      Issue.record("\(worker.events.suffix(3))")
      return
    }
    let lines = (1...400).map { i in
      "line \(i) secret-\(i)\n".replacingOccurrences(of: "secret-20", with: "secre****")
        .replacingOccurrences(of: "secret-1", with: "********")
    }
    #expect(text(of: "\(local.path)/stdout.log") == lines.joined())
    #expect(text(of: "\(local.path)/stderr.log") == (1...400).map { "e\($0)\n" }.joined())
    #expect(record.stdoutBytes == lines.joined().utf8.count)
  }

  @Test(.faults(9)) func waitsForWhoeverHoldsTheLogFiles() throws {
    let first = try WorkerProcess.connected(to: sshd)
    _ = try first.status(Launch.of(.script("echo a; sleep 0.4; echo b")))
    _ = follow(first)
    try first.event { if case .log = $0.kind { true } else { false } }
    let second = try WorkerProcess.connected(to: sshd)
    guard case .status(.exited) = try second.end(of: follow(second)) else {
      Issue.record("\(second.events)")
      return
    }
    #expect(text(of: "\(local.path)/stdout.log") == "a\nb\n")
  }

  @Test func refusesLocalLogsThatAreLongerThanTheRemoteOnes() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    _ = try worker.status(Launch.of(.script("echo short")))
    try local.file("stdout.log", Array("much longer than that".utf8))
    #expect(try worker.end(of: follow(worker)).failure?.kind == .integrity)
  }

  @Test(.faults(85)) func failsAsDroppedWhenTheConnectionIsCut() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    _ = try worker.status(Launch.of(.script("echo up; sleep 5")))
    let following = follow(worker)
    try worker.event { if case .log = $0.kind { true } else { false } }
    // The shells of our connection have sshd's session process as their parent.
    _ = worker.ask(.exec(Exec(command: "kill -s KILL $(cut -d' ' -f4 /proc/$PPID/stat) $PPID", timeout: 5)))
    let end = try worker.end(of: following, within: 20)
    #expect(end.failure?.kind == .dropped)
    _ = try WorkerProcess.connected(to: sshd).status(.stop(Stop(control: "~/c/job", grace: 0.1)))
  }

  @Test(.faults(77, 79)) func survivesAFloodInBoundedMemory() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    let record = try exits(of: worker, Launch.of(.script("head -c 60000000 /dev/zero; head -c 3000000 /dev/zero >&2")))
    #expect(record.stdoutBytes == 60_000_000 && record.stderrBytes == 3_000_000)
    #expect(bytes(of: "\(local.path)/stdout.log")?.count == 60_000_000)
    let status = text(of: "/proc/\(worker.pid)/status") ?? ""
    let peak = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }?.split(separator: " ").dropFirst().first
    if let kilobytes = peak.flatMap({ Int($0) }) { #expect(kilobytes < 64 * 1024) }
  }

  @Test(.faults(76)) func isHeardBelowALoginShellThatPrintsNoise() throws {
    try Data("echo noise; echo more >&2\n".utf8).write(to: URL(fileURLWithPath: "\(sshd.home)/.bashrc"))
    let worker = try WorkerProcess.connected(to: sshd)
    #expect(try worker.perform(.exec(Exec(command: "echo hi", timeout: 10))).executed?.stdout == "hi\n")
    _ = try exits(of: worker, Launch.of(.script("echo job")))
    #expect(text(of: "\(local.path)/stdout.log") == "job\n")
    #expect(text(of: "\(local.path)/stderr.log") == "")
  }
}
