// One upload, and the first node passes it on: our way out is mostly narrower than what lies between the machines.

import Jobs
import Remote
import Store

extension FanOutPolicy {
  /// Bytes for which it is worth a look: less is there before the nodes have been asked where they are.
  private static let much = 64 << 20
  /// Bytes a second. Where one node took more our way is as good as a network of 1 Gbit/s, on which the first node sends to all others.
  private static let fast = 60e6

  /// Before anything is sent. A workdir of the user's own may hold more than the job's files, or be shared; a checkpoint is each node's own.
  func begins(_ job: JobRecord) -> Bool {
    guard self != .never, job.context.plan.nodes > 1, job.context.plan.workdir == nil,
      job.context.plan.checkpoint == nil,
      !job.context.plan.files.isEmpty
    else {
      return false
    }
    return self == .always || job.arrangement.uploadBytes ?? 0 >= Self.much
  }

  /// After the first node has everything.
  func goesOn(_ bytes: Int, in time: Duration) -> Bool {
    self == .always || Double(bytes) < Self.fast * time.seconds
  }
}

extension JobRecord {
  fileprivate var fanOut: FanOutPolicy { arrangement.fanOut ?? .auto }
}

extension World {
  /// To all nodes at once; or to the first, which passes it on, and then to the others what they still lack.
  func sendFiles(_ attempt: Attempt, for job: JobRecord) async -> [WorkerEvent.Kind] {
    let policy = job.fanOut
    guard policy.begins(job) else { return await each(attempt.machines) { await sent(to: $0, attempt, job) } }
    let start = clock.now()
    let first = await sent(to: attempt.machines[0], attempt, job)
    guard case .transferred(let whole) = first else { return [first] }
    if policy.goesOn(whole.bytes, in: clock.now() - start) { await passOn(attempt, whole.bytes, for: job) }
    _ = await each(attempt.machines) { await told(FanOut.end(of: job.id, in: job.control(of: attempt)), $0, job) }
    return await [first] + each(Array(attempt.machines.dropFirst())) { await sent(to: $0, attempt, job) }
  }

  private func sent(to machine: Machine, _ attempt: Attempt, _ job: JobRecord) async -> WorkerEvent.Kind {
    await askAgain(.upload(upload(to: machine, in: attempt, for: job)), of: machine, in: attempt, for: job)
  }

  /// Whatever fails is for the upload that follows.
  private func passOn(_ attempt: Attempt, _ bytes: Int, for job: JobRecord) async {
    guard let cluster = await apart(attempt, for: job) else { return }
    let (control, head) = (job.control(of: attempt), attempt.machines[0])
    guard let key = await told(FanOut.mint(in: control), head, job) else { return }
    let number = "\(clock.now().milliseconds)"
    let others = await each(Array(attempt.machines.dropFirst())) { machine in
      await told(FanOut.letIn(key, of: job.id, as: number, in: control), machine, job).map { _ in machine }
    }.compactMap(\.self)
    guard !others.isEmpty else { return }
    narrator.tell(.note(job: job.id, "node 0 passes the files on to the others"))
    let peers = others.map { cluster.nodes[$0.node] }
    let answer = await told(
      FanOut.send(job.workdir, to: peers, as: number, in: control), head, job,
      within: Self.patience(for: bytes * peers.count))
    // Only where all of it has come: what still comes goes where it is unpacked, wherever that is moved to.
    let whole = zip(others, peers).filter { answer?.contains("ok \($1.ip) \($1.sshPort)\n") == true }.map(\.0)
    _ = await each(whole) { machine in
      await told(FanOut.take(job.workdir, as: number, in: control), machine, job)
    }
  }

  /// Seconds, at 10 MB/s.
  private static func patience(for bytes: Int) -> Double { 60 + Double(bytes) / 10e6 }

  /// Where the nodes are for each other; nil where they cannot be told apart, or are one computer.
  private func apart(_ attempt: Attempt, for job: JobRecord) async -> Cluster? {
    let cluster = attempt.cluster(of: job, at: await whereabouts(attempt, for: job).map(\.facts))
    return job.fanOut == .always || cluster.isDistinct && !cluster.isOneComputer ? cluster : nil
  }

  /// What a script prints; nil where it fails.
  private func told(_ script: String, _ machine: Machine, _ job: JobRecord, within seconds: Double = 30) async
    -> String?
  {
    let answer = await hosts.perform(.exec(Exec(command: script, timeout: seconds)), on: job.link(to: machine)) { _ in }
    guard case .executed(let told) = answer, told.exitCode == 0 else { return nil }
    return told.stdout
  }
}
