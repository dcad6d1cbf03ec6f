import Foundation
import TestSupport
import Testing

/// The first node passes on what it has: nobody can tell it from an upload by what is there.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct FanOutTests {
  private static let always = ["FCRUN_FAN_OUT": "always"]
  /// What a node has, as its own words: names, modes, links and content.
  private static let look =
    "find . ! -name . -printf '%p %m %l %T@\\n' | LC_ALL=C sort; find . -type f | LC_ALL=C sort | xargs cat | sha256sum"

  private func spec(_ bench: Bench) throws -> String {
    try bench.write("src/a b/deep.txt", String(repeating: "line\n", count: 100_000))
    try bench.write("src/run.sh", "#!/bin/sh\necho ran\n", mode: 0o755)
    try bench.write("src/private", "mine\n", mode: 0o600)
    try FileManager.default.createSymbolicLink(atPath: bench.work + "/src/link", withDestinationPath: "a b/deep.txt")
    return try bench.spec(["name": "wide", "nodes": 3, "files": ["src"], "command": Self.look, "teardown": "never"])
  }

  private func logs(_ bench: Bench) async throws -> Set<String> {
    var all: Set<String> = []
    for node in ["0", "1", "2"] { all.insert(try await bench.fcrun("logs", "wide", "--node", node).out) }
    return all
  }

  /// Nothing that opens a machine is left, and no folder that something could still come into.
  private func requireClean(_ bench: Bench) async throws {
    for node in ["0", "1", "2"] {
      let left = try await bench.fcrun(
        "ssh", "wide", "--node", node, "--",
        "cd; find .fcrun -name 'fan-out*'; grep -s fan-out .ssh/authorized_keys; pwd")
      #expect(left.code == 0 && left.out.split(separator: "\n").count == 1, "node \(node): \(left.out)")
    }
    #expect(try await bench.fcrun("cancel", "wide", within: 90).code == 0)
    #expect(try bench.cloud.ledger().live == 0)
  }

  @Test("What the first node passes on is there as it was sent, by one way into the other nodes that is closed again")
  func passedOn() async throws {
    try await Bench.run(bootTime: "2") { bench in
      let submit = try bench.start(["submit", try spec(bench)], env: Self.always)
      let record = "case \"$SSH_ORIGINAL_COMMAND\" in 'tar -C'*) echo x >>'\(bench.counter)' ;; esac"
      try await bench.disturbMachine(record, count: 3)
      let ended = try await submit.end(within: 120)
      #expect(ended.code == 0 && ended.err.contains("node 0 passes the files on to the others"), "\(ended.err)")
      #expect(bench.runs == 2, "each of the others unpacked once")
      let logs = try await logs(bench)
      #expect(logs.count == 1 && logs.first?.contains("./src/a b/deep.txt 644") == true, "\(logs)")
      try await requireClean(bench)
    }
  }

  @Test("Where it cannot be passed on, or comes in part, every node is sent what it lacks")
  func notPassedOn() async throws {
    try await Bench.run(bootTime: "2") { bench in
      let submit = try bench.start(["submit", try spec(bench)], env: Self.always)
      let cut = """
        case "$SSH_ORIGINAL_COMMAND" in 'tar -C'*)
          mkdir '\(bench.folder)/first' 2>/dev/null || exit 1
          head -c 300000 | sh -c "$SSH_ORIGINAL_COMMAND"; exit 1 ;;
        esac
        """
      try await bench.disturbMachine(cut, count: 3)
      let ended = try await submit.end(within: 120)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(FileManager.default.fileExists(atPath: bench.folder + "/first"), "one was cut, one refused")
      #expect(try await logs(bench).count == 1)
      try await requireClean(bench)
    }
  }

  @Test("A word that FCRUN_FAN_OUT does not know is told, and nothing is created")
  func wrongWord() async throws {
    try await Bench.run { bench in
      let ended = try await bench.fcrun("submit", try spec(bench), env: ["FCRUN_FAN_OUT": "sometimes"])
      #expect(ended.code == 78 && ended.err.contains("expected one of auto, always, never"), "\(ended.err)")
      #expect(try bench.cloud.ledger().ids.isEmpty)
    }
  }
}
