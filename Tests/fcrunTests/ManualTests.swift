import Foundation
import TestSupport
import Testing

/// Help, man pages, completion and the reference: all of them from the parser.
struct ManualTests {
  @Test("docs/command-reference.md is what the parser says; FCRUN_UPDATE_DOCS=1 writes it anew")
  func theReferenceInTheDocs() async throws {
    let path = Binaries.repository + "/docs/command-reference.md"
    var page = Data()
    try await Bench.offline { bench in page = try await bench.fcrun("manual", "--markdown").stdout }
    if ProcessInfo.processInfo.environment["FCRUN_UPDATE_DOCS"] == "1" {
      try page.write(to: URL(filePath: path))
    }
    #expect(FileManager.default.contents(atPath: path) == page, "FCRUN_UPDATE_DOCS=1 swift test --filter ManualTests")
  }

  @Test("Every command that does something has an example in its help")
  func examples() async throws {
    try await Bench.offline { bench in
      let sections = try await bench.fcrun("manual", "--markdown").out.split(separator: "\n## fcrun ").dropFirst()
      try #require(sections.count > 20)
      let bare = sections.filter { !$0.contains("\n  fcrun ") }.compactMap { $0.split(separator: "\n").first }
      #expect(bare.isEmpty, "without an example: \(bare)")
    }
  }

  @Test("There is a man page for each command, and man reads it without a complaint")
  func manPages() async throws {
    try await Bench.offline { bench in
      #expect(try await bench.fcrun("manual", "--man", "man").code == 0)
      let names = try FileManager.default.contentsOfDirectory(atPath: bench.work + "/man")
      #expect(names.contains("fcrun.1") && names.contains("fcrun-submit.1") && names.count > 20, "\(names)")
      for name in names {
        let page = try #require(bench.text("man/\(name)"))
        #expect(page.hasPrefix(".TH \(name.dropLast(2).uppercased()) 1"))
        #expect(page.contains("\n.SH NAME\n") && page.contains("\n.SH SYNOPSIS\n"))
        let foreign = page.split(separator: "\n").filter { $0.hasPrefix(".") }.compactMap {
          $0.split(separator: " ").first
        }
        #expect(Set(foreign).isSubset(of: [".TH", ".SH", ".TP", ".B", ".BR", ".nf", ".fi"]), "\(name)")
      }
    }
  }

  @Test("A completion script is one that its shell can read", arguments: ["bash", "zsh", "fish"])
  func completion(_ shell: String) async throws {
    try await Bench.offline { bench in
      let script = try await bench.fcrun("completion", shell).out
      #expect(script.contains("submit") && script.contains("dry-run"))
      try bench.write("script", script)
      let read = try await bench.shell("command -v \(shell) >/dev/null || exit 0; \(shell) -n script")
      #expect(read.code == 0, "\(read.err)")
    }
  }

  @Test("bash completes commands and options")
  func completesInBash() async throws {
    try await Bench.offline { bench in
      try bench.write("script", try await bench.fcrun("completion", "bash").out)
      let ask = """
        bash -c 'mkdir -p bin; ln -sf "$FCRUN" bin/fcrun; PATH=$PWD/bin:$PATH; . ./script
          f=$(complete -p fcrun | sed "s/.*-F \\([^ ]*\\) .*/\\1/")
          COMP_WORDS=(fcrun sub); COMP_CWORD=1; COMP_LINE="fcrun sub"; COMP_POINT=9; $f fcrun sub fcrun; echo "${COMPREPLY[@]}"; COMPREPLY=()
          COMP_WORDS=(fcrun submit --de); COMP_CWORD=2; COMP_LINE="fcrun submit --de"; COMP_POINT=17; $f fcrun --de submit; echo "${COMPREPLY[@]}"'
        """
      let lines = try await bench.shell(ask).out.split(separator: "\n")
      #expect(lines == ["submit", "--detach"])
    }
  }

  @Test(
    "A command that is not there is named, with the one that was probably meant",
    arguments: [
      ("sumbit", "submit"), ("log", "logs"), ("cancle", "cancel"),
    ])
  func didYouMean(_ typed: String, _ meant: String) async throws {
    try await Bench.offline { bench in
      let ended = try await bench.fcrun(typed, "x")
      #expect(ended.code == 64 && ended.err.contains("did you mean \(meant)?"), "\(ended.err)")
      #expect(try await bench.fcrun("frobnicate").err.contains("no command frobnicate\n"))
    }
  }
}
