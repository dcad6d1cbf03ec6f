import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A sweep as the store holds it: what its tasks have in common. Each task that is run is a job of its own.
package struct SweepRecord: Sendable, Equatable {
  package var id: String
  package var name: String
  /// All of them in the order of their indices, also those that were skipped and have no job.
  package var tasks: [SweepTask]
  /// How many are driven at once.
  package var maxParallel: Int
  /// US dollars for all tasks together.
  package var maxCost: Decimal?
  /// The first task that fails ends the others.
  package var failsFast: Bool
  /// Absolute path of the folder that the tasks' outputs land below.
  package var root: String
  package var createdAt: Moment
  /// What `submit --id` named it: no other job or sweep of this installation has it.
  package var submitID: String?

  package init(
    id: String, name: String, tasks: [SweepTask], maxParallel: Int, maxCost: Decimal?, failsFast: Bool, root: String,
    createdAt: Moment, submitID: String? = nil
  ) {
    self.id = id
    self.name = name
    self.tasks = tasks
    self.maxParallel = maxParallel
    self.maxCost = maxCost
    self.failsFast = failsFast
    self.root = root
    self.createdAt = createdAt
    self.submitID = submitID
  }
}

/// What a person means by an id, the beginning of one, or a name.
package enum Subject: Sendable, Equatable {
  case job(JobRecord)
  case sweep(SweepRecord)
}
