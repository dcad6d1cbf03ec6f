/// Requests that wait behind nobody: what gives machines back when there is little time.
public enum RequestUrgency {
  /// For all requests that are made in this task and its children; a DELETE is urgent in any case.
  @TaskLocal public static var isUrgent = false
}

/// How long a read or a delete is tried.
public struct RetryPolicy: Sendable, Equatable {
  /// No new try begins when its pause would end later than this after the first.
  public var maxElapsed: Duration
  /// The upper bound of the first pause; each one after it is twice as long.
  public var firstPause: Duration
  /// The upper bound of every pause.
  public var longestPause: Duration

  /// Two minutes, from half a second up to half a minute.
  public init(
    maxElapsed: Duration = .seconds(120), firstPause: Duration = .milliseconds(500),
    longestPause: Duration = .seconds(30)
  ) {
    self.maxElapsed = maxElapsed
    self.firstPause = firstPause
    self.longestPause = longestPause
  }

  /// The pause after the try numbered `attempt` (from 1): between half and all of the bound, by `jitter` in 0…1.
  public func pause(after attempt: Int, jitter: Double) -> Duration {
    let doublings = min(max(attempt - 1, 0), 20)
    let bound = min(firstPause * (1 << doublings), longestPause)
    return bound / 2 + bound / 2 * min(max(jitter, 0), 1)
  }
}

/// The API with reads and deletes repeated when that may help, and every request under one limiter.
///
/// A `POST` passes through once, whatever comes of it.
public struct RetryingForwardCompute: ForwardComputeAPI {
  private let inner: any ForwardComputeAPI
  private let limiter: RequestLimiter
  private let policy: RetryPolicy
  private let pause: @Sendable (Duration) async throws -> Void
  private let jitter: @Sendable () -> Double
  /// What every job of a process asks for alike.
  private let lists = SharedRead<[Instance]>()
  private let offeringLists = SharedRead<[ComputeOffering]>()
  private let offerings = SharedRead<ComputeOffering>()

  /// - Parameters:
  ///   - pause: waits on the limiter's clock; throws when the task is cancelled.
  ///   - jitter: a number in 0…1.
  public init(
    _ inner: any ForwardComputeAPI, limiter: RequestLimiter, policy: RetryPolicy = RetryPolicy(),
    pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
    jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
  ) {
    self.inner = inner
    self.limiter = limiter
    self.policy = policy
    self.pause = pause
    self.jitter = jitter
  }
}

// MARK: - Operations

// The protocol says what each one does.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension RetryingForwardCompute {
  public func computeOfferings() async throws(APIError) -> [ComputeOffering] {
    try await repeating(.computeOfferings, with: offeringLists) { () throws(APIError) in
      try await inner.computeOfferings()
    }
  }
  public func computeOffering(_ id: String) async throws(APIError) -> ComputeOffering {
    try await repeating(.computeOffering(id), with: offerings) { () throws(APIError) in
      try await inner.computeOffering(id)
    }
  }
  public func volumeOfferings() async throws(APIError) -> [VolumeOffering] {
    try await repeating(Read.volumeOfferings.operation) { () throws(APIError) in try await inner.volumeOfferings() }
  }
  public func volumeOffering(_ id: String) async throws(APIError) -> VolumeOffering {
    try await repeating(Read.volumeOffering(id).operation) { () throws(APIError) in
      try await inner.volumeOffering(id)
    }
  }
  public func instances() async throws(APIError) -> [Instance] {
    try await repeating(.instances, with: lists) { () throws(APIError) in try await inner.instances() }
  }
  public func instance(_ id: String, refresh: Bool) async throws(APIError) -> Instance {
    try await repeating(Read.instance(id, refresh: refresh).operation) { () throws(APIError) in
      try await inner.instance(id, refresh: refresh)
    }
  }
  public func deleteInstance(_ id: String) async throws(APIError) {
    let operation = "delete instance \(Excerpt.escaped(id, limit: 100))"
    try await repeating(operation, isUrgent: true) { () throws(APIError) in try await inner.deleteInstance(id) }
  }
  public func volumes() async throws(APIError) -> [Volume] {
    try await repeating(Read.volumes.operation) { () throws(APIError) in try await inner.volumes() }
  }
  public func volume(_ id: String, refresh: Bool) async throws(APIError) -> Volume {
    try await repeating(Read.volume(id, refresh: refresh).operation) { () throws(APIError) in
      try await inner.volume(id, refresh: refresh)
    }
  }
  public func sshKeys() async throws(APIError) -> [SSHKey] {
    try await repeating(Read.sshKeys.operation) { () throws(APIError) in try await inner.sshKeys() }
  }
  public func models() async throws(APIError) -> [Model] {
    try await repeating(Read.models.operation) { () throws(APIError) in try await inner.models() }
  }
  public func model(_ id: String) async throws(APIError) -> Model {
    try await repeating(Read.model(id).operation) { () throws(APIError) in try await inner.model(id) }
  }
  public func document(_ read: Read) async throws(APIError) -> Document {
    try await repeating(read.operation) { () throws(APIError) in try await inner.document(read) }
  }

  public func createInstance(_ request: CreateInstance) async -> Creation {
    do throws(APIError) {
      try await turn("create instance \(Excerpt.escaped(request.name, limit: 100))")
    } catch {
      return .notSent(error)
    }
    let creation = await inner.createInstance(request)
    if case .rateLimited(_, let retryAfter) = creation { await limiter.pause(for: retryAfter ?? policy.firstPause) }
    return creation
  }
}

// MARK: - The loop

extension RetryingForwardCompute {
  private func repeating<Value: Sendable>(
    _ read: Read, with others: SharedRead<Value>, _ call: @Sendable () async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    try await retrying(read.operation) { () throws(APIError) in
      try await others.answer(
        to: read, turn: { () throws(APIError) in try await sharedTurn(read.operation) }, call: call)
    }
  }

  private func repeating<Value: Sendable>(
    _ operation: String, isUrgent: Bool = false, _ call: @Sendable () async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    try await retrying(operation) { () throws(APIError) in
      try await turn(operation, isUrgent: isUrgent)
      return try await call()
    }
  }

  /// - Parameter call: waits for its turn each time.
  private func retrying<Value: Sendable>(
    _ operation: String, _ call: @Sendable () async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    let start = limiter.now()
    var paused: Duration = .zero
    for attempt in 1... {
      do {
        return try await call()
      } catch {
        let wait = await self.wait(after: error, attempt: attempt)
        // A pause that is only pretended does not move a real clock: count it, or the budget would never end.
        let spent = max(limiter.now() - start, paused)
        guard let wait, spent + wait <= policy.maxElapsed else { throw error }
        try await pause(wait, operation)
        paused += wait
      }
    }
    preconditionFailure("an endless loop ended")
  }

  /// How long to wait before the call is worth another try; nil when it is not.
  private func wait(after error: APIError, attempt: Int) async -> Duration? {
    guard error.isWorthRepeating else { return nil }
    let backOff = policy.pause(after: attempt, jitter: jitter())
    let wait = max(error.retryAfter.map { min($0, RetryAfter.longest) } ?? .zero, backOff)
    if error.kind == .status(429) { await limiter.pause(for: wait) }
    return wait
  }

  /// How long a read that many ask for waits for the others where nothing else lets it wait. All jobs that a signal ends
  /// ask for the list at nearly the same moment, and one answer does for all of them.
  private static let gathering = Duration.milliseconds(100)

  private func sharedTurn(_ operation: String) async throws(APIError) {
    if RequestUrgency.isUrgent { try await pause(Self.gathering, operation) }
    try await turn(operation)
  }

  /// Waits for a token, and once more when somebody else met a 429 meanwhile.
  private func turn(_ operation: String, isUrgent: Bool = false) async throws(APIError) {
    let isUrgent = isUrgent || RequestUrgency.isUrgent
    let wait = await limiter.reserve(isUrgent: isUrgent)
    guard wait > .zero else { return }
    try await pause(wait, operation)
    let rest = isUrgent ? .zero : await limiter.remainingPause()
    if rest > .zero { try await pause(rest, operation) }
  }

  private func pause(_ duration: Duration, _ operation: String) async throws(APIError) {
    do {
      try await pause(duration)
    } catch {
      throw APIError(kind: .cancelled, operation: operation, message: "it was cancelled")
    }
  }
}

extension APIError {
  /// True for what may pass by itself, and only for calls that may be made twice.
  public var isWorthRepeating: Bool {
    switch kind {
    case .notSent, .timedOut, .connectionLost: true
    case .status(let status): status >= 500 || [408, 425, 429].contains(status)
    case .malformedBody, .redirected, .bodyTooLarge, .notConfigured, .cancelled: false
    }
  }
}
