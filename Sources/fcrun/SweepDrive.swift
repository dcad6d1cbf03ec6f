import ForwardCompute
import Jobs
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Drives a sweep to its end in this process: each task is a job with a driver of its own, and only so many are begun at a
/// time.
///
/// A task that fails stops no other. Starting a sweep and going on with one after a crash are the same: what has a machine
/// comes first, then what waits.
struct SweepDrive: Sendable {
  let installation: Installation
  let form: Console.Form
  /// What drives other jobs of this process, too; nil: its own.
  var api: (any ForwardComputeAPI)?
  /// Has told of it already; nil: a new one.
  var teller: SweepTeller?

  private var store: JobStore { installation.store }

  /// - Returns: the exit code of the whole.
  /// - Throws: ``Failure`` when another process drives it, or it cannot be driven with this environment.
  func run(_ sweep: SweepRecord, on cloud: Cloud, signals: SignalInbox) async throws -> Int32 {
    let lease = try lease(of: sweep)
    defer { withExtendedLifetime(lease) {} }
    let tasks = try store.tasks(of: sweep.id)
    let teller = teller ?? SweepTeller(sweep, tasks, form, installation)
    let company = try await company(for: tasks, cloud, teller)
    signals.part(with: .sweep(sweep))
    await beside(cloud, sweep, signals) {
      await everything(of: sweep, company, cloud, signals)
    }
    let last = try store.tasks(of: sweep.id)
    let code = Self.exitCode(of: last, after: signals.first)
    signals.part(with: Parting(code: code, isAtFirst: true))
    await teller.finish(last, code: code)
    return code
  }

  /// 75 where a machine may still be billing, whatever else happened; 0 only if all succeeded.
  static func exitCode(of tasks: [JobRecord], after signal: Signal? = nil) -> Int32 {
    let worst = ResumeCommand.worst(tasks.map(\.exitCode))
    guard worst != ExitStatus.stillBilling.rawValue, let signal else { return worst }
    return 128 + signal.rawValue
  }

  private func lease(of sweep: SweepRecord) throws -> Lease {
    do {
      let folder = try installation.makeFolder(ofSweep: sweep.id)
      if let lease = try Lease(folder: folder) { return lease }
      throw Failure(
        status: .usage, message: "another fcrun drives the sweep \(sweep.id)", next: "fcrun wait \(sweep.id)")
    } catch let error as NoLease {
      throw Failure(
        status: .failed, message: "the sweep cannot be driven from here: \(error)", next: "look at the disk")
    }
  }

  /// Asked for once, and before anything is begun.
  private func company(
    for tasks: [JobRecord], _ cloud: Cloud, _ teller: SweepTeller
  ) async throws -> Drive.Company {
    let api = try api ?? Drive.api(of: cloud.account)
    guard let next = tasks.first(where: { !$0.isFinished }) else {
      return Drive.Company(api: api, isSweep: true, voice: teller.voice)
    }
    if let refusal = await cloud.account.refusal(of: next.arrangement, api: cloud.client) {
      throw Failure(status: .notConfigured, message: "\(next.id): \(refusal)")
    }
    return Drive.Company(
      api: api, passphrases: try Passphrases(for: next.arrangement.key), isSweep: true, voice: teller.voice)
  }

  /// Looks for late machines, and ends what still waits as soon as a signal comes.
  private func beside(
    _ cloud: Cloud, _ sweep: SweepRecord, _ signals: SignalInbox, _ work: () async -> Void
  ) async {
    let watch = Task { await LateMachines(installation: installation, cloud: cloud).watch() }
    let listener = Task {
      if let signal = await signals.next() { endWaiting(of: sweep, by: .interrupted(signal), word: signal.name) }
    }
    await work()
    watch.cancel()
    listener.cancel()
    await watch.value
    await listener.value
  }
}

// MARK: - Turns

extension SweepDrive {
  private func everything(
    of sweep: SweepRecord, _ company: Drive.Company, _ cloud: Cloud, _ signals: SignalInbox
  ) async {
    var queue = tasks(of: sweep).filter(\.isWaiting).map(\.id)[...]
    await withTaskGroup(of: (id: String, record: JobRecord?).self) { group in
      var running: Set<String> = []
      // Left unfinished by their drivers: reported, and not tried again here.
      var left: Set<String> = []
      while true {
        while running.count < sweep.maxParallel,
          let next = begun(of: sweep, besides: running.union(left))
            ?? (signals.first == nil ? waiting(&queue, of: sweep, running) : nil)
        {
          running.insert(next.id)
          group.addTask { (next.id, await drive(next, company, cloud, signals)) }
        }
        guard let ended = await group.next() else { return }
        running.remove(ended.id)
        if ended.record?.isFinished != true { left.insert(ended.id) }
        if sweep.failsFast, ended.record?.state.outcome?.isSuccess != true { endAll(of: sweep) }
      }
    }
  }

  /// What may have a machine comes first, whatever else happens: left by a crash, or handed over by a task that is over.
  private func begun(of sweep: SweepRecord, besides known: Set<String>) -> JobRecord? {
    let begun = ((try? store.begunTasks(of: sweep.id)) ?? []).first { !known.contains($0) }
    return begun.flatMap { try? store.job($0) }
  }

  private func waiting(
    _ queue: inout ArraySlice<String>, of sweep: SweepRecord, _ running: Set<String>
  ) -> JobRecord? {
    while let id = queue.first {
      guard let record = try? store.job(id), record.isWaiting, !running.contains(id) else {
        queue.removeFirst()
        continue
      }
      guard let cap = sweep.maxCost else {
        queue.removeFirst()
        return record
      }
      let free = min(sweep.maxParallel - running.count, queue.count)
      if let allowance = SweepBudget(cap: cap, tasks: tasks(of: sweep)).allowance(for: record, free: free) {
        queue.removeFirst()
        guard allow(allowance, for: record) else { continue }
        return record
      }
      // What runs may cost less than it was allowed.
      if running.isEmpty {
        endWaiting(of: sweep, by: .failed(.spent(cap)), word: "max_cost of the sweep is used up")
      }
      return nil
    }
    return nil
  }

  /// A task whose part of the money cannot be stored would run without a limit: it waits for another process.
  private func allow(_ cost: Decimal, for task: JobRecord) -> Bool {
    do {
      try store.allow(cost, for: task)
      return true
    } catch {
      Report.warn("\(task.name) was not begun: \(error); go on with: fcrun resume \(task.sweep ?? task.id)")
      return false
    }
  }

  private func tasks(of sweep: SweepRecord) -> [JobRecord] { (try? store.tasks(of: sweep.id)) ?? [] }

  /// nil: it could not be driven, and nobody knows how it ended.
  private func drive(
    _ record: JobRecord, _ company: Drive.Company, _ cloud: Cloud, _ signals: SignalInbox
  ) async -> JobRecord? {
    var drive = Drive(installation: installation, form: form)
    drive.company = company
    drive.cancels = (try? store.isCancelRequested(record.id)) ?? false
    do {
      return try await drive.run(record.id, on: cloud, signals: signals.branch()).record
    } catch StoreError.fenced where !installation.isDriven(record.id) {
      // It was ended while it began, or was given the machine of another task: from there it goes on.
      guard let now = try? store.job(record.id), !now.isFinished else { return try? store.job(record.id) }
      return await self.drive(now, company, cloud, signals)
    } catch {
      // Somebody cancels this task, or resumes it: how it ends is theirs to say.
      let isOthers = installation.isDriven(record.id) || (try? store.job(record.id))?.isFinished == true
      if !isOthers { Report.warn("\(record.name): \((error as? Failure)?.message ?? "\(error)")") }
      return try? await Watch(installation: installation, printer: nil).untilLeft(record.id)
    }
  }

  private func endWaiting(of sweep: SweepRecord, by event: Event, word: String) {
    do {
      _ = try store.end(waiting: try store.tasks(of: sweep.id), by: event, word: word, at: LiveClock().now())
    } catch {
      Report.warn("the tasks that wait could not be ended: \(error); cancel them with: fcrun cancel \(sweep.id)")
    }
  }

  private func endAll(of sweep: SweepRecord) {
    for task in tasks(of: sweep) where !task.isFinished {
      try? store.requestCancel(task.id, at: LiveClock().now())
    }
    endWaiting(of: sweep, by: .cancelRequested, word: "another task failed")
  }
}

extension Outcome {
  /// Nothing is left for a task that has not begun.
  static func spent(_ cap: Decimal) -> Outcome {
    .outOfBudget(
      "max_cost of $\(Jobs.Money.exact(cap)) for the whole sweep leaves too little for this task to boot a machine")
  }
}

extension JobRecord {
  /// Nothing was ever rented for it.
  var isWaiting: Bool { state.isUnbegun }
}

extension Parting {
  static func sweep(_ sweep: SweepRecord) -> Parting {
    Parting(
      text: "left at once; machines may still cost money; finish with: fcrun resume \(sweep.id)",
      code: ExitStatus.stillBilling.rawValue)
  }
}

extension Installation {
  /// For the right to drive a sweep, and the log of a detached driver.
  func folder(ofSweep id: String) -> String { "\(home)/sweeps/\(id)" }

  func makeFolder(ofSweep id: String) throws -> String {
    try FileManager.default.createDirectory(
      atPath: folder(ofSweep: id), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    return folder(ofSweep: id)
  }

  func isDriven(sweep id: String) -> Bool { Lease.isHeld(folder: folder(ofSweep: id)) }

  /// Whether some process drives the job, or will when it is its turn.
  func isCaredFor(_ record: JobRecord) -> Bool {
    isDriven(record.id) || record.sweep.map(isDriven(sweep:)) ?? false
  }
}
