import Dispatch
import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Checkpoints in `<folder of the job>/node-<rank>/`: each is a folder named `at-` and when it was taken, in milliseconds
/// since 1970, and has that name only when it is complete.
package struct LocalCheckpoints: Checkpoints {
  private let folder: @Sendable (_ job: String) -> String

  package init(folder: @escaping @Sendable (_ job: String) -> String) { self.folder = folder }

  package func newest(of job: String, node: Int) -> StoredCheckpoint? {
    let place = place(job, node)
    return complete(in: place).last.map { StoredCheckpoint(folder: "\(place)/\(Self.name($0))", takenAt: $0) }
  }

  package func begin(of job: String, node: Int) -> (folder: String, partial: String) {
    let place = place(job, node)
    // What a process that died has left; where it cannot be removed, the fetch fails and says so.
    try? FileManager.default.removeItem(atPath: place + "/next")
    return (place + "/next", place + "/partial")
  }

  package func complete(_ next: String, of job: String, node: Int, takenAt: Moment) async throws {
    let place = place(job, node)
    // A queue of its own: sync(2) may take long, and other jobs go on meanwhile.
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(with: Result { try put(next, in: place, takenAt) })
      }
    }
  }

  /// On disk before it counts, and counting before the old one goes.
  private func put(_ next: String, in place: String, _ takenAt: Moment) throws {
    sync()
    let older = complete(in: place)
    let moment = max(takenAt, older.last.map { $0 + .milliseconds(1) } ?? takenAt)
    guard rename(next, "\(place)/\(Self.name(moment))") == 0 else {
      throw LocalProblem(message: "\(next) cannot be put in place: \(String(cString: strerror(errno)))")
    }
    let descriptor = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor >= 0 { _ = (fsync(descriptor), close(descriptor)) }
    for moment in older { try? FileManager.default.removeItem(atPath: "\(place)/\(Self.name(moment))") }
  }

  private func place(_ job: String, _ node: Int) -> String { "\(folder(job))/node-\(node)" }

  private static func name(_ moment: Moment) -> String { "at-\(moment.milliseconds)" }

  /// When the complete ones were taken, oldest first.
  private func complete(in place: String) -> [Moment] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
    return names.compactMap { $0.hasPrefix("at-") ? Int64($0.dropFirst(3)) : nil }.sorted().map {
      Moment(milliseconds: $0)
    }
  }
}

private struct LocalProblem: Error, CustomStringConvertible {
  let message: String
  var description: String { message }
}
