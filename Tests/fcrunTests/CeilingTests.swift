import Foundation
import TestSupport
import Testing

/// What a job may take, in time and in money, and what a person sees of it.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct CeilingTests {
  @Test("max_duration ends the command when no fcrun is there, and whoever resumes has its outputs and its log")
  func withoutClient() async throws {
    try await Bench.run { bench in
      let mark = bench.folder + "/stopped"
      let spec = try bench.spec([
        "command": "trap 'echo late; touch \(mark); exit 3' TERM; echo begun; echo 1 >out; while :; do sleep 0.1; done",
        "outputs": ["out"], "limits": ["max_duration": "4s"],
      ])
      let submit = try bench.start("submit", spec)
      try await eventually("it has begun", within: 30, else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      await submit.destroy()
      try await eventually("the machine ends it by itself", within: 60) {
        FileManager.default.fileExists(atPath: mark) ? true : nil
      }
      let resumed = try await bench.fcrun("resume", try await bench.job())
      #expect(resumed.code == 124 && resumed.err.contains("max_duration of 4s ran out"), "\(resumed.err)")
      #expect(try await bench.fcrun("logs", try await bench.job()).out == "begun\nlate\n")
      #expect(bench.text("out") == "1\n")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A kept machine is told with its price, the way in and the deadline after which it is taken")
  func kept() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "exit 3", "teardown": "on_success", "limits": ["max_duration": "10m"],
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 3, "\(ended.err)")
      let id = try await bench.job()
      for words in ["goes on costing $0.19/h", "log in with: fcrun ssh \(id)", "give it back with: fcrun cancel \(id)"]
      {
        #expect(ended.err.contains(words), "\(ended.err)")
      }
      let told = try #require(ended.err.firstMatch(of: /is taken by fcrun reap from (\S+Z) on/)?.output.1)
      let deadline = try Date(String(told), strategy: .iso8601)
      #expect((0...7200).contains(deadline.timeIntervalSinceNow), "\(told)")
      #expect(try await bench.fcrun("reap", "--dry-run").out.contains("kept on the user's wish"))
      let anywhere = try await bench.fcrun("reap", "--older", "0s")
      #expect(anywhere.code == 0, "\(anywhere.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("While a machine boots a terminal shows for how long, and how long the offering says, within its width")
  func boot() async throws {
    try await Bench.run(bootTime: "4") { bench in
      let terminal = try bench.onTerminal("submit", "--yes", try bench.spec(["name": "boots", "command": "true"]))
      try await terminal.shows(" more as the offering says")
      #expect(try await terminal.end() == 0, "\(terminal.text)")
      let lines = terminal.text.split(whereSeparator: { $0 == "\r" || $0 == "\n" }).filter {
        $0.contains("booting for")
      }
      #expect(!lines.isEmpty && lines.allSatisfy { $0.replacing("\u{1B}[K", with: "").count < 80 }, "\(lines)")
    }
  }
}
