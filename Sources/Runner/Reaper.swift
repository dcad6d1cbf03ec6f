import ForwardCompute
import Jobs
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Finds machines of ours that nobody drives, from the cloud's list alone, and gives them back with the driver's own proof.
package struct Reaper: Sendable {
  let world: World
  let owner: String

  package init(world: World, owner: String) {
    self.world = world
    self.owner = owner
  }

  /// What is known locally about an instance that carries a name of ours.
  package enum Standing: Sendable, Equatable {
    case driven
    case resumable
    case kept
    /// Its job, or its attempt, is over, or works with another instance of the same name.
    case over
    case unknown
  }

  package struct Request: Sendable {
    /// Instance ids, names or job ids that are taken whatever their deadline is.
    package var named: [String]
    /// Takes machines without a deadline, too, when they are older than this.
    package var older: Duration?
    /// Also machines of other installations of the same account, past their deadline only.
    package var anyOwner: Bool

    package init(named: [String], older: Duration?, anyOwner: Bool) {
      self.named = named
      self.older = older
      self.anyOwner = anyOwner
    }
  }

  package struct Finding: Sendable {
    package var instance: Instance
    package var name: MachineName
    /// The job that has it: the one in the name, unless that one has handed it over.
    package var job: String
    package var verdict = Verdict.leave("not judged")

    /// Whether `text` is this instance's id, its name, or its job.
    package func isCalled(_ text: String) -> Bool { [instance.id, instance.name, job].contains(text) }

    package var isToBeTaken: Bool { if case .take = verdict { true } else { false } }

    package enum Verdict: Sendable, Equatable {
      case leave(String)
      case take(String)
    }
  }

  /// Every live instance that carries a name of ours, and what is to become of it.
  /// - Parameter holder: the job that has a machine of this name now.
  /// - Throws: `APIError` when the list cannot be had, or cannot be believed.
  package func survey(
    _ request: Request, holder: (MachineName) -> String = { $0.job },
    standing: (_ id: String, _ name: MachineName) -> Standing
  ) async throws(APIError) -> [Finding] {
    let instances = try await world.api.instances()
    let now = world.clock.now()
    return instances.compactMap { instance in
      guard instance.status != .deleted, let name = MachineName(instance.name) else { return nil }
      var finding = Finding(instance: instance, name: name, job: holder(name))
      finding.verdict = judge(finding, request, standing(instance.id, name), at: now)
      return finding
    }
  }

  private func judge(_ finding: Finding, _ request: Request, _ standing: Standing, at now: Moment) -> Finding.Verdict {
    let (instance, name) = (finding.instance, finding.name)
    let isNamed = request.named.contains(where: finding.isCalled)
    guard isNamed || request.named.isEmpty else { return .leave("not named") }
    // Whatever mark and deadline it carries: its driver gives it back.
    if standing == .driven { return .leave("a running fcrun drives it; try: fcrun cancel \(finding.job)") }
    if isNamed { return .take("named") }
    if name.owner != owner {
      guard request.anyOwner else { return .leave("another installation's (--owner any)") }
      return name.isExpired(at: now)
        ? .take("past its deadline") : .leave("another installation's, before its deadline")
    }
    if name.isExpired(at: now) { return .take("past its deadline") }
    return unexpired(instance, standing, request, at: now)
  }

  private func unexpired(
    _ instance: Instance, _ standing: Standing, _ request: Request, at now: Moment
  ) -> Finding.Verdict {
    let age = instance.createdMoment.map { now - $0 }
    if let older = request.older, let age, age >= older { return .take("older than \(Int(older.seconds)) s") }
    return switch standing {
    case .over: .take("its job is over")
    case .unknown:
      (age ?? .zero) > Window.settle ? .take("no job of this installation") : .leave("younger than a minute")
    case .resumable: .leave("its job can go on; try: fcrun resume")
    case .kept: .leave("kept on the user's wish")
    case .driven: .leave("a running fcrun drives it")
    }
  }

  /// Gives back what lives under one of `names` and is wanted by nobody: machines that the cloud made late, or twice.
  /// - Throws: `APIError` when the list cannot be had.
  package func giveBackStrays(
    under names: [String], standing: (_ id: String, _ name: MachineName) -> Standing
  ) async throws -> [(finding: Finding, taken: Taken)] {
    var results: [(Finding, Taken)] = []
    for instance in try await world.api.instances() where instance.status != .deleted && names.contains(instance.name) {
      guard let name = MachineName(instance.name), standing(instance.id, name) == .over else { continue }
      let finding = Finding(instance: instance, name: name, job: name.job, verdict: .take("nobody wants it"))
      results.append((finding, (try? await take(finding)) ?? .notProved))
    }
    return results
  }

  package enum Taken: Sendable, Equatable {
    case wasGone, proved, notProved
    /// No longer what the list had said: left alone.
    case left(String)
  }

  /// Reads it once more, deletes it, and proves that it is gone: the driver's release, without a job.
  ///
  /// The list is a cache. What it shows may be long gone, and its id may be somebody else's by now: only a machine that
  /// carries the listed name when it is read is deleted. A 404 that stays proves nothing, and harms nobody: no machine of
  /// anybody's is known by that id, and a replica that lags must not keep ours alive. A read that fails says nothing, not
  /// even whose machine it is, so it is asked again, and then the machine is left and reported: a machine that bills until
  /// the next reap is dear, one that is taken from its owner is lost.
  package func take(_ finding: Finding) async throws -> Taken {
    switch await readAgain(finding.instance.id) {
    case .success(let now) where now.name != finding.instance.name: return .left("its name is \(now.name) now")
    case .success(let now) where now.status == .deleted: return .wasGone
    case .success: break
    case .failure(let error) where error.isNotFound: break
    case .failure(let error):
      world.narrator.tell(.warning(job: finding.name.job, "\(finding.instance.id) is left: \(error.sentence)"))
      return .notProved
    }
    return try await release(finding)
  }

  private func readAgain(_ id: String) async -> Result<Instance, APIError> {
    var answer: Result<Instance, APIError> = await read(id)
    for round in 0..<5 {
      guard case .failure(let error) = answer, !Task.isCancelled else { break }
      guard error.isNotFound ? round < 2 : error.isWorthRepeating else { break }
      await world.clock.sleep(for: .milliseconds(500 << round))
      answer = await read(id)
    }
    return answer
  }

  private func read(_ id: String) async -> Result<Instance, APIError> {
    do { return .success(try await world.api.instance(id, refresh: true)) } catch { return .failure(error) }
  }

  private func release(_ finding: Finding) async throws -> Taken {
    let record = finding.releaseOnly(owner: owner, at: world.clock.now())
    return try await Driver(world: world, journal: NoJournal(record: record)).run(record).outcome == nil
      ? .notProved : .proved
  }
}

/// For a release that no store knows of.
private struct NoJournal: Journal {
  let record: JobRecord

  func job(_ id: String) throws(StoreError) -> JobRecord { record }
  func commit(_ job: JobRecord, event: String, at now: Moment) throws(StoreError) {}
}

extension Reaper.Finding {
  /// When its POST was at the latest: a 404 of a machine that is older than the settle window is news.
  private func sentAt(before now: Moment) -> Moment {
    instance.createdMoment.map { min(now, $0) } ?? now
  }

  fileprivate func releaseOnly(owner: String, at now: Moment) -> JobRecord {
    let plan = JobPlan(
      name: "reap", file: "", root: "", resources: Resources(), command: .argv([]), retry: Retry(on: []))
    let attempt = Attempt(
      found: instance.id, node: name.node, number: name.attempt, at: sentAt(before: now))
    return JobRecord(
      context: JobContext(id: name.job, owner: owner, plan: plan),
      arrangement: Arrangement(
        baseURL: "", isLocal: false, accountFingerprint: "", accountOwner: nil, sshKeyID: nil, key: .file(path: ""),
        candidates: [], volumeIDs: []),
      state: JobState(phase: .releasing(attempt, .cancelled)), epoch: 0, createdAt: now, updatedAt: now)
  }
}
