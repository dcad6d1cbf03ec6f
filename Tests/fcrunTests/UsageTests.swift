import Foundation
import TestSupport
import Testing

/// What a command says that is written wrongly.
struct UsageTests {
  @Test(
    "A wrong command line is 64, with one sentence, how that command is used, and where more is said",
    arguments: [
      ("submit", "missing expected argument '<spec>'", "fcrun submit [<options>] <spec>", "fcrun help submit"),
      ("submit --nope x", "unknown option '--nope'", "fcrun submit [<options>] <spec>", "fcrun help submit"),
      ("logs x y", "unexpected argument 'y'", "fcrun logs [<options>] <job>", "fcrun help logs"),
      (
        "logs x -n -1", "the value '-1' is invalid for '-n <N>': expected a whole number, 0 or more",
        "fcrun logs [<options>] <job>",
        "fcrun help logs"
      ),
      (
        "logs x -n many", "the value 'many' is invalid for '-n <N>': expected a whole number, 0 or more",
        "fcrun logs [<options>] <job>", "fcrun help logs"
      ),
      ("ps -n -3", "the value '-3' is invalid for '-n <N>'", "fcrun ps [<options>]", "fcrun help ps"),
      ("logs x --stream both", "one of 'stdout' and 'stderr'", "fcrun logs [<options>] <job>", "fcrun help logs"),
      ("cost --since soon", "--since soon: expected a duration", "fcrun cost [--since <when>]", "fcrun help cost"),
      ("resume", "expected a job, or --all", "fcrun resume [<job>] [--all]", "fcrun help resume"),
      ("offerings show", "missing expected argument '<id>'", "fcrun offerings show <id>", "fcrun help offerings show"),
      ("offerings --num-gpus x", "expected a count such as 8", "fcrun offerings list", "fcrun help offerings list"),
      // Seen only when the command runs already.
      ("reap --older soon", "--older soon: expected 90s", "fcrun reap", "fcrun help reap"),
      ("--nope", "unknown option '--nope'", "fcrun <subcommand>", "fcrun help"),
    ])
  func usage(_ line: String, _ sentence: String, _ synopsis: String, _ next: String) async throws {
    let words = line.split(separator: " ").map(String.init)
    try await Bench.offline { bench in
      let ended = try await bench.start(words).end()
      #expect(ended.code == 64 && ended.out.isEmpty, "\(ended.err)")
      let lines = ended.err.split(separator: "\n")
      #expect(lines[0].hasPrefix("fcrun: ") && lines[0].contains(sentence), "\(ended.err)")
      #expect(lines[1].hasPrefix("usage: \(synopsis)"), "\(ended.err)")
      #expect(lines.last == "try: \(next)", "\(ended.err)")
      #expect(lines.dropFirst().allSatisfy { $0.count <= 80 }, "\(ended.err)")
      let json = try await bench.start(words + ["--json"]).end()
      try #require(json.code == 64 && json.out.isEmpty, "\(json.err)")
      guard !line.hasPrefix("--") else { return }
      let error = JSONTree(json.stderr)["error"]
      #expect(error["message"].text?.contains(sentence) == true, "\(json.err)")
      #expect(error["next"].text == next && error["exit_code"].int == 64, "\(json.err)")
    }
  }

  @Test(
    "A value that begins with a dash is named, with how to write it",
    arguments: [
      ("submit --id -x job.json", "the value of --id, -x, begins with a dash", "--id=-x"),
      ("offerings --region -eu", "the value of --region, -eu, begins with a dash", "--region=-eu"),
      ("submit --set -x=1 job.json", "the value of --set, -x=1, begins with a dash", "--set=-x=1"),
    ])
  func dash(_ line: String, _ sentence: String, _ next: String) async throws {
    try await Bench.offline { bench in
      let ended = try await bench.start(line.split(separator: " ").map(String.init)).end()
      #expect(ended.code == 64 && ended.err.hasPrefix("fcrun: \(sentence)"), "\(ended.err)")
      #expect(ended.err.hasSuffix("\ntry: \(next)\n"), "\(ended.err)")
      let missing = try await bench.fcrun("submit", "--id", "--json", "job.json")
      #expect(missing.err.contains("missing value for '--id <key>'"), "--json is an option: \(missing.err)")
    }
  }

  @Test("A command that is not there is an error wherever one is expected, also for help")
  func unknownCommand() async throws {
    try await Bench.offline { bench in
      for (words, sentence, next) in [
        (["help", "sumbit"], "there is no command sumbit, did you mean submit?", "fcrun help"),
        (["sumbit", "--help"], "there is no command sumbit, did you mean submit?", "fcrun help"),
        (["offerings", "shw"], "there is no command offerings shw, did you mean show?", "fcrun help offerings"),
        (["help", "keys", "frobnicate"], "there is no command keys frobnicate", "fcrun help keys"),
      ] {
        let ended = try await bench.start(words).end()
        #expect(ended.code == 64 && ended.out.isEmpty, "\(words): \(ended.out)")
        #expect(ended.err == "fcrun: \(sentence)\ntry: \(next)\n")
      }
      for words in [["help", "submit"], ["submit", "--help"], ["help", "offerings", "show"], ["help"], []] {
        let ended = try await bench.start(words).end()
        #expect(ended.code == 0 && ended.out.contains("USAGE: fcrun") && ended.err.isEmpty, "\(words): \(ended.err)")
      }
    }
  }
}
