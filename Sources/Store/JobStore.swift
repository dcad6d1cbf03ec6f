import GRDB
import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Jobs, journal and watched names in one SQLite file. The only room with SQL, and the only one that writes a state.
///
/// WAL with `synchronous` FULL: what is committed survives a power loss, which the create protocol rests on.
/// No network call is ever made inside a transaction. Throws ``StoreError``.
package final class JobStore: Sendable {
  private let queue: DatabaseQueue
  private let sharedWrite = SharedWrite()
  private let ballast: Ballast?

  /// Opens or makes `fcrun.db` in `home`.
  package init(home: String) throws(StoreError) {
    if let network = FileSystem.network(of: home) { throw .onNetwork(home, network) }
    let path = home + "/fcrun.db"
    // One at a time: a migrator looks at what is applied before it takes SQLite's lock.
    let lock = open(home + "/fcrun.db.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(lock) }
    flock(lock, LOCK_EX)
    Self.makeEmpty(path)
    ballast = Ballast(home: home)
    do {
      queue = try DatabaseQueue(path: path, configuration: Self.configuration)
      guard try synchronous == 2 else { throw StoreError.unusable("\(path): SQLite refuses synchronous = FULL") }
      guard try !queue.read(Schema.migrator.hasBeenSuperseded) else { throw StoreError.newerSchema(path) }
      try Schema.migrator.migrate(queue)
    } catch {
      throw Self.unusable(error, path)
    }
  }

  /// SQLite would make it as the umask says; its two companions get the mode of the database.
  ///
  /// One that is there is not opened: closing any descriptor of a file drops all locks that this process holds on it
  /// (fcntl(2)), also those of another store in this process, whose WAL could then be unlinked under it.
  private static func makeEmpty(_ path: String) {
    let made = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if made >= 0 { close(made) }
  }

  private init(queue: DatabaseQueue) {
    self.queue = queue
    ballast = nil
  }

  /// A store in memory that knows no job, and is gone with its last reference: for what works without a file.
  package static func empty() throws(StoreError) -> JobStore {
    do {
      let queue = try DatabaseQueue()
      try Schema.migrator.migrate(queue)
      return JobStore(queue: queue)
    } catch {
      throw unusable(error, ":memory:")
    }
  }

  private static var configuration: Configuration {
    var configuration = Configuration()
    configuration.busyMode = .timeout(10)
    // Not GRDB's own set-up: that makes a table and drops it wherever no WAL is left, which costs `ps` four waits for the disk.
    configuration.prepareDatabase { db in
      let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
      guard mode == "wal" else { throw StoreError.unusable("SQLite refuses journal_mode = WAL") }
      try db.execute(sql: "PRAGMA synchronous = FULL")
    }
    return configuration
  }

  private static func unusable(_ error: any Error, _ path: String) -> StoreError {
    (error as? StoreError)
      ?? .unusable("\(path) cannot be used: \(error); check that the disk is not full and the file is yours")
  }

  /// As SQLite reports it: 2 is FULL.
  package var synchronous: Int {
    get throws { try queue.read { try Int.fetchOne($0, sql: "PRAGMA synchronous") ?? -1 } }
  }
}

// MARK: - Jobs

extension JobStore {
  /// Makes the job durable, before anything is asked of the cloud.
  /// - Returns: what has its `submitID` already; nil when the job is stored.
  @discardableResult
  package func insert(_ job: JobRecord) throws(StoreError) -> Subject? {
    try insert(under: job.arrangement.submitID) { db in try Self.insert(db, job) }
  }

  /// Of several submits with one id the first is stored.
  func insert(under submitID: String?, _ insert: (Database) throws -> Void) throws(StoreError) -> Subject? {
    try requireBallast()
    let first = try write { db in
      if let first = try Self.id(db, submitID: submitID) { return first as String? }
      try insert(db)
      return nil
    }
    return try first.map(subject(id:))
  }

  /// What was submitted with this id; nil when nothing was.
  package func subject(submitID: String) throws(StoreError) -> Subject? {
    try read { try Self.id($0, submitID: submitID) }.map(subject(id:))
  }

  private static func id(_ db: Database, submitID: String?) throws -> String? {
    guard let submitID else { return nil }
    return try String.fetchOne(
      db, sql: "SELECT id FROM jobs WHERE submit_id = ?1 UNION ALL SELECT id FROM sweeps WHERE submit_id = ?1",
      arguments: [submitID])
  }

  func requireBallast() throws(StoreError) {
    if let ballast, !ballast.isThere { throw .failed(ballast.absence) }
  }

  static func insert(_ db: Database, _ job: JobRecord) throws {
    try db.execute(
      sql: """
        INSERT INTO jobs
          (id, name, phase, epoch, created_at, updated_at, context, arrangement, state, submit_id, sweep, task)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
      arguments: [
        job.id, job.name, job.state.word, job.epoch, job.createdAt.milliseconds, job.updatedAt.milliseconds,
        try encoded(job.context), try encoded(job.arrangement), try encoded(job.state), job.arrangement.submitID,
        job.sweep, job.context.plan.task?.index,
      ])
    try journal(db, job.id, epoch: job.epoch, at: job.createdAt, event: "submitted", phase: job.state.word)
  }

  package func job(_ id: String) throws(StoreError) -> JobRecord {
    let row = try read { try Row.fetchOne($0, sql: "SELECT * FROM jobs WHERE id = ?", arguments: [id]) }
    guard let row else { throw .unknownJob(id) }
    return try record(row)
  }

  /// The one job that a person means, see ``subject(_:)``.
  package func find(_ reference: String) throws(StoreError) -> JobRecord {
    switch try subject(reference) {
    case .job(let job): return job
    case .sweep(let sweep): throw .sweepGiven(reference, sweep.tasks[0].index)
    }
  }

  /// Newest first.
  /// - Parameter since: only what was submitted then or later.
  package func jobs(
    unfinishedOnly: Bool, since: Moment? = nil, limit: Int = 1_000_000
  ) throws(StoreError) -> [JobRecord] {
    let rows = try read {
      try Row.fetchAll(
        $0, sql: Self.listing(unfinishedOnly: unfinishedOnly), arguments: [since?.milliseconds ?? 0, limit])
    }
    return try rows.map { row throws(StoreError) in try record(row) }
  }

  /// In the words of the index `jobs_unfinished`, which SQLite takes for no others.
  package static func listing(unfinishedOnly: Bool, columns: String = "*") -> String {
    let filter = unfinishedOnly ? "AND phase <> 'finished'" : ""
    return "SELECT \(columns) FROM jobs WHERE created_at >= ? \(filter) ORDER BY created_at DESC LIMIT ?"
  }

  /// Takes the job over: every write of an older epoch is refused from here on.
  package func claim(_ id: String) throws(StoreError) -> JobRecord {
    try write { try $0.execute(sql: "UPDATE jobs SET epoch = epoch + 1 WHERE id = ?", arguments: [id]) }
    return try job(id)
  }

  /// The result of the last effect and, with the new state, the intent of the next: one durable transaction.
  ///
  /// The job's names go under watch in the same transaction, for ``Window/watch`` from now: a POST may be executed late,
  /// or twice, whatever was answered, and it may have left long after its intent was committed.
  /// - Throws: ``StoreError/fenced(_:)`` when another process has claimed the job.
  ///
  /// Those of several jobs that come at the same time share a transaction, and so one wait for the disk (rulings 15).
  package func commit(_ job: JobRecord, event: String, at now: Moment) async throws(StoreError) {
    try await sharedWrite.perform(
      { try Self.commit($0, job, event: event, at: now) },
      together: { [queue] body in try queue.write(body) },
      alone: { [self] in Result { () throws(StoreError) in try commitAlone(job, event: event, at: now) } })
  }

  /// The same in a transaction of its own, at once.
  package func commitAlone(_ job: JobRecord, event: String, at now: Moment) throws(StoreError) {
    try writeOnFullDisk { try Self.commit($0, job, event: event, at: now) }
  }

  static func commit(_ db: Database, _ job: JobRecord, event: String, at now: Moment) throws {
    try db.execute(
      sql: "UPDATE jobs SET \(FinishedJob.assignment), state = ?, phase = ?, updated_at = ? WHERE id = ? AND epoch = ?",
      arguments: FinishedJob.values(of: job.state, at: now)
        + [try encoded(job.state), job.state.word, now.milliseconds, job.id, job.epoch])
    guard db.changesCount == 1 else { throw StoreError.fenced(job.id) }
    try journal(db, job.id, epoch: job.epoch, at: now, event: event, phase: job.state.word)
    try noteFailures(db, of: job)
    for name in job.state.namesToWatch {
      // A machine that was handed over is watched for whoever has it.
      try db.execute(
        sql: """
          INSERT INTO watched (name, job, account, until) VALUES (?, ?, ?, ?)
          ON CONFLICT (name) DO UPDATE SET until = max(until, excluded.until), job = excluded.job
          """,
        arguments: [name, job.id, job.arrangement.accountFingerprint, (now + Window.watch).milliseconds])
    }
  }

  /// What attempts of this account failed on lately, with the weight that is left of each offering's failures.
  package func blame(account: String, at now: Moment) throws(StoreError) -> Blame {
    let rows = try read {
      try Row.fetchAll(
        $0, sql: "SELECT offering, at FROM failures WHERE account = ? AND at > ?",
        arguments: [account, (now + Blame.memory * -1).milliseconds])
    }
    return Blame(rows.map { ($0["offering"], Moment(milliseconds: $0["at"])) }, at: now)
  }

  /// Each past attempt once, however often its job is committed.
  private static func noteFailures(_ db: Database, of job: JobRecord) throws {
    for past in job.state.past where past.outcome.blamesOffering {
      try db.execute(
        sql: "INSERT OR IGNORE INTO failures (job, attempt, account, offering, at) VALUES (?, ?, ?, ?, ?)",
        arguments: [
          job.id, past.number, job.arrangement.accountFingerprint, past.offering.id, past.releasedAt.milliseconds,
        ])
    }
  }

  package func journal(of id: String) throws(StoreError) -> [JournalEntry] {
    let rows = try read {
      try Row.fetchAll($0, sql: "SELECT * FROM journal WHERE job = ? ORDER BY seq", arguments: [id])
    }
    return rows.map {
      JournalEntry(at: Moment(milliseconds: $0["at"]), epoch: $0["epoch"], event: $0["event"], phase: $0["phase"])
    }
  }

  static func journal(
    _ db: Database, _ id: String, epoch: Int, at now: Moment, event: String, phase: String
  ) throws {
    try db.execute(
      sql: "INSERT INTO journal (job, epoch, at, event, phase) VALUES (?, ?, ?, ?, ?)",
      arguments: [id, epoch, now.milliseconds, event, phase])
  }
}

// MARK: - Requests, watched names, the installation

extension JobStore {
  /// Asks the job's driver, whichever process that is, to cancel.
  package func requestCancel(_ id: String, at now: Moment) throws(StoreError) {
    try write {
      try $0.execute(
        sql: "INSERT OR IGNORE INTO requests (job, kind, at) VALUES (?, 'cancel', ?)",
        arguments: [id, now.milliseconds])
    }
  }

  package func isCancelRequested(_ id: String) throws(StoreError) -> Bool {
    try read {
      try Bool.fetchOne(
        $0, sql: "SELECT EXISTS (SELECT 1 FROM requests WHERE job = ? AND kind = 'cancel')", arguments: [id]) ?? false
    }
  }

  /// Names that are looked for whenever fcrun starts.
  package func watchedNames() throws(StoreError) -> [WatchedName] {
    try watchedNames(where: "TRUE", [])
  }

  /// Names under watch whose job is over, or kept: whatever else shows under one of them is late. Cheap, no job is decoded for it.
  package func lateNames(account: String) throws(StoreError) -> [WatchedName] {
    try watchedNames(
      where: """
        account = ? AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = watched.job AND phase IN ('finished', 'kept'))
        """, [account])
  }

  private func watchedNames(where filter: String, _ arguments: StatementArguments) throws(StoreError) -> [WatchedName] {
    let rows = try read {
      try Row.fetchAll($0, sql: "SELECT * FROM watched WHERE \(filter) ORDER BY name", arguments: arguments)
    }
    return rows.map {
      WatchedName(
        name: $0["name"], job: $0["job"], accountFingerprint: $0["account"], until: Moment(milliseconds: $0["until"]))
    }
  }

  /// A list has been looked through at `now`, for names of this account: the watch of a name ends with the first look
  /// after its time, not with the time, or nobody would look where fcrun is not started for a day.
  package func endWatch(lookedAt now: Moment, account: String) throws(StoreError) {
    try write {
      try $0.execute(
        sql: "DELETE FROM watched WHERE until <= ? AND account = ?", arguments: [now.milliseconds, account])
    }
  }

  /// A value of the installation, made on first use. Once it is there it is only read.
  package func meta(_ key: String, or make: () -> String) throws(StoreError) -> String {
    let known = try read { try String.fetchOne($0, sql: "SELECT value FROM meta WHERE key = ?", arguments: [key]) }
    if let known { return known }
    let fresh = make()
    return try write { db in
      try db.execute(sql: "INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)", arguments: [key, fresh])
      return try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = ?", arguments: [key]) ?? fresh
    }
  }
}

// MARK: - One door to the database

extension JobStore {
  func read<T>(_ body: (Database) throws -> T) throws(StoreError) -> T {
    do { return try queue.read(body) } catch { throw Self.failed(error) }
  }

  func write<T>(_ body: (Database) throws -> T) throws(StoreError) -> T {
    do { return try queue.write(body) } catch { throw Self.failed(error) }
  }

  /// Where the disk is full, the ballast is given up for it.
  private func writeOnFullDisk(_ body: (Database) throws -> Void) throws(StoreError) {
    do {
      try queue.write(body)
    } catch {
      guard Ballast.wouldHelp(against: error), ballast?.giveUp() == true else { throw Self.failed(error) }
      try write(body)
    }
  }

  private static func failed(_ error: any Error) -> StoreError {
    (error as? StoreError) ?? .failed("the store could not be used: \(error)")
  }

  func record(_ row: Row) throws(StoreError) -> JobRecord {
    do {
      return JobRecord(
        context: try decoded(row["context"]), arrangement: try decoded(row["arrangement"]),
        state: try decoded(row["state"]), sweep: row["sweep"], epoch: row["epoch"],
        createdAt: Moment(milliseconds: row["created_at"]), updatedAt: Moment(milliseconds: row["updated_at"]))
    } catch {
      throw .failed("the job \(row["id"] as String) in the store cannot be read by this fcrun: \(error)")
    }
  }
}

func encoded(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys]
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}

func decoded<T: Decodable>(_ text: String) throws -> T {
  try JSONDecoder().decode(T.self, from: Data(text.utf8))
}
