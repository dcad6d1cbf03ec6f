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

/// Leaving a job, and coming back to it, on a real terminal.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct LeavingTests {
  private static let lines = (1...60).map { "out \($0)\n" }.joined()

  /// Prints half of the lines, and the others when it is let go on.
  private func script(_ bench: Bench) -> String {
    "i=1; while [ $i -le 60 ]; do echo out $i; sleep 0.1; i=$((i+1)); "
      + "[ $i -le 30 ] || until [ -e '\(goAhead(bench))' ]; do sleep 0.1; done; done; exit 4"
  }

  private func goAhead(_ bench: Bench) -> String { bench.folder + "/go" }

  private func letGoOn(_ bench: Bench) { _ = FileManager.default.createFile(atPath: goAhead(bench), contents: nil) }

  private func begin(_ bench: Bench) async throws -> PseudoTerminal {
    let command = "echo run >> '\(bench.counter)'; \(script(bench))"
    let terminal = try bench.onTerminal("submit", "--yes", try bench.spec(["name": "leaving", "command": command]))
    try await terminal.shows("out 3\n")
    return terminal
  }

  @Test(
    "Ctrl-C asks, and d leaves the job to a process of its own, which survives the terminal; nothing is doubled or lost"
  )
  func detach() async throws {
    try await Bench.run { bench in
      let terminal = try await begin(bench)
      terminal.type("\u{3}")
      try await terminal.shows("detach and let it run? [S/d]")
      terminal.type("d")
      #expect(try await terminal.end() == 0, "\(terminal.text)")
      #expect(terminal.text.contains("detached; "), "\(terminal.text)")
      terminal.hangUp()
      letGoOn(bench)
      let attached = try await bench.fcrun("attach", "leaving")
      #expect(attached.code == 4, "\(attached.err)")
      #expect(
        Self.lines.hasSuffix(attached.out) && attached.out.hasSuffix("out 60\n"), "printed from where it had stopped")
      #expect(try await bench.fcrun("logs", "leaving").out == Self.lines)
      #expect(try await bench.fcrun("wait", "leaving").code == 4)
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().posts == [1])
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("Ctrl-C without an answer stops within a second, with s or a second Ctrl-C at once")
  func stop() async throws {
    try await Bench.run { bench in
      let terminal = try await begin(bench)
      let pressed = Date()
      terminal.type("\u{3}")
      #expect(try await terminal.end() == 130, "\(terminal.text)")
      #expect(terminal.text.contains("fcrun: stop"), "\(terminal.text)")
      #expect(try bench.cloud.ledger().live == 0)
      let deletion = try #require(try bench.cloud.requests().first { $0.method == "DELETE" })
      #expect(deletion.time.timeIntervalSince(pressed) < 3, "a second for the answer, and what a busy computer takes")
      let second = try await begin(bench)
      second.type("\u{3}")
      try await second.shows("[S/d]")
      try await Task.sleep(for: .milliseconds(250))
      second.type("\u{3}")
      #expect(try await second.end(within: 15) == 130, "\(second.text)")
      #expect(try bench.cloud.ledger().live == 0)
      let third = try await begin(bench)
      third.type("\u{3}")
      try await third.shows("[S/d]")
      third.type("s")
      #expect(try await third.end() == 130)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A detached driver survives the terminal it was started from, and nobody is asked where there is none")
  func survives() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["name": "leaving", "command": script(bench)])
      let terminal = try bench.onTerminal("submit", "--yes", "--detach", spec)
      #expect(try await terminal.end() == 0)
      terminal.hangUp()
      try await bench.reaches(["running"])
      let mixed = try bench.onTerminal(["wait", "leaving"], stdout: bench.folder + "/out")
      letGoOn(bench)
      #expect(try await bench.fcrun("wait", "leaving").code == 4)
      #expect(try await mixed.end() == 4)
      try FileManager.default.removeItem(atPath: goAhead(bench))
      let submit = try bench.start("submit", spec)
      try await eventually("it has begun", within: 30, else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      submit.signal(SIGINT)
      let ended = try await submit.end()
      #expect(ended.code == 130 && !ended.err.contains("[S/d]"), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A sweep is left in the middle, and come back to: its table on a terminal, its events, its exit code")
  func sweep() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "name": "left",
        "command": "echo run >> '\(bench.counter)'; until [ -e '\(goAhead(bench))' ]; do sleep 0.1; done; exit 4",
      ])
      let terminal = try bench.onTerminal("submit", "--yes", "--array", "0-2%2", spec)
      try await eventually("two have begun", within: 60, else: { terminal.text }) { bench.runs == 2 ? true : nil }
      terminal.type("\u{3}")
      try await terminal.shows("stop the sweep and give its machines back, or detach and let it run? [S/d]")
      terminal.type("d")
      #expect(try await terminal.end() == 0, "\(terminal.text)")
      let back = try bench.onTerminal("attach", "left")
      try await back.shows("left-1  running")
      #expect(back.text.contains("0 of 3 succeeded, 2 running, 1 waiting, $"), "\(back.text)")
      back.type("\u{3}")
      #expect(try await back.end() == 128 + SIGINT, "whoever drives it goes on: \(back.text)")
      let (events, lines) = (try bench.start("attach", "left", "--json"), try bench.start("attach", "left"))
      try await lines.says("left-0: running")
      letGoOn(bench)
      let ended = try await events.end(within: 60)
      #expect(ended.code == 4 && ended.events.last?["exit_code"].int == 4, "\(ended.out) \(ended.err)")
      #expect(ended.events.contains { $0["task"].int == 2 && $0["state"].text == "finished" }, "\(ended.out)")
      let told = try await lines.end()
      #expect(told.code == 4 && told.err.contains("left: 0 of 3 succeeded, 3 failed"), "\(told.err)")
      #expect(bench.runs == 3)
      #expect(try bench.cloud.ledger().live == 0 && bench.cloud.ledger().posts == [1, 1, 1])
    }
  }

  @Test(
    "show has a time line with durations, attempts and costs; ps chooses by state and time, and watches on a terminal")
  func lookingBack() async throws {
    try await Bench.run { bench in
      let kept = try await bench.fcrun("submit", try bench.spec(["name": "first", "command": "exit 3"]))
      #expect(kept.code == 3, "\(kept.err)")
      let shown = try await bench.show("first")
      let line = shown["timeline"].items
      #expect(line.first?["state"].text == "choosing" && line.last?["state"].text == "finished", "\(line)")
      #expect(line.last?["seconds"].isNull == true && line.dropLast().allSatisfy { ($0["seconds"].int ?? -1) >= 0 })
      #expect(line.contains { $0["state"].text == "running" && $0["attempt"].int != nil })
      let page = try await bench.fcrun("show", "first").out
      for words in ["ATTEMPT", "COST", "running", "FOR", "$0.0", "="] { #expect(page.contains(words), "\(page)") }
      let narrow = try bench.onTerminal("show", "first")
      #expect(try await narrow.end() == 0)
      #expect(
        narrow.text.split(separator: "\n").filter { $0.contains("T") && $0.contains("Z") }.allSatisfy {
          $0.count <= 80
        }, "\(narrow.text)")
      #expect(try await bench.fcrun("ps", "-q").out.isEmpty)
      let id = shown["id"].text ?? ""
      for arguments in [
        ["-a"], ["--state", "finished"], ["-a", "--since", "1h"], ["-a", "--since", "2h ago"], ["-a", "-n", "1"],
      ] {
        #expect(try await bench.start(["ps", "-q"] + arguments).end().out == id + "\n", "\(arguments)")
      }
      for arguments in [["-a", "--since", "0s"], ["-a", "-n", "0"], ["--state", "running,kept"]] {
        #expect(try await bench.start(["ps", "-q"] + arguments).end().out.isEmpty, "\(arguments)")
      }
      #expect(try await bench.fcrun("ps", "--state", "sleeping").code == 64)
      let refused = try await bench.fcrun("ps", "--watch")
      #expect(refused.code == 64 && refused.err.contains("terminal"), "\(refused.err)")
      let watching = try bench.onTerminal("ps", "-a", "--watch")
      try await watching.shows("first")
      try await watching.shows("\u{1B}[2A")
      watching.type("\u{3}")
      #expect(try await watching.end() == 130)
    }
  }
}
