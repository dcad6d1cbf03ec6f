import Dispatch
import GRDB
import Synchronization

/// Writes that wait at the same time go into one transaction: what takes long is the disk, and it takes as long for many.
///
/// Each is told of its own end only when the transaction is durable. One that is refused takes nothing of the others with
/// it; where the transaction itself fails, each is made by itself.
final class SharedWrite: Sendable {
  private struct Write {
    let body: @Sendable (Database) throws -> Void
    let alone: @Sendable () -> Result<Void, StoreError>
    let done: CheckedContinuation<Result<Void, StoreError>, Never>
  }

  typealias Transaction = @Sendable (_ body: (Database) throws -> [StoreError?]) throws -> [StoreError?]

  private let waiting = Mutex<(writes: [Write], isRunning: Bool)>(([], false))
  private let disk = DispatchQueue(label: "store")

  /// - Parameters:
  ///   - body: what is written; throws ``StoreError/fenced(_:)`` to be left out.
  ///   - together: a transaction.
  ///   - alone: the same write by itself.
  func perform(
    _ body: @escaping @Sendable (Database) throws -> Void, together: @escaping Transaction,
    alone: @escaping @Sendable () -> Result<Void, StoreError>
  ) async throws(StoreError) {
    let result = await withCheckedContinuation { done in
      let begins = waiting.withLock { waiting in
        waiting.writes.append(Write(body: body, alone: alone, done: done))
        defer { waiting.isRunning = true }
        return !waiting.isRunning
      }
      if begins { disk.async { [self] in writeAll(together) } }
    }
    try result.get()
  }

  /// How many wait for the one that is under way.
  var waitingCount: Int { waiting.withLock { $0.writes.count } }

  private func writeAll(_ together: Transaction) {
    while let writes = next() {
      let results = writes.count == 1 ? [writes[0].alone()] : self.results(of: writes, together)
      for (write, result) in zip(writes, results) { write.done.resume(returning: result) }
    }
  }

  private func next() -> [Write]? {
    waiting.withLock { waiting in
      guard !waiting.writes.isEmpty else {
        waiting.isRunning = false
        return nil
      }
      defer { waiting.writes = [] }
      return waiting.writes
    }
  }

  private func results(of writes: [Write], _ together: Transaction) -> [Result<Void, StoreError>] {
    do {
      return try together { db in try writes.map { try Self.refusal(of: $0, db) } }.map { refusal in
        refusal.map(Result.failure) ?? .success(())
      }
    } catch {
      return writes.map { $0.alone() }
    }
  }

  /// nil when it is written.
  private static func refusal(of write: Write, _ db: Database) throws -> StoreError? {
    do {
      try db.inSavepoint {
        try write.body(db)
        return .commit
      }
      return nil
    } catch let error as StoreError {
      return error
    }
  }
}
