import Foundation
import TestSupport
import Testing

/// What people write, and what the command line lays over it, through the built program.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct SpecTests {
  private static let yaml = """
    # What a person would write.
    resources: &machine
      max_hourly_price: "30.00"
    envs:
      FROM_SPEC: &word spec
      OVER: *word
    command: |
      printf '%s %s %s %s %s\\n' "$FROM_SPEC" "$OVER" "$FROM_FILE" "$FROM_OPTION" "$LOCAL"
      mkdir out && echo "it's done" > out/result.txt
    outputs: [out]
    limits: {max_duration: 10m}
    """

  @Test("A job in YAML runs as one in JSON, with the nearest value of each variable, and is kept as it was written")
  func yaml() async throws {
    try await Bench.run { bench in
      try bench.write("train.yaml", Self.yaml)
      try bench.write("vars.env", "export OVER='the file'\nFROM_FILE=\"a b\"\nFROM_OPTION=file\n")
      let ended = try await bench.fcrun(
        "submit", "train.yaml", "--env-file", "vars.env", "--env", "FROM_OPTION=option", "--env", "LOCAL",
        env: ["LOCAL": "here"])
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.out == "spec the file a b option here\n")
      #expect(bench.text("out/result.txt") == "it's done\n")
      #expect(try await bench.show()["name"].text == "train")
      let kept = FileManager.default.contents(atPath: "\(bench.home)/jobs/\(try await bench.job())/spec.yaml")
      #expect(kept == Data(Self.yaml.utf8))
    }
  }

  @Test("validate, plan and submit judge YAML with places, beside those of env files and options; nothing is created")
  func problems() async throws {
    try await Bench.offline { bench in
      try bench.write("job.yml", "resources:\n  max_hourly_price: 24.50\ncommand: x\noutputs: [*.csv]\n")
      try bench.write("bad.env", "A=1\n2=x\n")
      try bench.write("good.env", "MISSING_HERE\n")
      for verb in ["validate", "plan", "submit"] {
        let ended = try await bench.fcrun(
          verb, "job.yml", "--env-file", "good.env", "--env", "ALSO_MISSING", "--set", "nodes=0")
        #expect(ended.code == 64)
        #expect(
          ended.err.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1)[0] } == [
            "job.yml:2:21:", "job.yml:4:11:", "good.env:1:1:", "--set:1:7:", "--env:1:1:",
          ], "\(ended.err)")
        #expect(ended.out.isEmpty)
      }
      let bad = try await bench.fcrun("validate", "job.yml", "--env-file", "bad.env")
      #expect(bad.err.hasPrefix("bad.env:2:1: env: \"2\" cannot be a variable's name"), "\(bad.err)")
      let none = try await bench.fcrun("validate", "job.yml", "--env-file", "no.env")
      #expect(none.code == 64 && none.err.hasPrefix("fcrun: no.env: cannot be read: No such file"), "\(none.err)")
      let bare = try await bench.fcrun("validate", "job.yml", "--set", "nodes")
      #expect(bare.code == 64 && bare.err.contains("--set nodes: expected path=value"), "\(bare.err)")
    }
  }

  // MARK: Without a file

  @Test("run uploads this folder without what is ignored, runs an argv word for word, and fetches its outputs here")
  func runWithoutAFile() async throws {
    try await Bench.run { bench in
      try bench.write(".gitignore", "data/\nout/\n")
      try bench.write("data/large.bin", "no")
      try bench.write(".git/HEAD", "no")
      try bench.write("lib/a.txt", "a file")
      try bench.write(
        "train.sh", "mkdir -p out; { printf '[%s]' \"$@\"; ls -A; cat lib/a.txt; } > out/seen; echo $MORE; exit 3\n")
      let ended = try await bench.fcrun(
        "run", "--max-hourly-price", "30", "--max-duration", "10m", "--upload", ".", "--output", "out:results",
        "--env", "MORE=more", "--", "sh", "train.sh", "--lr", "$HOME", "a b", "")
      #expect(ended.code == 3, "\(ended.err)")
      #expect(ended.out == "more\n")
      #expect(bench.text("results/seen") == "[--lr][$HOME][a b][].gitignore\nlib\nout\ntrain.sh\na file")
      #expect(try await bench.show()["name"].text == "train")
      #expect(try bench.cloud.ledger().live == 0)
      let script = try await bench.fcrun(
        "run", "--max-hourly-price", "30", "--name", "shell", "--", "echo a && echo b >&2")
      #expect(script.code == 0 && script.out == "a\n", "\(script.err)")
      #expect(try await bench.show()["name"].text == "shell")
    }
  }

  @Test("run without a machine: mistakes name the option, --dry-run creates nothing")
  func runIsJudgedAsAFile() async throws {
    try await Bench.run { bench in
      let wrong = try await bench.fcrun(
        "run", "--gpu", "H100:8", "--max-duration", "soon", "--upload", "nothere", "--secret", "NOT_SET", "--set",
        "nodes=0",
        "--", "x")
      #expect(wrong.code == 64)
      #expect(
        wrong.err.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1)[0] } == [
          "--max-duration:1:1:", "--secret:1:1:", "--set:1:7:",
        ], "\(wrong.err)")
      let missing = try await bench.fcrun("run", "--vcpus", "1", "--upload", "nothere", "--", "x")
      #expect(
        missing.err.hasPrefix("--upload:1:1: files[0]: ") && missing.err.contains("does not exist"), "\(missing.err)")
      let empty = try await bench.fcrun("run", "--vcpus", "1")
      #expect(empty.code == 64 && empty.err.contains("there is no command"), "\(empty.err)")
      let plan = try await bench.fcrun("run", "--gpu", "A100:1", "--dry-run", "--json", "--", "x")
      #expect(plan.code == 0 && !plan.json["candidates"].items.isEmpty, "\(plan.err)")
      #expect(try bench.cloud.requests().allSatisfy { $0.method == "GET" })
    }
  }

  // MARK: Defaults and profiles

  @Test("A profile of the config file fills in what the job leaves out; mistakes have their place in that file")
  func profiles() async throws {
    try await Bench.run { bench in
      let config = """
        {"defaults": {"limits": {"max_duration": "10m"}, "envs": {"FROM": "defaults"}},
         "profiles": {"cheap": {"resources": {"max_hourly_price": "30.00"}, "envs": {"FROM": "profile", "MORE": "yes"}},
          "bad": {"nods": 1}}}
        """
      try bench.write("xdg/fcrun/config.json", config)
      try bench.write("job.yaml", "command: echo $FROM $MORE $OWN\nenvs: {OWN: job}\n")
      let xdg = ["XDG_CONFIG_HOME": bench.work + "/xdg"]
      let submitted = try await bench.fcrun("submit", "job.yaml", "--profile", "cheap", env: xdg)
      #expect(submitted.code == 0 && submitted.out == "profile yes job\n", "\(submitted.err)")
      let ran = try await bench.fcrun("run", "--max-hourly-price", "30", "--", "echo $FROM", env: xdg)
      #expect(ran.code == 0 && ran.out == "defaults\n", "\(ran.err)")
      for verb in ["plan", "validate", "submit"] {
        let bad = try await bench.fcrun(verb, "job.yaml", "--profile", "bad", "--set", "resources.vcpus=1", env: xdg)
        #expect(
          bad.code == 64
            && bad.err.contains("xdg/fcrun/config.json:3:11: nods: unknown field; did you mean \"nodes\"?"),
          "\(bad.err)")
      }
      let none = try await bench.fcrun("validate", "job.yaml", "--profile", "cheap")
      #expect(
        none.code == 64 && none.err.contains("/.config/fcrun/config.json has no profile \"cheap\""), "\(none.err)")
      let missing = try await bench.fcrun("validate", "job.yaml", env: ["FCRUN_CONFIG": "nothere.json"])
      #expect(missing.code == 64 && missing.err.contains("nothere.json: cannot be read"), "\(missing.err)")
    }
  }
}
