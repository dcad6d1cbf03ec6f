import Foundation
import TestSupport
import Testing

/// The job that the contract is about: everything in one run.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct ContractTests {
  private static let oddNames = [
    "a space", "it's", "dou\"ble", "new\nline", "ünï-日本", "-dash", "back\\slash", "$(no)", "*",
  ]
  private static let secret = "canary-s3cr3t-\"quoted\"-ünï"
  private static let envs = [
    "QUOTED": #"it's "both" `and` $HOME \ "#, "LINES": "one\ntwo\n\nfour\n", "WORDS": "grüße, 世界 🚀", "EMPTY": "",
  ]
  private static var binary: Data { Data((0...255).map { UInt8($0) } + (0...255).reversed().map { UInt8($0) }) }

  /// Leaves everything that it saw in `seen/`, for the test to compare.
  private static let script = """
    mkdir -p seen/deep/er 'seen/odd names'
    cp -a tree seen/tree
    cat blob.bin
    cat blob.bin >&2
    printf '%s' "$QUOTED" > seen/QUOTED
    printf '%s' "$LINES" > seen/LINES
    printf '%s' "$WORDS" > seen/WORDS
    printf '%s' "${EMPTY-unset}" > seen/EMPTY
    printf '%s' "$CANARY" | wc -c | tr -d ' \\n' > seen/length
    printf 'token=%s;' "$CANARY"
    printf 'token=%s;' "$CANARY" >&2
    cat setup-was-here > seen/setup
    cat blob.bin > seen/deep/er/blob.bin
    cat blob.bin > 'seen/odd names/it'"'"'s a "file"'
    stat -c %a tree/run.sh tree/private > seen/modes
    readlink tree/link > seen/link
    test -d tree/empty && echo yes > seen/empty
    echo given > "$FCRUN_OUTPUT_DIR/given.txt"
    printf '%s %s %s %s %s\\n' "$FCRUN_JOB_NAME" "$FCRUN_ATTEMPT" "$FCRUN_NODE_RANK" "$FCRUN_NUM_NODES" "$FCRUN_JOB_ID" > seen/facts
    sh -c 'trap "" HUP TERM; sleep 300' >/dev/null 2>&1 &
    exit 7
    """

  private func prepare(_ bench: Bench) throws -> String {
    try bench.write("blob.bin", Self.binary)
    try bench.write("tree/run.sh", "#!/bin/sh\n", mode: 0o755)
    try bench.write("tree/private", "mine\n", mode: 0o600)
    for name in Self.oddNames { try bench.write("tree/odd/" + name, "[\(name)]") }
    try bench.write("tree/.gitignore", "*.tmp\nignored/\n")
    try bench.write("tree/.fcrunignore", "big.dat\n")
    try bench.write("tree/a.tmp", "no")
    try bench.write("tree/ignored/file", "no")
    try bench.write("tree/big.dat", "no")
    try FileManager.default.createDirectory(atPath: bench.work + "/tree/empty", withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: bench.work + "/tree/link", withDestinationPath: "private")
    return try bench.spec([
      "name": "contract", "envs": Self.envs, "secrets": ["CANARY"], "files": ["tree", "blob.bin"],
      "setup": "echo preparing\necho prepared > setup-was-here", "command": Self.script,
      "outputs": [["source": "seen", "destination": "results/seen"]],
    ])
  }

  @Test(
    "A job with files, envs, a secret, setup, two streams and outputs ends with its own code, and leaves nothing behind"
  )
  func theWholeContract() async throws {
    try await Bench.run { bench in
      let ended = try await bench.fcrun("submit", try prepare(bench), env: ["CANARY": Self.secret])
      #expect(ended.code == 7, "\(ended.err)")
      try await checkStreams(ended, bench)
      checkUploads(bench)
      checkOutputs(bench)
      try await checkNothingIsLeft(bench)
    }
  }

  private func checkStreams(_ ended: Ended, _ bench: Bench) async throws {
    let masked = Data("token=\(String(repeating: "*", count: Self.secret.utf8.count));".utf8)
    let stdout = Self.binary + masked
    #expect(ended.stdout == stdout)
    #expect(try await bench.log("stdout") == stdout)
    // setup's output goes to stderr, before the command's own.
    #expect(try await bench.log("stderr") == Data("preparing\n".utf8) + Self.binary + masked)
    #expect(ended.stderr.firstRange(of: Self.binary) != nil, "the job's stderr is on fcrun's")
  }

  private func checkUploads(_ bench: Bench) {
    for name in Self.oddNames { #expect(bench.text("results/seen/tree/odd/" + name) == "[\(name)]", "\(name)") }
    #expect(bench.text("results/seen/modes") == "755\n600\n")
    #expect(bench.text("results/seen/link") == "private\n")
    #expect(bench.text("results/seen/empty") == "yes\n")
    for ignored in ["a.tmp", "ignored", "big.dat"] {
      #expect(!FileManager.default.fileExists(atPath: bench.work + "/results/seen/tree/" + ignored), "\(ignored)")
    }
  }

  private func checkOutputs(_ bench: Bench) {
    for (name, value) in Self.envs { #expect(bench.text("results/seen/" + name) == value, "\(name)") }
    #expect(bench.text("results/seen/length") == "\(Self.secret.utf8.count)")
    #expect(bench.text("results/seen/setup") == "prepared\n")
    #expect(bench.read("results/seen/deep/er/blob.bin") == Self.binary)
    #expect(bench.read("results/seen/odd names/it's a \"file\"") == Self.binary)
    #expect(bench.text("contract-outputs/given.txt") == "given\n")
    #expect(bench.text("results/seen/facts")?.hasPrefix("contract 1 0 1 ") == true)
  }

  private func checkNothingIsLeft(_ bench: Bench) async throws {
    let ledger = try bench.cloud.ledger()
    #expect(ledger.live == 0)
    #expect(ledger.posts == [1])
    for id in ledger.ids { #expect(Processes.on(instance: id).isEmpty) }
    #expect(try bench.filesHolding(Self.secret).isEmpty)
    #expect(try bench.filesHolding("canary-s3cr3t").isEmpty)
    #expect(try await bench.show()["exit_code"].int == 7)
  }

  @Test("An argv reaches the program word for word, without a shell", .faults(118))
  func argvIsNotInterpreted() async throws {
    try await Bench.run { bench in
      let words = ["a b", "$HOME", "it's", "\"x\"", "new\nline", "*", "", "ü"]
      let spec = try bench.spec(["command": ["printf", "[%s]"] + words])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.out == words.map { "[\($0)]" }.joined())
    }
  }

  @Test("A failing setup ends the job with setup's code, and the command does not run", .faults(62))
  func setupFails() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["setup": "echo why >&2\nexit 9", "command": "echo x >> '\(bench.counter)'"])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 9)
      #expect(ended.err.contains("why"))
      #expect(ended.err.contains("setup failed"))
      #expect(bench.runs == 0)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A command that dies of a signal gives 128 + n", .faults(84))
  func signalledCommand() async throws {
    try await Bench.run { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "kill -9 $$"]))
      #expect(ended.code == 137, "\(ended.err)")
    }
  }

  @Test("Three MiB on each stream arrive byte for byte", .faults(78))
  func muchOutput() async throws {
    try await Bench.run { bench in
      let lines = "i=0; while [ $i -lt 3072 ]; do cat chunk; cat chunk >&2; i=$((i+1)); done"
      let chunk = Data((0..<1024).map { UInt8(truncatingIfNeeded: $0 &* 7) })
      try bench.write("chunk", chunk)
      let ended = try await bench.fcrun("submit", try bench.spec(["files": ["chunk"], "command": lines]))
      #expect(ended.code == 0, "\(ended.err.suffix(300))")
      let expected = Data((0..<3072).flatMap { _ in chunk })
      // Only whether: three MiB in a failure's message would take minutes.
      #expect((ended.stdout == expected) as Bool)
      let (out, err) = (try await bench.log("stdout"), try await bench.log("stderr"))
      #expect((out == expected) as Bool, "stdout.log has \(out.count) bytes")
      #expect((err == expected) as Bool, "stderr.log has \(err.count) bytes")
    }
  }

  @Test("Outputs come back after a failure too, and what is missing is only a warning then")
  func outputsAfterFailure() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "mkdir out; echo 1 > out/a; exit 3", "outputs": ["out", "not-there"]])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 3)
      #expect(bench.text("out/a") == "1\n")
      #expect(ended.err.contains("not-there"))
    }
  }

  @Test("An output that is missing after a success is exit 125, and the others came back")
  func missingOutputAfterSuccess() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo 1 > a", "outputs": ["a", "not-there"]])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 125)
      #expect(bench.text("a") == "1\n")
      #expect(ended.err.contains("not-there"))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("max_duration ends the command with 124, and its outputs come back")
  func outOfTime() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "echo begun; echo partial > part.txt; sleep 60", "outputs": ["part.txt"],
        "limits": ["max_duration": "2s"],
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 124, "\(ended.err)")
      #expect(ended.out == "begun\n")
      #expect(bench.text("part.txt") == "partial\n")
      #expect(ended.seconds < 20)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}

extension Bench {
  /// Files below the state folder that contain these bytes.
  func filesHolding(_ text: String) throws -> [String] {
    let paths = FileManager.default.subpaths(atPath: home) ?? []
    return paths.filter {
      FileManager.default.contents(atPath: home + "/" + $0)?.firstRange(of: Data(text.utf8)) != nil
    }
  }
}
