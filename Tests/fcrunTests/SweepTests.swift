import Foundation
import TestSupport
import Testing

/// Many jobs of one spec, from outside.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct SweepTests {
  private func most(_ ledger: Ledger) -> Int {
    let lives = ledger.instances.map { ($0["created"].text ?? "", $0["ended"].text ?? "~") }
    return lives.map { one in lives.count { $0.0 <= one.0 && one.0 < $0.1 } }.max() ?? 0
  }

  @Test("A matrix is a job for each combination, two at a time, and one table at the end")
  func matrix() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "name": "grid", "matrix": ["lr": [0.1, 0.2], "seed": ["a b"]], "max_parallel": 1,
        "command": """
        printf '%s|%s|%s\\n' '${matrix.lr}' "$FCRUN_MATRIX_SEED" "$FCRUN_ARRAY_INDEX" | tee out.txt
        printf '{"loss": ${matrix.lr}, "note": "x,\\\\"y"}' > $FCRUN_OUTPUT_DIR/result.json
        test ${matrix.lr} = 0.1 || exit 3
        """, "outputs": ["out.txt"],
      ])
      let ended = try await bench.fcrun("submit", spec, within: 120)
      #expect(ended.code == 3, "the first task that failed: \(ended.err)")
      #expect(ended.out.isEmpty, "logs has what the tasks wrote")
      #expect(ended.err.contains("fcrun: grid-0: running\n"))
      #expect(ended.err.contains("grid: 1 of 2 succeeded, 1 failed"))
      #expect(most(try bench.cloud.ledger()) == 1)
      #expect(try bench.cloud.ledger().live == 0)
      #expect(bench.text("grid-0/out.txt") == "0.1|a b|0\n")
      #expect(bench.text("grid-1/out.txt") == "0.2|a b|1\n")
      try await lookAtIt(bench)
      try await skipWhatIsThere(bench, spec)
    }
  }

  private func lookAtIt(_ bench: Bench) async throws {
    #expect(try await bench.fcrun("logs", "grid").out == "grid-0: 0.1|a b|0\ngrid-1: 0.2|a b|1\n")
    #expect(try await bench.fcrun("logs", "grid/1").out == "0.2|a b|1\n")
    #expect(try await bench.fcrun("logs", "grid", "--grep", "b.1", "-n", "1", "--raw").out == "grid-1: 0.2|a b|1\n")
    let timed = try await bench.fcrun("logs", "grid", "--timestamps", "--since", "1h", "--stream", "stdout").out
    #expect(timed.split(separator: "\n").last?.wholeMatch(of: /grid-1: 20\S+Z 0\.2\|a b\|1/) != nil, "\(timed)")
    let lines = try await bench.fcrun("logs", "grid", "--json").events
    #expect(lines.map { $0["task"].int } == [0, 1] && lines.last?["text"].text == "0.2|a b|1\n", "\(lines)")
    #expect(try await bench.fcrun("wait", "grid").code == 3)
    #expect(try await bench.fcrun("wait", "grid/0").code == 0)
    #expect(try await bench.fcrun("resume", "grid").code == 3)
    let csv = try await bench.fcrun("results", "grid", "--csv").out.split(separator: "\r\n")
    #expect(csv[0] == "index,lr,seed,state,outcome,exit_code,attempts,duration,cost,loss,note")
    #expect(csv[1].hasPrefix("0,0.1,a b,finished,succeeded,0,1,"), "\(csv[1])")
    #expect(csv[2].hasPrefix("1,0.2,a b,finished,failed,3,1,"), "\(csv[2])")
    #expect(csv[2].hasSuffix(",0.2,\"x,\"\"y\""), "\(csv[2])")
    let rows = try await bench.fcrun("results", "grid", "--json").json["data"]
    #expect(rows[1]["matrix"]["lr"].text == "0.2")
    #expect(rows[1]["result"]["note"].text == "x,\"y")
    #expect(try await bench.fcrun("show", "grid", "--json").json["data"].items.count == 2)
    let jobs = try await bench.fcrun("ps", "-a", "--json").json["data"]
    #expect(Set(jobs.items.compactMap { $0["name"].text }) == ["grid-0", "grid-1"])
    let missing = try await bench.fcrun("show", "grid/7")
    #expect(missing.code == 64)
    #expect(missing.err.contains("grid has no task 7; expected one of 0, 1"), "\(missing.err)")
  }

  private func skipWhatIsThere(_ bench: Bench, _ spec: String) async throws {
    try FileManager.default.removeItem(atPath: bench.work + "/grid-0/out.txt")
    let ended = try await bench.fcrun("submit", spec, "--skip", "--json", within: 120)
    #expect(ended.code == 0, "\(ended.err)")
    #expect(ended.events.first?["event"].text == "submitted")
    #expect(ended.events.first?["skipped"].items.map(\.int) == [1])
    #expect(ended.events.dropFirst().dropLast().allSatisfy { $0["task"].int == 0 })
    #expect(ended.events.allSatisfy { $0["event"].text != "output" })
    #expect(ended.events.last?["event"].text == "finished")
    #expect(ended.events.last?["exit_code"].int == 0)
    #expect(try await bench.fcrun("results", "grid", "--json").json["data"][1]["state"].text == "skipped")
    #expect(bench.text("grid-0/out.txt") == "0.1|a b|0\n")
  }

  @Test("kill -9 in the middle: resume --all goes on two at a time, and every task has run once", .faults(3))
  func killed() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["name": "kill", "command": "echo $FCRUN_ARRAY_INDEX >> \(bench.counter); sleep 1"])
      let submit = try bench.start("submit", spec, "--array", "0-4%2")
      try await eventually("a second pair has begun", within: 90, else: { submit.err }) { bench.runs >= 3 ? true : nil }
      await submit.destroy()
      let resumed = try await bench.fcrun("resume", "--all", within: 120)
      #expect(resumed.code == 0, "\(resumed.err)")
      let runs = String(decoding: try Data(contentsOf: URL(filePath: bench.counter)), as: UTF8.self)
      #expect(runs.split(separator: "\n").sorted() == ["0", "1", "2", "3", "4"])
      #expect(most(try bench.cloud.ledger()) <= 2)
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try await bench.fcrun("wait", "kill").code == 0)
    }
  }

  @Test("Ctrl-C gives all machines back at once, and what waited never begins", .faults(106))
  func interrupted() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["name": "stop", "command": "echo run >> \(bench.counter); sleep 100"])
      let submit = try bench.start("submit", spec, "--array", "0-9%3")
      try await eventually("three have begun", within: 90, else: { submit.err }) { bench.runs == 3 ? true : nil }
      let pressed = Date()
      submit.signal(2)
      let ended = try await submit.end(within: 20)
      #expect(ended.code == 130, "\(ended.err)")
      #expect(ended.err.contains("0 of 10 succeeded, 10 failed"))
      let deletes = try bench.cloud.requests().filter { $0.method == "DELETE" }
      #expect(Set(deletes.map(\.path)).count == 3)
      #expect(deletes.allSatisfy { $0.time.timeIntervalSince(pressed) < 2 })
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try await bench.fcrun("resume", "stop").code == 130)
      #expect(bench.runs == 3)
    }
  }

  @Test(
    "Sixty at once keep the pace of the API; Ctrl-C waits for none that has not left, cancel after kill -9 for one minute",
    .faults(3, 23, 106), arguments: [SIGINT, SIGKILL])
  func crowd(signal: Int32) async throws {
    // The fifteenth POST, and whatever leaves before that is known, is told to come back in a minute: all others wait with it.
    let limited = "creates_limited={\"skip\": 14, \"percent\": 100}"
    // Machines that do not boot meanwhile: fifteen sshds that end at once are this computer's work, not fcrun's.
    try await Bench.run([limited, "retry_after=\"60\""], bootTime: "60") { bench in
      let spec = try bench.spec(["name": "crowd", "command": "sleep 100"])
      let submit = try bench.start("submit", spec, "--array", "0-59%60")
      try await submit.says("the API answered 429")
      _ = try await arrivedPosts(bench)
      submit.signal(signal)
      let ended = try await submit.end(within: 20)
      let asked = try await arrivedPosts(bench)
      if signal == SIGINT {
        #expect(ended.code == 130 && ended.err.contains("0 of 60 succeeded, 60 failed"), "\(ended.err.suffix(400))")
      } else {
        let cancelled = try await bench.fcrun("cancel", "crowd", within: 120)
        #expect(cancelled.code == 0, "\(cancelled.err)")
      }
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try posts(bench) == asked)
      try requirePace(bench)
    }
  }

  /// Also those that were under way when the process was killed.
  private func arrivedPosts(_ bench: Bench) async throws -> Int {
    var count = try posts(bench)
    return try await eventually("no POST is under way") {
      try await Task.sleep(for: .milliseconds(250))
      defer { count = (try? posts(bench)) ?? count }
      return try posts(bench) == count ? count : nil
    }
  }

  private func posts(_ bench: Bench) throws -> Int { try bench.cloud.requests().count { $0.method == "POST" } }

  /// 20 at once and 10 a second for each process, DELETE in a queue of its own; what is noted late may be a little closer.
  private func requirePace(_ bench: Bench) throws {
    let times = try bench.cloud.requests().filter { $0.method != "DELETE" }.map(\.time).sorted()
    for (place, start) in times.enumerated() {
      let inTwoSeconds = times[place...].prefix { $0.timeIntervalSince(start) < 2 }.count
      #expect(inTwoSeconds <= 2 * (20 + 20 + 5), "from request \(place) on")
    }
  }

  @Test("cancel ends one task, then the whole, also what waits; who waits for it hears of it")
  func cancelled() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["name": "many", "command": "echo run >> \(bench.counter); sleep 100"])
      let id = try await bench.fcrun("submit", spec, "--array", "0-3%2", "--detach").out
        .trimmingCharacters(in: .whitespacesAndNewlines)
      try await eventually("two have begun", within: 90) { bench.runs == 2 ? true : nil }
      #expect(try await bench.fcrun("cancel", "many/3").code == 0, "it waits, so nothing has to be given back")
      let wait = try bench.start("wait", id)
      let cancelled = try await bench.fcrun("cancel", "many", within: 90)
      #expect(cancelled.code == 0, "\(cancelled.err)")
      #expect(try await wait.end().code == 130)
      let rows = try await bench.fcrun("results", id, "--json").json["data"].items
      #expect(rows.map { $0["outcome"].text } == Array(repeating: "cancelled", count: 4))
      #expect(rows.map { $0["attempts"].int } == [1, 1, 0, 0])
      #expect(try bench.cloud.ledger().live == 0)
      #expect(bench.runs == 2)
    }
  }

  @Test("max_cost is of the whole: what it does not pay for is not begun")
  func budget() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "name": "poor", "command": "sleep 3", "limits": ["max_cost": "0.0004"], "retry": ["on": [String]()],
        "resources": ["offering_id": "spot_coff_l4x10000001"],
      ])
      let ended = try await bench.fcrun("submit", spec, "--array", "0-3%1", within: 120)
      #expect(ended.code == 124, "\(ended.err)")
      let rows = try await bench.fcrun("results", "poor", "--json").json["data"].items
      #expect(rows.last?["outcome"].text == "out_of_budget")
      #expect(rows.last?["attempts"].int == 0)
      #expect(try bench.cloud.ledger().instances.count < 4)
    }
  }

  @Test("The first failure ends the others where that was asked for")
  func failFast() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "name": "fast", "command": "test $FCRUN_ARRAY_INDEX = 0 && exit 5; sleep 100",
      ])
      let ended = try await bench.fcrun("submit", spec, "--array", "0-4%2", "--fail-fast", within: 90)
      #expect(ended.code == 5, "\(ended.err)")
      #expect(try bench.cloud.ledger().instances.count == 2)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}

/// Tasks that follow one another on a machine.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct ReuseTests {
  private func spec(_ bench: Bench, _ command: String, tasks: Int) throws -> String {
    try bench.spec([
      "name": "chain", "matrix": ["n": Array(0..<tasks)], "max_parallel": 2, "reuse": true, "command": command,
      "outputs": ["out.txt"],
    ])
  }

  private func checkRuns(_ bench: Bench, _ tasks: Int) throws {
    let runs = String(decoding: try Data(contentsOf: URL(filePath: bench.counter)), as: UTF8.self)
    #expect(runs.split(separator: "\n").compactMap { Int($0) }.sorted() == Array(0..<tasks))
    for task in 0..<tasks { #expect(bench.text("chain-\(task)/out.txt") == "\(task)\n") }
  }

  @Test("Six tasks on two machines: boot is paid twice, folders are fresh, and nothing of a task is left for the next")
  func reused() async throws {
    try await Bench.run { bench in
      // What flees into a session of its own, with its logs closed, is ended all the same.
      let command = """
        test -e left.txt && exit 9; touch left.txt
        grep -lsF "MARK=$HOME;" /proc/[0-9]*/environ && exit 8
        echo $FCRUN_ARRAY_INDEX >> \(bench.counter); echo $FCRUN_ARRAY_INDEX > out.txt
        export MARK="$HOME;"
        setsid sleep 300 >/dev/null 2>&1 </dev/null &
        sleep 0.3
        """
      let ended = try await bench.fcrun("submit", try spec(bench, command, tasks: 6), within: 120)
      #expect(ended.err.contains("its machine goes to chain-"), "\(ended.err)")
      try checkRuns(bench, 6)
      let ledger = try bench.cloud.ledger()
      #expect(ledger.instances.count == 2, "\(ledger.text)")
      #expect(ledger.live == 0)
      let cost = try await bench.fcrun("show", "chain", "--json").json["cost"].text ?? ""
      #expect((Double(cost) ?? 0) > 0)
    }
  }

  @Test("Killed again and again, every task has run once and no machine is left", .faults(3))
  func killed() async throws {
    try await Bench.run { bench in
      let command = "echo $FCRUN_ARRAY_INDEX >> \(bench.counter); echo $FCRUN_ARRAY_INDEX > out.txt; sleep 0.5"
      var driver = try bench.start("submit", try spec(bench, command, tasks: 7))
      for runs in [1, 3, 5] {
        let child = driver
        try await eventually("\(runs) tasks have begun", within: 90, else: { child.err }) {
          bench.runs >= runs ? true : nil
        }
        try? await Task.sleep(for: .milliseconds(Int.random(in: 0...900)))
        await driver.destroy()
        let list = try await bench.fcrun("reap", "--dry-run", "--json").json["data"].items
        #expect(list.allSatisfy { $0["result"].text == "left" }, "a machine that is handed over is no stray: \(list)")
        let open = try await bench.fcrun("ps", "--json").json["data"].items.map { $0["id"].text }
        #expect(list.allSatisfy { open.contains($0["job"].text) }, "it is named for the job that has it: \(list)")
        driver = try bench.start("resume", "--all")
      }
      let ended = try await driver.end(within: 120)
      #expect(ended.code == 0, "\(ended.err)")
      try checkRuns(bench, 7)
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try await bench.fcrun("wait", "chain").code == 0)
    }
  }

  @Test(
    "Killed at the handover, before and after it, the machine goes on or goes back",
    arguments: [
      "before-handover:2", "after-handover:1",
    ])
  func killedAtTheHandover(place: String) async throws {
    try await Bench.run { bench in
      let command = "echo $FCRUN_ARRAY_INDEX >> \(bench.counter); echo $FCRUN_ARRAY_INDEX > out.txt"
      let submit = try bench.start("submit", try spec(bench, command, tasks: 4), env: ["FCRUN_FAILPOINT": place])
      #expect(try await submit.end(within: 90).code == 137)
      let resumed = try await bench.fcrun("resume", "chain", within: 120)
      #expect(resumed.code == 0, "\(resumed.err)")
      try checkRuns(bench, 4)
      #expect(try bench.cloud.ledger().instances.count == 2)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("Ctrl-C in the middle of a chain gives all back")
  func interrupted() async throws {
    try await Bench.run { bench in
      let command =
        "echo $FCRUN_ARRAY_INDEX | tee -a \(bench.counter) >out.txt; test $FCRUN_ARRAY_INDEX -lt 2 || sleep 100"
      let submit = try bench.start("submit", try spec(bench, command, tasks: 6))
      try await eventually("the second pair runs", within: 90, else: { submit.err }) { bench.runs >= 4 ? true : nil }
      submit.signal(2)
      #expect(try await submit.end(within: 20).code == 130)
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try bench.cloud.ledger().instances.count == 2)
    }
  }
}
