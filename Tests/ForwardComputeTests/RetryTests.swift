import ForwardCompute
import Foundation
import Synchronization
import TestSupport
import Testing

/// Repetition in virtual time: a pause moves the clock, and nothing sleeps.
@Suite struct RetryTests {
  @Test(.faults(24)) func aReadOutlastsAStormOfFaults() async throws {
    let cloud = ScriptedCloud([
      .status(503), .status(500), .status(408), .status(425), .timedOut, .connectionLost, .notSent, nil,
    ])
    let world = VirtualTime()
    let api = world.retrying(cloud, jitter: 1)
    #expect(try await api.instances() == [])
    #expect(cloud.calls == 8)
    #expect(world.pauses == [0.5, 1, 2, 4, 8, 16, 30].map { .seconds($0) })
  }

  @Test func theBackOffIsJitteredBetweenHalfAndAllOfItsBound() {
    let policy = RetryPolicy()
    #expect(policy.pause(after: 1, jitter: 0) == .milliseconds(250))
    #expect(policy.pause(after: 1, jitter: 1) == .milliseconds(500))
    #expect(policy.pause(after: 4, jitter: 0.5) == .seconds(3))
    #expect(policy.pause(after: 1_000_000, jitter: 7) == .seconds(30))
  }

  @Test(arguments: [
    APIError.Kind.status(400), .status(401), .status(403), .status(404), .status(409), .status(422), .malformedBody,
    .redirected, .bodyTooLarge, .notConfigured, .cancelled,
  ])
  func whatWillNotPassByItselfIsNotRepeated(kind: APIError.Kind) async {
    let cloud = ScriptedCloud([kind, nil])
    let error = await #expect(throws: APIError.self) { try await VirtualTime().retrying(cloud).instances() }
    #expect(error?.kind == kind)
    #expect(cloud.calls == 1)
  }

  @Test(.faults(24, 112)) func aStormEndsWithTheBudgetAndTheLastError() async {
    let cloud = ScriptedCloud(Array(repeating: .status(503), count: 10_000))
    let world = VirtualTime()
    let api = world.retrying(cloud, policy: RetryPolicy(maxElapsed: .seconds(6 * 3600)), jitter: 1)
    let error = await #expect(throws: APIError.self) { try await api.instances() }
    #expect(error?.kind == .status(503))
    #expect(world.now <= .seconds(6 * 3600) && world.now > .seconds(6 * 3600 - 60))
    #expect(world.pauses.allSatisfy { $0 <= .seconds(30) })
  }

  /// A pause that does not move the limiter's clock must not make the budget endless.
  @Test func pretendedPausesCountAgainstTheBudget() async {
    let cloud = ScriptedCloud(Array(repeating: .status(503), count: 10_000))
    let api = RetryingForwardCompute(
      cloud, limiter: RequestLimiter(now: { .zero }), policy: RetryPolicy(maxElapsed: .seconds(100)), pause: { _ in },
      jitter: { 1 })
    await #expect(throws: APIError.self) { try await api.instances() }
    #expect(cloud.calls < 20)
  }

  @Test(.faults(23)) func a429WaitsAsLongAsItIsToldAndAllOthersWithIt() async throws {
    let cloud = ScriptedCloud([.status(429), nil, nil], retryAfter: .seconds(20))
    let world = VirtualTime()
    let limiter = world.limiter()
    #expect(try await world.retrying(cloud, limiter: limiter).instances() == [])
    #expect(world.now == .seconds(20))
    await limiter.pause(for: .seconds(9))
    _ = try await world.retrying(cloud, limiter: limiter).volumes()
    #expect(world.now == .seconds(29))
  }

  @Test func aReaderThatGivesUpAtA429StillMakesTheOthersWait() async throws {
    let cloud = ScriptedCloud([.status(429), nil], retryAfter: .seconds(20))
    let world = VirtualTime()
    let limiter = world.limiter()
    let impatient = world.retrying(cloud, limiter: limiter, policy: RetryPolicy(maxElapsed: .seconds(1)))
    await #expect(throws: APIError.self) { try await impatient.instances() }
    #expect(world.now == .zero)
    _ = try await world.retrying(cloud, limiter: limiter).volumes()
    #expect(world.now == .seconds(20))
  }

  /// A machine costs money while it waits, and the signal of a CI system leaves ten seconds.
  @Test(.faults(23, 106)) func aDeletionDoesNotWaitForThePauseThatAReadWasToldToMake() async throws {
    let cloud = ScriptedCloud([nil, nil])
    let world = VirtualTime()
    let limiter = world.limiter()
    await limiter.pause(for: .seconds(60))
    try await world.retrying(cloud, limiter: limiter).deleteInstance("i")
    #expect(cloud.calls == 1)
    #expect(world.now == .zero)
    _ = try await world.retrying(cloud, limiter: limiter).instances()
    #expect(world.now == .seconds(60))
  }

  @Test(.faults(23)) func aRetryAfterOfYearsIsCapped() async throws {
    let cloud = ScriptedCloud([.status(429), nil], retryAfter: .seconds(1_000_000_000))
    let world = VirtualTime()
    _ = try await world.retrying(cloud).instances()
    #expect(world.now == .seconds(60))
  }

  @Test(.faults(35)) func aDeletionIsRepeatedLikeARead() async throws {
    let cloud = ScriptedCloud([.status(429), .status(500), .connectionLost, nil])
    try await VirtualTime().retrying(cloud).deleteInstance("i")
    #expect(cloud.calls == 4)
  }

  @Test(.faults(17, 52), arguments: [APIError.Kind.status(500), .status(429), .connectionLost, .timedOut, .notSent])
  func aPostIsNeverRepeated(kind: APIError.Kind) async {
    let cloud = ScriptedCloud([kind, nil])
    _ = await VirtualTime().retrying(cloud).createInstance(CreateInstance(name: "n", offeringID: "o"))
    #expect(cloud.calls == 1)
  }

  @Test(.faults(23)) func aPostThatMeetsA429MakesEverybodyWait() async throws {
    let cloud = ScriptedCloud([.status(429), nil], retryAfter: .seconds(11))
    let world = VirtualTime()
    let limiter = world.limiter()
    let api = world.retrying(cloud, limiter: limiter)
    guard case .rateLimited(_, retryAfter: .seconds(11)) = await api.createInstance(.init(name: "n", offeringID: "o"))
    else {
      Issue.record("not rateLimited")
      return
    }
    #expect(world.now == .zero)
    _ = await api.createInstance(.init(name: "m", offeringID: "o"))
    #expect(world.now == .seconds(11))
  }

  @Test func aCancelledPauseEndsTheCallAndBeforeAPostNothingIsSent() async {
    let cloud = ScriptedCloud([.status(500), nil])
    let limiter = RequestLimiter(now: { .zero })
    let api = RetryingForwardCompute(
      cloud, limiter: limiter, pause: { _ in throw CancellationError() }, jitter: { 0 })
    let error = await #expect(throws: APIError.self) { try await api.instances() }
    #expect(error?.kind == .cancelled)
    await limiter.pause(for: .seconds(1))
    guard case .notSent = await api.createInstance(.init(name: "n", offeringID: "o")) else {
      Issue.record("a cancelled POST was sent")
      return
    }
    #expect(cloud.calls == 1)
  }

  @Test func theLimiterLetsABurstPassAndThenKeepsItsRate() async {
    let world = VirtualTime()
    let limiter = RequestLimiter(rate: 10, burst: 20, now: { world.now })
    var waits: [Duration] = []
    for _ in 0..<25 { waits.append(await limiter.reserve()) }
    #expect(waits.prefix(20).allSatisfy { $0 == .zero })
    #expect(waits.suffix(5) == [100, 200, 300, 400, 500].map { .milliseconds($0) })
    world.advance(by: .seconds(100))
    #expect(await limiter.reserve() == .zero)
  }

  @Test(.faults(23, 106)) func whatIsUrgentWaitsBehindNobodyAndIsTwiceAsFast() async throws {
    let world = VirtualTime()
    let limiter = RequestLimiter(rate: 10, burst: 20, now: { world.now })
    for _ in 0..<100 { _ = await limiter.reserve() }
    await limiter.pause(for: .seconds(60))
    var waits: [Duration] = []
    for _ in 0..<42 { waits.append(await limiter.reserve(isUrgent: true)) }
    #expect(waits.prefix(40).allSatisfy { $0 == .zero })
    #expect(waits.suffix(2) == [.milliseconds(50), .milliseconds(100)])
    #expect(await limiter.reserve() == .seconds(60))
  }

  @Test func aReadIsUrgentWhereItsTaskIs() async throws {
    let world = VirtualTime()
    let limiter = world.limiter()
    await limiter.pause(for: .seconds(60))
    let api = world.retrying(ScriptedCloud([nil, nil]), limiter: limiter)
    _ = try await RequestUrgency.$isUrgent.withValue(true) { try await api.instances() }
    #expect(world.pauses == [.milliseconds(100)], "for others who ask for the same, not for the pause")
    _ = try await api.instances()
    #expect(world.pauses == [.milliseconds(100), .milliseconds(59_900)])
  }

  @Test(.faults(23, 106)) func manyUrgentReadsOfAListShareRequests() async throws {
    let cloud = ScriptedCloud(Array(repeating: nil, count: 50))
    let api = RetryingForwardCompute(cloud, limiter: VirtualTime().limiter(), pause: { try await Task.sleep(for: $0) })
    try await RequestUrgency.$isUrgent.withValue(true) {
      try await withThrowingTaskGroup(of: [Instance].self) { group in
        for _ in 0..<20 { group.addTask { try await api.instances() } }
        for try await answer in group { #expect(answer == []) }
      }
    }
    #expect(cloud.calls < 20)
  }

  /// A hundred jobs in a storm: in no second are there more requests than the bucket allows.
  @Test(.faults(23)) func manyCallersTogetherStayBelowTheRate() async throws {
    let world = VirtualTime()
    let limiter = RequestLimiter(rate: 10, burst: 20, now: { world.now })
    var sent: [Duration] = []
    for _ in 0..<500 {
      sent.append(world.now + (await limiter.reserve()))
      world.advance(by: .milliseconds(5))
    }
    for moment in sent {
      #expect(sent.count { $0 >= moment && $0 < moment + .seconds(1) } <= 30)
    }
  }
}

/// A clock that moves when somebody pauses.
final class VirtualTime: Sendable {
  private let state = Mutex((now: Duration.zero, pauses: [Duration]()))

  var now: Duration { state.withLock { $0.now } }
  var pauses: [Duration] { state.withLock { $0.pauses } }

  func advance(by duration: Duration) {
    state.withLock { $0.now += duration }
  }

  private func pause(_ duration: Duration) {
    state.withLock { state in
      state.now += duration
      state.pauses.append(duration)
    }
  }

  func limiter() -> RequestLimiter {
    RequestLimiter(rate: 10, burst: 20, now: { self.now })
  }

  func retrying(
    _ cloud: ScriptedCloud, limiter: RequestLimiter? = nil, policy: RetryPolicy = RetryPolicy(), jitter: Double = 0
  ) -> RetryingForwardCompute {
    RetryingForwardCompute(
      cloud, limiter: limiter ?? self.limiter(), policy: policy, pause: { self.pause($0) }, jitter: { jitter })
  }
}

/// An API that fails as told, call by call; nil is a success.
final class ScriptedCloud: ForwardComputeAPI {
  private let script: [APIError.Kind?]
  private let retryAfter: Duration?
  private let counter = Mutex(0)

  init(_ script: [APIError.Kind?], retryAfter: Duration? = nil) {
    self.script = script
    self.retryAfter = retryAfter
  }

  var calls: Int { counter.withLock { $0 } }

  private func answer<Value>(_ value: Value) throws(APIError) -> Value {
    let call = counter.withLock { counter in
      counter += 1
      return counter - 1
    }
    guard let kind = script[call] else { return value }
    throw APIError(kind: kind, operation: "do it", message: "no", retryAfter: retryAfter)
  }

  private func nothing<Value>() throws(APIError) -> Value {
    throw APIError(kind: .notConfigured, operation: "do it", message: "not part of this story")
  }

  func computeOfferings() async throws(APIError) -> [ComputeOffering] { try answer([]) }
  func computeOffering(_ id: String) async throws(APIError) -> ComputeOffering { try nothing() }
  func volumeOfferings() async throws(APIError) -> [VolumeOffering] { try answer([]) }
  func volumeOffering(_ id: String) async throws(APIError) -> VolumeOffering { try nothing() }
  func instances() async throws(APIError) -> [Instance] { try answer([]) }
  func instance(_ id: String, refresh: Bool) async throws(APIError) -> Instance { try nothing() }
  func deleteInstance(_ id: String) async throws(APIError) { try answer(()) }
  func volumes() async throws(APIError) -> [Volume] { try answer([]) }
  func volume(_ id: String, refresh: Bool) async throws(APIError) -> Volume { try nothing() }
  func sshKeys() async throws(APIError) -> [SSHKey] { try answer([]) }
  func models() async throws(APIError) -> [Model] { try answer([]) }
  func model(_ id: String) async throws(APIError) -> Model { try nothing() }

  func createInstance(_ request: CreateInstance) async -> Creation {
    do throws(APIError) {
      return try answer(.created(id: "i", instance: nil))
    } catch {
      return error.kind == .status(429) ? .rateLimited(error, retryAfter: error.retryAfter) : .ambiguous(error)
    }
  }
}
