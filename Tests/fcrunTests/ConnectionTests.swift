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

/// What is between fcrun and the command may break; the command does not notice and no byte is lost.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct ConnectionTests {
  private static let count = 60
  private static let tick = tick(every: 0.05)
  private static func tick(every seconds: Double) -> String {
    "i=1; while [ $i -le \(count) ]; do echo out $i; echo err $i >&2; sleep \(seconds); i=$((i+1)); done"
  }
  private static func lines(_ word: String) -> String { (1...count).map { "\(word) \($0)\n" }.joined() }

  private func begin(_ bench: Bench, _ fields: [String: Any]) async throws -> ChildProcess {
    let submit = try bench.start("submit", try bench.spec(fields))
    try await eventually("the job has written", else: { submit.err }) {
      submit.stdout.count > 30 ? true : nil
    }
    return submit
  }

  private func checkWhole(_ ended: Ended, _ bench: Bench) async throws {
    #expect(ended.code == 7, "\(ended.err)")
    #expect(ended.out == Self.lines("out"))
    #expect(try await bench.log("stdout") == Data(Self.lines("out").utf8))
    #expect(try await bench.log("stderr") == Data(Self.lines("err").utf8))
    #expect(bench.runs == 1)
    #expect(try bench.cloud.ledger().live == 0)
    #expect(try bench.cloud.ledger().instances.count == 1)
  }

  private func ticker(_ bench: Bench, every seconds: Double = 0.05) -> [String: Any] {
    ["command": "echo run >> '\(bench.counter)'\n\(Self.tick(every: seconds))\nexit 7"]
  }

  @Test("The SSH worker is killed three times: the job goes on, no byte is lost or repeated", .faults(15))
  func workerKilled() async throws {
    try await Bench.run { bench in
      // Long enough for three workers on a computer that is busy with other tests.
      let submit = try await begin(bench, ticker(bench, every: 0.15))
      for _ in 0..<3 {
        let workers = try await eventually("there is a worker", else: { submit.err }) { () -> [pid_t]? in
          let children = Processes.children(of: submit.pid)
          return children.isEmpty ? nil : children
        }
        for worker in workers { kill(worker, SIGKILL) }
        let seen = submit.stdout.count
        try await eventually("the log grows again", else: { submit.err }) {
          submit.stdout.count > seen || !submit.isRunning ? true : nil
        }
      }
      try await checkWhole(try await submit.end(), bench)
    }
  }

  @Test("Every connection to the machine is cut twice: the job goes on, no byte is lost or repeated", .faults(70, 85))
  func connectionsCut() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ticker(bench))
      let folder = bench.cloud.state + "/machines"
      for _ in 0..<2 {
        let listener = Processes.mentioning(folder).filter { Processes.parent(of: $0) == bench.cloud.process.pid }
        for connection in listener.flatMap({ Processes.children(of: $0) }) { kill(connection, SIGKILL) }
        let seen = submit.stdout.count
        try await eventually("the log grows again", else: { submit.err }) {
          submit.stdout.count > seen || !submit.isRunning ? true : nil
        }
      }
      try await checkWhole(try await submit.end(), bench)
    }
  }

  @Test("When fcrun is killed its worker ends too", .faults(15))
  func noOrphans() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ticker(bench))
      let workers = Processes.children(of: submit.pid)
      #expect(!workers.isEmpty)
      await submit.destroy()
      try await eventually("the workers end", within: 5) {
        workers.allSatisfy { Processes.commandLine(of: $0).isEmpty } ? true : nil
      }
      #expect(try await bench.fcrun("resume", "--all").code == 7)
    }
  }

  @Test("A detached driver that is killed is replaced by resume", .faults(9, 104))
  func detachedDriverKilled() async throws {
    try await Bench.run { bench in
      let submitted = try await bench.fcrun("submit", "--detach", try bench.spec(ticker(bench)))
      let id = submitted.out.trimmingCharacters(in: .whitespacesAndNewlines)
      try await eventually("the job has written", within: 30) {
        try await bench.log("stdout", job: id).count > 30 ? true : nil
      }
      let drivers = Processes.having("FCRUN_HOME=\(bench.home)").filter {
        Processes.commandLine(of: $0).contains("resume")
      }
      #expect(drivers.count == 1)
      for driver in drivers { kill(driver, SIGKILL) }
      let resumed = try await bench.fcrun("resume", id)
      #expect(resumed.code == 7, "\(resumed.err)")
      #expect(try await bench.log("stdout", job: id) == Data(Self.lines("out").utf8))
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "A machine that hangs in the middle of everything does not hold up Ctrl-C: DELETE within a second, 130",
    .faults(69, 106))
  func frozenMachine() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ["command": Self.tick + "; sleep 100", "outputs": ["out"]])
      let sshd = Processes.mentioning(bench.cloud.state + "/machines").filter {
        Processes.parent(of: $0) == bench.cloud.process.pid
      }
      let frozen = sshd + sshd.flatMap { Processes.children(of: $0) }
      #expect(frozen.count > 1)
      for process in frozen { kill(process, SIGSTOP) }
      // The next connection is accepted by the kernel and never greeted.
      for worker in Processes.children(of: submit.pid) { kill(worker, SIGKILL) }
      let sent = Date()
      submit.signal(SIGINT)
      let ended = try await submit.end(within: 15)
      #expect(Date().timeIntervalSince(sent) < 10)
      #expect(ended.code == 130, "\(ended.err)")
      let delete = try #require(try bench.cloud.requests().first { $0.method == "DELETE" })
      #expect(delete.time.timeIntervalSince(sent) < 1)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A machine that hangs for a moment goes on where it was", .faults(69, 86))
  func frozenForAMoment() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ticker(bench))
      let sshd = Processes.mentioning(bench.cloud.state + "/machines").filter {
        Processes.parent(of: $0) == bench.cloud.process.pid
      }
      let frozen = sshd + sshd.flatMap { Processes.children(of: $0) }
      for process in frozen { kill(process, SIGSTOP) }
      let log = "\(bench.cloud.state)/machines"
      try await eventually("the command has ended on the machine", within: 20) {
        FileManager.default.subpaths(atPath: log)?.contains { $0.hasSuffix("/exit") } == true ? true : nil
      }
      for process in frozen { kill(process, SIGCONT) }
      try await checkWhole(try await submit.end(), bench)
    }
  }

  @Test("Ctrl-C on a terminal reaches the whole process group: DELETE within a second, 130, the log kept", .faults(106))
  func groupInterrupted() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo begun; sleep 100"])
      let submit = try bench.start(program: "/usr/bin/setsid", [Binaries.fcrun, "submit", spec])
      try await eventually("the job has written", else: { submit.err }) {
        submit.stdout.isEmpty ? nil : true
      }
      let sent = Date()
      kill(-submit.pid, SIGINT)
      let ended = try await submit.end(within: 15)
      #expect(ended.code == 130, "\(ended.err)")
      let delete = try #require(try bench.cloud.requests().first { $0.method == "DELETE" })
      #expect(delete.time.timeIntervalSince(sent) < 1)
      #expect(try await bench.log("stdout") == Data("begun\n".utf8))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "retry on exit:3 runs again on a new machine, with the same job id, and prints both attempts in order", .faults(89))
  func retryOnExit() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "echo $FCRUN_ATTEMPT $FCRUN_JOB_ID; [ $FCRUN_ATTEMPT = 2 ] || exit 3",
        "retry": ["on": ["exit:3"], "attempts": 2],
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      let id = try await bench.job()
      #expect(ended.out == "1 \(id)\n2 \(id)\n")
      #expect(try await bench.log("stdout", attempt: 2) == Data("2 \(id)\n".utf8))
      #expect(try bench.cloud.ledger().instances.count == 2)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A refused key in the middle of nothing: 77 and nothing was rented", .faults(43))
  func refusedKey() async throws {
    try await Bench.run(["key_revoked=true"]) { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]))
      #expect(ended.code == 77, "\(ended.err)")
      #expect(try bench.cloud.ledger().instances.isEmpty)
    }
  }
}
