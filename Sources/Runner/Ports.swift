// Everything the driver touches, as ports: the shipped driver runs in virtual time from a seed on other ends of
// these. Nothing in Runner outside Live/ knows a real clock, socket, process or signal.

import Jobs
import Remote
import Store

/// fcrun's time line.
package protocol Clock: Sendable {
  func now() -> Moment
  /// Returns early only when its task is cancelled.
  func sleep(for duration: Duration) async
}

/// Randomness, for jitter and names.
package protocol Entropy: Sendable {
  /// Uniform in 0..<1.
  func fraction() -> Double
}

/// The machines themselves, over SSH.
package protocol Hosts: Sendable {
  /// One try at a connection, kept open for what follows. A pinned key is insisted on.
  func connect(_ link: Link) async -> Result<Connected, Failure>
  /// Performs one verb, connecting first where no connection is open.
  ///
  /// Cancelling the task gives the verb up: it answers with a failure of kind `cancelled`.
  func perform(_ verb: Request.Verb, on link: Link, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void) async
    -> WorkerEvent.Kind
  /// Closes what is open to a machine.
  func close(_ machine: String) async
}

/// How to get to one machine.
package struct Link: Sendable, Equatable {
  package var machine: String
  package var host: String
  package var port: Int
  package var users: [String]
  package var pin: String?
  package var key: Arrangement.PrivateKey
  package var timeout: Duration
}

/// What may end a wait before its own end.
package enum Wake: Sendable, Equatable {
  case deadline
  case signal(Signal)
  case cancelRequest
}

/// Signals of this process, cancel requests of others, and deadlines.
package protocol Wakes: Sendable {
  /// Runs `operation`, and says what else came up meanwhile: ``Wake/deadline`` when `limit` has passed.
  ///
  /// When something comes first the operation is cancelled and its event is dropped: what it did is as unknown as after a
  /// crash. With a `mercy` it gets that long to end by itself, what came first is told to `heard` at once instead, and what it
  /// answers counts, also when it was called back by then.
  func run(
    job: String, within limit: Duration?, mercy: Duration, listensForCancel: Bool, heard: (Wake) async -> Void,
    _ operation: @escaping @Sendable () async -> Event?
  ) async -> (event: Event?, wake: Wake?)
}

/// Where the driver finds a job and commits what it does.
package protocol Journal: Sendable {
  func job(_ id: String) throws(StoreError) -> JobRecord
  func commit(_ job: JobRecord, event: String, at now: Moment) async throws(StoreError)
  /// See ``JobStore/handOver(_:at:event:)``.
  func handOver(_ job: JobRecord, at now: Moment, event: (_ heir: String) -> String) throws(StoreError) -> JobRecord?
}

extension Journal {
  /// For those that know one job only.
  package func handOver(
    _ job: JobRecord, at now: Moment, event: (_ heir: String) -> String
  ) throws(StoreError) -> JobRecord? { nil }
}

extension JobStore: Journal {}

/// What comes in from outside besides the store: the values of the job's secrets.
package protocol Secrets: Sendable {
  /// nil when the environment of this process does not have it.
  func value(of name: String) -> String?
}

/// How several things that one driver does go on beside each other: on threads, or in an order that follows from a seed.
package protocol Strands: Sendable {
  /// Runs all of them at once. Each end is heard in the order in which they come; after one that is enough the others are
  /// cancelled. Returns when all have ended.
  func run<Answer: Sendable>(
    _ strands: [@Sendable () async -> Answer], until isEnough: (_ index: Int, _ answer: Answer) -> Bool) async
}

extension Strands {
  /// All answers, in the order of what was asked.
  package func all<Answer: Sendable>(_ strands: [@Sendable () async -> Answer]) async -> [Answer] {
    var answers: [Int: Answer] = [:]
    await run(strands) { index, answer in
      answers[index] = answer
      return false
    }
    return strands.indices.compactMap { answers[$0] }
  }

  /// The first answer that is none of nothing, and the end of all.
  package func first<Answer: Sendable>(of strands: [@Sendable () async -> Answer?]) async -> Answer? {
    var first: Answer?
    await run(strands) { _, answer in
      first = first ?? answer
      return first != nil
    }
    return first
  }

  /// Both, to their ends.
  package func both(_ one: @escaping @Sendable () async -> Void, and other: @escaping @Sendable () async -> Void) async
  {
    await run([one, other]) { _, _ in false }
  }

  /// Gives `work` up when it is not over before `alarm`.
  package func run(_ work: @escaping @Sendable () async -> Void, before alarm: @escaping @Sendable () async -> Void)
    async
  {
    await run([work, alarm]) { _, _ in true }
  }
}

/// The checkpoints of jobs, on this computer. Of each node the newest complete one is there; one that was not completed
/// counts for nothing.
package protocol Checkpoints: Sendable {
  func newest(of job: String, node: Int) -> StoredCheckpoint?
  /// Where the next one may be put; nothing is there.
  func begin(of job: String, node: Int) -> (folder: String, partial: String)
  /// What was put into `folder` is the newest from now on, durably; older ones go.
  func complete(_ folder: String, of job: String, node: Int, takenAt: Moment) async throws
}

/// A folder that holds what lay in the workdir, at the same places.
package struct StoredCheckpoint: Sendable, Equatable {
  package var folder: String
  package var takenAt: Moment

  package init(folder: String, takenAt: Moment) {
    self.folder = folder
    self.takenAt = takenAt
  }
}

/// Who is told what happens. Never asked anything, and never waited for.
package protocol Narrator: Sendable {
  func tell(_ notice: Notice)
}

/// What a person, or a machine that reads `--json`, may want to know while a job runs.
package enum Notice: Sendable {
  case moved(JobRecord, event: Event, at: Moment)
  case note(job: String, String)
  /// A machine boots: since when, and what the offering says of that.
  case booting(job: String, age: Duration, Offering)
  /// Something went wrong that is tried again or lived with.
  case warning(job: String, String)
  case progress(job: String, verb: String, node: Int, Progress)
  case logGrew(job: String, attempt: Int, node: Int, LogGrowth)
}
