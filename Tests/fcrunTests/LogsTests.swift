import Foundation
import TestSupport
import Testing

/// `fcrun logs`: what was written, when, and by whom.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct LogsTests {
  private static let command = #"""
    echo first; sleep 1.2; echo 'first of stderr' >&2; sleep 1.2
    printf 'loss=1\n\033[31mred\033[0m \033]0;a title\007x\n\377\n'; sleep 1.2; printf 'last err' >&2; printf tail
    """#
  private static let stdout =
    Data("first\nloss=1\n\u{1B}[31mred\u{1B}[0m \u{1B}]0;a title\u{7}x\n".utf8) + [0xFF, 0x0A] + Data("tail".utf8)

  @Test(
    "Lines are chosen by time, stream, pattern, attempt and node, after teardown too; without options every byte is there"
  )
  func selection() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try bench.spec(["command": Self.command]))
      try await eventually("it has begun", within: 30, else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      let following = try bench.start("logs", "-f", "--grep", "loss|title", try await bench.job())
      #expect(try await submit.end().code == 0)
      let followed = try await following.end()
      #expect(
        followed.code == 0 && followed.out.hasPrefix("loss=1\n") && followed.out.hasSuffix("x\n"), "\(followed.out)")
      let id = try await bench.job()
      let plain = try await bench.fcrun("logs", id, "--stream", "stdout")
      #expect(plain.stdout == Self.stdout && plain.err.isEmpty)
      #expect(try await bench.fcrun("logs", id, "--stream", "stderr").out.isEmpty)
      try await byLine(bench, id)
      try await refused(bench, id)
      try await onATerminal(bench, id)
      try await withoutTimes(bench, id)
    }
  }

  private func byLine(_ bench: Bench, _ id: String) async throws {
    let events = try await bench.fcrun("logs", id, "--json").events
    let bytes = ["stdout", "stderr"].map { stream in
      events.filter { $0["stream"].text == stream }.reduce(into: Data()) {
        $0 += $1["text"].text.map { Data($0.utf8) } ?? $1["base64"].text.flatMap { Data(base64Encoded: $0) } ?? Data()
      }
    }
    #expect(bytes[0] == Self.stdout && bytes[1] == Data("first of stderr\nlast err".utf8), "\(events)")
    let times = events.compactMap { $0["at"].text }
    #expect(times.count == events.count && times == times.sorted(), "\(events)")
    #expect(
      events.map { $0["stream"].text?.last } == ["t", "r", "t", "t", "t", "t", "r"],
      "in the order in which they came in: \(events)")
    let loss = try #require(events.first { $0["text"].text == "loss=1\n" }?["at"].text)
    let since = try await bench.fcrun("logs", id, "--since", loss)
    #expect(since.stdout == Self.stdout.dropFirst(6) && since.err == "last err", "\(since)")
    let until = try await bench.fcrun("logs", id, "--until", loss, "--timestamps", "--grep", "[f]irst")
    #expect(until.out.hasSuffix("Z first\n") && until.out.split(separator: "\n").count == 1, "\(until.out)")
    #expect(until.err.hasSuffix("Z first of stderr\n"), "\(until.err)")
    #expect(try await bench.fcrun("logs", id, "--since", "1h", "--until", "30m").out.isEmpty)
    #expect(try await bench.fcrun("logs", id, "--grep", "s", "-n", "1", "--stream", "stdout").out == "loss=1\n")
    #expect(try await bench.fcrun("logs", id, "--attempt", "1", "--node", "0", "-n", "1").out == "tail")
    #expect(try await bench.fcrun("logs", id, "-n", "0", "--timestamps").out.isEmpty)
  }

  private func refused(_ bench: Bench, _ id: String) async throws {
    for (arguments, words) in [
      (["--attempt", "2"], "attempts are 1 to 1"), (["--node", "1"], "nodes 0 to 0"),
      (["--since", "yesterday"], "expected a duration or a time"), (["--grep", "("], "not a regular expression"),
      (["-n", "few"], "few"), (["--stream", "both"], "both"),
    ] {
      let ended = try await bench.start(["logs", id] + arguments).end()
      #expect(ended.code == 64 && ended.err.contains(words), "\(arguments): \(ended.err)")
    }
  }

  private func onATerminal(_ bench: Bench, _ id: String) async throws {
    let shown = try bench.onTerminal("logs", id, "--stream", "stdout")
    #expect(try await shown.end() == 0)
    #expect(
      shown.text.contains("\u{1B}[31mred\u{1B}[0m ]0;a titlex"), "colour stays, a title is not set: \(shown.text)")
    for options in [["--raw"], ["--raw", "--grep", ""]] {
      let raw = try bench.onTerminal(["logs", id, "--stream", "stdout"] + options)
      #expect(try await raw.end() == 0)
      #expect(raw.output == Self.stdout, "\(raw.text)")
    }
  }

  /// As a job has none that an earlier fcrun ran.
  private func withoutTimes(_ bench: Bench, _ id: String) async throws {
    for stream in ["stdout", "stderr"] {
      try FileManager.default.removeItem(atPath: "\(bench.home)/jobs/\(id)/attempt-1/node-0/\(stream).times")
    }
    let refused = try await bench.fcrun("logs", id, "--since", "1h")
    #expect(refused.code == 64 && refused.err.contains("leave out --since"), "\(refused.err)")
    #expect(try await bench.fcrun("logs", id, "--grep", "loss").out == "loss=1\n")
    #expect(try await bench.fcrun("logs", id, "--json").events.allSatisfy { $0["at"].isNull })
  }

  @Test("A secret that the command encodes is masked in every form, also in pieces", .faults(120))
  func encodedSecrets() async throws {
    try await Bench.run { bench in
      let script = #"""
        printf '%s' "$TOKEN" | base64; printf 'user:%s' "$TOKEN" | base64; printf 'u:%s' "$TOKEN" | base64
        printf '%s' "$TOKEN" | od -An -v -tx1 | tr -d ' \n'; echo
        printf 'a%%2Fcanary'; sleep 0.3; printf '%%2Bof%%20this%%3D'; sleep 0.3; printf 'test\n'
        """#
      let spec = try bench.spec(["command": script, "secrets": ["TOKEN"]])
      let ended = try await bench.fcrun("submit", spec, env: ["TOKEN": "a/canary+of this=test"])
      #expect(ended.code == 0, "\(ended.err)")
      let lines = ended.out.split(separator: "\n").map(String.init)
      #expect(lines.count == 5, "\(ended.out)")
      let left = lines.map { $0.filter { $0 != "*" && $0 != "=" }.count }
      #expect(zip(left, [0, 8, 4, 0, 0]).allSatisfy { $0 <= $1 }, "\(ended.out)")
      #expect(try await bench.log("stdout") == ended.stdout)
    }
  }
}
