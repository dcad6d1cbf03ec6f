import Foundation
import TestSupport
import Testing

/// The verbs around a job.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct CommandTests {
  private static let tick = "i=1; while [ $i -le 30 ]; do echo out $i; echo err $i >&2; sleep 0.1; i=$((i+1)); done"

  // MARK: Plans

  @Test("plan shows candidates by price with the run's ceiling, and creates nothing")
  func plan() async throws {
    try await Bench.run { bench in
      try bench.write("src/a", "12345")
      let spec = try bench.spec([
        "command": "true", "files": ["src"], "resources": ["gpu_type": ["A100", "H100"], "num_gpus": 1],
        "limits": ["max_duration": "1h"],
      ])
      let table = try await bench.fcrun("plan", spec, env: ["FORWARD_COMPUTE_API_KEY": ""])
      #expect(table.code == 0, "\(table.err)")
      for words in ["spot_coff_a100x100001", "1.99", "us-east-1", "shadeform", "1 file, 5 B", "ceiling"] {
        #expect(table.out.contains(words), "\(words) is not in\n\(table.out)")
      }
      let document = try await bench.fcrun("plan", spec, "--json").json
      let prices = document["candidates"].items.compactMap { $0["hourly_price"].text.flatMap { Double($0) } }
      #expect(prices == prices.sorted() && prices.count == 2, "\(document)")
      #expect(document["cost_ceiling"].text != nil)
      #expect(try await bench.fcrun("submit", spec, "--dry-run").code == 0)
      #expect(try bench.cloud.requests().allSatisfy { $0.method == "GET" })
      #expect(try await bench.fcrun("ps", "-a", "-q").out.isEmpty)
    }
  }

  @Test("plan and submit --dry-run are 69 when nothing matches, with what removed how many and the nearest misses")
  func nothingMatches() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "true", "resources": ["gpu_type": "H100", "num_gpus": 8, "max_hourly_price": "1.00"],
      ])
      for arguments in [["plan", spec], ["submit", "--dry-run", spec], ["submit", spec]] {
        let ended = try await bench.start(arguments).end()
        #expect(ended.code == 69, "\(ended.err)")
        for words in ["max_hourly_price", "gpu_type", "removed", "nearest"] {
          #expect(ended.err.contains(words), "\(words) is not in\n\(ended.err)")
        }
      }
    }
  }

  @Test("A volume pins provider and region; one mounted elsewhere is 64 before a cent is spent")
  func volumes() async throws {
    try await Bench.run { bench in
      let first = try bench.spec([
        "command": "echo begun; sleep 60", "volumes": ["datasets"],
      ])
      let document = try await bench.fcrun("plan", first, "--json").json
      let places = Set(document["candidates"].items.compactMap { $0["region"].text })
      #expect(places == ["us-east-1"], "\(document)")
      let holder = try bench.start("submit", first)
      try await eventually("the job has begun", else: { holder.err }) { holder.stdout.isEmpty ? nil : true }
      let second = try await bench.fcrun(
        "submit", try bench.spec(["command": "true", "volumes": ["datasets"]], named: "b.json"))
      #expect(second.code == 64, "\(second.err)")
      let holding = try #require(try bench.cloud.ledger().ids.first)
      #expect(second.err.contains(holding), "\(second.err)")
      #expect(try bench.cloud.ledger().instances.count == 1)
      holder.signal(2)
      #expect(try await holder.end().code == 130)
      #expect(
        try await bench.fcrun("submit", try bench.spec(["command": "true", "volumes": ["no-such"]], named: "c.json"))
          .code == 64)
    }
  }

  // MARK: Events

  @Test("submit --json prints only NDJSON events, and the last says whose the exit code is")
  func events() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "printf 'h\\303\\274\\n'; printf '\\377\\000' ; exit 5"])
      let ended = try await bench.fcrun("submit", spec, "--json")
      #expect(ended.code == 5, "\(ended.err)")
      let events = ended.events
      #expect(events.allSatisfy { $0["event"].text != nil }, "\(ended.out)")
      let last = try #require(events.last)
      #expect(last["event"].text == "finished")
      #expect(last["source"].text == "job")
      #expect(last["exit_code"].int == 5)
      #expect(events.contains { $0["event"].text == "state" && $0["state"].text == "running" })
      let output = events.filter { $0["event"].text == "output" && $0["stream"].text == "stdout" }.reduce(into: Data())
      {
        $0 += $1["text"].text.map { Data($0.utf8) } ?? $1["base64"].text.flatMap { Data(base64Encoded: $0) } ?? Data()
      }
      #expect(output == Data([0x68, 0xc3, 0xbc, 0x0a, 0xff, 0x00]))
    }
  }

  @Test("submit --json says source fcrun when the code is not the job's")
  func eventsOfFailure() async throws {
    try await Bench.run(["insufficient_balance=true"]) { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]), "--json")
      #expect(ended.code == 77)
      #expect(ended.events.last?["event"].text == "finished", "\(ended.out)")
      #expect(ended.events.last?["source"].text == "fcrun")
      #expect(ended.events.last?["exit_code"].int == 77)
    }
  }

  // MARK: Looking on

  @Test("--detach prints the id and leaves; wait, logs, attach, show and ps see the job, and logs outlive the machine")
  func detached() async throws {
    try await Bench.run { bench in
      let submitted = try await bench.fcrun(
        "submit", "--detach", try bench.spec(["name": "ticker", "command": Self.tick + "; exit 4"]))
      #expect(submitted.code == 0, "\(submitted.err)")
      let id = submitted.out.trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(id.count == 16)
      #expect(try await bench.fcrun("ps", "--json").json["data"][0]["id"].text == id)
      let following = try bench.start("logs", "-f", id)
      let attached = try bench.start("attach", id)
      let waited = try await bench.fcrun("wait", "ticker")
      #expect(waited.code == 4, "\(waited.err)")
      let lines = (1...30).map { "out \($0)\n" }.joined()
      let followed = try await following.end()
      #expect(followed.code == 0)
      #expect(followed.out == lines)
      let attachedEnd = try await attached.end()
      #expect(attachedEnd.code == 4, "\(attachedEnd.err)")
      #expect(lines.hasSuffix(attachedEnd.out))
      try await checkAfterwards(bench, id, lines)
    }
  }

  private func checkAfterwards(_ bench: Bench, _ id: String, _ lines: String) async throws {
    #expect(try await bench.fcrun("logs", id).out == lines)
    let last = try await bench.fcrun("logs", "-n", "2", id)
    #expect(last.out == "out 29\nout 30\n")
    #expect(last.err.hasSuffix("err 29\nerr 30\n"))
    #expect(try await bench.fcrun("logs", String(id.prefix(6))).out == lines, "the beginning of an id will do")
    #expect(try await bench.fcrun("ps", "-q").out.isEmpty)
    #expect(try await bench.fcrun("ps", "-a").out.contains("ticker"))
    let shown = try await bench.show(id)
    #expect(shown["state"].text == "finished")
    #expect(shown["outcome"].text == "failed")
    #expect(shown["exit_code"].int == 4)
    #expect(!shown["journal"].items.isEmpty)
    #expect(try await bench.fcrun("show", id).out.contains(id))
    #expect(try await bench.fcrun("attach", id).code == 4)
    #expect(try bench.cloud.ledger().live == 0)
  }

  @Test("attach drives a job on that nobody drives, and prints what was not printed yet")
  func attachAfterACrash() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try bench.spec(["command": Self.tick + "; exit 4"]))
      try await eventually("the job has written", else: { submit.err }) { submit.stdout.count > 20 ? true : nil }
      await submit.destroy()
      let attached = try await bench.fcrun("attach", try await bench.job())
      #expect(attached.code == 4, "\(attached.err)")
      #expect(attached.out.hasSuffix("out 30\n"))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A second fcrun on a driven job is refused, and the first goes on", .faults(103))
  func twoDrivers() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try bench.spec(["command": Self.tick]))
      try await eventually("the job has written", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      let id = try await bench.job()
      let second = try await bench.fcrun("resume", id)
      #expect(second.code == 64, "\(second.err)")
      #expect(second.err.contains("\(submit.pid)"), "it names the process: \(second.err)")
      #expect(try await bench.fcrun("resume", "--all").code == 0, "nothing for it to do")
      #expect(try await submit.end().code == 0)
      #expect(try bench.cloud.ledger().posts == [1])
    }
  }

  // MARK: Ending

  @Test("cancel stops the command, fetches outputs, gives back; the cancelled submit is 130")
  func cancel() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo kept > kept; echo begun; sleep 100", "outputs": ["kept"]])
      let submit = try bench.start("submit", spec)
      try await eventually("the job has written", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      let cancelled = try await bench.fcrun("cancel", try await bench.job())
      #expect(cancelled.code == 0, "\(cancelled.err)")
      #expect(try await submit.end().code == 130)
      #expect(bench.text("kept") == "kept\n")
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try await bench.fcrun("cancel", try await bench.job()).code == 64, "there is nothing to cancel any more")
    }
  }

  @Test("cancel finishes a job whose driver was killed")
  func cancelUndriven() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 100"]))
      try await eventually("the job has written", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      await submit.destroy()
      let cancelled = try await bench.fcrun("cancel", try await bench.job())
      #expect(cancelled.code == 0, "\(cancelled.err)")
      #expect(try await bench.show()["exit_code"].int == 130)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "teardown on_success keeps the machine after a failure and says what it costs; fetch, ssh and cancel work on it")
  func keptMachine() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "echo one > result; exit 3", "outputs": ["result"], "teardown": "on_success",
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 3, "\(ended.err)")
      #expect(ended.err.contains("0.19") && ended.err.contains("fcrun cancel"), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 1)
      let id = try await bench.job()
      #expect(try await bench.fcrun("ps", "-q").out == id + "\n", "it still costs, so ps shows it")
      #expect(try await bench.fcrun("ps").out.contains(/kept +failed +3[ ]/), "and how the command ended")
      let far = try await bench.fcrun("ssh", id, "--", "cat", "fcrun/job/result", "||", "ls", "-a", "fcrun")
      #expect(far.code == 0, "\(far.err)")
      #expect(try await bench.fcrun("ssh", id, "--", "exit", "9").code == 9)
      try FileManager.default.removeItem(atPath: bench.work + "/result")
      #expect(try await bench.fcrun("fetch", id).code == 0)
      #expect(bench.text("result") == "one\n")
      #expect(try await bench.fcrun("resume", "--all").code == 0, "a kept machine is no unfinished work")
      #expect(try bench.cloud.ledger().live == 1)
      let cancelled = try await bench.fcrun("cancel", id)
      #expect(cancelled.code == 0, "\(cancelled.err)")
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try await bench.show(id)["exit_code"].int == 3, "giving back does not change how the job ended")
    }
  }

  @Test("teardown on_success gives the machine back after a success, --keep keeps it")
  func keepFlag() async throws {
    try await Bench.run { (bench: Bench) async throws -> Void in
      #expect(try await bench.fcrun("submit", try bench.spec(["command": "true", "teardown": "on_success"])).code == 0)
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try await bench.fcrun("submit", "--keep", "job.json").code == 0)
      #expect(try bench.cloud.ledger().live == 1)
      #expect(try await bench.fcrun("cancel", try await bench.job()).code == 0)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("fetch works while the command runs; ssh reaches the running machine")
  func fetchWhileRunning() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo early > result; echo begun; sleep 100", "outputs": ["result"]])
      let submit = try bench.start("submit", spec)
      try await eventually("the job has written", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      let id = try await bench.job()
      let fetched = try await bench.fcrun("fetch", id)
      #expect(fetched.code == 0, "\(fetched.err)")
      #expect(bench.text("result") == "early\n")
      let far = try await bench.fcrun("ssh", id, "--", "printf '%s' \"$FCRUN_SIM_INSTANCE\"")
      #expect(far.out == (try bench.cloud.ledger().ids.first), "\(far.err)")
      submit.signal(2)
      #expect(try await submit.end().code == 130)
      #expect(try await bench.fcrun("fetch", id).code == 64)
    }
  }

  // MARK: Readers that go away

  @Test("A closed stdout, and a reader that leaves after one line, do not change the job or its code", .faults(107))
  func readersLeave() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": Self.tick + "; exit 6"])
      let closed = try await bench.shell("\"$FCRUN\" submit \(spec) >&-")
      #expect(closed.code == 6, "\(closed.err)")
      let headed = try await bench.shell("{ \"$FCRUN\" submit \(spec); echo $? > code; } | head -1")
      #expect(headed.out == "out 1\n")
      #expect(bench.text("code") == "6\n", "\(headed.err)")
      let lines = (1...30).map { "out \($0)\n" }.joined()
      #expect(try await bench.log("stdout") == Data(lines.utf8))
      let deaf = try await bench.shell("\"$FCRUN\" submit \(spec) 2>&-")
      #expect(deaf.code == 6)
      #expect(deaf.out == lines)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "A reader that does not read does not hold up the release, and gets everything once it does", .faults(107),
    arguments: ["", "2>&1", "--json"])
  func stalledReader(_ form: String) async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "head -c 500000 /dev/zero; head -c 500000 /dev/zero >&2; exit 3", "envs": ["A": "b"],
      ])
      // The reader begins when the test lets it.
      let script =
        "{ \"$FCRUN\" submit \(spec) \(form); echo $? > code; } | { until [ -f go ]; do sleep 0.05; done; wc -c; }"
      let shell = try bench.start(program: "/bin/sh", ["-c", script], env: ["FCRUN": Binaries.fcrun])
      try await eventually("the machine is given back while nobody reads", else: { shell.err }) {
        let ledger = try bench.cloud.ledger()
        return ledger.instances.count == 1 && ledger.live == 0 ? true : nil
      }
      try bench.write("go", "")
      let ended = try await shell.end(within: 30)
      #expect(bench.text("code") == "3\n")
      let count = Int(ended.out.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
      #expect(count >= (form == "" ? 500_000 : 1_000_000), "\(count) bytes came through")
    }
  }

  // MARK: Money and time

  @Test("max_cost ends a run with 124")
  func outOfBudget() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "echo begun; sleep 100", "resources": ["instance_type": "B200x8"], "limits": ["max_cost": "0.05"],
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 124, "\(ended.err)")
      #expect(ended.err.contains("max_cost") || ended.err.contains("budget"), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A secret that is missing on resume before launch is 78, and the machine is released")
  func secretMissingOnResume() async throws {
    try await Bench.run(bootTime: "2") { bench in
      let spec = try bench.spec(["command": "echo run >> '\(bench.counter)'", "secrets": ["TOKEN"]])
      let submit = try bench.start("submit", spec, env: ["TOKEN": "abc"])
      try await submit.says("waiting for it to boot")
      await submit.destroy()
      let resumed = try await bench.fcrun("resume", try await bench.job())
      #expect(resumed.code == 78, "\(resumed.err)")
      #expect(resumed.err.contains("TOKEN"))
      #expect(bench.runs == 0)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}
