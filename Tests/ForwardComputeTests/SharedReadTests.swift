import Synchronization
import TestSupport
import Testing

@testable import ForwardCompute

/// Many callers, one request: with turns and answers that come when the test says so.
@Suite(.timeLimit(.minutes(1))) struct SharedReadTests {
  private let reads = SharedRead<Int>()
  private let turn = Gate()
  private let answer = Gate()

  @Test func allThatWaitForTheTurnAreAnsweredByOneRequest() async throws {
    let all = try await callers(20)
    turn.open()
    answer.open()
    for caller in all { #expect(try await caller.value == 1) }
    #expect(answer.visitors == 1)
  }

  @Test func whoAsksWhileTheRequestIsOutGetsTheNextOne() async throws {
    turn.open()
    let first = caller()
    await until { answer.visitors == 1 }
    let second = caller()
    await until { answer.visitors == 2 }
    answer.open()
    #expect(try await Set([first.value, second.value]) == [1, 2])
  }

  @Test func differentReadsAreDifferentRequests() async throws {
    turn.open()
    let both = [caller(.computeOffering("a")), caller(.computeOffering("b"))]
    await until { answer.visitors == 2 }
    answer.open()
    for one in both { _ = try await one.value }
  }

  @Test(.faults(106)) func whoIsCancelledLeavesTheOthersToGoOn() async throws {
    let all = try await callers(3)
    all[0].cancel()
    await #expect(throws: APIError.self) { try await all[0].value }
    await until { await reads.waiting.count == 1 }
    turn.open()
    await until { answer.visitors == 1 }
    answer.open()
    #expect(try await [all[1].value, all[2].value] == [1, 1])
  }

  @Test(.faults(106)) func whoIsCancelledInTheLineLeavesAtOnce() async throws {
    let all = try await callers(2)
    all[1].cancel()
    await #expect(throws: APIError.self) { try await all[1].value }
    turn.open()
    answer.open()
    #expect(try await all[0].value == 1)
  }

  @Test func aFailureIsEverybodysOwn() async throws {
    let all = try await callers(3, failing: true)
    turn.open()
    answer.open()
    for caller in all {
      let error = await #expect(throws: APIError.self) { try await caller.value }
      #expect(error?.kind == .timedOut)
    }
    #expect(answer.visitors == 1)
  }

  /// The first of them has the lead, the others stand in the line.
  private func callers(_ count: Int, failing: Bool = false) async throws -> [Task<Int, any Error>] {
    let first = caller(failing: failing)
    await until { turn.visitors == 1 }
    let others = (1..<count).map { _ in caller(failing: failing) }
    await until { await reads.waiting.count == count - 1 }
    return [first] + others
  }

  private func caller(_ read: Read = .instances, failing: Bool = false) -> Task<Int, any Error> {
    Task {
      try await reads.answer(
        to: read, turn: { () throws(APIError) in try await turn.pass() },
        call: { () throws(APIError) in
          let visitor = try await answer.pass()
          if failing { throw APIError(kind: .timedOut, operation: "ask", message: "no answer") }
          return visitor
        })
    }
  }

  private func until(_ isTrue: () async -> Bool) async {
    while await !isTrue() { await Task.yield() }
  }
}

/// Lets nobody through before it is opened, but whoever is cancelled.
private final class Gate: Sendable {
  private let state = Mutex((isOpen: false, visitors: 0))

  var visitors: Int { state.withLock { $0.visitors } }

  func open() { state.withLock { $0.isOpen = true } }

  /// - Returns: the number of this visitor, from 1.
  @discardableResult
  func pass() async throws(APIError) -> Int {
    let number = state.withLock { state in
      state.visitors += 1
      return state.visitors
    }
    while state.withLock({ !$0.isOpen }) {
      if Task.isCancelled { throw APIError(kind: .cancelled, operation: "wait", message: "it was cancelled") }
      await Task.yield()
    }
    return number
  }
}
