#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One job of a sweep: which one, and the values it is run with.
package struct SweepTask: Codable, Sendable, Equatable {
  /// The array's own index; else the place among the combinations or rows, from 0.
  package var index: Int
  /// In the order of the matrix, or of the columns.
  package var values: [JobPlan.Variable]
  /// When it is over, the next task may have its machine.
  package var reuses: Bool

  package init(index: Int, values: [JobPlan.Variable], reuses: Bool = false) {
    self.index = index
    self.values = values
    self.reuses = reuses
  }

  /// What the command sees besides every job's own variables (rulings 20).
  package var environment: [JobPlan.Variable] {
    [JobPlan.Variable(name: "FCRUN_ARRAY_INDEX", value: "\(index)")]
      + values.map { JobPlan.Variable(name: Self.variable($0.name), value: $0.value) }
  }

  static func variable(_ name: String) -> String { "FCRUN_MATRIX_" + name.uppercased() }
}

/// Many jobs of one spec: a plan for each, and how many of them run at once.
package struct SweepPlan: Sendable, Equatable {
  package var name: String
  /// In the order of their indices; never empty. Each has its ``JobPlan/task``.
  package var tasks: [JobPlan]
  package var maxParallel: Int

  package static let defaultParallel = 4
  /// Nobody runs more at once; a larger number is a typing error that would be expensive.
  package static let mostTasks = 10_000

  /// US dollars that all tasks together may cost at most.
  package var maxCost: Decimal? { tasks[0].limits.maxCost }

  /// The ceiling of the whole: `max_cost` counts for all tasks together, else every task may cost its own.
  package func costCeiling(over candidates: [Offering]) -> Decimal? {
    if let maxCost { return maxCost }
    return tasks[0].costCeiling(over: candidates).map { $0 * Decimal(tasks.count) }
  }
}

/// What one spec asks for.
package enum PlannedWork: Sendable, Equatable {
  case job(JobPlan)
  case sweep(SweepPlan)

  /// The plan of the job, or of a sweep's first task: what both have in common.
  package var first: JobPlan {
    switch self {
    case .job(let plan): plan
    case .sweep(let sweep): sweep.tasks[0]
    }
  }

  package var name: String {
    switch self {
    case .job(let plan): plan.name
    case .sweep(let sweep): sweep.name
    }
  }

  /// nil: one command.
  package var taskCount: Int? {
    switch self {
    case .job(let plan): plan.fleet?.tasks.count
    case .sweep(let sweep): sweep.tasks.count
    }
  }
}
