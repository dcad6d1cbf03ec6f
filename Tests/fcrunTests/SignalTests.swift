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
      try await eventually("the job has written", within: 30, else: { submit.err }) {
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
      try await eventually("the job has written", within: 30, else: { submit.err }) {
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
      try await eventually("the job has written", within: 30, else: { submit.err }) {
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
