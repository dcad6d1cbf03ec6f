import Foundation
import TestSupport
import Testing

/// A machine that goes in the middle of the work, and a job that goes on elsewhere.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct RecoveryTests {
  /// Counts to 30 in a file of the checkpoint, from where it finds that; says where that was.
  private static let counter = """
    mkdir -p ckpt; touch ckpt/steps; echo '*' >ckpt/.gitignore
    echo "$FCRUN_JOB_ID attempt $FCRUN_ATTEMPT from $(($(wc -l <ckpt/steps)))"
    while n=$(($(wc -l <ckpt/steps) + 1)); [ $n -le 30 ]; do
      cp ckpt/steps ckpt/.next; echo "$n $FCRUN_ATTEMPT" >>ckpt/.next; mv ckpt/.next ckpt/steps; sleep 0.2
    done
    cp ckpt/steps out
    """

  @Test("A pre-empted training goes on from its last checkpoint on the next machine", .faults(91))
  func resumesFromCheckpoint() async throws {
    try await Bench.run(["preempt=1", "preempt_seconds=5"]) { bench in
      let spec = try bench.spec([
        "command": Self.counter, "outputs": ["out"], "checkpoint": ["source": "ckpt", "every": "1s"],
        "retry": ["on": ["preempted"], "attempts": 3],
      ])
      let submit = try await bench.fcrun("submit", spec, within: 90)
      #expect(submit.code == 0, "\(submit.err)")
      let id = try await bench.job()
      let lines = submit.out.split(separator: "\n").map(String.init)
      #expect(lines.count == 2 && lines.first == "\(id) attempt 1 from 0", "\(submit.out) \(submit.err)")
      let from = Int(lines.last?.split(separator: " ").last ?? "") ?? 0
      #expect(lines.last == "\(id) attempt 2 from \(from)" && from > 0, "\(submit.out) \(submit.err)")
      // Each step once: up to the checkpoint by the first attempt, from there on by the second.
      let steps = (1...30).map { "\($0) \($0 <= from ? 1 : 2)\n" }.joined()
      #expect(bench.text("out") == steps, "\(submit.err)")
      #expect(submit.err.contains("putting back the checkpoint of"))
      #expect(!submit.err.contains("no checkpoint"), "\(submit.err)")
      let kept = try await bench.show()["checkpoint"]["folder"].text ?? ""
      #expect(FileManager.default.fileExists(atPath: kept + "/ckpt/steps"))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A failure leaves its last state as a checkpoint; a checkpoint that is never there is no trouble")
  func lastCheckpoint() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "mkdir -p ckpt; echo $FCRUN_ATTEMPT >>ckpt/a; cat ckpt/a | wc -l; exit 75",
        "checkpoint": ["source": "ckpt", "every": "1h"], "retry": ["on": ["exit:75"], "attempts": 3],
      ])
      let submit = try await bench.fcrun("submit", spec, within: 90)
      #expect(submit.code == 75, "\(submit.err)")
      #expect(submit.out == "1\n2\n3\n", "\(submit.err)")
      let none = try bench.spec(["command": "sleep 2.5; exit 3", "checkpoint": ["source": "ckpt", "every": "1s"]])
      let ended = try await bench.fcrun("submit", none)
      #expect(ended.code == 3 && !ended.err.contains("warning"), "\(ended.err)")
    }
  }
}
