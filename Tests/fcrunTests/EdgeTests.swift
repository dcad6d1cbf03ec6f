import Foundation
import TestSupport
import Testing

/// What commands, files and keys of real people are like.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct EdgeTests {
  // MARK: Commands

  @Test(
    "A child in the background that holds the streams does not hold up the end, and dies with the machine", .faults(81))
  func backgroundChild() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "sleep 200 & echo $! > '\(bench.folder)/child'; echo done"])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.seconds < 20)
      #expect(ended.out == "done\n")
      for id in try bench.cloud.ledger().ids { #expect(Processes.on(instance: id).isEmpty) }
    }
  }

  @Test("A command that reads stdin meets its end at once")
  func stdinIsEmpty() async throws {
    try await Bench.run { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "cat; echo after"]))
      #expect(ended.code == 0)
      #expect(ended.out == "after\n")
    }
  }

  @Test("Output without an end of line, and exit code 255, are as they are", .faults(77))
  func noNewline() async throws {
    try await Bench.run { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "printf abc; printf def >&2; exit 255"]))
      #expect(ended.code == 255, "\(ended.err)")
      #expect(ended.out == "abc")
      #expect(try await bench.log("stderr") == Data("def".utf8))
    }
  }

  @Test("A program that is not there gives the shell's 127")
  func noSuchProgram() async throws {
    try await Bench.run { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": ["no-such-program", "x"]]))
      #expect(ended.code == 127, "\(ended.err)")
    }
  }

  @Test("Two nodes each see their rank and both addresses, and both are given back")
  func twoNodes() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "nodes": 2, "command": "echo $FCRUN_NODE_RANK of $FCRUN_NUM_NODES; printf '%s\\n' \"$FCRUN_NODE_IPS\" | wc -l",
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      let id = try await bench.job()
      for rank in 0..<2 {
        let log = FileManager.default.contents(atPath: "\(bench.home)/jobs/\(id)/attempt-1/node-\(rank)/stdout.log")
        let text = String(decoding: log ?? Data(), as: UTF8.self)
        #expect(text == "\(rank) of 2\n2\n")
      }
      #expect(try bench.cloud.ledger().instances.count == 2)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  // MARK: Places of outputs

  @Test("What is in the way of one output holds up no other, and the message says where that one lies", .faults(113))
  func outputInTheWay() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo x > o; echo y > p", "outputs": ["o", "p"]])
      try FileManager.default.createDirectory(atPath: "\(bench.work)/o", withIntermediateDirectories: false)
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 125, "\(ended.err)")
      let kept = "\(bench.work)/.fcrun-partial-\(try await bench.job())-0/o"
      #expect(ended.err.contains("it lies in \(kept)"), "\(ended.err)")
      #expect(FileManager.default.contents(atPath: kept) == Data("x\n".utf8))
      #expect(FileManager.default.contents(atPath: "\(bench.work)/p") == Data("y\n".utf8))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A folder of outputs that is no folder, or a link, is refused before anything is rented")
  func outputFolderInTheWay() async throws {
    try await Bench.run { bench in
      let files = FileManager.default
      #expect(files.createFile(atPath: "\(bench.work)/file", contents: nil))
      try files.createSymbolicLink(atPath: "\(bench.work)/link", withDestinationPath: "/")
      for (place, why) in [("file/r", "is no folder"), ("link/r", "is a symbolic link")] {
        let spec = try bench.spec(["command": "true", "outputs": [["source": "r", "destination": place]]])
        for verb in ["validate", "submit"] {
          let ended = try await bench.fcrun(verb, spec)
          #expect(ended.code == 64, "\(ended.err)")
          #expect(ended.err.contains("\(bench.work)/\(place.dropLast(2)) \(why)"), "\(ended.err)")
        }
      }
      #expect(try bench.cloud.ledger().instances.isEmpty)
    }
  }

  @Test("Outputs arrive whole in folders that are mounts")
  func outputsOnMounts() async throws {
    try await Bench.run { bench in
      let namespace = "unshare --user --map-root-user --mount"
      guard try await bench.shell("\(namespace) mount -t tmpfs none '\(bench.work)'").code == 0 else {
        return print("NOT TESTED: outputs on mounts; this computer lets nobody mount in a namespace of their own")
      }
      let spec = try bench.spec([
        "command": "mkdir r; echo x > r/f; echo z > $FCRUN_OUTPUT_DIR/z",
        "outputs": [["source": "r", "destination": "results/r"]],
      ])
      // Only the processes in the namespace see what is on the mounts.
      let inside = """
        for d in results job-outputs; do mkdir $d && mount -t tmpfs none $d || exit 99; done
        $FCRUN submit '\(spec)' || exit; cat results/r/f; cat */z; ls -A . results
        """
      let ended = try await bench.shell("\(namespace) sh -c \"$INSIDE\"", env: ["INSIDE": inside])
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.out.hasPrefix("x\nz\n"), "\(ended.out)")
      #expect(ended.out.hasSuffix("results:\nr\n"), "\(ended.out)")
      #expect(!ended.out.contains(".fcrun-partial"), "\(ended.out)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  // MARK: Secrets

  @Test("A secret that is written in pieces is masked all the same", .faults(120))
  func secretInPieces() async throws {
    try await Bench.run { bench in
      let script = "printf 'a canary-'; sleep 0.3; printf 'in-'; sleep 0.3; printf 'pieces b'; printf 'canary-in-'"
      let spec = try bench.spec(["command": script, "secrets": ["TOKEN"]])
      let ended = try await bench.fcrun("submit", spec, env: ["TOKEN": "canary-in-pieces"])
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.out == "a \(String(repeating: "*", count: 16)) bcanary-in-")
      #expect(try await bench.log("stdout") == ended.stdout)
    }
  }

  @Test("A secret reaches the command only: not the API, not an argv, not the state folder", .faults(119, 120))
  func secretsStayAway() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec([
        "command": "echo begun; sleep 100", "secrets": ["TOKEN"], "envs": ["PLAIN": "visible"],
        "setup": "test ${#TOKEN} = 19",
      ])
      let submit = try bench.start("submit", spec, env: ["TOKEN": "canary-of-this-test"])
      try await eventually("the job has begun", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      let id = try #require(try bench.cloud.ledger().ids.first)
      let instance = try await bench.fcrun("instances", "show", id, "--json")
      #expect(instance.out.contains("visible"), "\(instance.out)\(instance.err)")
      #expect(!instance.out.contains("canary"))
      #expect(Processes.mentioning("canary-of-this-test").isEmpty)
      #expect(try bench.filesHolding("canary-of-this-test").isEmpty)
      submit.signal(2)
      #expect(try await submit.end().code == 130)
      #expect(try bench.filesHolding("canary-of-this-test").isEmpty)
    }
  }

  @Test("A secret that is missing on resume after launch does not stop the job, and that masking is off is said")
  func secretMissingAfterLaunch() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "echo begun; sleep 2; echo end; exit 4", "secrets": ["TOKEN"]])
      let submit = try bench.start("submit", spec, env: ["TOKEN": "abcdef"])
      try await eventually("the job has begun", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      await submit.destroy()
      let resumed = try await bench.fcrun("resume", try await bench.job())
      #expect(resumed.code == 4, "\(resumed.err)")
      #expect(resumed.err.contains("masking"), "\(resumed.err)")
      #expect(resumed.out == "end\n")
    }
  }

  // MARK: Files and outputs

  @Test("Paths are relative to the spec's folder, wherever fcrun runs")
  func specElsewhere() async throws {
    try await Bench.run { bench in
      try bench.write("deep/er/data/a file", "1")
      let spec = try bench.spec(
        ["command": "mkdir out && cp 'data/a file' out/", "files": ["data"], "outputs": ["out"]],
        named: "deep/er/job.json")
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(bench.text("deep/er/out/a file") == "1")
    }
  }

  @Test("destination names what a source becomes, exclude leaves out, and workdir is where the command runs")
  func destinations() async throws {
    try await Bench.run { bench in
      try bench.write("src/a.py", "a")
      try bench.write("src/b.bak", "b")
      try bench.write("one.txt", "1")
      let spec = try bench.spec([
        "workdir": "~/place of work", "command": "find . -type f | grep -v outputs | LC_ALL=C sort; basename \"$PWD\"",
        "files": [
          ["source": "src", "destination": "code", "exclude": ["*.bak"]],
          ["source": "one.txt", "destination": "two/three.txt"],
        ],
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.out == "./code/a.py\n./two/three.txt\nplace of work\n", "\(ended.out)")
    }
  }

  @Test(
    "Globs fetch what they match, below their destination; a link out of the outputs lands nowhere else", .faults(113))
  func globsAndLinks() async throws {
    try await Bench.run { bench in
      let script = """
        mkdir -p out/sub; echo 1 > out/a.csv; echo 2 > out/b.csv; echo 3 > out/c.txt; echo 4 > out/sub/d
        mkdir tree; echo 5 > tree/file; ln -s /etc/hostname tree/away; ln -s file tree/near; mkdir tree/empty
        """
      let spec = try bench.spec([
        "command": script, "outputs": [["source": "out/*.csv", "destination": "tables"], "tree"],
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(bench.text("tables/a.csv") == "1\n" && bench.text("tables/b.csv") == "2\n")
      #expect(bench.read("tables/c.txt") == nil)
      #expect(bench.text("tree/file") == "5\n" && bench.text("tree/near") == "5\n")
      var isFolder: ObjCBool = false
      #expect(
        FileManager.default.fileExists(atPath: bench.work + "/tree/empty", isDirectory: &isFolder) && isFolder.boolValue
      )
    }
  }

  @Test("An output replaces what an earlier run left, and nothing half is left beside it")
  func outputsReplace() async throws {
    try await Bench.run { bench in
      try bench.write("out/old", "old")
      try bench.write("single", "old")
      let spec = try bench.spec([
        "command": "mkdir out; echo new > out/new; echo new > single", "outputs": ["out", "single"],
      ])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(bench.text("out/new") == "new\n" && bench.text("single") == "new\n")
      let names = try FileManager.default.contentsOfDirectory(atPath: bench.work)
      #expect(Set(names) == ["job.json", "out", "single"], "\(names)")
    }
  }

  @Test("A thousand small files go up and come back")
  func manyFiles() async throws {
    try await Bench.run { bench in
      for number in 0..<1000 { try bench.write("many/\(number % 10)/\(number)", "\(number)") }
      let spec = try bench.spec(["command": "cp -a many back", "files": ["many"], "outputs": ["back"]])
      let ended = try await bench.fcrun("submit", spec)
      #expect(ended.code == 0, "\(ended.err)")
      #expect((0..<1000).allSatisfy { bench.text("back/\($0 % 10)/\($0)") == "\($0)" })
    }
  }

  // MARK: Keys

  @Test("The key is found in ~/.ssh, and in the agent alone")
  func keysElsewhere() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "true"])
      let pair = bench.cloud.privateKey
      let folder = bench.folder + "/.ssh"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try FileManager.default.copyItem(atPath: pair, toPath: folder + "/id_ed25519")
      try FileManager.default.copyItem(atPath: pair + ".pub", toPath: folder + "/id_ed25519.pub")
      let home = try await bench.fcrun("submit", spec, env: ["FCRUN_SSH_KEY": ""])
      #expect(home.code == 0, "\(home.err)")
      try FileManager.default.removeItem(atPath: folder)
      let socket = bench.folder + "/agent"
      _ = try bench.start(program: "/usr/bin/ssh-agent", ["-D", "-a", socket])
      try await eventually("the agent listens") { FileManager.default.fileExists(atPath: socket) ? true : nil }
      #expect(try await bench.shell("ssh-add '\(pair)'", env: ["SSH_AUTH_SOCK": socket]).code == 0)
      let agent = try await bench.fcrun("submit", spec, env: ["FCRUN_SSH_KEY": "", "SSH_AUTH_SOCK": socket])
      #expect(agent.code == 0, "\(agent.err)")
    }
  }

  @Test("A key with a passphrase and no terminal is 78 before anything is rented")
  func passphrase() async throws {
    try await Bench.run { bench in
      let locked = bench.folder + "/locked"
      let made = try await bench.shell(
        "cp '\(bench.cloud.privateKey)' '\(locked)' && chmod 600 '\(locked)' && cp '\(bench.cloud.privateKey).pub' '\(locked).pub' && ssh-keygen -q -p -P '' -N secret -f '\(locked)'"
      )
      #expect(made.code == 0, "\(made.err)")
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]), env: ["FCRUN_SSH_KEY": locked])
      #expect(ended.code == 78, "\(ended.err)")
      #expect(ended.err.contains("passphrase"))
      #expect(try bench.cloud.ledger().instances.isEmpty)
    }
  }

  // MARK: Several jobs

  @Test("Eight fcrun that start at once in a new state folder all find it usable", .faults(98))
  func startTogether() async throws {
    for _ in 0..<5 {
      try await Bench.offline { bench in
        let all = try (1...8).map { _ in try bench.start("ps", "-a", "-q") }
        for one in all {
          let ended = try await one.end()
          #expect(ended.code == 0, "\(ended.err)")
        }
      }
    }
  }

  @Test("Three jobs at once in one state folder, killed together, are all resumed by one resume --all", .faults(61))
  func severalJobs() async throws {
    try await Bench.run(bootTime: "1") { bench in
      var submits: [ChildProcess] = []
      for number in 1...3 {
        let spec = try bench.spec(
          ["command": "echo run >> '\(bench.counter)'; sleep 1; echo \(number)"], named: "job-\(number).json")
        submits.append(try bench.start("submit", spec))
      }
      for submit in submits { try await submit.says("waiting for it to boot") }
      for submit in submits { await submit.destroy() }
      let resumed = try await bench.fcrun("resume", "--all")
      #expect(resumed.code == 0, "\(resumed.err)")
      #expect(bench.runs == 3)
      let jobs = try await bench.fcrun("ps", "-a", "--json").json["data"].items
      #expect(jobs.count == 3 && jobs.allSatisfy { $0["outcome"].text == "succeeded" }, "\(jobs)")
      #expect(try bench.cloud.ledger().live == 0)
      #expect(try bench.cloud.ledger().posts == [1, 1, 1])
    }
  }
}

/// What takes a minute because the contract says so: they wait beside the others.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct LongWaitTests {
  @Test("A DELETE that is forgotten is sent again after a minute", .faults(38))
  func forgottenDelete() async throws {
    try await Bench.run(["delete_forgotten=1"], load: .waiting) { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]), within: 120)
      #expect(ended.code == 0, "\(ended.err)")
      let ledger = try bench.cloud.ledger()
      #expect(ledger.live == 0)
      #expect(ledger.instances.first?["deletes"].int == 2)
    }
  }

  @Test("A POST that was never executed: after the settle window the job goes on under a new name", .faults(18))
  func lostPost() async throws {
    try await Bench.run(["create_lost=1"], load: .waiting) { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]), within: 120)
      #expect(ended.code == 0, "\(ended.err)")
      #expect(try bench.cloud.ledger().instances.count == 1)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A POST that is executed after its settle window leaves a machine that reap takes", .faults(19))
  func ghost() async throws {
    try await Bench.run(["create_queued=1", "create_queued_seconds=75"], load: .waiting) { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]), within: 120)
      #expect(ended.code == 0, "\(ended.err)")
      try await eventually("the ghost appears", within: 40) {
        try bench.cloud.ledger().instances.count == 2 ? true : nil
      }
      let reaped = try await bench.fcrun("reap")
      #expect(reaped.code == 0, "\(reaped.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A deleted machine that comes back is found by reap", .faults(39))
  func resurrection() async throws {
    try await Bench.run(["deleted_returns=1", "deleted_returns_seconds=5"], load: .waiting) { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]))
      #expect(ended.code == 0, "\(ended.err)")
      try await eventually("it comes back") { try bench.cloud.ledger().live == 1 ? true : nil }
      #expect(try await bench.fcrun("reap").code == 0)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "A key that is revoked while the job runs never counts as a deletion: 75, and resume finishes once it is back",
    .faults(43))
  func revokedKey() async throws {
    try await Bench.run(load: .waiting) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 100"]))
      try await eventually("the job has begun", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      try bench.cloud.turn(#"{"key_revoked": true}"#)
      submit.signal(2)
      let ended = try await submit.end(within: 25)
      #expect(ended.code == 75, "\(ended.err)")
      try bench.cloud.turn(#"{"key_revoked": false}"#)
      let resumed = try await bench.fcrun("resume", "--all")
      #expect(resumed.code == 130, "\(resumed.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("A storm of 503 while the job runs and ends costs nothing but time", .faults(24, 35))
  func storm() async throws {
    try await Bench.run(load: .waiting) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 3; echo end; exit 2"]))
      try await eventually("the job has begun", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      try bench.cloud.turn(#"{"reads_fail": true, "delete_fails": 3, "fails_status": 503}"#)
      try await submit.says("giving back")
      try await eventually("reads of the deleted instance failed several times", within: 30) {
        let failed = try bench.cloud.requests().count { $0.method == "GET" && $0.status == "503" }
        return failed > 5 ? true : nil
      }
      #expect(submit.isRunning, "without a proof it does not end")
      try bench.cloud.turn(#"{"reads_fail": false}"#)
      let ended = try await submit.end(within: 90)
      #expect(ended.code == 2, "\(ended.err)")
      #expect(ended.out == "begun\nend\n")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "An interrupt while a finished job's machine is not given back is 75; resumed, it is the job's own code",
    .faults(35, 106))
  func interruptedRelease() async throws {
    try await Bench.run(["delete_refused=true"], load: .waiting) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "exit 5"]))
      try await submit.says("giving back")
      submit.signal(2)
      let ended = try await submit.end(within: 25)
      #expect(ended.code == 75, "\(ended.err)")
      try bench.cloud.turn(#"{"delete_refused": false}"#)
      #expect(try await bench.fcrun("resume", "--all").code == 5)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test(
    "A machine that dies while the API goes on saying active: Ctrl-C gives it back within ten seconds", .faults(92, 106)
  )
  func silentDeath() async throws {
    try await Bench.run(["preempt_status=active"], load: .waiting) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 300"]))
      try await eventually("the job has begun", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      try bench.cloud.control("POST", "preempt/\(try #require(try bench.cloud.ledger().ids.first))")
      try await submit.says("refused", within: 60)
      submit.signal(2)
      let ended = try await submit.end(within: 12)
      #expect(ended.code == 130, "\(ended.err)")
      #expect(ended.out == "begun\n")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}
