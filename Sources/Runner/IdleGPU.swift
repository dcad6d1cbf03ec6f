// `limits.idle_gpu`: GPUs that are paid for and do nothing.

import Jobs
import Remote
import Store

extension World {
  /// Does `work`, unless no GPU of the attempt does any for as long as the plan allows.
  func endingIdle(_ attempt: Attempt, for job: JobRecord, _ work: @escaping @Sendable () async -> Event) async -> Event
  {
    guard let limit = job.context.plan.limits.idleGPU else { return await work() }
    let event = await beside(work) { group in
      group.addTask { await idleness(of: attempt, for: job, limit) }
    }
    return event ?? .unreachable("nothing was followed", wasConnected: false)
  }

  /// Looks ten times in the time that is allowed, every minute at most. What cannot be read says nothing, and the time
  /// begins anew: a job that works is not ended on a guess.
  private func idleness(of attempt: Attempt, for job: JobRecord, _ limit: IdleLimit) async -> Event? {
    let pause = Duration.milliseconds(Int64(max(1000, min(60_000, limit.duration * 100))))
    var idleSince: Moment?
    var isTold = false
    while true {
      await clock.sleep(for: pause)
      guard !Task.isCancelled else { return nil }
      let used = await utilization(of: attempt, for: job)
      guard let used, used < limit.below else {
        if used == nil, !isTold, !Task.isCancelled {
          isTold = true
          narrator.tell(.warning(job: job.id, "limits.idle_gpu: nvidia-smi does not say how much the GPUs are used"))
        }
        idleSince = nil
        continue
      }
      let since = idleSince ?? clock.now()
      if clock.now() - since >= .seconds(limit.duration) { return .deadline(.idle, trouble: nil) }
      idleSince = since
    }
  }

  /// Of the GPU that is used most, in percent; nil when some machine does not say.
  private func utilization(of attempt: Attempt, for job: JobRecord) async -> Int? {
    let question = Exec(command: Script.utilization, timeout: 30)
    let answers = await each(attempt.present) { machine in
      await hosts.perform(.exec(question), on: job.link(to: machine), watching: { _ in })
    }
    let most = answers.map { answer -> Int? in
      guard case .executed(let told) = answer, told.exitCode == 0 else { return nil }
      return told.stdout.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.max()
    }
    return most.contains(nil) ? nil : most.compactMap(\.self).max()
  }
}
