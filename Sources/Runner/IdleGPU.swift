// `limits.idle_gpu`: GPUs that are paid for and do nothing.

import Jobs
import Remote
import Store
import Synchronization

extension World {
  /// Does `work`, unless no GPU of the attempt does any for as long as the plan allows.
  func endingIdle(_ attempt: Attempt, for job: JobRecord, _ work: @escaping @Sendable () async -> Event) async -> Event
  {
    guard let limit = job.context.plan.limits.idleGPU else { return await work() }
    return await beside(work, [{ await idleness(of: attempt, for: job, limit) }])
  }

  /// Looks ten times in the time that is allowed, every minute at most.
  private func idleness(of attempt: Attempt, for job: JobRecord, _ limit: IdleLimit) async -> Event? {
    let pause = Duration.milliseconds(Int64(max(1000, min(60_000, limit.duration * 100))))
    while true {
      await clock.sleep(for: pause)
      guard !Task.isCancelled else { return nil }
      let used = await utilization(of: attempt, for: job)
      guard !Task.isCancelled else { return nil }
      if used == nil, idleTime.isFirstSilence(in: attempt.number) {
        narrator.tell(.warning(job: job.id, "limits.idle_gpu: nvidia-smi does not say how much the GPUs are used"))
      }
      let idle = idleTime.saw(used.map { $0 < limit.below }, at: clock.now(), in: attempt.number, every: pause)
      if idle >= .seconds(limit.duration) { return .deadline(.idle, trouble: nil) }
    }
  }

  /// Of the GPU that is used most, in percent; nil when some machine does not say.
  private func utilization(of attempt: Attempt, for job: JobRecord) async -> Int? {
    let question = Exec(command: Script.utilization, timeout: 30)
    let answers = await each(attempt.machines) { machine in
      await hosts.perform(.exec(question), on: job.link(to: machine), watching: { _ in })
    }
    let most = answers.map { answer -> Int? in
      guard case .executed(let told) = answer, told.exitCode == 0 else { return nil }
      return told.stdout.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.max()
    }
    return most.contains(nil) ? nil : most.compactMap(\.self).max()
  }
}

/// For how long the GPUs of an attempt have been seen idle without having been seen at work.
///
/// Only the time between two looks that both saw them idle counts: what cannot be read, as while a connection is broken,
/// says nothing for or against, and a job that works is not ended on a guess. It outlives a connection, not this process.
package final class IdleTime: Sendable {
  fileprivate struct State {
    var attempt = 0
    var total = Duration.zero
    /// When it was last seen idle; nil after a look that saw nothing.
    var last: Moment?
    var isSilenceTold = false
  }
  private let state = Mutex(State())

  package init() {}

  /// One look.
  /// - Parameters:
  ///   - isIdle: nil when nothing could be seen.
  ///   - pause: between two looks; a longer time between them was not looked at.
  /// - Returns: the idle time so far.
  func saw(_ isIdle: Bool?, at now: Moment, in attempt: Int, every pause: Duration) -> Duration {
    state.withLock { state in
      state.begin(attempt)
      switch isIdle {
      case true?:
        if let last = state.last { state.total += min(now - last, pause * 2) }
        state.last = now
      case false?: (state.total, state.last) = (.zero, nil)
      case nil: state.last = nil
      }
      return state.total
    }
  }

  /// Whether a look that saw nothing has not been told of yet.
  func isFirstSilence(in attempt: Int) -> Bool {
    state.withLock { state in
      state.begin(attempt)
      defer { state.isSilenceTold = true }
      return !state.isSilenceTold
    }
  }
}

extension IdleTime.State {
  fileprivate mutating func begin(_ number: Int) { if attempt != number { self = .init(attempt: number) } }
}
