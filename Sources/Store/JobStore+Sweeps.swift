import GRDB
import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension JobStore {
  /// Makes a sweep and the jobs of its tasks durable together, before anything is asked of the cloud: after a crash there
  /// is all of it or nothing.
  /// - Returns: what has its `submitID` already; nil when the sweep is stored.
  @discardableResult
  package func insert(_ sweep: SweepRecord, _ jobs: [JobRecord]) throws(StoreError) -> Subject? {
    try insert(under: sweep.submitID) { db in
      try db.execute(
        sql: """
          INSERT INTO sweeps (id, name, tasks, max_parallel, max_cost, fails_fast, root, created_at, submit_id)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          sweep.id, sweep.name, try encoded(sweep.tasks), sweep.maxParallel, sweep.maxCost.map(Money.exact),
          sweep.failsFast, sweep.root, sweep.createdAt.milliseconds, sweep.submitID,
        ])
      for job in jobs { try Self.insert(db, job) }
    }
  }

  package func sweep(_ id: String) throws(StoreError) -> SweepRecord {
    let row = try read { try Row.fetchOne($0, sql: "SELECT * FROM sweeps WHERE id = ?", arguments: [id]) }
    guard let row else { throw .unknownJob(id) }
    return try sweepRecord(row)
  }

  /// The jobs of a sweep in the order of their tasks.
  package func tasks(of sweep: String) throws(StoreError) -> [JobRecord] {
    let rows = try read {
      try Row.fetchAll($0, sql: "SELECT * FROM jobs WHERE sweep = ? ORDER BY task", arguments: [sweep])
    }
    return try rows.map { row throws(StoreError) in try record(row) }
  }

  /// Ends those of `jobs` that wait for their turn, or for another attempt: nothing is rented for them.
  ///
  /// Whoever has begun one meanwhile keeps it; whoever is about to begin one is refused by its next write.
  /// - Returns: how many were ended.
  package func end(waiting jobs: [JobRecord], by event: Event, word: String, at now: Moment) throws(StoreError) -> Int {
    try write { db in
      var count = 0
      for job in jobs {
        guard case .choosing = job.state.phase else { continue }
        let ended = try job.state.after(event, in: job.context, at: now)
        try db.execute(
          sql: """
            UPDATE jobs SET \(FinishedJob.assignment), state = ?, phase = ?, updated_at = ?, epoch = epoch + 1
            WHERE id = ? AND epoch = ? AND phase = 'choosing'
            """,
          arguments: FinishedJob.values(of: ended, at: now)
            + [try encoded(ended), ended.word, now.milliseconds, job.id, job.epoch])
        guard db.changesCount == 1 else { continue }
        try Self.journal(db, job.id, epoch: job.epoch + 1, at: now, event: word, phase: ended.word)
        count += 1
      }
      return count
    }
  }

  /// What a task that waits for its turn may cost at most, out of the sweep's `max_cost`.
  package func allow(_ cost: Decimal, for job: JobRecord) throws(StoreError) {
    var context = job.context
    context.plan.limits.maxCost = cost
    try write { db in
      try db.execute(
        sql: "UPDATE jobs SET context = ? WHERE id = ? AND epoch = ? AND phase = 'choosing'",
        arguments: [try encoded(context), job.id, job.epoch])
    }
  }

  /// Ends `job`, which is at its end, and begins the next task that waits on its machines: in one transaction, so that every
  /// machine belongs to exactly one job whenever a process dies.
  ///
  /// Whoever is about to begin that task elsewhere is refused by its next write, which comes before anything is rented.
  /// - Parameter event: what the journal of `job` says, from the heir's name.
  /// - Returns: the task that has the machines now; nil when none waits, or `max_cost` leaves nothing for it.
  /// - Throws: ``StoreError/fenced(_:)`` when another process has claimed `job`.
  package func handOver(
    _ job: JobRecord, at now: Moment, event: (_ heir: String) -> String
  ) throws(StoreError) -> JobRecord? {
    guard let sweep = job.sweep, let attempt = job.state.attempt else { return nil }
    let record = try self.sweep(sweep)
    return try write { db in
      var ended = job
      let tasks = try Row.fetchAll(db, sql: "SELECT * FROM jobs WHERE sweep = ?", arguments: [sweep]).map(self.record)
      guard var heir = try heir(db, of: sweep) else { return nil }
      ended.state = try job.state.after(.handedOver(to: heir.name), in: job.context, at: now)
      ended.updatedAt = now
      if let cap = record.maxCost {
        let known = tasks.map { $0.id == job.id ? ended : $0 }
        guard let allowance = SweepBudget(cap: cap, tasks: known).allowance(for: heir, free: 1) else { return nil }
        heir.context.plan.limits.maxCost = allowance
      }
      try Self.commit(db, ended, event: event(heir.name), at: now)
      heir.state = heir.state.inheriting(attempt, at: now)
      heir.epoch += 1
      heir.updatedAt = now
      try db.execute(
        sql: "UPDATE jobs SET context = ?, epoch = ? WHERE id = ?",
        arguments: [try encoded(heir.context), heir.epoch, heir.id])
      try Self.commit(db, heir, event: "has the machine of \(job.name)", at: now)
      for name in attempt.machines.compactMap({ MachineName($0.name) }) {
        try db.execute(
          sql: "INSERT INTO holders (name, job) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET job = excluded.job",
          arguments: [name.stem, heir.id])
      }
      return heir
    }
  }

  /// One that nobody has begun yet before one that somebody is about to begin.
  private func heir(_ db: Database, of sweep: String) throws -> JobRecord? {
    let rows = try Row.fetchAll(
      db,
      sql: """
        SELECT * FROM jobs WHERE sweep = ? AND phase = 'choosing'
          AND id NOT IN (SELECT job FROM requests WHERE kind = 'cancel')
        ORDER BY epoch > 0, task
        """, arguments: [sweep])
    return try rows.lazy.map(record).first { $0.state.isUnbegun }
  }

  /// The job that a machine of this name belongs to: the one in the name, unless that one has handed it over.
  package func holder(of name: MachineName) throws(StoreError) -> String {
    try read {
      try String.fetchOne($0, sql: "SELECT job FROM holders WHERE name = ?", arguments: [name.stem])
    } ?? name.job
  }

  /// The tasks that have, or may have, a machine.
  package func begunTasks(of sweep: String) throws(StoreError) -> [String] {
    try read {
      try String.fetchAll(
        $0, sql: "SELECT id FROM jobs WHERE sweep = ? AND phase NOT IN ('choosing', 'finished', 'kept') ORDER BY task",
        arguments: [sweep])
    }
  }

  /// What a person means: the id of a job or a sweep, the id given to submit, a name (the latest of that name), the
  /// beginning of an id, or `SWEEP/INDEX`. What is exact goes before what only begins so: names are short, and ids random.
  package func subject(_ reference: String) throws(StoreError) -> Subject {
    guard !reference.isEmpty else { throw .unknownJob("\"\"") }
    if let slash = reference.lastIndex(of: "/") {
      let (sweep, index) = (reference[..<slash], reference[reference.index(after: slash)...])
      return .job(try task(String(index), ofSweep: String(sweep)))
    }
    let ids = try ids(beginningWith: reference)
    if ids.contains(reference) { return try subject(id: reference) }
    if let submitted = try subject(submitID: reference) { return submitted }
    if let named = try id(named: reference) { return try subject(id: named) }
    guard let id = ids.first else { throw .unknownJob(reference) }
    guard ids.count == 1 else { throw .ambiguousJob(reference, ids) }
    return try subject(id: id)
  }

  private func ids(beginningWith reference: String) throws(StoreError) -> [String] {
    try read { db in
      try String.fetchAll(
        db,
        sql: """
          SELECT id FROM jobs WHERE substr(id, 1, ?1) = ?2
          UNION SELECT id FROM sweeps WHERE substr(id, 1, ?1) = ?2 LIMIT 10
          """,
        arguments: [reference.count, reference])
    }
  }

  func subject(id: String) throws(StoreError) -> Subject {
    let isSweep = try read {
      try Bool.fetchOne($0, sql: "SELECT EXISTS (SELECT 1 FROM sweeps WHERE id = ?)", arguments: [id]) ?? false
    }
    return isSweep ? .sweep(try sweep(id)) : .job(try job(id))
  }

  private func id(named name: String) throws(StoreError) -> String? {
    try read {
      try String.fetchOne(
        $0,
        sql: """
          SELECT id FROM (
            SELECT id, created_at, 1 AS is_sweep FROM sweeps WHERE name = ?1
            UNION ALL SELECT id, created_at, 0 FROM jobs WHERE name = ?1)
          ORDER BY created_at DESC, is_sweep DESC LIMIT 1
          """, arguments: [name])
    }
  }

  private func task(_ index: String, ofSweep reference: String) throws(StoreError) -> JobRecord {
    guard case .sweep(let sweep) = try subject(reference) else { throw .noSweep(reference) }
    guard let number = Int(index), let task = sweep.tasks.first(where: { $0.index == number }) else {
      throw .noTask(index, sweep.name, sweep.tasks.map(\.index))
    }
    let row = try read {
      try Row.fetchOne($0, sql: "SELECT * FROM jobs WHERE sweep = ? AND task = ?", arguments: [sweep.id, task.index])
    }
    guard let row else { throw .skippedTask(index, sweep.name) }
    return try record(row)
  }

  private func sweepRecord(_ row: Row) throws(StoreError) -> SweepRecord {
    do {
      return SweepRecord(
        id: row["id"], name: row["name"], tasks: try decoded(row["tasks"]), maxParallel: row["max_parallel"],
        maxCost: (row["max_cost"] as String?).flatMap(Money.parse), failsFast: row["fails_fast"], root: row["root"],
        createdAt: Moment(milliseconds: row["created_at"]), submitID: row["submit_id"])
    } catch {
      throw .failed("the sweep \(row["id"] as String) in the store cannot be read by this fcrun: \(error)")
    }
  }
}
