import Foundation
import TestSupport
import Testing

/// `submit --id`: what an orchestrator does that runs a step again.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct SubmitIDTests {
  private func spec(_ bench: Bench, _ command: String, named file: String = "job.json") throws -> String {
    try bench.spec(["name": "step", "command": command, "outputs": ["out"]], named: file)
  }

  @Test("Under an id a job runs once: again it is its output and exit code, from anywhere; another spec is refused")
  func finished() async throws {
    try await Bench.run { bench in
      let command = "echo run >> '\(bench.counter)'; echo hello; echo trouble >&2; echo 1 >out; exit 3"
      let first = try await bench.fcrun("submit", "--id", "dag.step-1", try spec(bench, command))
      #expect(first.code == 3, "\(first.err)")
      let moved = try spec(bench, command, named: "checkout-2/job.json")
      let again = try await bench.fcrun("submit", "--id", "dag.step-1", moved)
      #expect(again.code == 3 && again.out == first.out && again.err.contains("trouble"), "\(again.err)")
      let events = try await bench.fcrun("submit", "--json", "--id", "dag.step-1", moved).events
      #expect(events.last?["event"].text == "finished" && events.last?["exit_code"].int == 3, "\(events)")
      #expect(events.contains { $0["event"].text == "output" && $0["text"].text == "hello\n" }, "\(events)")
      let id = try await bench.job()
      #expect(try await bench.fcrun("submit", "--detach", "--id", "dag.step-1", moved).out == id + "\n")
      let other = try await bench.fcrun(
        "submit", "--id", "dag.step-1", moved, "--set", "resources.num_gpus=1", "--env", "EPOCHS=3")
      #expect(other.code == 64 && other.out.isEmpty, "\(other.err)")
      for words in ["resources.num_gpus", "envs.EPOCHS", id] { #expect(other.err.contains(words), "\(other.err)") }
      #expect(try await bench.show("dag.step-1")["submit_id"].text == "dag.step-1")
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().posts == [1])
    }
  }

  @Test("Several submits of one id at the same moment are one job, and each prints all of its output")
  func atOnce() async throws {
    try await Bench.run { bench in
      let spec = try spec(
        bench, "echo run >> '\(bench.counter)'; for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done; echo 1 >out")
      let submits = try (0..<4).map { _ in try bench.start("submit", "--id", "once", spec) }
      for submit in submits {
        let ended = try await submit.end()
        #expect(ended.code == 0, "\(ended.err)")
        #expect(ended.out == "line 1\nline 2\nline 3\nline 4\nline 5\n", "\(ended.err)")
      }
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().posts.count == 1)
      #expect(try await bench.fcrun("ps", "-a", "-q").out.split(separator: "\n").count == 1)
      #expect(try FileManager.default.contentsOfDirectory(atPath: bench.home + "/jobs").count == 1)
    }
  }

  @Test("A submit that was killed is driven on by the next one of its id")
  func killed() async throws {
    try await Bench.run { bench in
      let spec = try spec(
        bench,
        "echo run >> '\(bench.counter)'; echo begun; while [ ! -e '\(bench.folder)/go' ]; do sleep 0.1; done; echo 1 >out; exit 4"
      )
      let first = try bench.start("submit", "--id", "once", spec)
      try await eventually("the command has begun", else: { first.err }) { first.stdout.isEmpty ? nil : true }
      await first.destroy()
      let second = try bench.start("submit", "--id", "once", spec)
      try await eventually("its output is printed again", else: { second.err }) { second.stdout.isEmpty ? nil : true }
      try bench.write("../go", "")
      let ended = try await second.end()
      #expect(ended.code == 4 && ended.out == "begun\n", "\(ended.err)")
      #expect(bench.runs == 1)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A sweep has an id, too: at once, killed, finished and from anywhere it is one sweep; others are refused")
  func sweep() async throws {
    try await Bench.run { bench in
      let fields: [String: Any] = [
        "name": "grid", "matrix": ["lr": [1, 2]], "outputs": ["out"],
        "command":
          "echo run >> '\(bench.counter)'; until [ -e '\(bench.folder)/go' ]; do sleep 0.1; done; echo ${matrix.lr} >out; exit 3",
      ]
      let spec = try bench.spec(fields)
      let submits = try (0..<2).map { _ in try bench.start("submit", "--id", "grid-1", spec) }
      try await eventually("both have begun", within: 60, else: { submits.map(\.err).joined() }) {
        bench.runs == 2 ? true : nil
      }
      let sweep = try await bench.fcrun("submit", "--detach", "--id", "grid-1", spec).out.dropLast()
      for submit in submits { await submit.destroy() }
      let moved = try bench.spec(fields, named: "checkout-2/job.json")
      let third = try bench.start("submit", "--json", "--id", "grid-1", moved)
      try bench.write("../go", "")
      let events = try await third.end().events
      #expect(events.first?["sweep"].text == String(sweep) && events.last?["exit_code"].int == 3, "\(events)")
      let again = try await bench.fcrun("submit", "--id", "grid-1", "--skip", spec)
      #expect(again.code == 3 && again.err.contains("0 of 2 succeeded, 2 failed"), "\(again.err)")
      #expect(try await bench.fcrun("show", "grid-1", "--json").json["submit_id"].text == "grid-1")
      for (options, word) in [
        (["--set", "resources.num_gpus=1"], "resources.num_gpus"), (["--set", "max_parallel=1"], "max_parallel"),
        (["--fail-fast"], "--fail-fast"), (["--set", "limits.max_cost=3"], "limits.max_cost"),
      ] {
        let other = try await bench.start(["submit", "--id", "grid-1", moved] + options).end()
        #expect(other.code == 64 && other.err.contains("differs in \(word)"), "\(other.err)")
      }
      let job = try await bench.fcrun("submit", "--id", "grid-1", try self.spec(bench, "true", named: "one.json"))
      #expect(job.code == 64 && job.err.contains(sweep), "\(job.err)")
      #expect(bench.runs == 2)
      #expect(try bench.cloud.ledger().posts == [1, 1])
      #expect(try FileManager.default.contentsOfDirectory(atPath: bench.home + "/jobs").count == 2)
    }
  }

  @Test(
    "An id is 1 to 64 letters, digits, dots, dashes and underscores",
    arguments: ["", "a b", "a/b", "é", String(repeating: "a", count: 65)])
  func unusable(id: String) async throws {
    try await Bench.offline { bench in
      let ended = try await bench.fcrun("submit", "--id", id, try spec(bench, "true"))
      #expect(ended.code == 64 && ended.err.contains("1 to 64"), "\(ended.err)")
    }
  }
}
