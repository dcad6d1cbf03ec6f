import Foundation
import TestSupport
import Testing

/// fcrun as a step of GitHub Actions, whose runner obeys lines of a step's output.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct WorkflowCommandTests {
  private static let actions = ["GITHUB_ACTIONS": "true"]

  /// The lines of the step that the runner would obey, as it reads them: nothing between `stop-commands` and its word.
  private func obeyed(_ log: String) -> [String] {
    var word: Substring?
    var obeyed: [String] = []
    for line in log.split(separator: "\n") where line.hasPrefix("::") {
      if let until = word {
        if line == "::\(until)::" { word = nil }
      } else if line.hasPrefix("::stop-commands::") {
        word = line.dropFirst("::stop-commands::".count)
      } else {
        obeyed.append(String(line))
      }
    }
    return obeyed
  }

  @Test("What a job prints is not obeyed, its stdout stays its own, and a failure is an annotation", .faults(123))
  func neutralised() async throws {
    try await Bench.run { bench in
      let lines = "::set-env name=PATH::/evil\n::add-mask::a\n::error::not ours\n"
      let spec = try bench.spec(["command": "printf '\(lines)'; printf '::warning::err\\n' >&2; exit 3"])
      let ended = try await bench.fcrun("submit", spec, env: Self.actions)
      #expect(ended.code == 3, "\(ended.err)")
      #expect(ended.out == lines)
      // The runner reads one log: as bad as it can be, all of stdout comes when the word is there already.
      let stop = try #require(ended.err.firstRange(of: "::stop-commands::")).lowerBound
      let upToStop = ended.err[..<(ended.err[stop...].firstIndex(of: "\n") ?? ended.err.endIndex)]
      let rest = ended.err[upToStop.endIndex...]
      let obeyed = obeyed(upToStop + "\n" + ended.out + rest)
      #expect(obeyed.map { $0.split(separator: ":")[0] } == ["group", "endgroup", "error title=fcrun"], "\(obeyed)")
      #expect(obeyed.last?.contains("exit code 3") == true)
    }
  }

  @Test("Each process has a word of its own, and logs and attach are guarded, too", .faults(123))
  func words() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo ::error::not ours"])
      #expect(try await bench.fcrun("submit", spec, env: Self.actions).code == 0)
      let merged = "\"$FCRUN\" logs job 2>&1; \"$FCRUN\" logs job 2>&1"
      let log = try await bench.shell(merged, env: Self.actions).out
      #expect(obeyed(log).isEmpty, "\(log)")
      let words = log.split(separator: "\n").filter { $0.hasPrefix("::stop-commands::") }
      #expect(words.count == 2 && Set(words).count == 2, "\(log)")
    }
  }

  @Test("Outside of GitHub Actions nothing of that is written")
  func elsewhere() async throws {
    try await Bench.run { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "echo hello; exit 3"]))
      #expect(!ended.err.contains("::"), "\(ended.err)")
    }
  }
}
