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
}
