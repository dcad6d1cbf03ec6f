import Foundation
import TestSupport
import Testing

/// The recipes of docs/reaper.md: what is copied from there must work.
@Suite struct ReaperRecipeTests {
  @Test("The systemd units are ones that systemd takes", .faults(111))
  func units() async throws {
    let units = try Page.reaper.blocks("ini")
    try #require(units.count == 3)
    let (service, timer, resume) = (units[0], units[1], units[2])
    #expect(service.contains("[Service]\nType=oneshot\n") && timer.contains("[Timer]\nOnCalendar="))
    try await Bench.offline { bench in
      let local = service.replacing("%h/.local/bin/fcrun", with: Binaries.fcrun)
      try bench.write("fcrun-reap.service", local)
      try bench.write("fcrun-reap.timer", timer)
      try bench.write("fcrun-resume.service", resume.replacing("%h/.local/bin/fcrun", with: Binaries.fcrun))
      let there = try await bench.shell("command -v systemd-analyze")
      guard there.code == 0 else { return }
      let verified = try await bench.shell(
        "systemd-analyze verify --man=no ./fcrun-reap.service ./fcrun-reap.timer ./fcrun-resume.service 2>&1")
      #expect(verified.code == 0 && verified.out.isEmpty, "\(verified.out)")
      let calendar = try await bench.shell("systemd-analyze calendar '*:0/15'")
      #expect(calendar.code == 0, "\(calendar.err)")
    }
  }

  @Test("The launchd job is a property list with a command that a shell can read")
  func launchd() async throws {
    let text = try #require(try Page.reaper.blocks("xml").first)
    let list = try PropertyListSerialization.propertyList(from: Data(text.utf8), format: nil)
    let job = try #require(list as? [String: Any])
    #expect(job["Label"] as? String == "fcrun.reap" && job["StartInterval"] as? Int == 900)
    let arguments = try #require(job["ProgramArguments"] as? [String])
    try await Bench.offline { bench in
      let read = try await bench.start(program: "/bin/sh", ["-n"] + arguments.dropFirst()).end()
      #expect(arguments.first == "/bin/sh" && read.code == 0, "\(read.err)")
    }
  }

  @Test("The CI files are YAML with the jobs that they should have")
  func pipelines() async throws {
    let files = try Page.reaper.blocks("yaml")
    try #require(files.count == 3)
    for file in files { #expect(!file.contains("\t") && !file.isEmpty) }
    try await Bench.offline { bench in
      for (number, file) in files.enumerated() { try bench.write("ci-\(number).yml", file) }
      guard try await bench.shell("python3 -c 'import yaml'").code == 0 else { return }
      let read = """
        import sys, yaml
        for path in sys.argv[1:]:
            document = yaml.safe_load(open(path))
            print(" ".join(sorted(document.get("jobs", document))))
        """
      let jobs = try await bench.start(
        program: "/usr/bin/env", ["python3", "-c", read] + files.indices.map { "ci-\($0).yml" }
      ).end()
      #expect(
        jobs.out == "reap\ngive-back mark train\n.mark give-back reap stages train\n", "\(jobs.out) \(jobs.err)")
    }
  }

  @Test("The mark that the pipelines make is one that FCRUN_OWNER takes, and another for the next run", .faults(111))
  func marks() async throws {
    let script = #"BEGIN { d = "0123456789abcdefghijklmnopqrstuvwxyz""#
    let files = try Page.reaper.blocks("yaml").filter { $0.contains(script) }
    try #require(files.count == 2)
    try await Bench.offline { bench in
      for file in files {
        let from = try #require(file.firstRange(of: script)).lowerBound
        let program = file[from...].prefix { $0 != "'" }
        var marks: Set<String> = []
        for run in [17, 18, 12_345_678_901, 99_999_999_999] {
          let made = try await bench.start(program: "/usr/bin/env", ["awk", "-v", "n=\(run)", String(program)]).end()
          let mark = made.out.replacing("owner=", with: "").trimmingCharacters(in: .whitespacesAndNewlines)
          #expect(try await bench.fcrun("ps", env: ["FCRUN_OWNER": mark]).code == 0, "\(mark): \(made.err)")
          marks.insert(mark)
        }
        #expect(marks.count == 4)
      }
    }
  }

  @Test("Every command of the page runs", .enabled(if: Binaries.canBoot, "no sshd"), .faults(111))
  func commands() async throws {
    let commands = try Page.reaper.commands
    #expect(commands.isSuperset(of: ["reap", "reap --owner any", "reap --dry-run", "submit job.json"]), "\(commands)")
    try await Bench.run { bench in
      try bench.spec(["command": "true"])
      for command in commands.sorted() {
        let ended = try await bench.start(command.split(separator: " ").map(String.init)).end()
        #expect(ended.code == 0, "fcrun \(command): \(ended.err)")
      }
    }
  }
}

/// A page of the documentation.
private struct Page {
  let text: String

  static var reaper: Page {
    get throws {
      let path = #filePath.replacing(#/Tests/fcrunTests/[^/]*$/#, with: "docs/reaper.md")
      return Page(text: try String(contentsOfFile: path, encoding: .utf8))
    }
  }

  /// The code blocks of one language.
  func blocks(_ language: String) throws -> [String] {
    text.components(separatedBy: "\n```\(language)\n").dropFirst().compactMap {
      $0.components(separatedBy: "\n```").first.map { $0 + "\n" }
    }
  }

  /// What fcrun is called with in the code blocks.
  var commands: Set<String> {
    get throws {
      let code = try ["sh", "ini", "xml", "yaml"].flatMap(blocks).joined()
      let call = #/fcrun"? ((?:reap|submit|resume|cancel|ps|doctor)(?: [-a-z][-a-z0-9._]*)*)/#
      return Set(code.matches(of: call).map { String($0.1) })
    }
  }
}
