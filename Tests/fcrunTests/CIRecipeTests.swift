import Foundation
import TestSupport
import Testing
import Yams

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What stands in docs/ci.md: the pipelines, and the scripts in them as each system would run them.
struct Pipelines {
  private let files: [[String: Any]]

  init() throws {
    files = try Page("docs/ci.md").blocks("yaml").map { text in
      guard let file = try Yams.load(yaml: text) as? [String: Any] else { throw Unmet("not a mapping:\n\(text)") }
      return file
    }
    guard files.count == 5 else { throw Unmet("docs/ci.md has \(files.count) pipelines") }
  }

  /// The names of a pipeline's jobs or steps, one list for each file.
  var names: [[String]] {
    files.map { file in
      if let steps = file["steps"] as? [[String: Any]] { return steps.compactMap { $0["label"] as? String } }
      let jobs = file["jobs"] as? [String: Any] ?? file
      return jobs.filter { !$0.key.hasPrefix(".") && $0.value is [String: Any] }.keys.sorted()
    }
  }

  /// Every job has an end that the system sees to.
  var timeouts: [Bool] {
    files.flatMap { file -> [[String: Any]] in
      if let steps = file["steps"] as? [[String: Any]] { return steps.filter { $0["command"] != nil } }
      let jobs = file["jobs"] as? [String: Any] ?? file
      return jobs.filter { !$0.key.hasPrefix(".") && $0.key != "mark" }.compactMap { $0.value as? [String: Any] }
    }.map { $0["timeout-minutes"] != nil || $0["timeout"] != nil || $0["timeout_in_minutes"] != nil }
  }

  // MARK: Scripts

  /// The step of GitHub Actions that says `word`.
  func github(_ job: String, _ word: String) throws -> String {
    let jobs = files[0]["jobs"] as? [String: [String: Any]]
    let steps = jobs?[job]?["steps"] as? [[String: Any]] ?? []
    return try found(steps.compactMap { $0["run"] as? String }.first { $0.contains(word) }, word)
  }

  /// The lines of a job of GitLab, with lists in them laid flat.
  func gitlab(_ job: String) throws -> [String] {
    let script = (files[2][job] as? [String: Any])?["script"] as? [Any]
    return try found(script, job).flatMap { $0 as? [String] ?? [$0 as? String].compactMap { $0 } }
  }

  /// The command of a step of Buildkite, as the agent uploads it.
  func buildkite(_ label: String) throws -> String {
    let steps = files[3]["steps"] as? [[String: Any]] ?? []
    let step = steps.first { $0["label"] as? String == label }
    return try found(step?["command"] as? String, label).replacing("$$", with: "$")
  }

  private func found<Value>(_ value: Value?, _ what: String) throws -> Value {
    guard let value else { throw Unmet("docs/ci.md has no \(what)") }
    return value
  }
}

/// A CI system: how it runs the job step of docs/ci.md, and how it ends it.
struct CISystem: Sendable, CustomTestStringConvertible {
  var name: String
  /// Seconds before each signal; the last one is SIGKILL of everything.
  var signals: [(signal: Int32, after: Double)]
  /// Whom the signals reach: the shell of the step, or its process group.
  var isToGroup: Bool
  /// False where the shell of the step stays, and is what ends.
  var becomesFcrun: Bool
  /// The step as a program with arguments.
  var step: @Sendable (Pipelines) throws -> [String]
  var testDescription: String { name }

  // docs.github.com, workflow cancellation reference; gitlab-runner !3906; buildkite.com, agent lifecycle.
  static let all = [
    CISystem(
      name: "GitHub Actions", signals: [(SIGINT, 0), (SIGTERM, 7.5), (SIGKILL, 2.5)], isToGroup: false,
      becomesFcrun: true, step: { ["bash", "-e", "-c", try $0.github("train", "fcrun submit")] }),
    // The runner makes one word of all lines and evaluates it behind a pipe.
    CISystem(
      name: "GitLab CI", signals: [(SIGTERM, 0), (SIGKILL, 10)], isToGroup: true, becomesFcrun: false,
      step: {
        let lines = try $0.gitlab("train").joined(separator: "\n").replacing("'", with: #"'\''"#)
        return ["bash", "-c", "set -eo pipefail; set +o noclobber; : | eval '\(lines)'; exit 0"]
      }),
    CISystem(
      name: "Buildkite", signals: [(SIGTERM, 0), (SIGKILL, 10)], isToGroup: true, becomesFcrun: true,
      step: { ["bash", "-e", "-c", "trap 'kill -- $$' INT TERM QUIT; " + (try $0.buildkite("train"))] }),
  ]

  /// Starts the step on a runner where the archive holds the fcrun under test.
  func start(on bench: Bench) throws -> ChildProcess {
    let fcrun = "#!/bin/sh\nexec '\(Binaries.fcrun)' \"$@\"\n"
    try bench.write("bin/fcrun", fcrun, mode: 0o755)
    try bench.write("archive/usr/local/bin/fcrun", fcrun, mode: 0o755)
    try bench.write("bin/curl", "#!/bin/sh\nexec tar -cz -C archive .\n", mode: 0o755)
    let key = bench.environment["FCRUN_SSH_KEY"].flatMap { try? String(contentsOfFile: $0, encoding: .utf8) }
    let environment = [
      "PATH": "\(bench.work)/bin:/usr/local/bin:/usr/bin:/bin", "RUNNER_TEMP": bench.folder, "SSH_KEY": key ?? "",
      "CI_PIPELINE_ID": "1234567890", "BUILDKITE_BUILD_ID": "0193f2a4-5b6c-7d8e-9f01-23456789abcd",
      "FCRUN_ARCHIVE": "https://storage.example.com/fcrun.tar.gz",
    ]
    let inGroup = ["-e", "setpgrp(0, 0); exec @ARGV"]
    return try bench.start(program: "/usr/bin/perl", inGroup + (try step(Pipelines())), env: environment)
  }

  /// Ends it as the system does, by the system's own clock.
  func cancel(_ step: ChildProcess) async throws {
    for (signal, after) in signals {
      if after > 0 {
        _ = try? await eventually("all have ended", within: after) { isOver(step) ? true : nil }
      }
      if isToGroup || signal == SIGKILL { kill(-step.pid, signal) } else { step.signal(signal) }
    }
  }

  private func isOver(_ step: ChildProcess) -> Bool { !step.isRunning && kill(-step.pid, 0) != 0 }
}

/// The recipes of docs/ci.md: what is copied from there must work.
struct CIRecipeTests {
  @Test("The pipelines are YAML with the jobs that they should have, and each job has a timeout")
  func pipelines() throws {
    let pipelines = try Pipelines()
    #expect(
      pipelines.names == [
        ["give-back", "mark", "train"], ["reap"], ["give-back", "reap", "train"], ["train", "give back"], ["reap"],
      ])
    #expect(pipelines.timeouts.allSatisfy { $0 } && pipelines.timeouts.count >= 9)
  }

  @Test("The mark that the pipelines make is one that FCRUN_OWNER takes, and another for the next run", .faults(111))
  func marks() async throws {
    let pipelines = try Pipelines()
    let github = try pipelines.github("mark", "awk")
    let gitlab = try pipelines.gitlab("give-back")[0] + "\necho $FCRUN_OWNER"
    let exported = try pipelines.buildkite("give back").split(separator: "\n").prefix(2).joined(separator: "\n")
    let numbers = ["17", "18", "12345678901", "99999999999"]
    let ids = ["0123abcd", "0123abce", "00000000", "ffffffff"].map { "0193f2a4-5b6c-7d8e-9f01-2345\($0)" }
    try await Bench.offline { bench in
      try await check(bench, github + "\ncat \"$GITHUB_OUTPUT\"", "GITHUB_RUN_ID", numbers)
      try await check(bench, gitlab, "CI_PIPELINE_ID", numbers)
      try await check(bench, exported + "\necho $FCRUN_OWNER", "BUILDKITE_BUILD_ID", ids)
    }
  }

  private func check(_ bench: Bench, _ script: String, _ variable: String, _ runs: [String]) async throws {
    var marks: Set<String> = []
    for run in runs {
      let made = try await bench.shell(script, env: [variable: run, "GITHUB_OUTPUT": "output-\(run)"])
      let mark = made.out.replacing("owner=", with: "").trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(mark.count == 6, "\(variable): \(made.err)")
      #expect(try await bench.fcrun("ps", env: ["FCRUN_OWNER": mark]).code == 0, "\(mark)")
      marks.insert(mark)
    }
    #expect(marks.count == runs.count)
  }

  @Test("Every command of the page runs", .enabled(if: Binaries.canBoot, "no sshd"), .faults(111))
  func commands() async throws {
    let commands = try Page("docs/ci.md").commands
    #expect(commands == ["reap", "reap --owner any", "submit job.json"])
    try await Bench.run { bench in
      try bench.spec(["command": "true"])
      for command in commands.sorted() {
        let ended = try await bench.start(command.split(separator: " ").map(String.init)).end()
        #expect(ended.code == 0, "fcrun \(command): \(ended.err)")
      }
    }
  }

  @Test(
    "The job step ends with the job's own exit code, and with its output", .enabled(if: Binaries.canBoot, "no sshd"),
    arguments: CISystem.all)
  func step(_ system: CISystem) async throws {
    try await Bench.run { bench in
      try bench.spec(["command": "echo trained; exit 7"])
      let ended = try await system.start(on: bench).end()
      #expect(ended.code == 7 && ended.out == "trained\n", "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}
