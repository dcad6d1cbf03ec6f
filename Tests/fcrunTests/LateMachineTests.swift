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

/// Machines that appear when their job is over, and whose machines are whose.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct LateMachineTests {
  @Test(
    "Whatever command comes next gives back a machine that came late, without waiting for it",
    .faults(19, 39), arguments: [["ps"], ["show"], ["logs"], ["wait"], ["attach"], ["resume"]])
  func takenByTheNextStart(command: [String]) async throws {
    try await Bench.run(["deleted_returns=1", "deleted_returns_seconds=4"]) { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]))
      #expect(ended.code == 0, "\(ended.err)")
      try await eventually("a machine appears once more") { try bench.cloud.ledger().live == 1 ? true : nil }
      let job = command == ["ps"] ? [] : [try #require(try bench.cloud.ledger().instances[0]["name"].text).job]
      let before = try lists(bench)
      let next = try await bench.start(command + job).end()
      #expect(next.code == 0 && !next.err.contains("late"), "\(next.err)")
      try await eventually("the late one is gone", within: 30) { try bench.cloud.ledger().live == 0 ? true : nil }
      let log = bench.home + "/late.log"
      try await eventually("it is told") {
        FileManager.default.contents(atPath: log).flatMap {
          String(decoding: $0, as: UTF8.self).contains("given back and proved gone") ? true : nil
        }
      }
      #expect(try lists(bench) > before)
    }
  }

  @Test("No name under watch, no request; one or many, one list; and not more than one look in half a minute")
  func oneCheapLook() async throws {
    try await Bench.run { bench in
      #expect(try await bench.fcrun("ps").code == 0)
      #expect(try bench.cloud.requests().isEmpty)
      for code in 0...1 {
        #expect(try await bench.fcrun("submit", try bench.spec(["command": "exit \(code)"])).code == Int32(code))
      }
      let before = try bench.cloud.requests().count
      for _ in 0..<5 { #expect(try await bench.fcrun("ps", "-a").code == 0) }
      try await eventually("the look") { try bench.cloud.requests().count > before ? true : nil }
      try await eventually("whoever looked has ended") { lookers(bench).isEmpty ? true : nil }
      let made = try bench.cloud.requests().dropFirst(before)
      #expect(made.map { "\($0.method) \($0.path)" } == ["GET /v1/spot/instances/"], "\(made)")
    }
  }

  @Test("An API that hangs delays no command and fails none", .faults(47))
  func neverInTheWay() async throws {
    try await Bench.run { bench in
      #expect(try await bench.fcrun("submit", try bench.spec(["command": "true"])).code == 0)
      bench.cloud.process.signal(SIGSTOP)
      defer { bench.cloud.process.signal(SIGCONT) }
      let clock = ContinuousClock()
      let start = clock.now
      let ended = try await bench.fcrun("ps")
      #expect(ended.code == 0 && ended.err.isEmpty, "\(ended.err)")
      #expect(start.duration(to: clock.now) < .seconds(8))
      #expect(!lookers(bench).isEmpty, "somebody waits for the answer, but not ps")
      for looker in lookers(bench) { kill(looker, SIGKILL) }
    }
  }

  @Test("With FCRUN_OWNER a fresh runner takes exactly what its pipeline rented", .faults(111))
  func freshRunner() async throws {
    try await Bench.run { bench in
      let kept = ["ab12cd", "ab12ce"]
      for owner in kept {
        let ended = try await bench.fcrun(
          "submit", "--keep", try bench.spec(["command": "true"]),
          env: ["FCRUN_OWNER": owner, "FCRUN_HOME": bench.folder + "/" + owner])
        #expect(ended.code == 0, "\(ended.err)")
      }
      // What nobody knows a job of is left for a minute.
      let fresh = ["FCRUN_OWNER": kept[0], "FCRUN_HOME": bench.folder + "/fresh"]
      let dry = try await bench.fcrun("reap", "--dry-run", "--json", env: fresh)
      #expect(dry.json["data"].items.compactMap { $0["why"].text }.contains("younger than a minute"), "\(dry.out)")
      let reaped = try await bench.fcrun("reap", "--older", "1s", env: fresh)
      #expect(reaped.code == 0, "\(reaped.err)")
      let living = try bench.cloud.ledger().instances.filter { $0["ending"].isNull }.compactMap { $0["name"].text }
      #expect(living.count == 1 && living[0].hasPrefix("fcr-ab12ce-"), "\(living)")
    }
  }

  @Test(
    "FCRUN_OWNER is six of a-z and 0-9, or nothing starts",
    arguments: ["abc", "abcdefg", "ABCDEF", "ab-2cd", "ab12c\n"])
  func ownerIsStrict(owner: String) async throws {
    try await Bench.offline { bench in
      for command in [["ps"], ["reap"], ["submit", try bench.spec(["command": "true"])]] {
        let ended = try await bench.start(command, env: ["FCRUN_OWNER": owner]).end()
        #expect(ended.code == 78 && ended.err.contains("FCRUN_OWNER"), "\(command): \(ended.code) \(ended.err)")
      }
    }
  }

  /// Processes of fcrun that nobody waits for.
  private func lookers(_ bench: Bench) -> [pid_t] {
    Processes.having("FCRUN_HOME=\(bench.home)").filter { $0 != bench.cloud.process.pid }
  }

  private func lists(_ bench: Bench) throws -> Int {
    try bench.cloud.requests().count { $0.method == "GET" && $0.path == "/v1/spot/instances/" }
  }
}

extension String {
  /// The job in a machine's name.
  fileprivate var job: String { String(split(separator: "-")[2]) }
}
