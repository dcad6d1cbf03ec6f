import Foundation
import TestSupport
import Testing

/// docs/quick-start.md: what it shows is what happens.
struct QuickStartTests {
  @Test("The transcript of the quick start is what its commands print", .enabled(if: Binaries.canBoot, "no sshd"))
  func transcript() async throws {
    let transcripts = try Page("docs/quick-start.md").blocks("")
    let shown = transcripts.filter { $0.hasPrefix("$ ") }.joined()
    let commands = shown.split(separator: "\n").filter { $0.hasPrefix("$ ") }.map { $0.dropFirst(2) }
    try #require(commands.count == 9)
    let lines = commands.map { "echo '$ \($0)'; \($0) 2>&1 || exit" }.joined(separator: "\n")
    try await Bench.offline { bench in
      let ran = try await bench.shell("fcrun() { \"$FCRUN\" \"$@\"; }\n\(lines)")
      #expect(ran.code == 0)
      let (printed, expected) = (Self.words(ran.out), Self.words(shown))
      for (line, other) in zip(printed, expected) { #expect(line == other) }
      #expect(printed.count == expected.count, "\(ran.out)")
    }
  }

  /// Line by line, with one word for all that is another each time, and one space for many.
  private static func words(_ text: String) -> [String] {
    text.replacing(/spot_inst_[a-z0-9]+/, with: "INSTANCE").replacing(/\b[a-z0-9]{16}\b/, with: "JOB")
      .replacing(/127\.0\.0\.1:[0-9]+/, with: "ADDRESS").replacing(/\$0\.0[0-9]+/, with: "COST")
      .replacing(/20[0-9-]+T[0-9:]+Z/, with: "TIME")
      .split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
  }
}
