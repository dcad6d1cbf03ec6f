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

/// What programs read: `--json` of every command, as docs/json.md has it.
struct JSONOutputTests {
  /// Their answer is a file, a stream of somebody else, or help.
  private static let without: Set<String> = [
    "ssh", "ui", "help", "schema", "init", "completion", "man", "generate-completion-script",
  ]

  @Test("Every command has --json, except those whose answer is somebody else's")
  func everywhere() async throws {
    try await Bench.offline { bench in
      let help = try await bench.fcrun("--experimental-dump-help").json["command"]
      let commands = Self.leaves(help)
      #expect(commands.count > 20, "\(commands.map(\.name))")
      for (name, command) in commands where !Self.without.contains(name) {
        let names = command["arguments"].items.flatMap { $0["names"].items.compactMap { $0["name"].text } }
        #expect(names.contains("json"), "fcrun \(name)")
      }
    }
  }

  private static func leaves(_ command: JSONTree) -> [(name: String, command: JSONTree)] {
    let inner = command["subcommands"].items.filter { $0["commandName"].text != "help" }
    return inner.isEmpty ? [(command["commandName"].text ?? "", command)] : inner.flatMap(leaves)
  }

  @Test("Errors are JSON on stderr, with nothing on stdout, whatever is wrong")
  func errors() async throws {
    try await Bench.offline { bench in
      try bench.write("bad.json", #"{"command": 5}"#)
      let good = try bench.spec(["command": "true"])
      for (arguments, code) in [
        (["show", "nothing", "--json"], 64), (["ps", "--json", "--no-such-option"], 64),
        (["submit", "--json", "bad.json"], 64),
        (["validate", "--json", "missing.json"], 64), (["logs", "nothing", "--json"], 64),
        (["wait", "nothing", "--json"], 64),
        (["port", "nothing", "80:x", "--json"], 64), (["cp", "a", "b", "--json"], 64),
        (["top", "nothing", "--json"], 64),
        (["cancel", "nothing", "--json"], 64), (["attach", "nothing", "--json"], 64),
        (["fetch", "nothing", "--json"], 64),
      ] {
        let ended = try await bench.start(arguments).end()
        #expect(Int(ended.code) == code && ended.out.isEmpty, "\(arguments): \(ended.code) \(ended.out)")
        let errors = ended.err.split(separator: "\n").map { JSONTree(Data($0.utf8)) }
        #expect(
          errors.allSatisfy { $0.isObject } && errors.last?["error"]["exit_code"].int == code,
          "\(arguments): \(ended.err)")
        #expect(errors.last?["error"]["message"].text?.isEmpty == false, "\(arguments)")
      }
      let keyless = try await bench.fcrun("submit", "--json", good, env: ["FORWARD_COMPUTE_API_KEY": ""])
      #expect(keyless.code == 78 && keyless.out.isEmpty)
      #expect(JSONTree(keyless.stderr)["error"]["next"].text != nil, "\(keyless.err)")
    }
  }

  @Test(
    "With --json every command prints JSON only, and every field of it is on the page in the docs",
    .enabled(if: Binaries.canBoot))
  func documents() async throws {
    let page = try String(contentsOfFile: Self.page, encoding: .utf8)
    try await Bench.run { bench in
      let spec = try bench.spec([
        "name": "machine-read",
        "command": "echo begun; printf '\\377\\n'; while [ ! -f go ]; do sleep 0.05; done; exit 3",
        "outputs": ["*.out"],
      ])
      let submitted = try await bench.fcrun("submit", spec, "--detach", "--json")
      #expect(
        submitted.events.map { $0["event"].text } == ["submitted"] && submitted.json["version"].int == 1,
        "\(submitted.out)")
      let id = submitted.json["job"].text ?? ""
      try await bench.reaches(["running"])
      try await eventually("it has begun") { try await bench.log("stdout", job: id).count > 6 ? true : nil }
      for arguments in [
        ["ps"], ["ps", "-a"], ["show", id], ["plan", spec], ["submit", "--dry-run", spec], ["validate", spec],
        ["doctor"], ["reap", "--dry-run"], ["fetch", id], ["cp", spec, "\(id):copy"], ["cp", "\(id):cop*", "."],
      ] {
        let ended = try await bench.start(arguments + ["--json"]).end()
        #expect(ended.json.isObject, "\(arguments): \(ended.out)\(ended.err)")
        check(ended.json, arguments, page)
      }
      for arguments in [
        ["offerings"], ["offerings", "show", "spot_coff_a100x100001"], ["volume-offerings"], ["volumes"], ["instances"],
        ["keys"], ["models"],
      ] { #expect(try await bench.start(arguments + ["--json"]).end().json.isObject, "\(arguments)") }
      for arguments in [["top", id], ["logs", id]] {
        let ended = try await bench.start(arguments + ["--json"]).end()
        #expect(ended.code == 0 && ended.events.allSatisfy(\.isObject), "\(arguments): \(ended.out)\(ended.err)")
        for event in ended.events { check(event, arguments, page) }
      }
      let attached = try bench.start("attach", id, "--json")
      #expect(try await bench.fcrun("ssh", id, "--", "cd ~/fcrun/* && touch go").code == 0)
      let followed = try await attached.end()
      #expect(followed.code == 3, "\(followed.err)")
      let afterwards = try await bench.fcrun("resume", id, "--json")
      for ended in [followed, afterwards] {
        #expect(ended.code == 3 && ended.events.last?["event"].text == "finished", "\(ended.out)")
        #expect(ended.events.last?["source"].text == "job" && ended.events.last?["exit_code"].int == 3)
        #expect(Self.output(ended.events) == Data("begun\n".utf8) + [0xFF, 0x0A], "from the beginning: \(ended.out)")
        for event in ended.events { check(event, ["attach"], page) }
      }
      for arguments in [["wait", id, id], ["resume", "--all"], ["show", id]] {
        let ended = try await bench.start(arguments + ["--json"]).end()
        #expect(ended.json.isObject, "\(arguments): \(ended.out)")
        check(ended.json, arguments, page)
      }
      let whole = try await bench.fcrun("submit", try bench.spec(["command": "echo x"], named: "b.json"), "--json")
      for event in whole.events { check(event, ["submit"], page) }
      #expect(whole.events.first?["event"].text == "submitted" && whole.events.last?["event"].text == "finished")
    }
  }

  private static func output(_ events: [JSONTree]) -> Data {
    events.filter { $0["event"].text == "output" && $0["stream"].text == "stdout" }.reduce(into: Data()) {
      $0 += $1["text"].text.map { Data($0.utf8) } ?? $1["base64"].text.flatMap { Data(base64Encoded: $0) } ?? Data()
    }
  }

  /// Every field, also of inner objects, is named on the page.
  private func check(_ tree: JSONTree, _ arguments: [String], _ page: String) {
    for key in tree.keys.sorted() {
      #expect(
        page.contains("`\(key)`") || page.contains("\"\(key)\""),
        "\(arguments) prints \(key), which docs/json.md does not have")
      check(tree[key], arguments, page)
    }
    for item in tree.items { check(item, arguments, page) }
  }

  private static let page = #filePath.components(separatedBy: "/Tests/")[0] + "/docs/json.md"
}
