// What is done on the machines once they are reached: upload, launch, follow, stop, collect.

import ForwardCompute
import Jobs
import Remote
import Store

extension World {
  /// Marks a refused key in a failure's text: the pace after it is slower.
  static let notAuthenticated = "not authenticated: "

  func reach(_ attempt: Attempt, for job: JobRecord) async -> Event {
    let answers = await each(attempt.machines) { machine in await hosts.connect(job.link(to: machine)) }
    var contacts: [Contact] = []
    for answer in answers {
      switch answer {
      case .success(let connected): contacts.append(Contact(hostKey: connected.hostKey, user: connected.user))
      case .failure(let failure): return failure.event
      }
    }
    return .reached(contacts)
  }

  func upload(_ attempt: Attempt, for job: JobRecord) async -> Event {
    if let wrong = await shortcoming(of: attempt, for: job) { return .failed(.bootFailed(wrong)) }
    let start = clock.now()
    let answers = await sendFiles(attempt, for: job)
    return answers.firstFailure.map { event(of: $0, since: start) } ?? .uploaded
  }

  func launch(_ attempt: Attempt, for job: JobRecord) async -> Event {
    if let missing = job.context.plan.secrets.first(where: { secrets.value(of: $0) == nil }) {
      return .failed(.notConfigured("the secret \(missing) is not in the environment; set it and submit again"))
    }
    switch await gather(attempt, for: job) {
    case .cluster(let cluster): return await launch(attempt, as: cluster, for: job)
    case .not(let event): return event
    }
  }

  private func launch(_ attempt: Attempt, as cluster: Cluster, for job: JobRecord) async -> Event {
    let start = clock.now()
    let answers = await each(attempt.machines) { machine in
      // Before anything runs: a folder that cannot be made now is tried for once more when the log is opened.
      _ = logFolder(job.id, attempt.number, machine.node)
      return await askAgain(
        .launch(launchRequest(on: machine, in: attempt, as: cluster, for: job)), of: machine, in: attempt, for: job)
    }
    return answers.firstFailure.map { event(of: $0, since: start) } ?? answers.firstLoss ?? .launched
  }

  func stop(_ attempt: Attempt, for job: JobRecord) async -> Event {
    let start = clock.now()
    let answers = await each(attempt.unended) { machine in
      (machine.node, await stopAndFollow(machine, in: attempt, for: job))
    }
    return answers.map(\.1).firstFailure.map { event(of: $0, since: start) }
      ?? .stopped(answers.compactMap { NodeEnd(node: $0.0, $0.1) })
  }

  /// Ends the command and takes the rest of its log; where the log cannot be completed, the end is all that is taken.
  private func stopAndFollow(_ machine: Machine, in attempt: Attempt, for job: JobRecord) async -> WorkerEvent.Kind {
    let stop = Stop(control: job.control(of: attempt), grace: Double(job.context.plan.limits.killGrace))
    let stopped = await askAgain(.stop(stop), of: machine, in: attempt, for: job)
    guard case .status = stopped else { return stopped }
    let followed = await ask(followRequest(on: machine, in: attempt, for: job), of: machine, in: attempt, for: job)
    await takeCheckpoint(of: machine, in: attempt, for: job)
    if case .failed(let failure) = followed, failure.isOfLog { return stopped }
    return followed
  }

  /// Ends what the task has left running, for the next one.
  func clear(_ attempt: Attempt, for job: JobRecord) async -> Event {
    let start = clock.now()
    let stop = Stop(control: job.control(of: attempt), grace: Double(job.context.plan.limits.killGrace))
    let answers = await each(attempt.present) { machine in
      await askAgain(.stop(stop), of: machine, in: attempt, for: job)
    }
    return answers.firstFailure.map { event(of: $0, since: start) } ?? answers.firstLoss ?? .cleared
  }

  /// Outputs of every node that is there; those of node 0 land where the spec says, the others' beside them in `node-<rank>/`.
  func collect(_ attempt: Attempt, for job: JobRecord, into partial: String = "") async -> Event {
    let start = clock.now()
    let present = attempt.present
    let answers = await each(present) { machine in
      await askAgain(
        .collect(collectRequest(on: machine, in: attempt, for: job, partial)), of: machine, in: attempt, for: job)
    }
    if let failure = answers.firstFailure {
      for other in answers.failures.dropFirst() {
        narrator.tell(.warning(job: job.id, "not fetched: \(other.message)"))
      }
      return event(of: failure, since: start)
    }
    let found = zip(present, answers).compactMap { machine, answer -> (node: Int, transferred: Transferred)? in
      if case .transferred(let transferred) = answer { (machine.node, transferred) } else { nil }
    }
    for (node, transferred) in found {
      let place = attempt.machines.count > 1 ? " of node \(node)" : ""
      for refused in transferred.refused { narrator.tell(.warning(job: job.id, "not fetched\(place): \(refused)")) }
    }
    return .collected(missing: job.context.plan.missing(found.map { ($0.node, $0.transferred.missing) }))
  }

  /// Outputs as they are now, outside of any driver.
  ///
  /// Into a partial folder of its own: a driver may be fetching at the same time.
  package func fetch(_ attempt: Attempt, for job: JobRecord) async -> Event {
    await collect(attempt, for: job, into: "-fetch-\(clock.now().milliseconds)")
  }

  /// After a DELETE that came first: what still comes of logs and outputs is taken, for a short while.
  func salvage(_ attempt: Attempt, for job: JobRecord) async -> Event {
    await within(Pace.salvage) {
      await strands.both {
        await within(Pace.salvageOfLogs) { await takeLogs(of: attempt, for: job) }
      } and: {
        _ = await collect(attempt, for: job)
      }
    }
    return .salvaged
  }

  private func takeLogs(of attempt: Attempt, for job: JobRecord) async {
    _ = await each(attempt.unended) { machine in await follow(machine, in: attempt, for: job) }
  }

  /// Gives `work` up when `limit` has passed.
  func within(_ limit: Duration, _ work: @escaping @Sendable () async -> Void) async {
    await strands.run(work, before: { await clock.sleep(for: limit) })
  }

  /// A verb that may be repeated, asked again a few times where the machine only fell silent over it.
  func askAgain(_ verb: Request.Verb, of machine: Machine, in attempt: Attempt, for job: JobRecord) async
    -> WorkerEvent.Kind
  {
    var answer = await ask(verb, of: machine, in: attempt, for: job)
    for round in 0..<3 {
      guard case .failed(let failure) = answer, failure.kind == .unanswered, !Task.isCancelled else { break }
      await clock.sleep(for: .seconds(1 << round))
      answer = await ask(verb, of: machine, in: attempt, for: job)
    }
    return answer
  }

  func ask(_ verb: Request.Verb, of machine: Machine, in attempt: Attempt, for job: JobRecord) async
    -> WorkerEvent.Kind
  {
    let narrator = narrator
    let (id, number, node, word) = (job.id, attempt.number, machine.node, verb.word)
    return await hosts.perform(verb, on: job.link(to: machine)) { kind in
      switch kind {
      case .progress(let progress): narrator.tell(.progress(job: id, verb: word, node: node, progress))
      case .log(let growth): narrator.tell(.logGrew(job: id, attempt: number, node: node, growth))
      case .refused, .connected, .executed, .transferred, .status, .failed: break
      }
    }
  }
}

// MARK: - Following

extension World {
  /// Until every node's command is over, or the first one fails, or none can be followed.
  func follow(_ attempt: Attempt, for job: JobRecord) async -> Event {
    await keepingCheckpoints(of: attempt, for: job) {
      let event = await endingIdle(attempt, for: job) { await followAll(attempt, for: job) }
      return await diagnosed(event, of: attempt, for: job)
    }
  }

  private func followAll(_ attempt: Attempt, for job: JobRecord) async -> Event {
    let start = clock.now()
    var ends: [NodeEnd] = []
    var failure: Failure?
    await strands.run(attempt.unended.map { machine in { await followed(machine, in: attempt, for: job) } }) { _, how in
      switch how {
      case .success(let end): if let end { ends.append(end) }
      case .failure(let what): failure = what
      }
      return failure != nil || job.context.plan.isDecided(by: ends)
    }
    if let failure, ends.isEmpty { return unfollowed(failure, since: start) }
    return .ended(ends)
  }

  /// How a node ended, also by its loss; nil where nobody can say.
  private func followed(_ machine: Machine, in attempt: Attempt, for job: JobRecord) async -> Result<NodeEnd?, Failure>
  {
    let answer = await follow(machine, in: attempt, for: job)
    guard case .failed(let failure) = answer else { return .success(NodeEnd(node: machine.node, answer)) }
    guard let loss = await loss(of: machine, after: failure, in: attempt, for: job) else { return .failure(failure) }
    return .success(loss)
  }

  private func follow(_ machine: Machine, in attempt: Attempt, for job: JobRecord) async -> WorkerEvent.Kind {
    await ask(followRequest(on: machine, in: attempt, for: job), of: machine, in: attempt, for: job)
  }

  /// Whether a node whose connection broke is gone: another one answers, and then it still lets nobody in. Where none answers it may as
  /// well be this computer that has lost its network, and everything is tried again.
  private func loss(of machine: Machine, after failure: Failure, in attempt: Attempt, for job: JobRecord) async
    -> NodeEnd?
  {
    guard failure.isOfNetwork, await someoneLives(besides: machine, in: attempt, for: job) else { return nil }
    var link = job.link(to: machine)
    link.timeout = Pace.lastCall
    guard case .failure(let again) = await hosts.connect(link), again.isOfNetwork, !Task.isCancelled else { return nil }
    return NodeEnd(node: machine.node, how: await wayOfGoing(machine, failure.message, in: attempt))
  }

  /// The first answer counts: another node may be gone as well.
  private func someoneLives(besides machine: Machine, in attempt: Attempt, for job: JobRecord) async -> Bool {
    let status = Request.Verb.status(Status(control: job.control(of: attempt)))
    let signs = attempt.present.filter { $0.node != machine.node }.map { other -> @Sendable () async -> Bool? in
      { await hosts.perform(status, on: job.link(to: other)) { _ in }.isSignOfLife ? true : nil }
    }
    return await strands.first(of: signs) ?? false
  }

  /// A remote script that was killed says nothing about the command: it is asked for again, like after a cut.
  private func unfollowed(_ failure: Failure, since start: Moment) -> Event {
    guard [.remote, .unanswered].contains(failure.kind) else { return event(of: failure, since: start) }
    return .unreachable(failure.message, wasConnected: clock.now() - start > Self.lasting)
  }

  /// A connection that broke after it had lasted: what kept it from lasting before is over.
  private static let lasting = Duration.seconds(60)

  func event(of failure: Failure, since start: Moment) -> Event {
    guard failure.kind == .dropped else { return failure.event }
    return .unreachable(failure.message, wasConnected: clock.now() - start > Self.lasting)
  }

  private func followRequest(on machine: Machine, in attempt: Attempt, for job: JobRecord) -> Request.Verb {
    let logs = logFolder(job.id, attempt.number, machine.node)
    return .follow(
      Follow(
        control: job.control(of: attempt), stdout: logs + "/stdout.log", stderr: logs + "/stderr.log",
        mask: job.context.plan.secrets.compactMap(secrets.value).filter { !$0.isEmpty }))
  }
}

// MARK: - Requests

extension World {
  /// The job's files, and over them what an earlier attempt had come to.
  func upload(to machine: Machine, in attempt: Attempt, for job: JobRecord) -> Upload {
    Upload(
      control: job.control(of: attempt), workdir: job.workdir,
      sources: job.context.plan.files.map(\.remote) + checkpointSources(for: machine, of: job))
  }

  private func launchRequest(
    on machine: Machine, in attempt: Attempt, as cluster: Cluster, for job: JobRecord
  ) -> Launch {
    let plan = job.context.plan
    return Launch(
      control: job.control(of: attempt), workdir: job.workdir,
      environment: environment(on: machine, in: attempt, as: cluster, for: job), setup: plan.setup,
      command: plan.command.remote, maxDuration: plan.limits.maxDuration.map(Double.init),
      grace: Double(plan.limits.killGrace), isUploaded: true,
      engine: plan.recipe(hiding: plan.secrets.compactMap(secrets.value)).map { $0.wrapping(cluster, machine.node) })
  }

  /// fcrun's own variables, then the user's: a user's own value always wins.
  private func environment(
    on machine: Machine, in attempt: Attempt, as cluster: Cluster, for job: JobRecord
  ) -> [Launch.Variable] {
    let plan = job.context.plan
    let ofJob = [
      ("FCRUN_JOB_ID", job.id), ("FCRUN_JOB_NAME", job.name), ("FCRUN_ATTEMPT", "\(attempt.number)"),
    ]
    let ofTask = (plan.task?.environment ?? []).map { ($0.name, $0.value) }
    let own =
      (ofJob + ofTask).map { Launch.Variable(name: $0.0, value: $0.1) } + cluster.environment(of: machine.node)
      + (plan.recipe?.environment(cluster, machine.node) ?? [])
    let users = plan.envs.map { ($0.name, $0.value) } + plan.secrets.map { ($0, secrets.value(of: $0) ?? "") }
    let taken = Set(users.map(\.0))
    return own.filter { !taken.contains($0.name) } + users.map { Launch.Variable(name: $0.0, value: $0.1) }
  }

  private func collectRequest(
    on machine: Machine, in attempt: Attempt, for job: JobRecord, _ partial: String = ""
  ) -> Collect {
    let plan = job.context.plan
    let place = machine.node == 0 ? plan.root : plan.root + "/node-\(machine.node)"
    return Collect(
      control: job.control(of: attempt), workdir: job.workdir,
      outputs: plan.outputs.filter { machine.node == 0 || $0.nodes != .head }.map(\.remote),
      outputFolder: "\(plan.name)-outputs", root: place,
      partial: plan.root + "/.fcrun-partial-\(job.id)-\(machine.node)\(partial)")
  }
}

extension JobRecord {
  /// Records of the supervisor: one folder for each attempt, outside the workdir.
  package func control(of attempt: Attempt) -> String { "~/.fcrun/\(id)/a\(attempt.number)" }

  package var workdir: String { context.plan.workdir ?? "~/fcrun/\(id)" }

  package func link(to machine: Machine) -> Link {
    let told = context.plan.sshUser ?? machine.address?.user
    return Link(
      machine: machine.name, host: machine.address?.host ?? "", port: machine.address?.port ?? 22,
      users: told.map { [$0] } ?? ["root", "ubuntu"], pin: machine.hostKey, key: arrangement.key,
      timeout: .seconds(20), silence: context.plan.nodes > 1 ? Pace.silenceOfNode : Pace.silence)
  }

}

extension JobPlan.FilePlan {
  fileprivate var remote: Upload.Source {
    Upload.Source(source: source, destination: destination, exclude: exclude)
  }
}

extension JobPlan.OutputPlan {
  var remote: Collect.Output {
    Collect.Output(source: source, destination: destination, folder: folder)
  }
}

extension Command {
  var remote: Launch.Command {
    switch self {
    case .script(let text): .script(text)
    case .argv(let words): .argv(words)
    }
  }
}

// MARK: - Answers in Jobs' words

extension Sequence<WorkerEvent.Kind> {
  fileprivate var failures: [Failure] { compactMap { if case .failed(let failure) = $0 { failure } else { nil } } }
  var firstFailure: Failure? { failures.first }

  fileprivate var firstLoss: Event? {
    lazy.compactMap { answer -> Event? in
      guard case .status(.lost(let why)) = answer else { return nil }
      return Event.failed(JobStatus.isReboot(why) ? .rebooted(why) : .lost(why))
    }.first
  }
}

extension NodeEnd {
  fileprivate init?(node: Int, _ answer: WorkerEvent.Kind) {
    switch answer {
    case .status(.exited(let record)): self.init(node: node, how: .ended(CommandEnd(record)))
    case .status(.lost(let why)): self.init(node: node, how: JobStatus.isReboot(why) ? .rebooted(why) : .lost(why))
    case .status(.notBegun): self.init(node: node, how: .lost("the machine has no record of the command any more"))
    case .status(.running), .progress, .log, .refused, .connected, .executed, .transferred, .failed: return nil
    }
  }

  fileprivate var isEndOfHead: Bool { if case .ended = how { node == 0 } else { false } }

  var isFailure: Bool {
    switch how {
    case .ended(let end): end.code != 0 || end.reason != .exited
    case .lost, .rebooted, .preempted: true
    }
  }
}

extension CommandEnd {
  fileprivate init(_ record: ExitRecord) {
    let phase: Phase =
      switch record.phase {
      case .setup: .setup
      case .command: .command
      }
    let reason: Reason =
      switch record.ending {
      case .exited: .exited
      case .timedOut: .timedOut
      case .stopped: .stopped
      }
    self.init(code: record.code, phase: phase, reason: reason)
  }
}

extension JobPlan {
  /// Nothing more is waited for: one has failed, or the one that counts has ended.
  fileprivate func isDecided(by ends: [NodeEnd]) -> Bool {
    guard let last = ends.last else { return false }
    return last.isFailure || brings.runsOnHead && last.isEndOfHead
  }
}

extension WorkerEvent.Kind {
  fileprivate var isSignOfLife: Bool { if case .status = self { true } else { false } }
}

extension Failure {
  fileprivate var isOfNetwork: Bool { [.dropped, .refused, .timedOut].contains(kind) }

  /// The log cannot be completed, here or there; that says nothing about the outputs.
  fileprivate var isOfLog: Bool { [.local, .integrity, .remote, .unanswered].contains(kind) }

  /// What a verb's failure means: try again, or the end.
  var event: Event {
    switch kind {
    case .refused, .timedOut, .cancelled: .unreachable(message, wasConnected: false)
    case .dropped: .unreachable(message, wasConnected: false)
    case .notAuthenticated: .unreachable(World.notAuthenticated + message, wasConnected: false)
    case .keyUnusable: .failed(.notConfigured(message))
    case .hostKeyChanged, .local, .remote, .unanswered, .integrity, .badRequest: .failed(.failed(message))
    }
  }
}

extension Request.Verb {
  package var word: String {
    switch self {
    case .connect: "connect"
    case .exec: "exec"
    case .upload: "upload"
    case .launch: "launch"
    case .status: "status"
    case .follow: "follow"
    case .stop: "stop"
    case .collect: "collect"
    case .forward: "forward"
    case .cancel: "cancel"
    }
  }
}
