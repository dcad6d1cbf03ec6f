import Jobs
import Runner
import Store

/// The id that `submit --id` gives to a job or a sweep.
enum SubmitID {
  static func isValid(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  /// - Throws: ``Failure`` 64 when `first` asks for something else than `work` does.
  static func requireSame(
    _ first: Subject, _ work: PlannedWork, _ installation: Installation, _ options: SubmitOptions
  ) throws {
    var differences: [String]
    let isLocal: Bool?
    switch (first, work) {
    case (.job(let record), .job(let plan)):
      (differences, isLocal) = (plan.differences(from: record.context.plan), record.arrangement.isLocal)
    case (.sweep(let sweep), .sweep(let plan)):
      let tasks = try installation.store.tasks(of: sweep.id)
      (differences, isLocal) = (plan.differences(from: sweep, tasks), tasks.first?.arrangement.isLocal)
      if sweep.failsFast != options.failFast { differences.append("--fail-fast") }
    case (.job, .sweep), (.sweep, .job): (differences, isLocal) = (["how many jobs it is"], nil)
    }
    if let isLocal, isLocal != options.local { differences.append("--local") }
    guard !differences.isEmpty else { return }
    throw refusal(of: first, differences, id: options.id ?? "")
  }

  private static func refusal(of first: Subject, _ differences: [String], id: String) -> Failure {
    Failure(
      status: .usage,
      message:
        "another \(first.noun) was submitted with --id \(id): \(first.id) differs in \(differences.joined(separator: ", "))",
      next: "another id, or the same spec; what was submitted is in: fcrun show \(first.id)")
  }
}

extension Subject {
  fileprivate var id: String {
    switch self {
    case .job(let record): record.id
    case .sweep(let sweep): sweep.id
    }
  }

  fileprivate var noun: String {
    switch self {
    case .job: "job"
    case .sweep: "sweep"
    }
  }
}

extension SweepPlan {
  /// The fields in which this plan asks for something else than a sweep that is stored; of each task its part of `max_cost`
  /// does not count, which depends on what the others have cost.
  fileprivate func differences(from sweep: SweepRecord, _ jobs: [JobRecord]) -> [String] {
    var names: [String] = []
    if name != sweep.name { names.append("name") }
    if tasks.compactMap(\.task) != sweep.tasks { names.append("its tasks") }
    if maxParallel != sweep.maxParallel { names.append("max_parallel") }
    if maxCost != sweep.maxCost { names.append("limits.max_cost") }
    guard names.isEmpty else { return names }
    let plans = Dictionary(tasks.map { ($0.task?.index, $0.withoutMaxCost) }) { first, _ in first }
    return jobs.lazy.compactMap { job in
      let stored = job.context.plan.withoutMaxCost
      return plans[stored.task?.index]?.differences(from: stored)
    }.first { !$0.isEmpty } ?? []
  }
}

extension JobPlan {
  fileprivate var withoutMaxCost: JobPlan {
    var plan = self
    plan.limits.maxCost = nil
    return plan
  }
}
