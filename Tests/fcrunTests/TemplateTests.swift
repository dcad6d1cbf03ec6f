import Foundation
import TestSupport
import Testing

/// What `fcrun init` writes, and that each template runs to its end on a computer without a GPU.
struct TemplateTests {
  private static let folder = Binaries.repository + "/templates"
  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
    .filter { $0 != "README.md" }.sorted()

  /// The files of a template, `job.yaml` first.
  private static func files(of name: String) throws -> [String] {
    let all = try FileManager.default.subpathsOfDirectory(atPath: folder + "/" + name).sorted()
    var isFolder: ObjCBool = false
    return all.filter {
      FileManager.default.fileExists(atPath: "\(folder)/\(name)/\($0)", isDirectory: &isFolder) && !isFolder.boolValue
    }.sorted { ($0 == "job.yaml" ? 0 : 1, $0) < ($1 == "job.yaml" ? 0 : 1, $1) }
  }

  private static func text(_ name: String, _ file: String) throws -> String {
    try String(contentsOfFile: "\(folder)/\(name)/\(file)", encoding: .utf8)
  }

  /// A source file that holds `templates/`: an installed program has no folder beside it.
  private static func source() throws -> String {
    let templates = try names.map { name in
      let files = try files(of: name).map { file in
        let text = try text(name, file)
        return "      .init(\n        path: \"\(file)\",\n        text: ####\"\"\"\n\(text)\n\"\"\"####),\n"
      }
      return "    Template(\n      name: \"\(name)\",\n      files: [\n\(files.joined())    ]),\n"
    }
    return """
      // Written from templates/ by a test (FCRUN_UPDATE_DOCS=1 swift test --filter theTemplatesInTheProgram): change those, not this.
      // swift-format-ignore-file

      /// The folders of `templates/`, so that an installed program has them.
      enum EmbeddedTemplates {
        static let all: [Template] = [
      \(templates.joined())  ]
      }

      """
  }

  @Test func theTemplatesInTheProgramAreThoseInTheirFolder() throws {
    let path = Binaries.repository + "/Sources/fcrun/EmbeddedTemplates.swift"
    let source = try Self.source()
    if ProcessInfo.processInfo.environment["FCRUN_UPDATE_DOCS"] != nil {
      try Data(source.utf8).write(to: URL(filePath: path))
    }
    #expect(
      FileManager.default.contents(atPath: path) == Data(source.utf8),
      "Sources/fcrun/EmbeddedTemplates.swift is stale: FCRUN_UPDATE_DOCS=1 swift test --filter theTemplatesInTheProgram"
    )
  }

  @Test func whatIsWrittenIsTheTemplateByteForByte() async throws {
    try await Bench.offline { bench in
      for name in Self.names {
        let ended = try await bench.fcrun("init", "--template", name, "new/" + name)
        #expect(ended.code == 0, "\(ended.err)")
        let files = try Self.files(of: name)
        #expect(ended.out == files.map { "new/\(name)/\($0)\n" }.joined())
        #expect(ended.err.contains("fcrun plan new/\(name)/job.yaml"))
        for file in files {
          #expect(bench.text("new/\(name)/\(file)") == (try Self.text(name, file)), "\(name)/\(file)")
        }
        #expect(try await bench.fcrun("validate", "new/\(name)/job.yaml").code == 0)
      }
    }
  }

  @Test func nothingIsOverwrittenAndWrongNamesAreTold() async throws {
    try await Bench.offline { bench in
      try bench.write("train.py", "mine")
      let refused = try await bench.fcrun("init")
      #expect(
        refused.code == 64 && refused.err.contains("train.py is there already; nothing was written"), "\(refused.err)")
      #expect(bench.text("train.py") == "mine" && bench.text("job.yaml") == nil)
      let unknown = try await bench.fcrun("init", "--template", "trainig", "x")
      #expect(unknown.code == 64 && unknown.err.contains("did you mean training?"), "\(unknown.err)")
      let far = try await bench.fcrun("init", "--template", "xylophone", "x")
      #expect(far.err.contains("expected one of \(Self.names.joined(separator: ", "))"), "\(far.err)")
      #expect(bench.read("x") == nil)
      let list = try await bench.fcrun("init", "--list")
      for name in Self.names { #expect(list.out.contains(name)) }
      #expect(try await bench.fcrun("init", "--list", "--json").json["data"].items.count == Self.names.count)
      let here = try await bench.fcrun("init", "--json", "here")
      #expect(here.json["template"].text == "training" && here.json["job"].text == "here/job.yaml")
    }
  }

  /// How a template ends on a computer without a GPU, what it says, and what comes back.
  private static let ends: [String: (options: [String], code: Int32, out: String, outputs: [String])] = [
    "training": (["--env", "EPOCHS=2"], 0, "epoch 2 loss", ["checkpoints/epoch-1.json", "checkpoints/epoch-2.json"]),
    "torchrun": ([], 0, "rank 7 of 8: the sum over all ranks is 36\n", ["checkpoints/last.json"]),
    "lora": (["--env", "STEPS=1"], 0, "on 3 examples, 1 steps\n", ["adapter/run.json"]),
    "batch": ([], 0, "done: first.txt\ndone: second.txt\n", ["outputs/first.json", "outputs/second.json"]),
    "ci-smoke": ([], 0, "smoke test passed\n", ["report.txt"]),
    // What the tasks of a sweep wrote is in their logs.
    "sweep": (
      ["--set", "matrix.rate=[0.5]"], 0, "", ["sweep-0-outputs/result.json", "sweep-1-outputs/result.json"]
    ),
    "resume": (["--env", "STEPS=20"], 0, "attempt 1\nbeginning at step 0 of 20\ndone: ", ["model.json"]),
    // It serves until it is stopped.
    "notebook": (["--set", "limits.max_duration=2s", "--env", "PORT=0"], 124, "", ["notebooks/start.ipynb"]),
  ]

  @Test(.enabled(if: Binaries.canBoot, "no sshd"), arguments: names)
  func runsToItsEnd(name: String) async throws {
    try await Bench.run { bench in
      let expected = try #require(Self.ends[name], "a new template needs its expected end here")
      #expect(try await bench.fcrun("init", "--template", name, "job").code == 0)
      let ended = try await bench.start(["submit", "job/job.yaml"] + expected.options).end(within: 60)
      #expect(ended.code == expected.code, "\(ended.err)")
      #expect(expected.out.isEmpty || ended.out.contains(expected.out), "\(ended.out)")
      for output in expected.outputs { #expect(bench.read("job/" + output)?.isEmpty == false, "\(output)") }
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(.enabled(if: Binaries.canBoot, "no sshd"))
  func aBatchWithAnInputThatFailsIsOneAndTheOthersComeBack() async throws {
    try await Bench.run { bench in
      #expect(try await bench.fcrun("init", "--template", "batch").code == 0)
      try FileManager.default.createDirectory(
        atPath: bench.work + "/inputs/a-folder", withIntermediateDirectories: true)
      let ended = try await bench.fcrun("submit", "job.yaml")
      #expect(ended.code == 1, "\(ended.err)")
      #expect(bench.read("outputs/second.json")?.isEmpty == false)
    }
  }

  @Test(.enabled(if: Binaries.canBoot, "no sshd"))
  func aSweepEndsInOneTable() async throws {
    try await Bench.run { bench in
      #expect(try await bench.fcrun("init", "--template", "sweep").code == 0)
      let ended = try await bench.fcrun("submit", "job.yaml", within: 120)
      #expect(ended.code == 0 && ended.err.contains("sweep: 6 of 6 succeeded"), "\(ended.err)")
      #expect(try bench.cloud.ledger().instances.count == 2, "each machine takes one task after the other")
      let rows = try await bench.fcrun("results", "sweep", "--json").json["data"].items
      #expect(rows.map { $0["matrix"]["rate"].text } == ["0.5", "0.5", "0.1", "0.1", "0.02", "0.02"])
      let losses = rows.compactMap { Double($0["result"]["loss"].description) }
      #expect(losses.count == 6 && losses[0] < losses[4], "\(losses)")
    }
  }

  @Test(
    "A training whose machine is taken away goes on from its checkpoint on the next one", .faults(91),
    .enabled(if: Binaries.canBoot, "no sshd"))
  func anInterruptedTrainingGoesOn() async throws {
    try await Bench.run { bench in
      #expect(try await bench.fcrun("init", "--template", "resume").code == 0)
      let submit = try bench.start(
        "submit", "job.yaml", "--set", "checkpoint.every=1s", "--env", "STEPS=400", "--env", "SECONDS_PER_STEP=0.1")
      try await submit.says("running")
      try await eventually("a checkpoint is here", within: 60, else: { submit.err }) {
        let folder = try await bench.show()["checkpoint"]["folder"].text ?? ""
        return FileManager.default.fileExists(atPath: folder + "/checkpoint/state.json") ? true : nil
      }
      let first = try #require(try bench.cloud.ledger().ids.first)
      try bench.cloud.control("POST", "preempt/\(first)")
      let ended = try await submit.end(within: 240)
      #expect(ended.code == 0, "\(ended.err)")
      let lines = ended.out.split(separator: "\n").map(String.init)
      #expect(lines.first == "attempt 1" && lines.dropFirst().first == "beginning at step 0 of 400", "\(ended.out)")
      let second = lines.last { $0.hasPrefix("beginning at step ") }?.split(separator: " ")[3]
      let step = Int(second ?? "") ?? 0
      #expect(lines.contains("attempt 2") && (10..<400).contains(step), "\(ended.out)")
      #expect(lines.last?.hasPrefix("done: ") == true && bench.text("model.json")?.contains("\"steps\": 400") == true)
      let ledger = try bench.cloud.ledger()
      #expect(ledger.instances.count == 2 && ledger.live == 0, "\(ledger.text)")
    }
  }
}
