// Checkpoints: fetched while the command runs, put back before the next attempt's command. None of it is part of the job's
// state: what is fetched counts when it is whole, and a process that dies over it leaves the last one as it was.

import Jobs
import Remote
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension World {
  /// Does `work`, and meanwhile takes a checkpoint of each node as often as the plan says; once more where the command did
  /// not succeed.
  func keepingCheckpoints(
    of attempt: Attempt, for job: JobRecord, _ work: @escaping @Sendable () async -> Event
  ) async -> Event {
    guard let plan = job.context.plan.checkpoint, checkpoints != nil else { return await work() }
    let checkpointing = attempt.machines.map { machine -> @Sendable () async -> Event? in
      {
        await takeCheckpoints(of: machine, every: .seconds(plan.every), in: attempt, for: job)
        return nil
      }
    }
    let event = await beside(work, checkpointing)
    await takeLastCheckpoint(after: event, of: attempt, for: job)
    return event
  }

  /// Does `work` with others beside it; the first event of any of them is the answer, and the end of all.
  func beside(
    _ work: @escaping @Sendable () async -> Event, _ others: [@Sendable () async -> Event?]
  ) async -> Event {
    // `work` answers in any case.
    await strands.first(of: [work] + others) ?? .unreachable("nothing was followed", wasConnected: false)
  }

  private func takeCheckpoints(of machine: Machine, every pause: Duration, in attempt: Attempt, for job: JobRecord)
    async
  {
    let before = checkpoints?.newest(of: job.id, node: machine.node)?.takenAt
    var last = [before, attempt.launchedAt].compactMap(\.self).max() ?? clock.now()
    var told: String?
    while true {
      await clock.sleep(for: max(.zero, last + pause - clock.now()))
      guard !Task.isCancelled else { return }
      last = clock.now()
      let trouble = await takeCheckpoint(of: machine, in: attempt, for: job, telling: told)
      told = trouble
    }
  }

  private func takeLastCheckpoint(after event: Event, of attempt: Attempt, for job: JobRecord) async {
    guard case .ended(let ends) = event, ends.contains(where: \.isFailure), !Task.isCancelled else { return }
    await within(.seconds(max(1, job.context.plan.limits.outputGrace))) {
      _ = await each(attempt.machines) { await takeCheckpoint(of: $0, in: attempt, for: job) }
    }
  }

  /// Fetches it by the same verified way as outputs. What is not there yet is no trouble.
  /// - Parameter told: the trouble that the user knows of already.
  /// - Returns: what was in the way.
  @discardableResult
  func takeCheckpoint(of machine: Machine, in attempt: Attempt, for job: JobRecord, telling told: String? = nil) async
    -> String?
  {
    guard let checkpoints, let plan = job.context.plan.checkpoint else { return nil }
    let takenAt = clock.now()
    let place = checkpoints.begin(of: job.id, node: machine.node)
    let request = Collect(
      control: job.control(of: attempt), workdir: job.workdir,
      outputs: [Collect.Output(source: plan.source, destination: nil)], outputFolder: nil, root: place.folder,
      partial: place.partial, isLeftInCache: true)
    switch await hosts.perform(.collect(request), on: job.link(to: machine), watching: { _ in }) {
    case .transferred(let transferred) where transferred.missing.isEmpty:
      do {
        try await checkpoints.complete(place.folder, of: job.id, node: machine.node, takenAt: takenAt)
        return nil
      } catch {
        return tell("\(error)", of: job, unless: told)
      }
    // That the connection broke is told by whoever follows.
    case .failed(let failure) where !failure.isOfConnection && !Task.isCancelled:
      return tell(failure.message, of: job, unless: told)
    case .failed, .transferred, .progress, .log, .refused, .connected, .executed, .status: return nil
    }
  }

  private func tell(_ trouble: String, of job: JobRecord, unless told: String?) -> String {
    if trouble != told {
      let rest = checkpoints?.newest(of: job.id, node: 0) == nil ? "" : "; the last one stays"
      narrator.tell(.warning(job: job.id, "no checkpoint could be fetched: \(trouble)\(rest)"))
    }
    return trouble
  }

  /// What is put back into the workdir: nothing where there is no checkpoint yet.
  func checkpointSources(for machine: Machine, of job: JobRecord) -> [Upload.Source] {
    guard job.context.plan.checkpoint != nil, let newest = checkpoints?.newest(of: job.id, node: machine.node) else {
      return []
    }
    let time = Date(timeIntervalSince1970: Double(newest.takenAt.milliseconds) / 1000).formatted(.iso8601)
    narrator.tell(.note(job: job.id, "putting back the checkpoint of \(time)"))
    return [Upload.Source(source: newest.folder, destination: ".", exclude: [], isWhole: true)]
  }
}

extension Failure {
  fileprivate var isOfConnection: Bool {
    [.cancelled, .dropped, .refused, .timedOut, .notAuthenticated].contains(kind)
  }
}
