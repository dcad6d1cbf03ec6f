import Foundation
import TestSupport
import Testing

/// A machine that goes in the middle of the work, and a job that goes on elsewhere.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct RecoveryTests {
  /// Counts to 30 in a file of the checkpoint, from where it finds that; says where that was. The first attempt stays at 20.
  private static let counter = """
    mkdir -p ckpt; touch ckpt/steps; echo '*' >ckpt/.gitignore
    echo "$FCRUN_JOB_ID attempt $FCRUN_ATTEMPT from $(($(wc -l <ckpt/steps)))"
    while n=$(($(wc -l <ckpt/steps) + 1)); [ $n -le 30 ]; do
      cp ckpt/steps ckpt/.next; echo "$n $FCRUN_ATTEMPT" >>ckpt/.next; mv ckpt/.next ckpt/steps; sleep 0.4
      [ $FCRUN_ATTEMPT:$n != 1:20 ] || sleep 300
    done
    cp ckpt/steps out
    """

  @Test("A pre-empted training goes on from its last checkpoint on the next machine", .faults(91))
  func resumesFromCheckpoint() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": Self.counter, "outputs": ["out"], "checkpoint": ["source": "ckpt", "every": "1s"],
        "retry": ["on": ["preempted"], "attempts": 3],
      ])
      let running = try bench.start("submit", spec)
      let id = try await eventually("a checkpoint", within: 60, else: { running.err }) {
        let shown = try? await bench.show()
        return shown?["checkpoint"]["folder"].text == nil ? nil : shown?["id"].text
      }
      try bench.cloud.control("POST", "preempt/\(try #require(try bench.cloud.ledger().ids.first))")
      let submit = try await running.end(within: 90)
      #expect(submit.code == 0, "\(submit.err)")
      let lines = submit.out.split(separator: "\n").map(String.init)
      #expect(lines.count == 2 && lines.first == "\(id) attempt 1 from 0", "\(submit.out) \(submit.err)")
      let from = Int(lines.last?.split(separator: " ").last ?? "") ?? 0
      #expect(lines.last == "\(id) attempt 2 from \(from)" && from > 0, "\(submit.out) \(submit.err)")
      // Each step once: up to the checkpoint by the first attempt, from there on by the second.
      let steps = (1...30).map { "\($0) \($0 <= from ? 1 : 2)\n" }.joined()
      #expect(bench.text("out") == steps, "\(submit.err)")
      #expect(submit.err.contains("putting back the checkpoint of"))
      #expect(!submit.err.contains("no checkpoint"), "\(submit.err)")
      let kept = try await bench.show()["checkpoint"]["folder"].text ?? ""
      #expect(FileManager.default.fileExists(atPath: kept + "/ckpt/steps"))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A failure leaves its last state as a checkpoint; a checkpoint that is never there is no trouble")
  func lastCheckpoint() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "mkdir -p ckpt; echo $FCRUN_ATTEMPT >>ckpt/a; cat ckpt/a | wc -l; exit 75",
        "checkpoint": ["source": "ckpt", "every": "1h"], "retry": ["on": ["exit:75"], "attempts": 3],
      ])
      let submit = try await bench.fcrun("submit", spec, within: 90)
      #expect(submit.code == 75, "\(submit.err)")
      #expect(submit.out == "1\n2\n3\n", "\(submit.err)")
      let none = try bench.spec(["command": "sleep 2.5; exit 3", "checkpoint": ["source": "ckpt", "every": "1s"]])
      let ended = try await bench.fcrun("submit", none)
      #expect(ended.code == 3 && !ended.err.contains("warning"), "\(ended.err)")
    }
  }

  /// Programs that a machine has in its PATH: a kernel's log, a GPU's driver.
  private func tools(_ bench: Bench, dmesg: String = "", nvidia: String? = nil) throws -> String {
    let folder = bench.folder + "/tools"
    try bench.write("../tools/dmesg", "#!/bin/sh\nprintf '%s\\n' '\(dmesg)'\n", mode: 0o755)
    if let nvidia { try bench.write("../tools/nvidia-smi", "#!/bin/sh\n\(nvidia)\n", mode: 0o755) }
    return "export PATH='\(folder)':$PATH"
  }

  /// Holds the command until the machine has these tools.
  private func submit(_ bench: Bench, _ command: String, _ tools: String) async throws -> Ended {
    let go = bench.folder + "/go"
    let spec = try bench.spec([
      "command": "until [ -e '\(go)' ]; do sleep 0.1; done; \(command)", "resources": ["num_gpus": 1],
    ])
    let submit = try bench.start("submit", spec)
    try await submit.says("running")
    try await bench.disturbMachine(tools)
    try bench.write("../go", "")
    return try await submit.end()
  }

  @Test(
    "A kill for memory, a GPU that fell off the bus and a failure of the command's own are told apart", .faults(82),
    arguments: [
      ("[999999999.100000] Out of memory: Killed process 7 (python)", "true", 137, "out_of_memory"),
      ("[    1.000000] Out of memory: Killed process 7 (python)", "true", 137, "failed"),
      ("[999999999.100000] NVRM: Xid (PCI:0000:01:00): 79, pid=7, GPU has fallen off the bus.", "true", 1, "gpu_fault"),
      ("[999999999.100000] NVRM: Xid (PCI:0000:01:00): 31, pid=7, MMU Fault", "echo GPU 0: A100", 1, "failed"),
      ("", "echo No devices were found; exit 6", 1, "gpu_fault"),
    ])
  func toldApart(dmesg: String, nvidia: String, code: Int, word: String) async throws {
    try await Bench.run { bench in
      let ended = try await submit(bench, "exit \(code)", try tools(bench, dmesg: dmesg, nvidia: nvidia))
      #expect(ended.code == Int32(code), "\(ended.err)")
      let job = try await bench.show()
      #expect(job["outcome"].text == word, "\(job)")
      #expect(job["past_attempts"][0]["outcome"].text == word)
    }
  }

  @Test(
    "Fewer GPUs than promised, or a driver that is dead, ends an attempt before anything is sent", .faults(62),
    arguments: [
      ("echo 'GPU 0: A100'", "it has 1 GPU, the offering promises 8"),
      ("echo No devices were found", "it has 0 GPUs, the offering promises 8 (nvidia-smi: No devices were found)"),
      ("echo; echo broken; exit 9", "the GPU driver does not work (nvidia-smi: exit code 9: broken)"),
      ("exit 12", "the GPU driver does not work (nvidia-smi: exit code 12)"),
    ])
  func preflight(nvidia: String, words: String) async throws {
    try await Bench.run(["sshd_late_seconds=6"], bootTime: "0.3") { bench in
      try bench.write("data", "1")
      let spec = try bench.spec([
        "command": "echo run >> '\(bench.counter)'", "files": ["data"],
        "resources": ["num_gpus": 8, "gpu_type": ["A100"]], "retry": ["on": [String](), "attempts": 1],
      ])
      let submit = try bench.start("submit", spec)
      try await bench.disturbMachine(try tools(bench, nvidia: nvidia))
      let ended = try await submit.end()
      #expect(ended.code == 69 && ended.err.contains(words), "\(ended.err)")
      #expect(ended.err.contains("; checking its GPUs, then uploading\n"), "\(ended.err)")
      #expect(bench.runs == 0)
      #expect(try await bench.show()["outcome"].text == "boot_failed")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "A host that reboots under the job is neither its failure nor a pre-emption, and is retried where that is asked for"
  )
  func rebooted() async throws {
    try await Bench.run(["restart=1", "restart_seconds=3", "restart_takes_seconds=4"]) { bench in
      let spec = try bench.spec([
        "command": "echo $FCRUN_ATTEMPT; [ $FCRUN_ATTEMPT = 2 ] || sleep 60",
        "retry": ["on": ["rebooted"], "attempts": 2],
      ])
      let submit = try await bench.fcrun("submit", spec, within: 90)
      #expect(submit.code == 0 && submit.out == "1\n2\n", "\(submit.err)")
      #expect(try await bench.show()["past_attempts"][0]["outcome"].text == "rebooted")
      // What failed is not taken first by the next job, however cheap it is.
      let failed = try await bench.show()["past_attempts"][0]["offering_id"].text
      let candidates = try await bench.fcrun("plan", spec, "--json").json["candidates"].items
      #expect(candidates.last?["offering_id"].text == failed && candidates.last?["failed_lately"].bool == true)
      #expect(candidates.first?["failed_lately"].bool == false)
    }
  }

  @Test("GPUs that do nothing end the job as out of time, with its outputs; idle_gpu is named")
  func idle() async throws {
    try await Bench.run { bench in
      let go = bench.folder + "/go"
      let spec = try bench.spec([
        "command": "echo 1 >out; touch '\(go)'; sleep 60", "outputs": ["out"],
        "resources": ["num_gpus": 1], "limits": ["max_duration": "10m", "idle_gpu": ["below": 5, "for": "2s"]],
      ])
      let submit = try bench.start("submit", spec)
      try await submit.says("running")
      try await bench.disturbMachine(
        try tools(bench, nvidia: "case $* in *utilization*) echo 3; echo 0 ;; *) echo 'GPU 0: A100' ;; esac"))
      let ended = try await submit.end()
      #expect(ended.code == 124 && ended.err.contains("idle_gpu"), "\(ended.err)")
      #expect(bench.text("out") == "1\n")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}
