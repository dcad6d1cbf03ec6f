import Foundation
import TestSupport
import Testing

/// kill -9 at fixed moments: `resume --all` ends the job as if nothing had happened.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct CrashTests {
  struct Moment: Sendable, CustomTestStringConvertible {
    var name: String
    /// Makes the moment long enough to be met.
    var knobs: [String] = []
    var bootTime = "0.3"
    /// What stderr says when it has come; nil: when the command has begun.
    var line: String?
    var testDescription: String { name }
  }

  static let moments = [
    Moment(name: "creating", knobs: ["create_late=1", "create_late_seconds=3"], line: "asking for"),
    Moment(name: "booting", bootTime: "1.5", line: "waiting for it to boot"),
    Moment(name: "connecting", knobs: ["sshd_late_seconds=1.5"], line: "; connecting"),
    Moment(name: "uploading", line: "; uploading"),
    Moment(name: "launched", line: "running"),
    Moment(name: "running"),
    Moment(name: "collecting", line: "fetching outputs"),
    Moment(name: "proving", knobs: ["delete_seconds=2"], line: "giving back"),
  ]

  private static let lines = (1...40).map { "line \($0)\n" }.joined()

  private func spec(_ bench: Bench) throws -> String {
    // Large enough for a kill to fall into the middle of it.
    try bench.write("payload", Data((0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }))
    return try bench.spec([
      "files": ["payload"], "outputs": ["out"],
      "command": """
      echo run >> '\(bench.counter)'
      mkdir -p out
      cat payload payload > out/twice
      i=1; while [ $i -le 40 ]; do echo line $i; echo line $i >&2; sleep 0.05; i=$((i+1)); done
      exit 7
      """,
    ])
  }

  @Test(
    "Killed at a fixed moment, the job ends as if nothing had happened", .faults(3, 5, 6, 7, 8, 9, 10, 11, 12),
    arguments: moments)
  func killedAndResumed(_ moment: Moment) async throws {
    try await Bench.run(moment.knobs, bootTime: moment.bootTime) { bench in
      let submit = try bench.start("submit", try spec(bench))
      try await meet(moment, submit, bench)
      await submit.destroy()
      let resumed = try await bench.fcrun("resume", "--all", within: 100)
      #expect(resumed.code == 7, "\(resumed.err)")
      try await checkAsIfNothingHadHappened(bench, submit)
    }
  }

  private func meet(_ moment: Moment, _ submit: ChildProcess, _ bench: Bench) async throws {
    if let line = moment.line { try await submit.says(line) }
    // The line stands before the POST: killed between the two, the job would rightly go on in a second attempt.
    if moment.name == "creating" {
      try await eventually("the POST has arrived", else: { submit.err }) {
        try bench.cloud.ledger().posts.isEmpty ? nil : true
      }
    }
    if moment.line != nil { return }
    try await eventually("the job has written", else: { submit.err }) { submit.stdout.count > 30 ? true : nil }
  }

  private func checkAsIfNothingHadHappened(_ bench: Bench, _ submit: ChildProcess) async throws {
    #expect(bench.runs == 1)
    #expect(try await bench.log("stdout") == Data(Self.lines.utf8))
    #expect(try await bench.log("stderr") == Data(Self.lines.utf8))
    #expect(Data(Self.lines.utf8).starts(with: submit.stdout), "what was printed before the kill is the beginning")
    let payload = bench.read("payload") ?? Data()
    #expect((bench.read("out/twice") == payload + payload) as Bool)
    let ledger = try bench.cloud.ledger()
    #expect(ledger.live == 0)
    #expect(ledger.instances.count == 1)
    #expect(ledger.posts == [1])
    let shown = try await bench.show()
    #expect(shown["state"].text == "finished")
    #expect(shown["exit_code"].int == 7)
  }

  @Test("resume of one job prints its output from where printing stopped")
  func resumePrintsTheRest() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try spec(bench))
      try await eventually("the job has written", else: { submit.err }) { submit.stdout.count > 30 ? true : nil }
      await submit.destroy()
      let resumed = try await bench.fcrun("resume", try await bench.job())
      #expect(resumed.code == 7, "\(resumed.err)")
      #expect(String(decoding: submit.stdout + resumed.stdout, as: UTF8.self) == Self.lines)
    }
  }

  @Test("resume of a job that is over prints what nobody has printed yet, once")
  func resumePrintsWhatIsLeft() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try spec(bench))
      try await submit.says("waiting for it to boot")
      await submit.destroy()
      #expect(try await bench.fcrun("resume", "--all").code == 7)
      let id = try await bench.job()
      let first = try await bench.fcrun("resume", id)
      // Where the machine is slow to kill, the job has begun by then.
      #expect(first.code == 7, "\(first.err)")
      #expect(String(decoding: submit.stdout + first.stdout, as: UTF8.self) == Self.lines, "\(first.out)")
      let second = try await bench.fcrun("resume", id)
      #expect(second.code == 7 && second.out.isEmpty, "\(second.out)")
    }
  }

  @Test("Killed again and again, it still comes to the same end", .faults(14))
  func killedManyTimes() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try spec(bench))
      try await submit.says("waiting for it to boot")
      await submit.destroy()
      for line in ["connecting", "running", "fetching outputs", "giving back"] {
        let next = try bench.start("resume", "--all")
        // Where the machine is slow to kill, the one before it got further than its line: then this one may have ended.
        try? await next.says(line)
        await next.destroy()
      }
      #expect(try await bench.fcrun("resume", try await bench.job(), within: 100).code == 7)
      try await checkAsIfNothingHadHappened(bench, submit)
    }
  }

  @Test("A POST that never arrived before the kill is made again under a new name", .faults(2, 18))
  func killedBeforeThePost() async throws {
    // The settle window of 60 s passes before another machine may be asked for.
    try await Bench.run(["create_silent=1"], load: .waiting) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo run >> '\(bench.counter)'"]))
      try await submit.says("asking for")
      try await eventually("the POST has arrived") {
        try bench.cloud.requests().contains { $0.method == "POST" } ? true : nil
      }
      await submit.destroy()
      let resumed = try await bench.fcrun("resume", "--all", within: 150)
      #expect(resumed.code == 0, "\(resumed.err)")
      #expect(bench.runs == 1)
      let ledger = try bench.cloud.ledger()
      #expect(ledger.live == 0)
      #expect(ledger.instances.count == 1)
      #expect(ledger.posts.allSatisfy { $0 == 1 })
    }
  }
}
