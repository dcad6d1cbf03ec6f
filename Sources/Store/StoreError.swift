/// What the store could not do.
package enum StoreError: Error, CustomStringConvertible, Equatable {
  /// The folder or the database cannot be used as it is.
  case unusable(String)
  case newerSchema(String)
  /// Its folder is on a file system of this name.
  case onNetwork(String, String)
  case unknownJob(String)
  case ambiguousJob(String, [String])
  /// `SWEEP/INDEX` where this is no sweep.
  case noSweep(String)
  /// An index that the sweep of this name does not have, and those that it has.
  case noTask(String, String, [Int])
  case skippedTask(String, String)
  /// A sweep, where one job is meant; its first index.
  case sweepGiven(String, Int)
  /// Another process has taken the job over since.
  case fenced(String)
  case failed(String)

  package var description: String {
    switch self {
    case .unusable(let why), .failed(let why): why
    case .newerSchema(let path):
      "\(path) was written by a newer fcrun; use that version, or another FCRUN_HOME"
    case .onNetwork(let home, let name):
      "the state folder \(home) is on a network file system (\(name)), whose locks do not hold; set FCRUN_HOME to a folder on a local disk"
    case .unknownJob(let name): "there is no job \(name); try: fcrun ps --all"
    case .ambiguousJob(let name, let ids): "\(name) could be any of \(ids.joined(separator: ", ")); give more of the id"
    case .noSweep(let name): "\(name) is no sweep; try: fcrun ps --all"
    case .noTask(let index, let name, let known):
      "\(name) has no task \(index); expected \(known.count == 1 ? "\(known[0])" : "one of \(Self.list(known))")"
    case .skippedTask(let index, let name):
      "the task \(index) of \(name) was skipped, because its outputs were there; it has no job"
    case .sweepGiven(let name, let first):
      "\(name) is a sweep; expected one of its tasks, such as \(name)/\(first)"
    case .fenced(let id): "another fcrun has taken over the job \(id); this one stops here"
    }
  }

  /// `0, 1, 2`, cut where it gets long.
  private static func list(_ indices: [Int]) -> String {
    indices.count <= 8
      ? indices.map(String.init).joined(separator: ", ") : "\(indices[0]) to \(indices[indices.count - 1])"
  }
}
