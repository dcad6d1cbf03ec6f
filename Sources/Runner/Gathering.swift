// How the nodes of an attempt come to know each other, right before the launch: where each is, that all can reach each other, and what
// the first has made for the others. Asked for again after a crash it comes to the same.

import Jobs
import Remote
import Store

extension World {
  enum Gathered {
    case cluster(Cluster)
    case not(Event)
  }

  func gather(_ attempt: Attempt, for job: JobRecord) async -> Gathered {
    let alone = attempt.cluster(of: job, at: nil)
    let recipe = job.context.plan.recipe
    guard attempt.machines.count > 1 || recipe != nil else { return .cluster(alone) }
    let start = clock.now()
    let answers = await whereabouts(attempt, for: job)
    if let failure = answers.firstFailure { return .not(event(of: failure, since: start)) }
    let facts = answers.map(\.facts)
    switch await meeting(at: [attempt.cluster(of: job, at: facts), alone], attempt, for: job, port: recipe?.port) {
    case .not(let event): return .not(event)
    case .cluster(let cluster): return await minted(cluster, attempt, for: job, recipe)
    }
  }

  /// What each node says of where it is.
  func whereabouts(_ attempt: Attempt, for job: JobRecord) async -> [WorkerEvent.Kind] {
    await each(attempt.machines) { machine in
      await hosts.perform(.exec(Exec(command: Script.whereabouts, timeout: 20)), on: job.link(to: machine)) { _ in }
    }
  }

  /// The first set of addresses at which all can reach each other: their own ones, or those that the API tells.
  ///
  /// Without an engine nobody knows whether the nodes want to talk to each other: it is only said that they cannot.
  private func meeting(
    at choices: [Cluster], _ attempt: Attempt, for job: JobRecord, port: Int?
  ) async -> Gathered {
    guard choices[0].nodes.count > 1, !choices[0].isOneComputer else { return .cluster(choices[0]) }
    var trouble: String?
    for cluster in choices where trouble == nil || cluster.addresses != choices[0].addresses {
      guard cluster.isDistinct else { continue }
      guard let why = await unreached(in: cluster, attempt, for: job, port: port ?? Self.plainPort) else {
        return .cluster(cluster)
      }
      trouble = trouble ?? why
    }
    guard let trouble, !Task.isCancelled else { return .cluster(choices[0]) }
    guard port == nil else { return .not(.failed(.bootFailed(trouble))) }
    narrator.tell(.warning(job: job.id, trouble))
    return .cluster(choices[0])
  }

  /// Where nothing says which port the nodes will use.
  private static let plainPort = 29_500
  /// Seconds that nodes which are asked at once may take to find each other.
  private static let reachLimit = 8

  /// The first pair that cannot open a connection; nil where nobody says so.
  private func unreached(in cluster: Cluster, _ attempt: Attempt, for job: JobRecord, port: Int) async -> String? {
    let answers = await each(attempt.machines) { machine in
      let peers = cluster.nodes.indices.filter { $0 != machine.node }
        .map { (cluster.nodes[$0].ip, cluster.nodes[$0].sshPort) }
      let own = cluster.nodes[machine.node].ip
      let question = Script.reach(at: own, port: port, within: Self.reachLimit, peers: peers)
      let asked = Exec(command: question, timeout: Double(Self.reachLimit + 20))
      return (machine, await hosts.perform(.exec(asked), on: job.link(to: machine)) { _ in })
    }
    for (machine, answer) in answers {
      guard case .executed(let told) = answer, let (ip, why) = told.stdout.refusal,
        let peer = cluster.nodes.firstIndex(where: { $0.ip == ip })
      else { continue }
      return "node \(machine.node) (\(machine.id ?? machine.name)) cannot open a TCP connection to node \(peer) "
        + "(\(attempt.machines[peer].id ?? "?")) at \(ip):\(port): \(why)"
    }
    return nil
  }

  private func minted(
    _ cluster: Cluster, _ attempt: Attempt, for job: JobRecord, _ recipe: EngineRecipe?
  ) async -> Gathered {
    guard let script = recipe?.mint(in: job.control(of: attempt)) else { return .cluster(cluster) }
    let start = clock.now()
    let head = attempt.machines[0]
    var cluster = cluster
    switch await hosts.perform(.exec(Exec(command: script, timeout: 30)), on: job.link(to: head), watching: { _ in }) {
    case .executed(let told) where told.exitCode == 0:
      cluster.shared = told.stdout
      return .cluster(cluster)
    case .executed(let told): return .not(.failed(.failed("on the first node: \(told.stderr.lastLine)")))
    case .failed(let failure): return .not(event(of: failure, since: start))
    case .progress, .log, .refused, .connected, .transferred, .status:
      return .not(.unreachable("the SSH worker answered out of turn", wasConnected: false))
    }
  }
}

extension JobPlan {
  /// nil: nothing stands around the command.
  var recipe: EngineRecipe? { recipe(hiding: []) }

  /// - Parameter secrets: values that must not come home in a log.
  func recipe(hiding secrets: [String]) -> EngineRecipe? {
    switch brings {
    case .none: nil
    case .ray: .ray(version: engine?.version, tasks: fleet.map { RayTasks($0, of: self, hiding: secrets) })
    case .torchrun: .torchrun
    case .mpi: .mpi
    }
  }
}

extension Attempt {
  /// - Parameter facts: by rank; without them everybody is where the API says.
  func cluster(of job: JobRecord, at facts: [NodeFacts?]?) -> Cluster {
    Cluster(
      job: job.id,
      nodes: machines.map { machine in
        let fact = facts?[machine.node]
        return Cluster.Node(
          ip: fact?.ip ?? machine.address?.host ?? "", interface: fact?.interface, prefix: fact?.prefix,
          sshPort: fact?.sshPort ?? machine.address?.port ?? 22, user: machine.address?.user ?? "root",
          hostKey: machine.hostKey ?? "")
      }, gpusPerNode: offering.numGPUs ?? 0)
  }
}

extension Cluster {
  fileprivate var addresses: [String] { nodes.map(\.ip) }

  /// Behind translated addresses each may be `172.17.0.2`: then the one is not the other's.
  var isDistinct: Bool { Set(addresses).count == nodes.count }

  /// They reach each other, and only one of them could listen at a port.
  var isOneComputer: Bool { addresses.allSatisfy { $0.hasPrefix("127.") } }
}

extension WorkerEvent.Kind {
  var facts: NodeFacts? { if case .executed(let told) = self { NodeFacts(told.stdout) } else { nil } }
}

extension String {
  /// Of the lines of ``Script/reach(at:port:within:peers:)``.
  fileprivate var refusal: (ip: String, why: String)? {
    for line in split(separator: "\n") where line.hasPrefix("no ") {
      let words = line.split(separator: " ", maxSplits: 2).map(String.init)
      if words.count > 1 { return (words[1], words.count > 2 ? words[2] : "no answer") }
    }
    return nil
  }

  fileprivate var lastLine: String { split(separator: "\n").last.map { String($0.prefix(200)) } ?? "" }
}

extension RayTasks {
  fileprivate init(_ fleet: Fleet, of job: JobPlan, hiding secrets: [String]) {
    self.init(
      tasks: fleet.tasks.map(Task.init), place: Fleet.place, folder: Fleet.folder(of: job.name),
      gpus: job.engine?.gpusPerTask, cpus: job.engine?.cpusPerTask ?? 1, atOnce: fleet.maxParallel, hiding: secrets)
  }
}

extension RayTasks.Task {
  /// A task sees what it would see as a job of a sweep; a user's own value always wins.
  fileprivate init(_ task: Fleet.Task) {
    let own = [JobPlan.Variable(name: "FCRUN_JOB_NAME", value: task.name)] + task.task.environment
    self.init(
      index: task.task.index, name: task.name, values: task.task.values.map(Launch.Variable.init),
      environment: (own + task.envs).map(Launch.Variable.init), command: task.command.remote,
      outputs: task.outputs.map(\.remote))
  }
}

extension Launch.Variable {
  fileprivate init(_ variable: JobPlan.Variable) { self.init(name: variable.name, value: variable.value) }
}
