import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// `submit --local` and the specs that the repository ships.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct LocalCloudTests {
  private static let quick = ["FCRUN_SIM_BOOT_TIME": "0.3"]

  @Test("submit --local needs no account, and its cloud outlives a killed fcrun until the job is resumed")
  func localOutlivesFcrun() async throws {
    try await Bench.offline { bench in
      let spec = try bench.spec([
        "command":
          "echo run >> '\(bench.counter)'; echo 1; until [ -e '\(bench.folder)/go' ]; do sleep 0.1; done; "
          + "i=2; while [ $i -le 60 ]; do echo $i; i=$((i+1)); done; exit 3"
      ])
      let submit = try bench.start("submit", "--local", spec, env: Self.quick)
      try await eventually("the job has written", else: { submit.err }) {
        submit.stdout.isEmpty ? nil : true
      }
      await submit.destroy()
      let cloud = try #require(bench.localCloud)
      try bench.write("../go", "")
      let resumed = try await bench.fcrun("resume", "--all", env: Self.quick)
      #expect(resumed.code == 3, "\(resumed.err)")
      #expect(bench.localCloud == cloud, "the same cloud as before")
      #expect(bench.runs == 1)
      #expect(try await bench.log("stdout") == Data((1...60).map { "\($0)\n" }.joined().utf8))
    }
  }

  @Test("A killed local cloud is started again by the next submit --local")
  func killedLocalCloud() async throws {
    try await Bench.offline { bench in
      let spec = try bench.spec(["command": "echo hello"])
      #expect(try await bench.fcrun("submit", "--local", spec, env: Self.quick).out == "hello\n")
      let cloud = try #require(bench.localCloud)
      kill(cloud, SIGKILL)
      let again = try await bench.fcrun("submit", "--local", spec, env: Self.quick)
      #expect(again.code == 0, "\(again.err)")
      #expect(again.out == "hello\n")
      #expect(bench.localCloud != cloud)
    }
  }

  @Test("plan --local shows the local cloud's offerings")
  func localPlan() async throws {
    try await Bench.offline { bench in
      let plan = try await bench.fcrun("plan", "--local", try bench.spec(["command": "true"]), env: Self.quick)
      #expect(plan.code == 0, "\(plan.err)")
      #expect(plan.out.contains("spot_coff_"))
    }
  }

  @Test("Two simulators with the same seed leave each other's machines alone")
  func twoSimulators() async throws {
    try await Bench.run { bench in
      var clouds: [SimulatedCloud] = []
      do {
        for number in 0..<2 {
          let folder = "\(bench.folder)/twin-\(number)"
          try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
          clouds.append(
            try await SimulatedCloud([], bootTime: "0.2", folder: folder, environment: bench.environment, seed: 42))
        }
        try await checkTwins(bench, clouds[0], clouds[1])
      } catch {
        for cloud in clouds { await cloud.stop() }
        throw error
      }
      for cloud in clouds { await cloud.stop() }
    }
  }

  private func checkTwins(_ bench: Bench, _ first: SimulatedCloud, _ second: SimulatedCloud) async throws {
    let long = try bench.spec([
      "command": "echo begun; until [ -f '\(bench.folder)/go' ]; do sleep 0.05; done; echo end"
    ])
    let short = try bench.spec(["command": "true"], named: "short.json")
    let submit = try bench.start("submit", long, env: at(first))
    try await eventually("the job has begun", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
    let other = try await bench.fcrun("submit", short, env: at(second))
    #expect(other.code == 0, "\(other.err)")
    try Data().write(to: URL(filePath: bench.folder + "/go"))
    let ended = try await submit.end()
    #expect(ended.code == 0, "\(ended.err)")
    #expect(ended.out == "begun\nend\n")
  }

  private func at(_ cloud: SimulatedCloud) -> [String: String] {
    [
      "FORWARD_COMPUTE_BASE_URL": cloud.baseURL, "FORWARD_COMPUTE_API_KEY": cloud.token,
      "FCRUN_SSH_KEY": cloud.privateKey,
    ]
  }
}

/// Each spec of `jobs/`, run as its README says.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct ShippedSpecTests {
  /// How a spec of `jobs/` ends.
  private static let ends: [String: (code: Int32, out: String, outputs: [String])] = [
    "hello.json": (0, "Hello from hello, attempt 1.\n", []),
    "failing.json": (7, "about to fail\n", ["results/failing/logs/last.txt"]),
    "secrets.json": (0, "the token has 11 characters and shows as ***********\n", []),
    "train.json": (
      0, "epoch 20 of 20", ["results/train/checkpoints/epoch-20/weights.txt", "results/train/metrics.csv"]
    ),
    "volumes.json": (0, "file systems of a machine with the volume datasets:", []),
  ]

  private static let specs =
    ((try? FileManager.default.contentsOfDirectory(atPath: Binaries.repository + "/jobs")) ?? [])
    .filter { $0.hasSuffix(".json") && !ofEngines.contains($0) }.sorted()
  /// What they run on is not on every computer: EngineJobTests and make test-cluster run them.
  private static let ofEngines: Set = ["ddp.json", "fleet.json", "mpi.json", "ray.json"]

  private func copy(_ folder: String, to bench: Bench) throws {
    try FileManager.default.removeItem(atPath: bench.work)
    try FileManager.default.copyItem(atPath: Binaries.repository + "/" + folder, toPath: bench.work)
  }

  @Test("Every spec of jobs/ runs to its documented end", arguments: specs)
  func job(_ name: String) async throws {
    try await Bench.run { bench in
      try copy("jobs", to: bench)
      let expected = try #require(Self.ends[name], "a new spec needs its expected end here")
      #expect(try await bench.fcrun("validate", name, env: ["DEMO_TOKEN": "sesame-open"]).code == 0)
      let ended = try await bench.fcrun("submit", name, env: ["DEMO_TOKEN": "sesame-open"])
      #expect(ended.code == expected.code, "\(ended.err)")
      #expect(ended.out.contains(expected.out), "\(ended.out)")
      for output in expected.outputs { #expect(bench.read(output)?.isEmpty == false, "\(output)") }
      #expect(try bench.filesHolding("sesame-open").isEmpty)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("jobs/ has what the issue asks for")
  func jobsAreThere() {
    #expect(Set(Self.specs) == Set(Self.ends.keys))
  }
}
