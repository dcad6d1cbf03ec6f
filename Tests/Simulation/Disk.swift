import Jobs
import Store

/// The state folder: what a new process finds, and all that it finds.
///
/// Half of what a store must do is modelled here as plain values. In the seeds that have one, the shipped store on SQLite
/// does the same beside it, and each answer of the two is compared.
final class Disk {
  private(set) var record: JobRecord
  private(set) var watched: [WatchedName] = []
  /// The folder is gone: no process ever finds the job again.
  var isLost = false
  /// No commit succeeds once the job has come to this phase.
  var fullFrom: String?
  /// How many of a hundred commits fail.
  var failurePercent = 0.0
  private let store: JobStore?

  init(_ record: JobRecord, withShippedStore: Bool) throws {
    self.record = record
    store = withShippedStore ? try JobStore.empty() : nil
    try store?.insert(record)
  }

  var hasShippedStore: Bool { store != nil }

  /// Takes the job over.
  func claim() throws -> JobRecord {
    record.epoch += 1
    guard let store else { return record }
    let stored = try store.claim(record.id)
    var expected = record
    (expected.createdAt, expected.updatedAt) = (stored.createdAt, stored.updatedAt)
    guard stored == expected else { throw Disagreement(what: "claim gave \(stored.state) for \(expected.state)") }
    return stored
  }

  func refuses(_ job: JobRecord, chance: () -> Double) -> Bool {
    record.state.word == fullFrom || (failurePercent > 0 && chance() * 100 < failurePercent)
  }

  func commit(_ job: JobRecord, event: String, at now: Moment) throws(StoreError) {
    let isFenced = job.epoch != record.epoch
    do throws(StoreError) {
      try store?.commitAlone(job, event: event, at: now)
      if isFenced, store != nil { throw .unusable("the store takes epoch \(job.epoch) after \(record.epoch)") }
    } catch {
      if case .fenced = error, !isFenced { throw .unusable("the store refuses its own epoch \(job.epoch)") }
      throw error
    }
    guard !isFenced else { throw .fenced(job.id) }
    record = job
    record.updatedAt = now
    watch(job, at: now)
  }

  /// What may have been posted is watched for a day after the last commit: as `JobStore.commit` does.
  private func watch(_ job: JobRecord, at now: Moment) {
    guard store == nil else { return }
    let names = job.state.namesToWatch
    watched.removeAll { names.contains($0.name) }
    watched += names.map {
      WatchedName(name: $0, job: job.id, accountFingerprint: "sim", until: now + Window.watch)
    }
  }

  func watchedNames() throws -> [WatchedName] { try store?.watchedNames() ?? watched }

  func endWatch(lookedAt now: Moment) throws {
    try store?.endWatch(lookedAt: now, account: record.arrangement.accountFingerprint)
    watched.removeAll { $0.until <= now }
  }
}

struct Disagreement: Error { var what: String }

/// What the job's files on this computer hold: logs as they grow, outputs as they were fetched.
struct LocalFiles {
  struct Log {
    /// The run whose bytes these are.
    var source: RunID
    var bytes: Int64
    /// What would survive a power cut.
    var synced: Int64
  }

  struct Outputs {
    var source: RunID
    /// The command was over when they were fetched.
    var isFinal: Bool
  }

  var logs: [RunPlace: Log] = [:]
  var outputs: [Int: Outputs] = [:]
  /// Of each node the newest complete one, and the one that is being fetched.
  var checkpoints: [Int: (content: CheckpointContent, takenAt: Moment)] = [:]
  var begunCheckpoints: [Int: CheckpointContent] = [:]

  /// Nothing that was not synced is left.
  mutating func cutPower() {
    logs = logs.mapValues { Log(source: $0.source, bytes: $0.synced, synced: $0.synced) }
  }
}

/// One node's place in an attempt.
struct RunPlace: Hashable {
  var attempt: Int
  var node: Int
}

/// One start of the command: on which machine, in which control folder.
struct RunID: Hashable {
  var machine: String
  var control: String
}
