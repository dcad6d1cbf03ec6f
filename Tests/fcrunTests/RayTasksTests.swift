import Foundation
import TestSupport
import Testing

/// A sweep on one Ray cluster, with a stand-in that runs tasks on the head: the real one is in `make test-cluster`.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct RayTasksTests {
  /// As much of Ray as is used: tasks on two threads.
  private static let module = #"""
    import concurrent.futures, os
    pool, actors = concurrent.futures.ThreadPoolExecutor(2), concurrent.futures.ThreadPoolExecutor(1)
    class exceptions:
        class RayError(Exception): pass
    class Method:
        def __init__(self, method): self.method = method
        def remote(self, *words): return actors.submit(self.method, *words)
    class Actor:
        def __init__(self, kind): self.it = kind()
        def __getattr__(self, name): return Method(getattr(self.it, name))
    class Remote:
        def __init__(self, what): self.what = what
        def options(self, **wishes):
            with open(os.environ["HOME"] + "/wishes", "a") as file: file.write("%s\n" % sorted(wishes.items()))
            return self
        def remote(self, *words): return Actor(self.what) if isinstance(self.what, type) else Future(self.what, words)
    class Future:
        def __init__(self, what, words): self.it = pool.submit(self.call, what, words)
        def call(self, what, words):
            if words[0]["index"] == int(os.environ.get("LOSE", -1)): raise exceptions.RayError("its node died")
            return what(*words)
    def remote(what): return Remote(what)
    def init(**how): pass
    def nodes(): return [{"Alive": True, "NodeManagerAddress": os.environ["FCRUN_NODE_IP"], "Resources": {"CPU": 2}}]
    def get(one): return getattr(one, "it", one).result()
    def wait(some, num_returns, timeout):
        done, _ = concurrent.futures.wait([one.it for one in some], timeout, return_when="FIRST_COMPLETED")
        return [one for one in some if one.it in done][:num_returns], []
    """#

  private func spec(_ bench: Bench, _ fields: [String: Any], envs: [String: String] = [:]) throws -> String {
    try bench.write("bin/ray", "#!/usr/bin/python3\nprint('ray, version 2.60.0')\n", mode: 0o755)
    try bench.write("python/ray/__init__.py", Self.module)
    let ours = ["PATH": bench.work + "/bin:/usr/bin:/bin", "PYTHONPATH": bench.work + "/python"]
    return try bench.spec(
      fields.merging(["name": "grid", "engine": "ray", "envs": ours.merging(envs) { $1 }]) { own, _ in own })
  }

  @Test("What each task of a cluster prints, its exit code and its outputs come back as of a job of its own")
  func asAJob() async throws {
    try await Bench.run { bench in
      try bench.write("data/in.txt", "given\n")
      let file = try spec(
        bench,
        [
          "files": ["data"], "matrix": ["rate": ["0.1", "a b"], "seed": [1, 2]],
          "outputs": ["out.txt", ["source": "*.log", "destination": "logs/${matrix.seed}-${matrix.rate}"]],
          "command": """
          cat data/in.txt; echo "$FCRUN_JOB_NAME $FCRUN_ARRAY_INDEX $FCRUN_MATRIX_RATE" | tee out.txt; echo wrong >&2
          echo $FCRUN_MATRIX_SEED >a.log; echo "{\\"loss\\": $FCRUN_ARRAY_INDEX}" >"$FCRUN_OUTPUT_DIR/result.json"
          test $FCRUN_ARRAY_INDEX != 2 || { rm out.txt; exit 7; }
          """,
        ])
      let ended = try await bench.fcrun("submit", file, within: 120)
      #expect(ended.code == 7, "of the first that failed: \(ended.err)")
      #expect(ended.err.contains("task 2 ended with exit code 7") && ended.err.contains("3 of 4 tasks succeeded"))
      #expect(ended.out.contains("[3] given\n[3] grid-3 3 a b\n"), "\(ended.out)")
      for index in [0, 1, 3] {
        let rate = index < 2 ? "0.1" : "a b"
        #expect(bench.text("grid-\(index)/out.txt") == "grid-\(index) \(index) \(rate)\n")
        #expect(bench.text("logs/\(index % 2 + 1)-\(rate)/a.log") == "\(index % 2 + 1)\n")
      }
      #expect(bench.text("grid-2/out.txt") == nil)
      #expect(bench.text("grid-tasks/2/stdout.log") == "given\ngrid-2 2 a b\n")
      #expect(bench.text("grid-tasks/2/stderr.log") == "wrong\n")
      let rows = try await bench.fcrun("results", "grid", "--json").json["data"].items
      #expect(rows.map { $0["exit_code"].int } == [0, 0, 7, 0])
      #expect(rows.map { $0["result"]["loss"].int } == [0, 1, 2, 3])
      #expect(rows.map { $0["matrix"]["rate"].text } == ["0.1", "0.1", "a b", "a b"])
      let table = try await bench.fcrun("results", "grid").out.split(separator: "\n")
      #expect(table.count == 5 && table[0].contains("RATE") || table[0].contains("rate"), "\(table)")
      #expect(
        try await bench.fcrun("results", "grid", "--csv").out.hasPrefix(
          "index,rate,seed,exit_code,duration,node,loss\r\n"))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("The token of a Ray cluster is gone from a machine that is kept")
  func token() async throws {
    try await Bench.run { bench in
      let file = try spec(
        bench,
        ["teardown": "on_success", "command": "test -s \"${FCRUN_OUTPUT_DIR%/*}/token\" && echo there; exit 3"])
      let ended = try await bench.fcrun("submit", file, within: 120)
      #expect(ended.code == 3 && ended.out == "there\n", "\(ended.err)")
      let left = try await bench.fcrun("ssh", "grid", "--", "cd; find .fcrun -name 'token*'; pwd")
      #expect(left.code == 0 && left.out.split(separator: "\n").count == 1, "\(left.out)")
      #expect(try await bench.fcrun("cancel", "grid").code == 0)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("Tasks that run beside each other are not in each other's way, and no secret comes home in a log")
  func apart() async throws {
    try await Bench.run { bench in
      try bench.write("src/out/here", "")
      try bench.write("src/in.txt", "given\n")
      let file = try spec(
        bench,
        [
          "files": ["src"], "matrix": ["n": [0, 1]], "secrets": ["TOKEN"],
          "outputs": ["src/out/made", "deep/**/*.pt", "src/in.txt", "latest"],
          "command": """
          echo $FCRUN_MATRIX_N >src/out/made; mkdir -p deep/a/b; touch deep/a/b/x.pt deep/y.pt; ln -s nowhere latest
          sleep 1; cat src/out/made; echo "token $TOKEN; $(printf %s "$TOKEN" | base64)"; sleep 300 & echo $! >"$FCRUN_OUTPUT_DIR/left"
          """,
        ])
      let ended = try await bench.fcrun("submit", file, env: ["TOKEN": "sesame-open-now"], within: 120)
      #expect(ended.code == 0, "\(ended.err)")
      for index in 0...1 {
        #expect(bench.text("grid-\(index)/src/out/made") == "\(index)\n")
        #expect(bench.text("grid-\(index)/src/in.txt") == "given\n", "what it names of the job's own files")
        for name in ["a/b/x.pt", "y.pt"] { #expect(bench.read("grid-\(index)/deep/\(name)") != nil) }
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: bench.work + "/grid-\(index)/latest")
        #expect(link == "nowhere")
        let log = bench.text("grid-tasks/\(index)/stdout.log") ?? ""
        #expect(log.hasPrefix("\(index)\ntoken ***************; *"), "\(log)")
        let left = pid_t(bench.text("grid-\(index)-outputs/left")?.dropLast() ?? "") ?? 0
        #expect(left > 0 && Processes.parent(of: left) == nil, "what a task leaves running is ended")
      }
      let again = try bench.start("submit", file, env: ["TOKEN": "sesame-open-now"])
      try await again.says("asking for")
      let rows = try await bench.fcrun("results", "grid", "--json").json["data"].items
      #expect(rows.map { $0["exit_code"].int } == [nil, nil], "those of the job before it are not its own")
      again.signal(15)
      #expect(try await again.end().code == 143)
    }
  }

  @Test("Outputs of any size come whole; one that is missing after a success is 125, a task that is lost 76")
  func sizes() async throws {
    try await Bench.run { bench in
      let file = try spec(
        bench,
        [
          "matrix": ["n": [0, 1, 2]], "outputs": ["big", "none*"],
          "command": ["sh", "-c", "seq 1 2000000 >big; test ${matrix.n} = 0 || touch none"],
        ], envs: ["LOSE": "2"])
      let ended = try await bench.fcrun("submit", file, within: 120)
      #expect(ended.code == 125, "\(ended.err)")
      #expect(ended.err.contains("task 0 ended with exit code 125: missing: none*"), "\(ended.err)")
      #expect(ended.err.contains("task 2 ended with exit code 76: its node died"), "\(ended.err)")
      let whole = (1...2_000_000).map { "\($0)\n" }.joined()
      for index in 0...1 { #expect(bench.text("grid-\(index)/big") == whole) }
      #expect(bench.text("grid-1/none")?.isEmpty == true && bench.text("grid-2/big") == nil)
      let rows = try await bench.fcrun("results", "grid", "--json").json["data"].items
      #expect(rows.map { $0["exit_code"].int } == [125, 0, 76])
    }
  }

  @Test("A task that wants more than any machine has is said, not waited for; cancel keeps what is done")
  func limits() async throws {
    try await Bench.run { bench in
      let greedy = try spec(
        bench, ["engine": ["name": "ray", "cpus_per_task": 9], "matrix": ["n": [0]], "command": "true"])
      let ended = try await bench.fcrun("submit", greedy, within: 60)
      #expect(
        ended.code == 1 && ended.err.contains("wants 9 CPUs, and no machine here has more than 2"), "\(ended.err)")
      let slow = try spec(
        bench,
        [
          "matrix": ["n": [0, 100, 100]], "max_parallel": 1, "name": "slow",
          "command": "echo $FCRUN_MATRIX_N; echo begun >>'\(bench.counter)'; sleep $FCRUN_MATRIX_N",
        ])
      let submit = try bench.start("submit", slow)
      try await eventually("the second runs", else: { submit.err }) { bench.runs == 2 ? true : nil }
      #expect(try await bench.fcrun("cancel", "slow", within: 90).code == 0)
      #expect(try await submit.end().code == 130)
      for index in ["0", "100"] { #expect(bench.text("slow-tasks/\(index == "0" ? 0 : 1)/stdout.log") == "\(index)\n") }
      let rows = try await bench.fcrun("results", "slow", "--json").json["data"].items
      #expect(rows.map { $0["exit_code"].int } == [0, 143, nil], "also what ran has a log; what waited has not begun")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}
