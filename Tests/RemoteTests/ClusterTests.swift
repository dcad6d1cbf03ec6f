import Foundation
import Remote
import TestSupport
import Testing

/// What nodes are told of each other, and how they find out whether they can talk.
@Suite struct ClusterTests {
  private func cluster(_ ips: [String], prefix: Int? = 24, gpus: Int = 0) -> Cluster {
    Cluster(
      job: "job",
      nodes: ips.enumerated().map { rank, ip in
        Cluster.Node(
          ip: ip, interface: "eth\(rank)", prefix: prefix, sshPort: 22 + rank, user: "root",
          hostKey: "ssh-ed25519 K\(rank)")
      }, gpusPerNode: gpus, shared: "ssh-ed25519 SHARED fcrun\n")
  }

  private func value(_ name: String, in variables: [Launch.Variable]) -> String? {
    variables.first { $0.name == name }?.value
  }

  @Test func eachNodeIsToldWhoItIsAndWhereTheOthersAre() {
    let told = cluster(["10.0.0.2", "10.0.0.3"], gpus: 8).environment(of: 1)
    #expect(value("FCRUN_NODE_RANK", in: told) == "1" && value("FCRUN_NUM_NODES", in: told) == "2")
    #expect(value("FCRUN_NODE_IPS", in: told) == "10.0.0.2\n10.0.0.3" && value("FCRUN_HEAD_IP", in: told) == "10.0.0.2")
    #expect(value("FCRUN_NODE_IP", in: told) == "10.0.0.3" && value("FCRUN_GPUS_PER_NODE", in: told) == "8")
    for name in ["FCRUN_NODE_IFACE", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"] {
      #expect(value(name, in: told) == "eth1", "its own, not the other's")
    }
    #expect(value("NCCL_SOCKET_IFNAME", in: cluster(["10.0.0.2"]).environment(of: 0)) == nil)
  }

  @Test func theNetworkOfAllIsKnownOnlyWhereItIsOne() {
    #expect(cluster(["10.0.3.2", "10.0.3.77"]).network == "10.0.3.0/24")
    #expect(cluster(["10.0.3.2", "10.0.9.77"], prefix: 16).network == "10.0.0.0/16")
    #expect(cluster(["10.0.3.2", "10.0.4.2"]).network == nil)
    #expect(cluster(["10.0.3.2"], prefix: nil).network == nil && cluster(["fe80::1"]).network == nil)
  }

  @Test func aNodeSaysWhereItIsOrNothing() throws {
    let facts = try #require(NodeFacts("noise\nnode 10.0.0.2 2222 ens3 20\n"))
    #expect(facts.ip == "10.0.0.2" && facts.sshPort == 2222 && facts.interface == "ens3" && facts.prefix == 20)
    let unsure = try #require(NodeFacts("node 10.0.0.2 22 - -"))
    #expect(unsure.interface == nil && unsure.prefix == nil)
    #expect(NodeFacts("gpus 8\n") == nil && NodeFacts("") == nil)
    let end = try Spawned.run(
      ["/bin/sh", "-c", Script.whereabouts],
      environment: ["PATH": "/usr/sbin:/usr/bin:/bin", "SSH_CONNECTION": "10.0.0.9 5 127.0.0.1 2200"])
    let told = try #require(NodeFacts(String(decoding: end.output, as: UTF8.self)))
    #expect(told.ip == "127.0.0.1" && told.sshPort == 2200)
  }

  @Test func nodesFindOutWhetherTheyReachEachOther() throws {
    let port = 20_000 + Int(getpid() % 10_000)
    let one = Script.reach(at: "127.0.0.2", port: port, within: 5, peers: [("127.0.0.3", 22)])
    let other = Script.reach(at: "127.0.0.3", port: port, within: 5, peers: [("127.0.0.2", 22)])
    let both = "( \(one) ) & ( \(other) ) & wait"
    let end = try Spawned.run(["/bin/sh", "-c", both])
    let lines = Set(String(decoding: end.output, as: UTF8.self).split(separator: "\n"))
    #expect(lines == ["ok 127.0.0.2", "ok 127.0.0.3"])
    // A test network that is nowhere (RFC 5737).
    let lost = try Spawned.run(
      ["/bin/sh", "-c", Script.reach(at: "127.0.0.2", port: port, within: 1, peers: [("192.0.2.1", 22)])])
    #expect(String(decoding: lost.output, as: UTF8.self).hasPrefix("no 192.0.2.1 "))
  }
}

/// Engines under the supervisor of a private sshd.
@Suite(.enabled(if: PrivateSSHD.isUsable))
struct EngineTests {
  let sshd: PrivateSSHD
  let local: TemporaryFolder

  init() throws {
    sshd = try PrivateSSHD()
    local = try TemporaryFolder()
  }

  private let alone = Cluster(
    job: "job",
    nodes: [
      Cluster.Node(ip: "127.0.0.1", interface: "lo", prefix: 8, sshPort: 22, user: "root", hostKey: "ssh-ed25519 K")
    ], gpusPerNode: 2)

  /// Starts `count` processes as torchrun does, and answers 1 when one of them fails.
  private static let standIn = #"""
    #!/bin/sh
    echo "$@" >"$HOME/flags"
    for word; do case $word in --nproc_per_node=*) n=${word#*=} ;; esac; done
    while [ "${1#--}" != "$1" ]; do shift; done
    r=0 i=0
    while [ $i -lt $n ]; do RANK=$i LOCAL_RANK=$i "$@" || r=1; i=$((i + 1)); done
    exit $r
    """#

  private func run(_ command: Launch.Command, setup: String? = nil, _ recipe: EngineRecipe) throws -> (
    record: ExitRecord, worker: WorkerProcess
  ) {
    let worker = try WorkerProcess.connected(to: sshd)
    var environment = [Launch.Variable(name: "PATH", value: "\(sshd.home)/bin:/usr/bin:/bin")]
    environment += alone.environment(of: 0) + recipe.environment(alone, 0)
    let launch = Launch(
      control: "~/c/job", workdir: "~/files", environment: environment, setup: setup, command: command,
      maxDuration: nil, grace: 1, engine: recipe.wrapping(alone, 0))
    _ = try worker.status(.launch(launch))
    let follow = Follow(
      control: "~/c/job", stdout: "\(local.path)/stdout.log", stderr: "\(local.path)/stderr.log", mask: [])
    guard case .status(.exited(let record)) = try worker.end(of: worker.ask(.follow(follow))) else {
      throw WorkerProcess.NoAnswer(description: "\(worker.events.suffix(3))")
    }
    return (record, worker)
  }

  private func install(_ name: String, _ script: String) throws {
    let folder = "\(sshd.home)/bin"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // Copied by a child: a file that we write may be open in a process that another test forks at this moment (ETXTBSY).
    try local.file(name, Array(script.utf8), mode: 0o755)
    #expect(try Spawned.run(["/bin/cp", "-p", "\(local.path)/\(name)", "\(folder)/\(name)"]).status == 0)
  }

  @Test func torchrunIsGivenTheFlagsThatEveryVersionTakes() throws {
    try install("torchrun", Self.standIn)
    let (record, _) = try run(
      .argv(["sh", "-c", "echo rank $RANK \"$1\"", "x", "it's $5"]), setup: "echo ready", .torchrun)
    #expect(record.code == 0 && record.phase == .command)
    #expect(text(of: "\(local.path)/stdout.log") == "rank 0 it's $5\nrank 1 it's $5\n")
    #expect(text(of: "\(local.path)/stderr.log") == "ready\n")
    let flags = text(of: "\(sshd.home)/flags") ?? ""
    #expect(
      flags.hasPrefix(
        "--nnodes=1 --nproc_per_node=2 --node_rank=0 --master_addr=127.0.0.1 --master_port=29500 --no_python /bin/sh -c"
      ))
  }

  @Test func aRanksOwnCodeIsToldAlthoughTorchrunSaysOne() throws {
    try install("torchrun", Self.standIn)
    let (record, _) = try run(.script("[ $RANK = 0 ] || exit 7; exit 0"), .torchrun)
    #expect(record.code == 7)
    #expect(text(of: "\(local.path)/stderr.log") == "fcrun: rank 1 ended with exit code 7\n")
  }

  @Test func withoutItsProgramAnEngineSaysSoBeforeTheCommand() throws {
    for (recipe, name) in [(EngineRecipe.torchrun, "torchrun"), (.ray(version: nil), "ray")] {
      let (record, worker) = try run(.script("echo ran"), recipe)
      #expect(record.code == 127 && record.phase == .setup)
      #expect(text(of: "\(local.path)/stderr.log")?.contains("there is no \(name) in PATH on node 0") == true)
      #expect(text(of: "\(local.path)/stdout.log") == "")
      _ = try worker.end(of: worker.ask(.exec(Exec(command: "rm -rf ~/c", timeout: 60))))
      try FileManager.default.removeItem(atPath: "\(local.path)/stderr.log")
    }
  }

  @Test func setupThatFailsKeepsTheEngineFromStarting() throws {
    let (record, _) = try run(.script("echo ran"), setup: "exit 3", .torchrun)
    #expect(record.code == 3 && record.phase == .setup && text(of: "\(local.path)/stderr.log") == "")
  }

  /// What an engine leaves running is ended by its mark, and nobody else is.
  @Test func whatRunsOnBesideTheCommandEndsWithIt() throws {
    try install("torchrun", Self.standIn)
    var recipe = EngineRecipe.torchrun
    let clearing =
      recipe.wrapping(alone, 0).command.components(separatedBy: "torchrun --nnodes")[0] + """
        fcrun_user
        fcrun_clear
        fcrun_others >"$HOME/left"
        """
    recipe = .torchrun
    let worker = try WorkerProcess.connected(to: sshd)
    let daemon = "setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! >$HOME/pid"
    let launch = Launch(
      control: "~/c/job", workdir: "~/files", environment: [], setup: nil, command: .script(daemon), maxDuration: nil,
      grace: 1, engine: Launch.Engine(prepare: "exit 0\n", command: clearing))
    _ = try worker.status(.launch(launch))
    let follow = Follow(
      control: "~/c/job", stdout: "\(local.path)/stdout.log", stderr: "\(local.path)/stderr.log", mask: [])
    _ = try worker.end(of: worker.ask(.follow(follow)))
    let pid = try #require(text(of: "\(sshd.home)/pid")).trimmingCharacters(in: .whitespacesAndNewlines)
    // Gone, or a zombie where pid 1 does not reap.
    let state = (text(of: "/proc/\(pid)/stat") ?? ") X").split(separator: ")").last?.split(separator: " ").first
    #expect(state == "Z" || state == "X")
    #expect(text(of: "\(sshd.home)/left") == "")
  }

  @Test func whatIsMadeOnceOnTheHeadIsTheSameWhenAskedAgain() throws {
    let worker = try WorkerProcess.connected(to: sshd)
    for recipe in [EngineRecipe.mpi, .ray(version: nil)] {
      let mint = Request.Verb.exec(Exec(command: try #require(recipe.mint(in: "~/c/mint")), timeout: 20))
      guard case .executed(let once) = try worker.end(of: worker.ask(mint)),
        case .executed(let again) = try worker.end(of: worker.ask(mint))
      else { throw WorkerProcess.NoAnswer(description: "\(worker.events)") }
      #expect(once.exitCode == 0 && once.stdout.count > 60 && once.stdout == again.stdout, "\(once)")
    }
    let mode = try FileManager.default.attributesOfItem(atPath: "\(sshd.home)/c/mint/token")[.posixPermissions]
    #expect((mode as? NSNumber)?.intValue == 0o600)
  }
}
