import Foundation
import TestSupport
import Testing

/// Everything fits a terminal of 80 columns.
struct WidthTests {
  /// What is printed on a terminal of 80 columns, line by line.
  private func lines(_ bench: Bench, _ arguments: [String]) async throws -> [String] {
    let terminal = try bench.onTerminal(arguments, env: ["NO_COLOR": "1"])
    _ = try await terminal.end()
    return terminal.text.split(separator: "\n").map(String.init)
  }

  /// - Parameter whole: what must not be shortened.
  private func fits(_ bench: Bench, _ arguments: [String], whole: [String] = []) async throws {
    let lines = try await lines(bench, arguments)
    #expect(lines.count > 1, "\(arguments): \(lines)")
    for line in lines where line.count > 80 { Issue.record("\(arguments) has \(line.count) columns: \(line)") }
    for text in whole { #expect(lines.contains { $0.contains(text) }, "\(arguments): \(text) is not in \(lines)") }
  }

  @Test("The help of every command fits into 80 columns")
  func help() async throws {
    try await Bench.offline { bench in
      let page = try await bench.fcrun("manual", "--markdown").out
      let commands = page.matches(of: /(?m)^## fcrun (.+)$/).map { $0.1.split(separator: " ").map(String.init) }
      try #require(commands.count > 30)
      for command in [[]] + commands {
        let help = try await bench.start(["help"] + command).end().out
        for line in help.split(separator: "\n") where line.count > 80 {
          Issue.record("help \(command.joined(separator: " ")): \(line)")
        }
      }
    }
  }

  @Test("Lists of what is here fit into 80 columns: prose goes on below itself, and nothing of it is lost")
  func prose() async throws {
    try await Bench.offline { bench in
      try await fits(bench, ["init", "--list"], whole: ["ci-smoke", "torchrun"])
      try await fits(bench, ["doctor"], whole: ["ssh worker"])
      let wide = try await bench.fcrun("init", "--list").out
      try #require(wide.split(separator: "\n").contains { $0.count > 80 }, "without a terminal a row is a line")
      let narrow = try await lines(bench, ["init", "--list"])
      #expect(Set(words(wide)) == Set(words(narrow.joined(separator: " "))))
    }
  }

  private func words(_ text: String) -> [Substring] { text.split { $0 == " " || $0 == "\n" } }

  @Test(
    "Tables of jobs, sweeps and the cloud fit into 80 columns, with whole ids and prices",
    .enabled(if: Binaries.canBoot, "no sshd"))
  func tables() async throws {
    try await Bench.run { bench in
      let name = "a-name-as-long-as-it-may-be-all"
      let ended = try await bench.fcrun(
        "submit", "--keep", try bench.spec(["name": name, "command": "exit 3", "resources": ["num_gpus": 8]]))
      #expect(ended.code == 3, "\(ended.err)")
      let job = try await bench.job()
      let machine = try #require(try bench.cloud.ledger().ids.first)
      try await fits(bench, ["ps"], whole: [job, "kept", "a-name-as-long-as-"])
      try await fits(bench, ["show", job], whole: [job, name])
      try await fits(bench, ["top", job, "--count", "1"], whole: ["cpu"])
      try await fits(bench, ["cost"], whole: [job])
      try await fits(bench, ["instances"], whole: [machine])
      try await fits(bench, ["instances", "show", machine], whole: [machine])
      try await fits(bench, ["reap", "--dry-run"], whole: [machine])
      for list in ["offerings", "volume-offerings", "volumes", "keys", "models"] { try await fits(bench, [list]) }
      try await fits(bench, ["offerings", "show", "spot_coff_a100x100001"], whole: ["spot_coff_a100x100001"])
      try await fits(
        bench, ["plan", try bench.spec(["command": "true"], named: "any.json")],
        whole: ["spot_coff_a100x100001", "1.99"])
      try await sweep(bench)
    }
  }

  private func sweep(_ bench: Bench) async throws {
    let values = Dictionary(uniqueKeysWithValues: (1...6).map { ("parameter_\($0)", ["a value of parameter \($0)"]) })
    let spec = try bench.spec(
      [
        "name": "wide", "matrix": values,
        "command": #"printf '{"accuracy": 0.25, "a_note": "one of many"}' > $FCRUN_OUTPUT_DIR/result.json"#,
      ], named: "wide.json")
    #expect(try await bench.fcrun("submit", spec).code == 0)
    try await fits(bench, ["results", "wide"], whole: ["INDEX", "parameter_1", "COST"])
    let shown = try await lines(bench, ["results", "wide"]).joined(separator: "\n")
    #expect(shown.contains("not shown for want of room: ") && shown.contains("accuracy"), "\(shown)")
    try await fits(bench, ["show", "wide"], whole: ["6", "COST"])
    try await fits(bench, ["cost"], whole: ["wide-0"])
    for axis in ["gpu", "day"] { try await fits(bench, ["cost", "--by", axis]) }
    try await fits(bench, ["ps", "-a"])
  }
}
