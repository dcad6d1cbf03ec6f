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

/// Engines as they are, on three machines that are network namespaces: what `make test-cluster` is for. Each is left out where it is not
/// installed: FCRUN_TEST_RAY and FCRUN_TEST_TORCH name the folders with `ray` and `torchrun`.
enum EnginesHere {
  static let canSeparate: Bool = {
    if Binaries.canBoot, geteuid() == 0, system("unshare --net --mount --pid --fork true 2>/dev/null") == 0 {
      return true
    }
    FileHandle.standardError.write(Data("SKIPPED: no network namespaces for this user, so no cable is pulled\n".utf8))
    return false
  }()

  static let ray = folder("FCRUN_TEST_RAY")
  static let torch = folder("FCRUN_TEST_TORCH")
  static let hasMPI = ["mpirun", "mpicc"].allSatisfy { FileManager.default.isExecutableFile(atPath: "/usr/bin/\($0)") }

  private static func folder(_ variable: String) -> String? {
    ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }
  }

  private static func system(_ script: String) -> Int32 {
    var pid: pid_t = 0
    var words: [UnsafeMutablePointer<CChar>?] = (["sh", "-c", script] as [String]).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    guard posix_spawn(&pid, "/bin/sh", nil, nil, &words, environ) == 0 else { return 127 }
    var status: Int32 = 0
    return waitpid(pid, &status, 0) == pid ? status : 127
  }
}

@Suite(.serialized, .enabled(if: EnginesHere.canSeparate, "no network namespaces"))
struct EngineJobTests {
  private func node(_ rank: Int, _ bench: Bench) throws -> String {
    try bench.cloud.ledger().instances.last { $0["name"].text?.contains("-n\(rank)-") == true }?["id"].text ?? ""
  }

  private func standIn(_ bench: Bench) throws {
    try bench.write(
      "bin/torchrun", "#!/bin/sh\nwhile [ \"${1#--}\" != \"$1\" ]; do shift; done\nexec \"$@\"\n", mode: 0o755)
  }

  @Test("Each node has an address, a name and processes of its own; one whose cable is pulled is lost within seconds")
  func cable() async throws {
    try await Bench.run(hosts: "netns") { bench in
      let spec = try bench.spec([
        "nodes": 3, "retry": ["attempts": 1],
        "command": "trap 'echo told; exit 1' TERM; hostname; echo $FCRUN_NODE_IP; sleep 200 & wait",
      ])
      let submit = try bench.start("submit", spec)
      let lines = try await eventually("all have begun", within: 120, else: { submit.err }) {
        let lines = String(decoding: submit.stdout, as: UTF8.self).split(separator: "\n")
        return lines.count >= 6 ? lines : nil
      }
      #expect(Set(lines).count == 6)
      let lost = try node(2, bench)
      let before = Date()
      try bench.cloud.control("POST", "unplug/\(lost)")
      try await submit.says("stopping: node 2 (\(lost)) is lost", within: 60)
      #expect(Date().timeIntervalSince(before) < 20, "15 s, and what a busy computer adds")
      let ended = try await submit.end(within: 90)
      #expect(ended.code == 76 && ended.out.contains("told"), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A node that does not listen to TERM when another one is lost is killed, and what it has made is fetched")
  func deaf() async throws {
    try await Bench.run(hosts: "netns") { bench in
      let spec = try bench.spec([
        "nodes": 2, "retry": ["attempts": 1], "outputs": ["made"],
        "command": "trap '' TERM; echo $FCRUN_NODE_RANK >made; echo begun; while :; do sleep 1; done",
      ])
      let submit = try bench.start("submit", spec)
      try await eventually("both have begun", within: 120, else: { submit.err }) {
        String(decoding: submit.stdout, as: UTF8.self).split(separator: "\n").count == 2 ? true : nil
      }
      try bench.cloud.control("POST", "unplug/\(try node(1, bench))")
      let ended = try await submit.end(within: 120)
      #expect(ended.code == 76, "\(ended.err)")
      #expect(bench.text("made") == "0\n")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("Nodes that cannot talk to each other are named before an engine is started")
  func wall() async throws {
    try await Bench.run(["sshd_late_seconds=4"], hosts: "netns") { bench in
      let spec = try bench.spec([
        "nodes": 2, "engine": "torchrun", "command": "true", "retry": ["attempts": 1], "files": ["bin"],
      ])
      try standIn(bench)
      let submit = try bench.start("submit", spec)
      try await eventually("both are apart", within: 60, else: { submit.err }) {
        (0..<2).allSatisfy { (try? bench.cloud.control("POST", "isolate/\(try node($0, bench))")) != nil } ? true : nil
      }
      let ended = try await submit.end(within: 120)
      #expect(ended.code == 69, "\(ended.err)")
      #expect(ended.err.contains("cannot open a TCP connection to node"), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "Open MPI adds up over three nodes, and its exit code is the rank's", .enabled(if: EnginesHere.hasMPI, "no MPI"))
  func mpi() async throws {
    try await Bench.run(hosts: "netns") { bench in
      try bench.write("sum.c", Self.sum)
      let spec = try bench.spec([
        "nodes": 3, "engine": "mpi", "files": ["sum.c"], "setup": "mpicc -o sum sum.c",
        "command": "mpirun -np 3 --map-by node ./sum",
      ])
      let ended = try await bench.fcrun("submit", spec, within: 180)
      #expect(ended.code == 0, "\(ended.err)")
      let lines = ended.out.split(separator: "\n").filter { $0.hasPrefix("rank") }
      #expect(lines.count == 3 && lines.allSatisfy { $0.contains("sum 6") }, "\(ended.out)")
      #expect(Set(lines.compactMap { $0.split(separator: " ").last }).count == 3, "each on a node of its own")
      let failing = try bench.spec(
        [
          "nodes": 3, "engine": "mpi", "files": ["sum.c"], "setup": "mpicc -o sum sum.c",
          "command": "mpirun -np 3 --map-by node ./sum 7", "name": "failing", "teardown": "on_success",
        ], named: "failing.json")
      #expect(try await bench.fcrun("submit", failing, within: 180).code == 7)
      try await leavesNoKey(bench, of: "failing")
      let back = try await bench.fcrun("cancel", "failing")
      #expect(back.code == 0, "\(back.out)\(back.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  /// Of a job that failed and whose machines were kept: whoever looks at them finds no key to the others.
  private func leavesNoKey(_ bench: Bench, of job: String) async throws {
    for node in ["0", "1", "2"] {
      let found = try await bench.fcrun(
        "ssh", job, "--node", node, "--", "cd; find . -path '*/mpi/key*'; cat .ssh/authorized_keys | grep . || pwd")
      let lines = found.out.split(separator: "\n")
      #expect(found.code == 0 && lines.count == 1 && lines[0].hasPrefix("/"), "node \(node): \(found.out)\(found.err)")
    }
  }

  private static let sum = """
    #include <mpi.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    int main(int count, char **words) {
      int rank, sum; char host[99];
      MPI_Init(&count, &words);
      MPI_Comm_rank(MPI_COMM_WORLD, &rank);
      int mine = rank + 1;
      MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
      gethostname(host, sizeof host);
      printf("rank %d sum %d on %s\\n", rank, sum, host);
      fflush(stdout);
      if (count > 1 && rank == 1) exit(atoi(words[1]));
      MPI_Finalize();
      return 0;
    }
    """

  @Test(
    "A Ray job sees three nodes and goes on when a worker is gone",
    .enabled(if: EnginesHere.ray != nil, "FCRUN_TEST_RAY is not set"))
  func ray() async throws {
    try await Bench.run(hosts: "netns") { bench in
      try bench.write("tasks.py", Self.tasks)
      let spec = try bench.spec([
        "nodes": 3, "engine": "ray", "on_node_loss": "continue", "files": ["tasks.py"],
        "envs": ["PATH": "\(EnginesHere.ray ?? ""):/usr/sbin:/usr/bin:/bin"],
        "command": "python3 tasks.py; exit $(($? + 5))",
      ])
      let submit = try bench.start("submit", spec)
      try await eventually("tasks run", within: 180, else: { submit.err }) {
        String(decoding: submit.stdout, as: UTF8.self).contains("three nodes") ? true : nil
      }
      try bench.cloud.control("POST", "unplug/\(try node(2, bench))")
      let ended = try await submit.end(within: 240)
      #expect(ended.code == 5, "\(ended.err)")
      #expect(ended.out.contains("all 24 are done"), "\(ended.out)")
      #expect(ended.err.contains("going on without it"), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "A sweep on one Ray cluster runs its tasks on all nodes, also those of a node that goes",
    .enabled(if: EnginesHere.ray != nil, "FCRUN_TEST_RAY is not set"))
  func raySweep() async throws {
    try await Bench.run(hosts: "netns") { bench in
      try bench.write("given.txt", "given\n")
      let spec = try bench.spec([
        "name": "grid", "nodes": 3, "engine": "ray", "files": ["given.txt"],
        "envs": ["PATH": "\(EnginesHere.ray ?? ""):/usr/sbin:/usr/bin:/bin"], "outputs": ["made"],
        "matrix": ["n": Array(0..<24)],
        "command":
          "cat given.txt; sleep 4; head -c 9000000 /dev/zero >made; echo $FCRUN_MATRIX_N >>made; exit $((FCRUN_MATRIX_N == 23 ? 9 : 0))",
      ])
      let submit = try bench.start("submit", spec)
      try await eventually("tasks run", within: 180, else: { submit.err }) {
        String(decoding: submit.stdout, as: UTF8.self).contains("given") ? true : nil
      }
      try bench.cloud.control("POST", "unplug/\(try node(2, bench))")
      let ended = try await submit.end(within: 300)
      #expect(ended.code == 9 && ended.err.contains("23 of 24 tasks succeeded"), "\(ended.err)")
      for index in 0..<24 {
        let made = try #require(bench.read("grid-\(index)/made"), "\(index)")
        #expect(made.count == 9_000_001 + "\(index)".count)
      }
      let rows = try await bench.fcrun("results", "grid", "--json").json["data"].items
      #expect(rows.map { $0["exit_code"].int } == Array(repeating: 0, count: 23) + [9])
      #expect(Set(rows.compactMap { $0["node"].int }).isSuperset(of: [0, 1]))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  private static let tasks = """
    import ray, time
    ray.init()
    assert sum(node["Alive"] for node in ray.nodes()) == 3
    print("three nodes", flush=True)
    @ray.remote(max_retries=5, num_cpus=1)
    def work(number):
        time.sleep(4)
        return number
    done = ray.get([work.remote(number) for number in range(24)])
    print("all %d are done" % len(done), flush=True)
    """

  @Test(
    "torchrun with gloo adds up over three nodes; the failing rank's own code is told",
    .enabled(if: EnginesHere.torch != nil, "FCRUN_TEST_TORCH is not set"))
  func torchrun() async throws {
    try await Bench.run(hosts: "netns") { bench in
      try bench.write("ddp.py", Self.ddp)
      let spec = try bench.spec([
        "nodes": 3, "engine": "torchrun", "files": ["ddp.py"],
        "envs": ["PATH": "\(EnginesHere.torch ?? ""):/usr/bin:/bin"], "command": ["python3", "ddp.py"],
      ])
      let ended = try await bench.fcrun("submit", spec, within: 240)
      #expect(ended.code == 0, "\(ended.err)")
      let lines = Set(ended.out.split(separator: "\n").filter { $0.hasPrefix("rank") })
      #expect(lines == ["rank 0 sum 6 node 0", "rank 1 sum 6 node 1", "rank 2 sum 6 node 2"], "\(ended.out)")
      let failing = try await bench.fcrun("submit", spec, "--set", "command.2=7", within: 240)
      #expect(failing.code == 7 && failing.err.contains("rank 2 ended with exit code 7"), "\(failing.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  private static let ddp = """
    import os, sys, torch, torch.distributed as dist
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    sum = torch.ones(1) * (rank + 1)
    dist.all_reduce(sum)
    print("rank", rank, "sum", int(sum.item()), "node", os.environ["FCRUN_NODE_RANK"], flush=True)
    if len(sys.argv) > 1:
        if rank == 2: sys.exit(int(sys.argv[1]))
        dist.barrier()
    dist.destroy_process_group()
    """
}
