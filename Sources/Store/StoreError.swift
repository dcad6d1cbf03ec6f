/// What the store could not do.
package enum StoreError: Error, CustomStringConvertible, Equatable {
  /// The folder or the database cannot be used as it is.
  case unusable(String)
  case newerSchema(String)
  /// Its folder is on a file system of this name.
  case onNetwork(String, String)
  case unknownJob(String)
  case ambiguousJob(String, [String])
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
    case .fenced(let id): "another fcrun has taken over the job \(id); this one stops here"
    }
  }
}
