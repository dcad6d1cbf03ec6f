import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension Bench {
  /// Runs a script of sh, in which `$FCRUN` is fcrun, with mounts that nobody else sees.
  func inNamespace(_ script: String, within seconds: Double = 60) async throws -> Ended {
    try await start(
      program: MountNamespace.program, MountNamespace.words(script), env: ["FCRUN": Binaries.fcrun]
    ).end(within: seconds)
  }

  func mode(_ path: String) -> Int? {
    (try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? Int
  }
}

/// Disks that are full or read-only.
@Suite(.enabled(if: Binaries.canBoot && MountNamespace.isAllowed, "no sshd, or no mount namespace"))
struct FullDiskTests {
  private static let fill = "cat /dev/zero >\"$FCRUN_HOME/fill\" 2>/dev/null"

  @Test("A disk that is full before the intent is written: 125, and no POST", .faults(97))
  func fullFromTheStart() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "true"])
      let ended = try await bench.inNamespace(
        "mkdir -p \"$FCRUN_HOME\"; chmod 700 \"$FCRUN_HOME\"; mount -t tmpfs -o size=2m,mode=0700 none \"$FCRUN_HOME\"; "
          + "\"$FCRUN\" ps -a; \(Self.fill); \"$FCRUN\" submit \(spec)")
      #expect(ended.code == 125, "\(ended.err)")
      #expect(ended.err.contains("full"), "\(ended.err)")
      #expect(try bench.cloud.ledger().posts.isEmpty)
    }
  }

  @Test("A disk that fills up with the job's log: the machine is given back, and it is said why", .faults(97))
  func fullOfLogs() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo begun; head -c 9000000 /dev/zero; exit 3"])
      let ended = try await bench.inNamespace(
        "mkdir -p \"$FCRUN_HOME\"; mount -t tmpfs -o size=3m,mode=0700 none \"$FCRUN_HOME\"; \"$FCRUN\" submit \(spec)")
      #expect(ended.code == 125, "\(ended.err)")
      #expect(ended.err.lowercased().contains("no space left"), "\(ended.err)")
      #expect(ended.stdout.starts(with: Data("begun\n".utf8)))
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try bench.cloud.ledger().instances.count == 1)
    }
  }

  @Test("A disk that is filled by others while the job runs costs neither the job nor its machine", .faults(97))
  func fullMeanwhile() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo begun; sleep 3; exit 3"])
      let ended = try await bench.inNamespace(
        "mkdir -p \"$FCRUN_HOME\"; mount -t tmpfs -o size=3m,mode=0700 none \"$FCRUN_HOME\"; "
          + "\"$FCRUN\" submit \(spec) >out & until grep -q begun out; do sleep 0.05; done; \(Self.fill); wait $!")
      #expect(ended.code == 3, "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "How a job ended is stored although others have filled the disk: resume says it again, and runs nothing",
    .faults(97))
  func fullMeanwhileAndKnown() async throws {
    try await Bench.run { bench in
      let command = "echo ran >>\(bench.counter); sleep 2; exit 3"
      let spec = try bench.spec(["command": command, "retry": ["on": ["preempted"], "attempts": 3]])
      let ended = try await bench.inNamespace(
        "mkdir -p \"$FCRUN_HOME\"; mount -t tmpfs -o size=4m,mode=0700 none \"$FCRUN_HOME\"; "
          + "\"$FCRUN\" submit \(spec) & until [ -s \(bench.counter) ]; do sleep 0.05; done; \(Self.fill); wait $!; "
          + "echo $? >code; rm \"$FCRUN_HOME/fill\"; \"$FCRUN\" resume --all; \"$FCRUN\" wait job")
      #expect(bench.text("code") == "3\n", "\(ended.err)")
      #expect(ended.code == 3, "\(ended.err)")
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A disk that stays full from the POST on: the command is not started; resume runs it, once", .faults(97))
  func fullAtThePost() async throws {
    try await Bench.run(bootTime: "2") { bench in
      let spec = try bench.spec(["command": "echo ran >>\(bench.counter); exit 3"])
      let fillAgain = "while :; do cat /dev/zero >>\"$FCRUN_HOME/fill\"; sleep 0.02; done 2>/dev/null"
      let ended = try await bench.inNamespace(
        "mkdir -p \"$FCRUN_HOME\"; mount -t tmpfs -o size=4m,mode=0700 none \"$FCRUN_HOME\"; "
          + "\"$FCRUN\" submit \(spec) 2>err & until grep -q 'waiting for it to boot' err; do sleep 0.02; done; "
          + "submit=$!; { \(fillAgain); } & wait $submit; echo $? >code; kill $!; wc -l <\(bench.counter) >early; "
          + "rm \"$FCRUN_HOME/fill\"; \"$FCRUN\" resume job")
      #expect(bench.text("code") == "125\n", "\(bench.text("err") ?? "")")
      #expect((bench.text("early") ?? "").isEmpty, "the command was not started")
      #expect(bench.text("err")?.contains("the command was not started") == true, "\(bench.text("err") ?? "")")
      #expect(ended.code == 3, "\(ended.err)")
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A disk that is too small for the outputs: 125 with the reason, and nothing half in their place", .faults(97))
  func fullOfOutputs() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "mkdir out; head -c 9000000 /dev/zero >out/big", "outputs": ["out"]])
      let ended = try await bench.inNamespace(
        "mkdir small; mount -t tmpfs -o size=3m none small; cp \(spec) small/; cd small; "
          + "\"$FCRUN\" submit \(spec); code=$?; ls; exit $code")
      #expect(ended.code == 125, "\(ended.err)")
      #expect(ended.err.lowercased().contains("no space left"), "\(ended.err)")
      #expect(!ended.out.split(separator: "\n").contains("out"), "\(ended.out)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A read-only state folder: 125 with the reason, and no POST; machines are still found", .faults(99, 100))
  func readOnly() async throws {
    try await Bench.run { bench in
      #expect(try await bench.fcrun("submit", "--keep", try bench.spec(["command": "true"])).code == 0)
      let id = try await bench.job()
      let posts = try bench.cloud.ledger().posts.count
      let readOnly = "mount --bind \"$FCRUN_HOME\" \"$FCRUN_HOME\"; mount -o remount,bind,ro \"$FCRUN_HOME\"; "
      let ended = try await bench.inNamespace(readOnly + "\"$FCRUN\" submit job.json")
      #expect(ended.code == 125, "\(ended.err)")
      #expect(ended.err.contains(bench.home), "\(ended.err)")
      #expect(try bench.cloud.ledger().posts.count == posts)
      let reaped = try await bench.inNamespace(readOnly + "\"$FCRUN\" reap \(id)")
      #expect(reaped.code == 0, "\(reaped.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}

/// The state folder and what surrounds fcrun on this computer.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct ThisComputerTests {
  private static let count = 60
  private static let tick = "i=1; while [ $i -le \(count) ]; do echo out $i; sleep 0.05; i=$((i+1)); done"
  private static let lines = (1...count).map { "out \($0)\n" }.joined()

  private func begin(_ bench: Bench, _ fields: [String: Any]) async throws -> ChildProcess {
    let submit = try bench.start("submit", try bench.spec(fields))
    try await eventually("the job has written", else: { submit.err }) {
      submit.stdout.isEmpty ? nil : true
    }
    return submit
  }

  // MARK: The state folder

  @Test(
    "A state folder that is missing is made; one that others can write, or another user's, is refused",
    .faults(100, 121))
  func stateFolder() async throws {
    try await Bench.offline { bench in
      let deep = bench.folder + "/a/b/state"
      #expect(try await bench.fcrun("ps", env: ["FCRUN_HOME": deep]).code == 0)
      #expect(bench.mode(deep) == 0o700)
      chmod(deep, 0o777)
      let open = try await bench.fcrun("ps", env: ["FCRUN_HOME": deep])
      #expect(open.code == 125)
      #expect(open.err.contains("can be written by others") && open.err.contains("chmod 700"), "\(open.err)")
      let file = try bench.write("file", "")
      let odd = try await bench.fcrun("ps", env: ["FCRUN_HOME": file])
      #expect(odd.code == 125 && odd.err.contains(file), "\(odd.err)")
      guard getuid() == 0 else { return }
      chmod(deep, 0o700)
      #expect(chown(deep, 65534, 65534) == 0)
      let foreign = try await bench.fcrun("ps", env: ["FCRUN_HOME": deep])
      #expect(foreign.code == 125)
      #expect(foreign.err.contains("another user"), "\(foreign.err)")
    }
  }

  @Test("With umask 000 everything is still for its owner alone", .faults(110, 121))
  func openUmask() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo out; echo err >&2", "secrets": ["TOKEN"]])
      let ended = try await bench.shell("umask 000; \"$FCRUN\" submit \(spec)", env: ["TOKEN": "abcdef"])
      #expect(ended.code == 0, "\(ended.err)")
      let paths = try FileManager.default.subpathsOfDirectory(atPath: bench.home)
      #expect(paths.contains { $0.hasSuffix("stdout.log") })
      for path in [""] + paths.map({ "/" + $0 }) {
        let mode = try #require(bench.mode(bench.home + path))
        #expect(mode & 0o077 == 0, "\(path) is \(String(mode, radix: 8))")
      }
    }
  }

  @Test("Without HOME it says what to set, and with FCRUN_HOME it works; an odd locale changes nothing", .faults(110))
  func noHome() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "printf 'é\\n'; exit 4"])
      let lost = try await bench.shell("unset HOME FCRUN_HOME; \"$FCRUN\" submit \(spec)")
      #expect(lost.code == 78, "\(lost.err)")
      #expect(lost.err.contains("FCRUN_HOME"))
      #expect(try bench.cloud.ledger().instances.isEmpty)
      let odd = try await bench.shell("unset HOME; LC_ALL=tr_TR.ISO-8859-9 LANG=xx \"$FCRUN\" submit \(spec)")
      #expect(odd.code == 4, "\(odd.err)")
      #expect(odd.out == "é\n")
    }
  }

  @Test("A damaged database: nothing is created, and reap works from the machines' names alone", .faults(99))
  func damagedDatabase() async throws {
    try await Bench.run { bench in
      #expect(try await bench.fcrun("submit", "--keep", try bench.spec(["command": "true"])).code == 0)
      let id = try await bench.job()
      let posts = try bench.cloud.ledger().posts.count
      for name in ["fcrun.db", "fcrun.db-wal", "fcrun.db-shm"] {
        try Data(repeating: 7, count: 8192).write(to: URL(filePath: "\(bench.home)/\(name)"))
      }
      let refused = try await bench.fcrun("submit", "job.json")
      #expect(refused.code == 125 && refused.err.contains("fcrun.db"), "\(refused.err)")
      #expect(try bench.cloud.ledger().posts.count == posts)
      let careful = try await bench.fcrun("reap")
      #expect(careful.code == 0, "\(careful.err)")
      #expect(try bench.cloud.ledger().live == 1, "without the store nothing counts as this installation's")
      let reaped = try await bench.fcrun("reap", id)
      #expect(reaped.code == 0, "\(reaped.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "The state folder is lost: reap from a new one takes the machine once its deadline is past, or by name",
    .faults(111))
  func lostStateFolder() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ["command": "echo begun; sleep 100"])
      await submit.destroy()
      try FileManager.default.removeItem(atPath: bench.home)
      let early = try await bench.fcrun("reap", "--owner", "any")
      #expect(early.code == 0, "\(early.err)")
      #expect(early.out.contains("before its deadline"), "\(early.out)")
      #expect(try bench.cloud.ledger().live == 1)
      let name = try #require(try bench.cloud.ledger().instances.first?["name"].text)
      let reaped = try await bench.fcrun("reap", name)
      #expect(reaped.code == 0, "\(reaped.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  // MARK: Limits

  @Test("Thirty-two descriptors are enough, and too little memory is said", .faults(108))
  func limits() async throws {
    try await Bench.run { bench in
      try bench.write("data", "content")
      let spec = try bench.spec([
        "command": Self.tick + "; cp data back; exit 5", "files": ["data"], "outputs": ["back"],
      ])
      let few = try await bench.shell("ulimit -n 32; \"$FCRUN\" submit \(spec)")
      #expect(few.code == 5, "\(few.err)")
      #expect(few.out == Self.lines)
      #expect(bench.text("back") == "content")
      #expect(try bench.cloud.ledger().live == 0)
      let posts = try bench.cloud.ledger().posts.count
      let little = try await bench.shell("ulimit -v 60000; \"$FCRUN\" submit \(spec)")
      #expect(little.code != 0 && !little.err.isEmpty)
      #expect(try bench.cloud.ledger().posts.count == posts)
    }
  }

  // MARK: Time

  @Test("Stopped for a while and continued, a job goes on where it was", .faults(101))
  func stoppedForAWhile() async throws {
    try await Bench.run(load: .waiting) { bench in
      let submit = try await begin(bench, ["command": "echo run >> '\(bench.counter)'; \(Self.tick); exit 7"])
      submit.signal(SIGSTOP)
      let id = try await bench.job()
      let second = try await bench.fcrun("resume", id)
      #expect(second.code == 64, "the lease does not expire: \(second.err)")
      try await Task.sleep(for: .seconds(20))
      submit.signal(SIGCONT)
      let ended = try await submit.end(within: 30)
      #expect(ended.code == 7, "\(ended.err)")
      #expect(ended.out == Self.lines)
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A deadline that passed while fcrun was stopped is kept as soon as it goes on", .faults(101, 112))
  func deadlineWhileStopped() async throws {
    try await Bench.run(["boot_stuck=true"], load: .waiting) { bench in
      let spec = try bench.spec([
        "command": "true", "limits": ["boot_timeout": "6s", "max_duration": "10m"],
        "retry": ["attempts": 1, "on": ["boot_failed"]],
      ])
      let submit = try bench.start("submit", spec)
      try await submit.says("waiting for it to boot")
      submit.signal(SIGSTOP)
      try await Task.sleep(for: .seconds(8))
      let woken = Date()
      submit.signal(SIGCONT)
      let ended = try await submit.end(within: 30)
      #expect(ended.code == 69, "\(ended.err)")
      let delete = try #require(try bench.cloud.requests().first { $0.method == "DELETE" })
      #expect(delete.time.timeIntervalSince(woken) < 2)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  private func shiftedClock(_ bench: Bench) async throws -> String {
    let source = try bench.write("clock.c", WallClock.source)
    let library = bench.folder + "/clock.so"
    let made = try await bench.shell("'\(WallClock.compiler ?? "cc")' -shared -fPIC -o '\(library)' '\(source)'")
    guard made.code == 0 else { throw Unmet("cc: \(made.err)") }
    return library
  }

  #if os(Linux)
    @Test(
      "A wall clock that is ten years off changes nothing for a job", .faults(102),
      .enabled(if: WallClock.compiler != nil, "no C compiler"), arguments: [-10, 10])
    func wallClockIsOff(years: Int) async throws {
      try await Bench.run { bench in
        let library = try await shiftedClock(bench)
        let shift = ["LD_PRELOAD": library, "CLOCK_SHIFT": "\(years * 365 * 86400)"]
        let spec = try bench.spec(["command": Self.tick + "; exit 5", "limits": ["max_duration": "1h"]])
        let doctor = try await bench.fcrun("doctor", "--json", env: shift)
        let year = Calendar(identifier: .gregorian).component(.year, from: Date()) + years
        #expect(doctor.out.contains("\(year)-"), "the clock is not shifted: \(doctor.out)")
        let ended = try await bench.fcrun("submit", spec, env: shift)
        #expect(ended.code == 5, "\(ended.err)")
        #expect(ended.out == Self.lines)
        #expect(try bench.cloud.ledger().live == 0)
      }
    }
  #endif

  // MARK: Two processes on one job

  @Test("Of eight that resume a job at once, one drives it and the others say who does", .faults(103))
  func manyResume() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ["command": "echo run >> '\(bench.counter)'; \(Self.tick); exit 7"])
      await submit.destroy()
      let id = try await bench.job()
      var ends: [Ended] = []
      for one in try (1...8).map({ _ in try bench.start("resume", id) }) { ends.append(try await one.end()) }
      // One that comes when the job is over ends with the job's code too, but drives nothing.
      let drivers = ends.filter { $0.err.contains("given back and proved gone") }
      #expect(drivers.count == 1)
      #expect(drivers.first?.code == 7)
      for refused in ends where refused.code == 64 {
        #expect(refused.err.contains("(process "), "\(refused.err)")
      }
      #expect(ends.allSatisfy { [7, 64].contains($0.code) }, "\(ends.map(\.code))")
      #expect(bench.runs == 1)
      #expect(try await bench.log("stdout") == Data(Self.lines.utf8))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A dead owner's process id that is another's by now is in nobody's way", .faults(104))
  func reusedProcessID() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ["command": Self.tick + "; exit 7"])
      await submit.destroy()
      let id = try await bench.job()
      let stranger = try bench.start(program: "/bin/sleep", ["100"])
      try Data("\(stranger.pid)".utf8).write(to: URL(filePath: "\(bench.home)/jobs/\(id)/lock"))
      let listed = try await bench.fcrun("ps")
      #expect(listed.out.contains("not driven"), "\(listed.out)")
      let resumed = try await bench.fcrun("resume", "--take-over", id)
      #expect(resumed.code == 7, "\(resumed.err)")
      #expect(stranger.isRunning, "take-over ends only who holds the job")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A stopped owner: resume is refused and says how, --take-over ends it and goes on with the job", .faults(105))
  func takeOver() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ["command": "echo run >> '\(bench.counter)'; \(Self.tick); exit 7"])
      submit.signal(SIGSTOP)
      let id = try await bench.job()
      let refused = try await bench.fcrun("resume", id)
      #expect(refused.code == 64)
      #expect(refused.err.contains("--take-over") && refused.err.contains("\(submit.pid)"), "\(refused.err)")
      let taken = try await bench.fcrun("resume", "--take-over", id)
      #expect(taken.code == 7, "\(taken.err)")
      #expect(!submit.isRunning)
      #expect(String(decoding: submit.stdout + taken.stdout, as: UTF8.self) == Self.lines)
      #expect(try await bench.log("stdout") == Data(Self.lines.utf8))
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try bench.cloud.ledger().instances.count == 1)
    }
  }

  @Test("An owner that is stopped with its worker is ended too", .faults(105))
  func takeOverOfAllProcesses() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ["command": Self.tick + "; exit 7"])
      let stopped = [submit.pid] + Processes.children(of: submit.pid)
      for process in stopped { kill(process, SIGSTOP) }
      let taken = try await bench.fcrun("resume", "--take-over", try await bench.job())
      #expect(taken.code == 7, "\(taken.err)")
      #expect(try await bench.log("stdout") == Data(Self.lines.utf8))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}
