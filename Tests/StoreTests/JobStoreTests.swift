import GRDB
import Jobs
import Store
import TestSupport
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct JobStoreTests {
  @Test(.faults(16)) func everyCommitSurvivesAPowerLoss() throws {
    try withStore { store in
      let synchronous = try store.synchronous
      #expect(synchronous == 2)
    }
  }

  @Test func aJobComesBackAsItWasStored() throws {
    try withStore { store in
      let job = JobRecord.sample("aaaaaaaaaaaaaaaa")
      try store.insert(job)
      let stored = try store.job(job.id)
      #expect(stored == job)
    }
  }

  @Test func ofManySubmitsWithOneIDExactlyOneIsStored() async throws {
    let home = try makeHome()
    defer { try? FileManager.default.removeItem(atPath: home) }
    let stores = try (2..<8).map { _ in try JobStore(home: home) }
    let first = try await withThrowingTaskGroup(of: Subject?.self) { group in
      for (number, store) in stores.enumerated() {
        group.addTask {
          var job = JobRecord.sample("aaaaaaaaaaaaaaa\(number + 2)")
          job.arrangement.submitID = "dag.step"
          return try store.insert(job)
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    let stored = try stores[0].jobs(unfinishedOnly: false)
    #expect(stored.count == 1)
    #expect(first.filter { $0 == nil }.count == 1)
    #expect(first.allSatisfy { $0 == nil || $0 == stored.first.map(Subject.job) })
    #expect(try stores[5].find("dag.step") == stored.first)
  }

  @Test(.faults(105)) func aSupersededProcessCannotWrite() throws {
    try withStore { store in
      try store.insert(.sample("aaaaaaaaaaaaaaaa"))
      let first = try store.claim("aaaaaaaaaaaaaaaa")
      _ = try store.claim("aaaaaaaaaaaaaaaa")
      #expect(throws: StoreError.fenced(first.id)) { try store.commitAlone(first, event: "late", at: first.updatedAt) }
    }
  }

  @Test(.faults(19)) func namesAreWatchedForADayAfterTheLastCommitOfTheirJob() throws {
    try withStore { store in
      try store.insert(.sample("aaaaaaaaaaaaaaaa"))
      var job = try store.claim("aaaaaaaaaaaaaaaa")
      job.state = try job.state.after(.chosen(.sample), in: job.context, at: job.createdAt)
      try store.commitAlone(job, event: "chosen", at: job.createdAt)
      #expect(try store.watchedNames().map(\.name) == job.state.attempt?.machines.map(\.name))
    }
  }

  @Test(.faults(19)) func aWatchEndsWithTheFirstLookAfterItsTime() throws {
    try withStore { store in
      try store.insert(.sample("aaaaaaaaaaaaaaaa"))
      var job = try store.claim("aaaaaaaaaaaaaaaa")
      job.state = try job.state.after(.chosen(.sample), in: job.context, at: job.createdAt)
      try store.commitAlone(job, event: "chosen", at: job.createdAt)
      let account = job.arrangement.accountFingerprint
      try store.endWatch(lookedAt: job.createdAt + (Window.watch - .milliseconds(1)), account: account)
      #expect(try store.watchedNames().count == 1)
      try store.endWatch(lookedAt: job.createdAt + Window.watch, account: "another")
      #expect(try store.watchedNames().count == 1, "another account's list says nothing about ours")
      try store.endWatch(lookedAt: job.createdAt + Window.watch, account: account)
      #expect(try store.watchedNames().isEmpty)
    }
  }

  @Test(.faults(19)) func aNameIsWatchedForADayAfterTheLastCommit() throws {
    try withStore { store in
      try store.insert(.sample("aaaaaaaaaaaaaaaa"))
      var job = try store.claim("aaaaaaaaaaaaaaaa")
      job.state = try job.state.after(.chosen(.sample), in: job.context, at: job.createdAt)
      try store.commitAlone(job, event: "chosen", at: job.createdAt)
      // Two days later the job ends, and that is when the last machine may have been seen to go.
      let late = job.createdAt + .seconds(48 * 3600)
      let attempt = try #require(job.state.attempt)
      let past = PastAttempt(attempt, outcome: .cancelled, releasedAt: late)
      job.state = JobState(phase: .finished(.cancelled, kept: nil), past: [past])
      try store.commitAlone(job, event: "verified", at: late)
      #expect(try store.watchedNames().map(\.name) == past.names)
      #expect(try store.watchedNames().first?.until == late + Window.watch)
    }
  }

  @Test func theJournalHoldsEveryTransitionInOrder() throws {
    try withStore { store in
      try store.insert(.sample("aaaaaaaaaaaaaaaa"))
      var job = try store.claim("aaaaaaaaaaaaaaaa")
      job.state = try job.state.after(.chosen(.sample), in: job.context, at: job.createdAt)
      try store.commitAlone(job, event: "chosen x", at: job.createdAt)
      #expect(try store.journal(of: job.id).map(\.phase) == ["choosing", "creating"])
      #expect(try store.journal(of: job.id).map(\.event) == ["submitted", "chosen x"])
    }
  }

  @Test func aJobIsFoundByTheBeginningOfItsIdAndByItsName() throws {
    try withStore { store in
      try store.insert(.sample("abcaaaaaaaaaaaaa"))
      try store.insert(.sample("abdaaaaaaaaaaaaa", name: "other"))
      #expect(try store.find("abc").id == "abcaaaaaaaaaaaaa")
      #expect(try store.find("other").id == "abdaaaaaaaaaaaaa")
      #expect(throws: StoreError.ambiguousJob("ab", ["abcaaaaaaaaaaaaa", "abdaaaaaaaaaaaaa"])) { try store.find("ab") }
      #expect(throws: StoreError.unknownJob("nothing")) { try store.find("nothing") }
    }
  }

  /// A short name or key would otherwise mean whatever job's random id begins with it.
  @Test func aNameOrASubmitIDGoesBeforeTheBeginningOfAnId() throws {
    try withStore { store in
      try store.insert(.sample("abcaaaaaaaaaaaaa"))
      try store.insert(.sample("xbdaaaaaaaaaaaaa", name: "abc"))
      var keyed = JobRecord.sample("ybdaaaaaaaaaaaaa", name: "keyed")
      keyed.arrangement.submitID = "ab"
      try store.insert(keyed)
      #expect(try store.find("abc").id == "xbdaaaaaaaaaaaaa")
      #expect(try store.find("ab").id == keyed.id)
      #expect(try store.find("abca").id == "abcaaaaaaaaaaaaa")
      #expect(try store.find("abcaaaaaaaaaaaaa").name != "abc")
    }
  }

  @Test func aCancelRequestIsSeenByAnotherConnection() throws {
    try withHome { home in
      let (one, other) = (try JobStore(home: home), try JobStore(home: home))
      try one.insert(.sample("aaaaaaaaaaaaaaaa"))
      #expect(try !other.isCancelRequested("aaaaaaaaaaaaaaaa"))
      try one.requestCancel("aaaaaaaaaaaaaaaa", at: Moment(milliseconds: 1))
      #expect(try other.isCancelRequested("aaaaaaaaaaaaaaaa"))
    }
  }

  @Test(.faults(99)) func aDamagedDatabaseIsAnErrorThatNamesTheFile() throws {
    try withHome { home in
      try Data(repeating: 7, count: 8192).write(to: URL(filePath: home + "/fcrun.db"))
      #expect(throws: StoreError.self) { try JobStore(home: home) }
    }
  }

  @Test func theOwnerIsMadeOnceAndKept() throws {
    try withHome { home in
      let first = try JobStore(home: home).meta("owner") { "first1" }
      let second = try JobStore(home: home).meta("owner") { "other2" }
      #expect(first == "first1")
      #expect(second == "first1")
    }
  }

  private func withStore(_ body: (JobStore) throws -> Void) throws {
    try withHome { try body(JobStore(home: $0)) }
  }

  private func withHome(_ body: (String) throws -> Void) throws {
    let home = try makeHome()
    defer { try? FileManager.default.removeItem(atPath: home) }
    try body(home)
  }

  private func makeHome() throws -> String {
    let home = FileManager.default.temporaryDirectory.path + "/fcrun-store-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    return home
  }
}

extension Offering {
  static let sample = Offering(
    id: "off-1", instanceType: "A100x1", provider: "p", region: "r", deploymentType: "vm", available: true,
    hourlyPrice: 2, pricePerGPUHour: 2)
}

extension JobRecord {
  static func sample(_ id: String, name: String = "sample") -> JobRecord {
    let now = Moment(milliseconds: 1_800_000_000_000)
    let plan = JobPlan(name: name, file: "/s.json", root: "/", resources: Resources(), command: .script("true"))
    let arrangement = Arrangement(
      baseURL: "https://x", isLocal: false, accountFingerprint: "f", accountOwner: nil, sshKeyID: nil,
      key: .file(path: "/k"), candidates: [.sample], volumeIDs: [])
    return JobRecord(
      context: JobContext(id: id, owner: "owner1", plan: plan), arrangement: arrangement, state: JobState(), epoch: 0,
      createdAt: now, updatedAt: now)
  }
}

/// Sweeps: many jobs that belong together.
@Suite struct SweepStoreTests {
  private let sweep = SweepRecord(
    id: "ssssssssssssssss", name: "sweep",
    tasks: [0, 3, 5].map { SweepTask(index: $0, values: [JobPlan.Variable(name: "lr", value: "\($0)")]) },
    maxParallel: 2,
    maxCost: Decimal(string: "1.25"), failsFast: true, root: "/r", createdAt: Moment(milliseconds: 1_800_000_000_000))

  /// Tasks 0 and 3; 5 was skipped.
  private var jobs: [JobRecord] {
    zip(["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"], sweep.tasks).map { id, task in
      var job = JobRecord.sample(id, name: "sweep-\(task.index)")
      job.context.plan.task = task
      job.sweep = sweep.id
      return job
    }
  }

  private func withStore(_ body: (JobStore) throws -> Void) throws {
    let store = try JobStore.empty()
    try store.insert(sweep, jobs)
    try body(store)
  }

  /// At most $1.25 for both, on a machine of so many dollars an hour that takes so many seconds to boot.
  private func allowance(price: Decimal, boot: Int?, free: Int, spent: Decimal = 0) throws -> Decimal? {
    var tasks = jobs
    for place in tasks.indices {
      tasks[place].arrangement.candidates[0].hourlyPrice = price
      tasks[place].arrangement.candidates[0].maxBootSeconds = boot
    }
    tasks[0].context.plan.limits.maxCost = spent
    if spent > 0 {
      let task = tasks[0]
      tasks[0].state = try task.state.after(.chosen(.sample), in: task.context, at: task.createdAt)
    }
    return SweepBudget(cap: 1.25, tasks: tasks).allowance(for: tasks[1], free: free)
  }

  @Test func aTaskGetsItsPartOfTheMoneyButNeverLessThanABootTakes() throws {
    #expect(try allowance(price: 3, boot: 60, free: 2) == Decimal(string: "0.625"))
    #expect(
      try allowance(price: 3, boot: 60, free: 3) == Decimal(string: "0.416666"), "written as people write amounts")
    #expect(try allowance(price: 3, boot: 600, free: 3) == 1, "twice its boot, and others later")
    #expect(try allowance(price: 3, boot: 600, free: 3, spent: Decimal(string: "0.5")!) == Decimal(string: "0.75"))
    #expect(try allowance(price: 3, boot: 600, free: 3, spent: 1) == nil, "a boot takes 0.50, and 0.25 is left")
    #expect(try allowance(price: 3, boot: nil, free: 1, spent: 1) == Decimal(string: "0.25"))
  }

  @Test func aSweepComesBackWithItsTasksInOrder() throws {
    try withStore { store in
      let (stored, tasks) = (try store.sweep(sweep.id), try store.tasks(of: sweep.id))
      #expect(stored == sweep)
      #expect(tasks == jobs)
    }
  }

  @Test func aSweepIsStoredWholeOrNotAtAll() throws {
    let store = try JobStore.empty()
    try store.insert(.sample("bbbbbbbbbbbbbbbb"))
    #expect(throws: StoreError.self) { try store.insert(sweep, jobs) }
    #expect(throws: StoreError.self) { try store.sweep(sweep.id) }
    #expect(throws: StoreError.unknownJob("aaaaaaaaaaaaaaaa")) { try store.job("aaaaaaaaaaaaaaaa") }
  }

  @Test func ofJobsAndSweepsWithOneSubmitIDTheFirstIsStored() throws {
    let store = try JobStore.empty()
    var keyed = sweep
    keyed.submitID = "step"
    #expect(try store.insert(keyed, jobs) == nil)
    var again = keyed
    again.id = "tttttttttttttttt"
    #expect(try store.insert(again, []) == .sweep(keyed))
    var job = JobRecord.sample("cccccccccccccccc")
    job.arrangement.submitID = "step"
    #expect(try store.insert(job) == .sweep(keyed))
    #expect(throws: StoreError.unknownJob(job.id)) { try store.job(job.id) }
    #expect(try store.subject("step") == .sweep(keyed) && store.subject(submitID: "step") == .sweep(keyed))
  }

  @Test func aPersonMeansASweepByIdOrNameAndATaskByItsIndex() throws {
    try withStore { store in
      for reference in ["sss", "sweep", sweep.id] {
        let meant = try store.subject(reference)
        #expect(meant == .sweep(sweep))
      }
      for reference in ["sss/3", "sweep/3", "sweep-3", "bbb"] {
        let meant = try store.find(reference)
        #expect(meant.id == jobs[1].id)
      }
      #expect(throws: StoreError.sweepGiven("sweep", 0)) { try store.find("sweep") }
      #expect(throws: StoreError.noTask("1", "sweep", [0, 3, 5])) { try store.subject("sweep/1") }
      #expect(throws: StoreError.skippedTask("5", "sweep")) { try store.subject("sweep/5") }
      #expect(throws: StoreError.noSweep("aaa")) { try store.subject("aaa/0") }
    }
  }

  @Test func theLatestOfANameIsMeantWhetherJobOrSweep() throws {
    try withStore { store in
      var later = JobRecord.sample("cccccccccccccccc", name: "sweep")
      later.createdAt = later.createdAt + .seconds(1)
      try store.insert(later)
      #expect(try store.subject("sweep") == .job(later))
    }
  }

  @Test func onlyTasksThatWaitAreEndedAndWhoIsAboutToBeginOneIsRefused() throws {
    try withStore { store in
      var begun = try store.claim(jobs[0].id)
      begun.state = try begun.state.after(.chosen(.sample), in: begun.context, at: begun.createdAt)
      try store.commitAlone(begun, event: "chosen", at: begun.createdAt)
      var late = try store.claim(jobs[1].id)
      let tasks = try store.tasks(of: sweep.id)
      let count = try store.end(waiting: tasks, by: .cancelRequested, word: "cancelled", at: begun.createdAt)
      #expect(count == 1)
      #expect(try store.job(begun.id).state == begun.state)
      #expect(try store.job(late.id).state.outcome == .cancelled)
      late.state = try late.state.after(.chosen(.sample), in: late.context, at: late.createdAt)
      #expect(throws: StoreError.fenced(late.id)) { try store.commitAlone(late, event: "chosen", at: late.createdAt) }
    }
  }

  @Test func whatATaskMayCostIsStoredBeforeItBegins() throws {
    try withStore { store in
      try store.allow(Decimal(string: "0.40")!, for: jobs[0])
      #expect(try store.job(jobs[0].id).context.plan.limits.maxCost == Decimal(string: "0.40"))
      let claimed = try store.claim(jobs[1].id)
      try store.allow(1, for: jobs[1])
      #expect(try store.job(claimed.id).context.plan.limits.maxCost == nil, "somebody has taken it over since")
    }
  }
}

/// Where a store may lie, and who may have written it.
@Suite struct StorePlaceTests {
  @Test(
    .faults(100),
    arguments: ["nfs", "nfs4", "cifs", "smb3", "lustre", "ceph", "gpfs", "beegfs", "fuse.sshfs", "fuse.glusterfs"])
  func aFileSystemOfManyComputersIsToldByItsType(type: String) {
    #expect(FileSystem.isNetwork(type: type))
  }

  @Test(.faults(100), arguments: ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "apfs", "9p", "virtiofs", "fuse"])
  func aFileSystemOfOneComputerIsNone(type: String) {
    #expect(!FileSystem.isNetwork(type: type))
  }

  @Test(.faults(100)) func theTypeIsThatOfTheFoldersDevice() {
    let mounts = """
      22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
      40 22 0:35 / /home rw,nosuid master:2 shared:9 - nfs4 server:/home rw,vers=4.2
      41 22 0:36 / /a\\040b rw - tmpfs tmpfs rw
      """
    #expect(FileSystem.type(ofDevice: 8, 1, in: mounts) == "ext4")
    #expect(FileSystem.type(ofDevice: 0, 35, in: mounts) == "nfs4")
    #expect(FileSystem.type(ofDevice: 0, 36, in: mounts) == "tmpfs")
    #expect(FileSystem.type(ofDevice: 0, 37, in: mounts) == nil)
    #expect(FileSystem.type(ofDevice: 8, 1, in: "") == nil)
  }

  @Test(.faults(109)) func whatANewerFcrunWroteIsRefusedAndLeftAsItIs() throws {
    try inFolder { home in
      try JobStore(home: home).insert(.sample("aaaaaaaaaaaaaaaa"))
      try DatabaseQueue(path: home + "/fcrun.db").write {
        try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('9 from the future')")
      }
      #expect(throws: StoreError.newerSchema(home + "/fcrun.db")) { try JobStore(home: home) }
      let jobs = try DatabaseQueue(path: home + "/fcrun.db").read {
        try Int.fetchOne($0, sql: "SELECT count(*) FROM jobs")
      }
      #expect(jobs == 1)
    }
  }

  @Test(arguments: [(true, "jobs_unfinished"), (false, "jobs_by_time")])
  func aListIsReadInItsOrderFromAnIndexHoweverManyJobsAreOver(unfinishedOnly: Bool, index: String) throws {
    try inFolder { home in
      try JobStore(home: home).insert(.sample("aaaaaaaaaaaaaaaa"))
      let plan = try DatabaseQueue(path: home + "/fcrun.db").read { db in
        try Row.fetchAll(
          db, sql: "EXPLAIN QUERY PLAN " + JobStore.listing(unfinishedOnly: unfinishedOnly), arguments: [0, 10])
      }
      let steps = plan.map { $0["detail"] as String }
      #expect(steps.count == 1 && steps[0].contains("USING INDEX \(index)"), "\(steps)")
    }
  }

  @Test func aListOfJobsThatAreOverReadsNoneOfTheirStates() async throws {
    try await inFolder { home in
      let store = try JobStore(home: home)
      for id in ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc"] { try store.insert(.sample(id)) }
      let over = try await finished(store, "bbbbbbbbbbbbbbbb")
      _ = try store.end(
        waiting: [store.job("cccccccccccccccc")], by: .cancelRequested, word: "cancel requested", at: over.updatedAt)
      try await DatabaseQueue(path: home + "/fcrun.db").write {
        try $0.execute(sql: "UPDATE jobs SET state = '', context = '', arrangement = '' WHERE phase = 'finished'")
      }
      let lines = try store.list(unfinishedOnly: false, limit: 10).compactMap { line in
        if case .over(let job) = line { job } else { nil }
      }
      #expect(Set(lines.map(\.id)) == ["bbbbbbbbbbbbbbbb", "cccccccccccccccc"])
      let line = try #require(lines.first { $0.id == over.id })
      #expect(line.outcome == "cancelled" && line.exitCode == Outcome.cancelled.exitCode && line.name == over.name)
      #expect(line.offering == Offering.sample.id && line.cost == over.state.cost(at: over.createdAt) && line.cost > 0)
      #expect(lines.first { $0.id == "cccccccccccccccc" }?.offering == nil)
      guard case .known(let open)? = try store.list(unfinishedOnly: true, limit: 10).first else {
        Issue.record("one is not over")
        return
      }
      #expect(open.id == "aaaaaaaaaaaaaaaa")
    }
  }

  /// A job that had a machine for an hour.
  private func finished(_ store: JobStore, _ id: String) async throws -> JobRecord {
    var job = try store.claim(id)
    job.state = try job.state.after(.chosen(.sample), in: job.context, at: job.createdAt)
    let attempt = try #require(job.state.attempt)
    var past = PastAttempt(attempt, outcome: .cancelled, releasedAt: job.createdAt + .seconds(3600))
    past.billed = [BilledSpan(from: job.createdAt, until: past.releasedAt)]
    job.state = JobState(phase: .finished(.cancelled, kept: nil), past: [past])
    try await store.commit(job, event: "verified", at: past.releasedAt)
    return try store.job(id)
  }

  @Test(.faults(109)) func aJobThatThisFcrunCannotReadIsSaidAndHidesNoOther() throws {
    try inFolder { home in
      let store = try JobStore(home: home)
      for id in ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"] { try store.insert(.sample(id)) }
      try DatabaseQueue(path: home + "/fcrun.db").write {
        try $0.execute(sql: "UPDATE jobs SET state = '{\"phase\": {\"teleporting\": {}}}' WHERE id LIKE 'a%'")
      }
      #expect(throws: StoreError.self) { try store.job("aaaaaaaaaaaaaaaa") }
      #expect(try store.job("bbbbbbbbbbbbbbbb").id == "bbbbbbbbbbbbbbbb")
    }
  }

  /// Each with connections of its own, as processes have them.
  @Test(.faults(98)) func manyWritersAtOnceWaitForEachOther() async throws {
    let home = FileManager.default.temporaryDirectory.path + "/fcrun-store-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: home) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<8 {
        group.addTask {
          let store = try JobStore(home: home)
          let id = String(repeating: "\(writer)", count: 16)
          try store.insert(.sample(id))
          let job = try store.claim(id)
          for turn in 0..<30 { try store.commitAlone(job, event: "turn \(turn)", at: job.createdAt) }
        }
      }
      try await group.waitForAll()
    }
    let store = try JobStore(home: home)
    for job in try store.jobs(unfinishedOnly: false) { #expect(try store.journal(of: job.id).count == 31) }
    #expect(try store.jobs(unfinishedOnly: false).count == 8)
  }

  @Test func anEmptyStoreKnowsNoJobAndKeepsNothing() throws {
    let store = try JobStore.empty()
    #expect(try store.jobs(unfinishedOnly: false).isEmpty)
    #expect(throws: StoreError.unknownJob("aaaaaaaaaaaaaaaa")) { try store.job("aaaaaaaaaaaaaaaa") }
  }

  private func inFolder(_ body: (String) throws -> Void) throws {
    let home = try Self.makeFolder()
    defer { try? FileManager.default.removeItem(atPath: home) }
    try body(home)
  }

  private func inFolder(_ body: (String) async throws -> Void) async throws {
    let home = try Self.makeFolder()
    defer { try? FileManager.default.removeItem(atPath: home) }
    try await body(home)
  }

  private static func makeFolder() throws -> String {
    let home = FileManager.default.temporaryDirectory.path + "/fcrun-store-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    return home
  }
}
