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

  /// What the next task may cost; nil while what is left does not pay for the boot of its machines.
  /// - Parameter free: how many could be begun now.
  package func allowance(for task: JobRecord, free: Int) -> Decimal? {
    let left = cap - tasks.reduce(0) { $0 + spent(by: $1) }
    let boot = task.costOfBoot
    guard left > 0, left >= boot else { return nil }
    var uncapped = task.context.plan
    uncapped.limits.maxCost = nil
    if let ceiling = uncapped.costCeiling(over: task.arrangement.candidates) { return min(ceiling, left) }
    // Nothing says what it could cost: those that could run now get equal parts, but none that ends before it has begun.
    let part = Money.roundedDown(left / Decimal(max(1, free)), places: 6)
    return min(max(part, 2 * boot), left)
  }

  private func spent(by task: JobRecord) -> Decimal {
    if task.state.isUnbegun { return 0 }
    if case .finished(_, nil) = task.state.phase { return task.state.cost(at: task.updatedAt) }
    return task.context.plan.limits.maxCost ?? cap
  }
}

extension JobRecord {
  /// US dollars for the time in which its machines boot, as the first offering says at most; 0 where it does not say.
  fileprivate var costOfBoot: Decimal {
    guard let offering = arrangement.candidates.first, let seconds = offering.maxBootSeconds else { return 0 }
    return Decimal(context.plan.nodes) * offering.hourlyPrice * Decimal(seconds) / 3600
  }
}
