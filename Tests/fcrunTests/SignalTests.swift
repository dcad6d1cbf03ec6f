import Foundation
import TestSupport
import Testing

/// More than one signal, and a cloud that does not give the machine back. Each state by itself is in SignalMatrixTests.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct SignalTests {
  @Test("A second Ctrl-C leaves at once and says how to go on; resume then gives the machine back", .faults(106))
  func secondSignal() async throws {
    try await Bench.run(["delete_refused=true"]) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 100"]))
      try await eventually("the job has written", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      let first = Date()
      submit.signal(2)
      try await eventually("DELETE was sent, and a person has pressed it again") {
        let isSent = try bench.cloud.requests().contains { $0.method == "DELETE" }
        return isSent && Date().timeIntervalSince(first) > 1 ? true : nil
      }
      let second = Date()
      submit.signal(2)
      let ended = try await submit.end(within: 5)
      #expect(Date().timeIntervalSince(second) < 1)
      #expect(ended.code == 75, "a machine may still be billing")
      let id = try await bench.job()
      #expect(ended.err.contains("fcrun resume \(id)"), "\(ended.err)")
      try bench.cloud.turn(#"{"delete_refused": false}"#)
      #expect(try await bench.fcrun("resume", id).code == 130)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "Ctrl-C twice while a POST is out: resume does not run the job, it gives the machine back and is 130", .faults(106))
  func secondSignalDuringPost() async throws {
    try await Bench.run(["create_late=true", "create_late_seconds=30"], load: .waiting) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo ran >>\(bench.counter)"]))
      try await eventually("a POST is out", else: { submit.err }) {
        try bench.cloud.requests().contains { $0.method == "POST" } ? true : nil
      }
      submit.signal(2)
      // Counted from when fcrun was told: on a busy computer a signal may be some time on its way.
      try await submit.says("interrupted by SIGINT")
      let first = Date()
      try await eventually("a person has pressed it again") { Date().timeIntervalSince(first) > 0.35 ? true : nil }
      submit.signal(2)
      let ended = try await submit.end()
      #expect(ended.code == 75, "\(ended.err)")
      #expect(ended.err.contains("fcr-"), "it names the machine: \(ended.err)")
      try bench.cloud.turn(#"{"create_late": false}"#)
      let resumed = try await bench.fcrun("resume", try await bench.job(), within: 120)
      #expect(resumed.code == 130, "\(resumed.err)")
      #expect(bench.runs == 0)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A reader that never reads does not keep fcrun after a signal", .faults(106, 107))
  func signalWithABlockedReader() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "head -c 3000000 /dev/zero; sleep 100"])
      let ended = try await bench.shell(
        """
        mkfifo pipe; sleep 100 <pipe & reader=$!; "$FCRUN" submit \(spec) >pipe 2>err & fcrun=$!
        until grep -q running err; do sleep 0.05; done; sleep 1; kill -TERM $fcrun; wait $fcrun; code=$?; kill $reader; exit $code
        """)
      #expect(ended.code == 143, "\(bench.text("err") ?? "")")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "timeout(1), which signals twice at the same moment, is one signal: the machine is given back", .faults(106),
    arguments: ["TERM", "INT"])
  func doubledSignal(_ name: String) async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo begun; sleep 100"])
      let ended = try await bench.shell("timeout --preserve-status -s \(name) 3 \"$FCRUN\" submit \(spec)")
      #expect(ended.code == (name == "TERM" ? 143 : 130), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("Two signals 30 ms apart are one signal", .faults(106))
  func quicklyRepeatedSignal() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 100"]))
      try await eventually("the job has written", else: { submit.err }) {
        submit.stdout.isEmpty ? nil : true
      }
      submit.signal(15)
      // Long enough for the kernel to deliver two, far too short for a person.
      try await Task.sleep(for: .milliseconds(30))
      submit.signal(15)
      let ended = try await submit.end(within: 15)
      #expect(ended.code == 143, "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A release that is not proved ten seconds after an interrupt is 75, and resume finishes it", .faults(35, 106))
  func unprovedRelease() async throws {
    try await Bench.run(["delete_refused=true"], load: .waiting) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 100"]))
      try await eventually("the job has written", else: { submit.err }) {
        submit.stdout.isEmpty ? nil : true
      }
      submit.signal(2)
      let ended = try await submit.end(within: 25)
      #expect(ended.code == 75, "\(ended.err)")
      let id = try await bench.job()
      #expect(ended.err.contains("fcrun resume \(id)"))
      #expect(ended.err.contains("spot_inst_"))
      #expect(try await bench.fcrun("wait", id, within: 10).code == 75)
      try bench.cloud.turn(#"{"delete_refused": false}"#)
      #expect(try await bench.fcrun("resume", id).code == 130)
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try await bench.fcrun("wait", id).code == 130)
    }
  }

  @Test("A DELETE that is refused while the machine is creating is repeated until it is taken", .faults(36, 106))
  func refusedWhileCreating() async throws {
    try await Bench.run(["delete_refused_while_creating=true"], bootTime: "3") { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "true"]))
      try await submit.says("waiting for it to boot")
      submit.signal(2)
      let ended = try await submit.end(within: 15)
      #expect(ended.code == 130, "\(ended.err)")
      let deletes = try bench.cloud.requests().filter { $0.method == "DELETE" }.map(\.status)
      #expect(deletes.count > 1 && deletes.first == "400" && deletes.last == "202", "\(deletes)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A machine that stays deleting is 75 ten seconds after a signal, by name, and stays on record", .faults(37))
  func staysDeleting() async throws {
    try await Bench.run(["delete_stuck=true"], load: .waiting) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 100"]))
      try await eventually("the job has written", else: { submit.err }) {
        submit.stdout.isEmpty ? nil : true
      }
      submit.signal(15)
      let ended = try await submit.end(within: 15)
      #expect(ended.code == 75, "\(ended.err)")
      for id in try bench.cloud.ledger().ids { #expect(ended.err.contains(id), "\(ended.err)") }
      #expect(try await bench.show()["state"].text == "proving")
    }
  }

  @Test("A job that succeeded and whose release is killed before the proof ends with 0 once resumed", .faults(12))
  func successAfterUnprovedRelease() async throws {
    try await Bench.run(["delete_refused=true"]) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo done"]))
      try await submit.says("giving back")
      try await eventually("DELETE was sent") {
        try bench.cloud.requests().contains { $0.method == "DELETE" } ? true : nil
      }
      await submit.destroy()
      #expect(try await bench.fcrun("wait", try await bench.job(), within: 10).code == 75)
      try bench.cloud.turn(#"{"delete_refused": false}"#)
      let resumed = try await bench.fcrun("resume", try await bench.job())
      #expect(resumed.code == 0, "\(resumed.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}
