import Dispatch

/// Does `work` beside the pool on which the other tests wait for their moments: it blocks, or takes a while.
package func aside<Found: Sendable>(_ work: @escaping @Sendable () throws -> Found) async throws -> Found {
  try await withCheckedThrowingContinuation { continuation in
    DispatchQueue.global().async { continuation.resume(with: Result { try work() }) }
  }
}
