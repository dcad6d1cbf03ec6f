import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What is left of a sweep's `max_cost`.
///
/// A task that is over has cost what it cost; one that runs may cost all that it was allowed. So the sum never exceeds the
/// cap, whoever drives a task.
package struct SweepBudget {
  let cap: Decimal
  let tasks: [JobRecord]

  package init(cap: Decimal, tasks: [JobRecord]) {
    self.cap = cap
    self.tasks = tasks
  }

  /// What the next task may cost; nil while nothing is left for it.
  /// - Parameter free: how many could be begun now.
  package func allowance(for task: JobRecord, free: Int) -> Decimal? {
    let left = cap - tasks.reduce(0) { $0 + spent(by: $1) }
    guard left > 0 else { return nil }
    var uncapped = task.context.plan
    uncapped.limits.maxCost = nil
    // Without max_duration nothing says what it could cost: those that could run now get equal parts.
    let ceiling = uncapped.costCeiling(over: task.arrangement.candidates)
    return min(ceiling ?? left / Decimal(max(1, free)), left)
  }

  private func spent(by task: JobRecord) -> Decimal {
    if task.state.isUnbegun { return 0 }
    if case .finished(_, nil) = task.state.phase { return task.state.cost(at: task.updatedAt) }
    return task.context.plan.limits.maxCost ?? cap
  }
}
