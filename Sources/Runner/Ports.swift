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
  /// Of the open connection, after which it counts as broken.
  package var silence: Duration
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
    job: String, within limit: Duration?, mercy: Duration, listensForCancel: Bool, heard: (Wake) -> Void,
    _ operation: @escaping @Sendable () async -> Event?
  ) async -> (event: Event?, wake: Wake?)
}

/// Where the driver finds a job and commits what it does.
package protocol Journal: Sendable {
  func job(_ id: String) throws(StoreError) -> JobRecord
  func commit(_ job: JobRecord, event: String, at now: Moment) throws(StoreError)
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
