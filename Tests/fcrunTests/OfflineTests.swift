import Foundation
import TestSupport
import Testing

/// What works without any network: the base URL is a port where nobody listens.
struct OfflineTests {
  @Test("validate takes a right spec and says so")
  func validSpec() async throws {
    try await Bench.offline { bench in
      let spec = try bench.spec(["command": "true"])
      let ended = try await bench.fcrun("validate", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.out.contains("valid"))
      #expect(try await bench.fcrun("validate", spec, "--json").json["valid"].bool == true)
    }
  }

  @Test("Too few descriptors are named, not taken for another fcrun", arguments: [10, 16, 40])
  func tooFewDescriptors(_ limit: Int) async throws {
    try await Bench.offline { bench in
      let ended = try await bench.shell("ulimit -n \(limit); exec \"$FCRUN\" resume --all")
      #expect(ended.code == 78, "\(ended.err)")
      #expect(ended.err.contains("\(limit) files") && ended.err.contains("ulimit -n"), "\(ended.err)")
    }
  }

  @Test("A database that is gone beside its jobs is told by resume --all, reap and doctor")
  func databaseIsGone() async throws {
    try await Bench.offline { bench in
      try FileManager.default.createDirectory(
        atPath: bench.home + "/jobs/aaaaaaaabbbbbbbb", withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
      let resumed = try await bench.fcrun("resume", "--all")
      #expect(resumed.code == 0)
      #expect(resumed.err.contains("fcrun reap aaaaaaaabbbbbbbb"), "\(resumed.err)")
      #expect(try await bench.fcrun("reap").err.contains("aaaaaaaabbbbbbbb"))
      #expect(try await bench.fcrun("doctor").out.contains("does not know 1 of the jobs"))
    }
  }

  @Test("validate tells all errors at once, each with its place, path and the nearest known name, and exits 64")
  func allErrorsAtOnce() async throws {
    try await Bench.offline { bench in
      try bench.write(
        "bad.json",
        """
        {
          "comand": "true",
          "resources": {"gpu_typ": "H100", "num_gpus": "eight", "max_hourly_price": "a lot"},
          "limits": {"max_duration": "6 hours", "max_cost": 1e3},
          "teardown": "sometimes",
          "nodes": 0
        }
        """)
      let ended = try await bench.fcrun("validate", "bad.json")
      #expect(ended.code == 64)
      #expect(ended.out.isEmpty)
      for words in [
        "bad.json:2:3: comand", "did you mean \"command\"?", "bad.json:3:", "resources.gpu_typ", "gpu_type",
        "resources.num_gpus",
        "resources.max_hourly_price", "bad.json:4:", "limits.max_duration", "bad.json:5:", "teardown", "bad.json:6:",
        "nodes",
      ] { #expect(ended.err.contains(words), "\(words) is not in\n\(ended.err)") }
      let lines = ended.err.split(separator: "\n")
      #expect(lines.count >= 7, "\(ended.err)")
      for line in lines { #expect(line.hasPrefix("bad.json:"), "\(line)") }
    }
  }

  @Test("validate --json gives the problems as a document")
  func problemsAsJSON() async throws {
    try await Bench.offline { bench in
      try bench.write("bad.json", #"{"command": 5}"#)
      let ended = try await bench.fcrun("validate", "bad.json", "--json")
      #expect(ended.code == 64)
      let document = JSONTree(ended.stdout.isEmpty ? ended.stderr : ended.stdout)
      #expect(document["problems"].items.isEmpty == false)
    }
  }

  struct Wrong: Sendable, CustomTestStringConvertible {
    var name: String
    var text: String
    var says: String
    var testDescription: String { name }
  }

  static let wrongs = [
    Wrong(name: "no command", text: #"{"resources": {"num_gpus": 1}}"#, says: "command"),
    Wrong(name: "no resources", text: #"{"command": "true"}"#, says: "resources"),
    Wrong(name: "a key twice", text: #"{"command": "a", "command": "b", "resources": {"num_gpus": 1}}"#, says: "1:18"),
    Wrong(name: "not JSON", text: "{\n  \"command\": \n}", says: "bad.json:3:1"),
    Wrong(name: "an empty file", text: "", says: "bad.json:1:1"),
    Wrong(name: "a list", text: "[]", says: "object"),
    Wrong(
      name: "a local variable that is not set",
      text: #"{"command": "a", "envs": {"NOT_SET_HERE": null}, "resources": {"num_gpus": 1}}"#, says: "NOT_SET_HERE"),
    Wrong(
      name: "a secret that is not set",
      text: #"{"command": "a", "secrets": ["NOT_SET_HERE"], "resources": {"num_gpus": 1}}"#, says: "NOT_SET_HERE"),
    Wrong(
      name: "a file that is not there", text: #"{"command": "a", "files": ["nothing"], "resources": {"num_gpus": 1}}"#,
      says: "nothing"),
    Wrong(
      name: "an output outside",
      text: #"{"command": "a", "outputs": [{"source": "a", "destination": "../b"}], "resources": {"num_gpus": 1}}"#,
      says: "outputs[0]"),
    Wrong(
      name: "a name with capitals", text: #"{"command": "a", "name": "Big", "resources": {"num_gpus": 1}}"#,
      says: "name"),
    Wrong(
      name: "notify is not there yet",
      text: #"{"command": "a", "notify": [{"on": "end", "command": "x"}], "resources": {"num_gpus": 1}}"#,
      says: "notify"),
  ]

  @Test("A spec that cannot be run is 64 with its place", arguments: wrongs)
  func wrongSpec(_ wrong: Wrong) async throws {
    try await Bench.offline { bench in
      try bench.write("bad.json", wrong.text)
      for command in ["validate", "submit"] {
        let ended = try await bench.fcrun(command, "bad.json")
        #expect(ended.code == 64, "\(command): \(ended.err)")
        #expect(ended.err.contains(wrong.says), "\(command): \(ended.err)")
      }
    }
  }

  @Test("A symlink that leaves the tree is refused before anything is spent", .faults(117))
  func symlinkOutside() async throws {
    try await Bench.offline { bench in
      try bench.write("tree/file", "x")
      try FileManager.default.createSymbolicLink(
        atPath: bench.work + "/tree/out", withDestinationPath: "/etc/passwd")
      let ended = try await bench.fcrun("validate", try bench.spec(["command": "true", "files": ["tree"]]))
      #expect(ended.code == 64, "\(ended.err)")
      #expect(ended.err.contains("tree/out"), "\(ended.err)")
    }
  }

  @Test("--env and --set lay over the spec")
  func overrides() async throws {
    try await Bench.offline { bench in
      let spec = try bench.spec(["command": "true"])
      let good = try await bench.fcrun(
        "validate", spec, "--env", "A=b=c", "--set", "resources.num_gpus=8", "--set", "limits.max_duration=2h")
      #expect(good.code == 0, "\(good.err)")
      #expect(try await bench.fcrun("validate", spec, "--set", "resources.num_gpu=8").code == 64)
      #expect(try await bench.fcrun("validate", spec, "--env", "nonsense").code == 64)
    }
  }

  @Test("Bad usage is 64, help and version are 0")
  func usage() async throws {
    try await Bench.offline { (bench: Bench) async throws -> Void in
      #expect(try await bench.fcrun("nonsense").code == 64)
      #expect(try await bench.fcrun("submit").code == 64)
      #expect(try await bench.fcrun("submit", "no-such-file.json").code == 64)
      #expect(try await bench.fcrun("show", "no-such-job").code == 64)
      #expect(try await bench.fcrun("resume").code == 64)
      #expect(try await bench.fcrun("--help").code == 0)
      #expect(try await bench.fcrun("submit", "--help").code == 0)
      #expect(try await bench.fcrun("--version").out.contains("."))
    }
  }

  @Test("Without a key, or with a plain URL that is not loopback, it is 78 and nothing is sent", .faults(125))
  func notConfigured() async throws {
    try await Bench.offline { bench in
      let spec = try bench.spec(["command": "true"])
      let noKey = try await bench.fcrun("submit", spec, env: ["FORWARD_COMPUTE_API_KEY": ""])
      #expect(noKey.code == 78, "\(noKey.err)")
      #expect(noKey.err.contains("FORWARD_COMPUTE_API_KEY"))
      let plain = try await bench.fcrun("submit", spec, env: ["FORWARD_COMPUTE_BASE_URL": "http://192.0.2.1"])
      #expect(plain.code == 78, "\(plain.err)")
      #expect(plain.err.contains("https"))
    }
  }

  @Test("An API that cannot be reached is 125, and no job is left behind")
  func unreachable() async throws {
    try await Bench.offline { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]), within: 60)
      #expect(ended.code == 125, "\(ended.err)")
      #expect(try await bench.fcrun("ps", "-a", "-q").out.isEmpty)
    }
  }

  @Test("Lists are empty where no job has been")
  func emptyLists() async throws {
    try await Bench.offline { (bench: Bench) async throws -> Void in
      #expect(try await bench.fcrun("ps", "--json").json["data"].isArray)
      #expect(try await bench.fcrun("resume", "--all").code == 0)
    }
  }
}
