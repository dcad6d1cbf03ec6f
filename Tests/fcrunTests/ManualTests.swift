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

  @Test(
    "bash, zsh and fish complete places for cp: JOB: of what runs, and paths here",
    .enabled(if: Binaries.canBoot, "no sshd"))
  func places() async throws {
    try await Bench.run { bench in
      try bench.write("script", try await bench.fcrun("completion", "bash").out)
      try bench.write("data/points.csv", "1")
      let submit = try bench.start("submit", try bench.spec(["command": "sleep 100", "name": "finetune"]))
      try await submit.says("running")
      let id = try await bench.job()
      #expect(try await offers(bench, "fcrun", "cp", "finet") == ["finetune:"])
      #expect(try await offers(bench, "fcrun", "cp", String(id.dropLast(2))) == [Substring(id + ":")])
      #expect(try await offers(bench, "fcrun", "cp", "finetune:x", "da") == ["data/"])
      #expect(try await offers(bench, "fcrun", "cp", "data/po") == ["data/points.csv"])
      for (shell, place) in [("bash", "finetune:"), ("zsh", "finetune\\:"), ("fish", "finetune:")] {
        let answer = try await bench.start(
          ["---completion", "cp", "--", "positional@0", "2", "0", "fcrun", "cp", ""], env: ["SAP_SHELL": shell]
        ).end()
        #expect(answer.out.split(separator: "\n").contains(Substring(place)), "\(shell): \(answer.out) \(answer.err)")
      }
      submit.signal(2)
      #expect(try await submit.end().code == 130)
      #expect(try await offers(bench, "fcrun", "cp", "finet").isEmpty, "its machine is gone")
      #expect(try await bench.fcrun("completion", "zsh").out.contains("places -S ''"))
    }
  }

  /// What bash offers for the last of these words.
  private func offers(_ bench: Bench, _ words: String...) async throws -> [Substring] {
    let line = words.joined(separator: " ")
    let ask = """
      mkdir -p bin; ln -sf "$FCRUN" bin/fcrun; PATH=$PWD/bin:$PATH; . ./script
      f=$(complete -p fcrun | sed "s/.*-F \\([^ ]*\\) .*/\\1/")
      COMP_WORDS=(\(line)\(words.last == "" ? "''" : "")); COMP_CWORD=\(words.count - 1)
      COMP_LINE="\(line)"; COMP_POINT=\(line.count)
      $f fcrun "\(words[words.count - 1])" "\(words[words.count - 2])"; printf '%s\\n' "${COMPREPLY[@]}"
      """
    try bench.write("ask", ask)
    let asked = try await bench.shell("bash ./ask")
    #expect(asked.code == 0, "\(asked.err)")
    return asked.out.split(separator: "\n")
  }

  @Test("bash completes commands, options, templates and job files")
  func completesInBash() async throws {
    try await Bench.offline { bench in
      try bench.write("script", try await bench.fcrun("completion", "bash").out)
      try bench.write("train.yaml", "")
      #expect(try await offers(bench, "fcrun", "sub") == ["submit"])
      #expect(try await offers(bench, "fcrun", "submit", "--de") == ["--detach"])
      #expect(try await offers(bench, "fcrun", "init", "--template", "torch") == ["torchrun"])
      #expect(try await offers(bench, "fcrun", "submit", "tra") == ["train.yaml"])
      // Nobody answers: nothing is offered, and nobody waits.
      let asked = ContinuousClock.now
      #expect(try await offers(bench, "fcrun", "offerings", "show", "spot") == [])
      #expect(ContinuousClock.now - asked < .seconds(10))
    }
  }

  /// A shell that a person types into, how it is told of the script, and what it says when it is ready.
  struct Interactive: Sendable, CustomTestStringConvertible {
    let shell: String
    let arguments: [String]
    let script: String
    let setUp: String

    var testDescription: String { shell }

    static let all = [
      Interactive(
        shell: "zsh", arguments: ["-f", "-i"], script: "completions/_fcrun",
        setUp:
          "PATH=$PWD/bin:$PATH; fpath=($PWD/completions $fpath); autoload -U compinit; compinit -u -D; echo rea''dy"),
      Interactive(
        shell: "fish", arguments: ["-N", "-i"], script: "completions/fcrun.fish",
        setUp: "set PATH $PWD/bin $PATH; source completions/fcrun.fish; echo rea''dy"),
    ]

    /// In CI a shell that is missing is a failure.
    static let here = ProcessInfo.processInfo.environment["CI"] == nil ? all.filter { $0.path != nil } : all

    var path: String? {
      ["/bin", "/usr/bin", "/usr/local/bin"].map { "\($0)/\(shell)" }.first { access($0, X_OK) == 0 }
    }
  }

  @Test(
    "zsh and fish complete the same for who types", .enabled(if: !Interactive.here.isEmpty, "neither is installed"),
    arguments: Interactive.here)
  func completesForWhoTypes(_ shell: Interactive) async throws {
    try await Bench.offline { bench in
      try bench.write(shell.script, try await bench.fcrun("completion", shell.shell).out)
      #expect(try await bench.shell("mkdir bin && ln -s \"$FCRUN\" bin/fcrun").code == 0)
      let terminal = try bench.onTerminal(program: try #require(shell.path), shell.arguments)
      terminal.type(shell.setUp + "\n")
      try await terminal.shows("ready")
      for (typed, completed) in [
        ("fcrun sub", "mit"), ("fcrun submit --deta", "ch"), ("fcrun init --template torch", "run"),
      ] {
        let before = terminal.output.count
        terminal.type(typed + "\t")
        try await eventually("\(typed) is completed", within: 60, else: { terminal.text }) {
          String(decoding: terminal.output.dropFirst(before), as: UTF8.self).contains(completed) ? true : nil
        }
        terminal.type("\u{15}")
      }
      terminal.type("exit\n")
      #expect(try await terminal.end() == 0)
    }
  }

  @Test("bash completes ids and names of jobs, and ids of offerings", .enabled(if: Binaries.canBoot, "no sshd"))
  func completesWhatThereIs() async throws {
    try await Bench.run { bench in
      try bench.write("script", try await bench.fcrun("completion", "bash").out)
      let submitted = try await bench.fcrun("submit", try bench.spec(["command": "true", "name": "finetune"]))
      #expect(submitted.code == 0, "\(submitted.err)")
      let id = try await bench.job()
      for command in ["show", "logs", "wait", "attach", "cancel", "resume", "ssh", "fetch", "port", "top", "reap"] {
        #expect(try await offers(bench, "fcrun", command, String(id.dropLast(2))) == [Substring(id)], "\(command)")
      }
      #expect(try await offers(bench, "fcrun", "logs", "finet") == ["finetune"])
      #expect(
        try await bench.fcrun("submit", try bench.spec(["command": "true", "name": "grid"]), "--array", "0").code == 0)
      #expect(try await offers(bench, "fcrun", "results", "gri") == ["grid"])
      #expect(try await offers(bench, "fcrun", "results", "finet") == [])
      #expect(Set(try await offers(bench, "fcrun", "logs", "gri")) == ["grid", "grid-0"])
      // A computer with much to do may need longer than somebody would wait.
      let ids = try await eventually("an offering is offered") {
        let ids = try await offers(bench, "fcrun", "offerings", "show", "spot_coff")
        return ids.isEmpty ? nil : ids
      }
      #expect(ids.allSatisfy { $0.hasPrefix("spot_coff") }, "\(ids)")
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
