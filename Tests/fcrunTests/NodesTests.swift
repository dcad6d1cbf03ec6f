import Foundation
import TestSupport
import Testing

/// Several machines of one job, on loopback: who is who, and how they end together. What needs networks of their own is in ClusterTests.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct NodesTests {
  private func log(_ bench: Bench, _ node: Int, _ stream: String = "stdout") async throws -> String {
    let id = try await bench.job()
    let path = "\(bench.home)/jobs/\(id)/attempt-1/node-\(node)/\(stream).log"
    return String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
  }

  @Test("Outputs are fetched from every node, and judged as each of them says")
  func outputs() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "nodes": 2,
        "command": "echo $FCRUN_NODE_RANK >all; [ $FCRUN_NODE_RANK = 0 ] && echo h >head || echo w >worker; exit 0",
        "outputs": [
          ["source": "all", "nodes": "every"], ["source": "head", "nodes": "head"], "worker",
        ],
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(bench.text("all") == "0\n" && bench.text("node-1/all") == "1\n")
      #expect(bench.text("head") == "h\n" && bench.text("node-1/worker") == "w\n")
      let strict = try bench.spec(
        [
          "nodes": 2, "command": "[ $FCRUN_NODE_RANK = 1 ] || echo x >part",
          "outputs": [["source": "part", "nodes": "every"]],
        ], named: "strict.json")
      let missing = try await bench.fcrun("submit", strict)
      #expect(missing.code == 125 && missing.err.contains("part of node 1"), "\(missing.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("The node that fails first decides, the others are ended, and each node's log is its own")
  func firstFailure() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "nodes": 3,
        "command":
          "trap 'echo told; exit 1' TERM; echo $FCRUN_NODE_RANK; [ $FCRUN_NODE_RANK != 1 ] || exit 7; sleep 100 & wait",
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 7 && ended.seconds < 40, "\(ended.err)")
      #expect(try await log(bench, 0) == "0\ntold\n")
      #expect(try await log(bench, 1) == "1\n")
      let id = try await bench.job()
      #expect(try await bench.fcrun("logs", id, "--node", "2").out == "2\ntold\n")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("On a terminal each line begins with its node")
  func prefixes() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["nodes": 2, "command": "echo I am $FCRUN_NODE_RANK"])
      let terminal = try bench.onTerminal(["submit", "--yes", spec], columns: 200)
      #expect(try await terminal.end() == 0, "\(terminal.text)")
      #expect(terminal.text.contains("[node 0] I am 0\n"), "\(terminal.text)")
      #expect(terminal.text.contains("[node 1] I am 1\n"))
    }
  }

  @Test("Nothing of a gang is left when one of it cannot be had; the next offering is tried as a whole")
  func allOrNone() async throws {
    try await Bench.run(["out_of_capacity={\"skip\": 2, \"times\": 1, \"percent\": 100}"]) { bench in
      let spec = try bench.spec(["nodes": 3, "command": "echo $FCRUN_ATTEMPT"])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0 && ended.out == "2\n2\n2\n", "\(ended.out)\(ended.err)")
      let instances = try bench.cloud.ledger().instances
      #expect(instances.count == 5, "two that were given back, and three")
      #expect(Set(try bench.cloud.ledger().offerings).count == 2)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A node that goes is noticed while the others are alive: they are ended, and the outcome says which")
  func loss() async throws {
    try await Bench.run(["preempt_status=\"active\""]) { bench in
      let spec = try bench.spec([
        "nodes": 2, "command": "trap 'echo told; exit 1' TERM; echo begun; sleep 100 & wait", "retry": ["attempts": 1],
      ])
      let submit = try bench.start("submit", spec)
      try await eventually("both have begun", else: { submit.err }) {
        submit.stdout.count >= 12 ? true : nil
      }
      let lost =
        try bench.cloud.ledger().instances.first { $0["name"].text?.contains("-n1-") == true }?["id"].text ?? ""
      let before = Date()
      try bench.cloud.control("POST", "preempt/\(lost)")
      try await submit.says("stopping: node 1", within: 30)
      #expect(Date().timeIntervalSince(before) < 25)
      let ended = try await submit.end()
      #expect(ended.code == 76 && ended.err.contains("node 1 (\(lost))"), "\(ended.err)")
      #expect(try await log(bench, 0) == "begun\ntold\n")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("With on_node_loss: continue the others go on to their end, and what is lost is said")
  func goingOn() async throws {
    try await Bench.run(["preempt_status=\"active\""]) { bench in
      let spec = try bench.spec([
        "nodes": 2, "on_node_loss": "continue", "outputs": ["out"],
        "command": "echo begun; while [ ! -f \(bench.folder)/go ]; do sleep 0.1; done; echo $FCRUN_NODE_RANK >out",
      ])
      let submit = try bench.start("submit", spec)
      try await eventually("both have begun", else: { submit.err }) { submit.stdout.count >= 12 ? true : nil }
      let lost =
        try bench.cloud.ledger().instances.first { $0["name"].text?.contains("-n1-") == true }?["id"].text ?? ""
      try bench.cloud.control("POST", "preempt/\(lost)")
      try await submit.says("going on without it", within: 30)
      _ = FileManager.default.createFile(atPath: bench.folder + "/go", contents: nil)
      let ended = try await submit.end()
      #expect(ended.code == 0, "\(ended.err)")
      #expect(bench.text("out") == "0\n")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}
