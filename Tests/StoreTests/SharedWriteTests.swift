import Dispatch
import GRDB
import Synchronization
import TestSupport
import Testing

@testable import Store

@Suite struct SharedWriteTests {
  private let write = SharedWrite()

  private func put(
    _ number: Int, _ rows: DatabaseQueue, _ transactions: Counter, refused: Bool = false, gate: DispatchSemaphore? = nil
  ) async throws {
    let body: @Sendable (Database) throws -> Void = { db in
      try db.execute(sql: "INSERT INTO rows VALUES (?)", arguments: [number])
      if refused { throw StoreError.fenced("\(number)") }
    }
    try await write.perform(
      body,
      together: { body in
        transactions.count()
        return try rows.write(body)
      },
      alone: {
        transactions.count()
        gate?.wait()
        return Result { () throws(StoreError) in
          do { try rows.write(body) } catch { throw (error as? StoreError) ?? .failed("\(error)") }
        }
      })
  }

  private func table() throws -> DatabaseQueue {
    let rows = try DatabaseQueue()
    try rows.write { try $0.execute(sql: "CREATE TABLE rows (number INTEGER UNIQUE)") }
    return rows
  }

  /// While the first waits for the disk.
  private func many(_ rows: DatabaseQueue, _ transactions: Counter, refused: Set<Int>, doubled: Bool = false) async
    -> [Int: Bool]
  {
    let gate = DispatchSemaphore(value: 0)
    return await withTaskGroup(of: (Int, Bool).self) { group in
      group.addTask { (0, (try? await put(0, rows, transactions, gate: gate)) != nil) }
      while transactions.value == 0 { await Task.yield() }
      for number in 1...20 {
        group.addTask {
          let row = doubled && number == 7 ? 3 : number
          return (number, (try? await put(row, rows, transactions, refused: refused.contains(number))) != nil)
        }
      }
      while write.waitingCount < 20 { await Task.yield() }
      gate.signal()
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  @Test func whatWaitsGoesTogetherAndWhoIsRefusedTakesNobodyAlong() async throws {
    let (rows, transactions) = (try table(), Counter())
    let ends = await many(rows, transactions, refused: [5, 6])
    #expect(ends.filter { !$0.value }.keys.sorted() == [5, 6])
    #expect(try await rows.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM rows") } == 19)
    #expect(transactions.value == 2)
  }

  @Test func whereTheTransactionFailsEachIsMadeByItself() async throws {
    let (rows, transactions) = (try table(), Counter())
    let ends = await many(rows, transactions, refused: [5], doubled: true)
    // 3 and 7 write the same number: whichever came first is in.
    #expect(ends.filter { !$0.value }.count == 2 && ends[5] == false && ends[3] != ends[7], "\(ends)")
    #expect(try await rows.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM rows") } == 19)
  }
}

private final class Counter: Sendable {
  private let state = Mutex(0)
  var value: Int { state.withLock(\.self) }
  func count() { state.withLock { $0 += 1 } }
}
