/// The same read, asked for by many while it waits for its turn, is made once.
///
/// Who asks while the request is out makes the next one: no answer is older than its question. Two hundred jobs that look
/// for their names after a crash need one list for it, not two hundred.
actor SharedRead<Value: Sendable> {
  private var lines: [Read: [Place]] = [:]
  private(set) var waiting: [Place: CheckedContinuation<Result<Value, APIError>?, Never>] = [:]
  private var places: Place = 0

  typealias Place = Int

  /// The answer of `call`, or of somebody else's who was before in the line.
  /// - Parameter turn: waits until a request may leave.
  /// - Throws: what `turn` or `call` throws; `cancelled` where the caller is.
  func answer(
    to read: Read, turn: @Sendable () async throws(APIError) -> Void, call: @Sendable () async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    while lines[read] != nil {
      if let answer = await answerOfOthers(to: read) { return try answer.get() }
      // The one before was cancelled, or this one.
      guard !Task.isCancelled else {
        throw APIError(kind: .cancelled, operation: read.operation, message: "it was cancelled")
      }
    }
    return try await lead(read, turn, call)
  }

  private func lead(
    _ read: Read, _ turn: @Sendable () async throws(APIError) -> Void,
    _ call: @Sendable () async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    lines[read] = []
    do {
      try await turn()
    } catch {
      tell(lines.removeValue(forKey: read), nil)
      throw error
    }
    let line = lines.removeValue(forKey: read)
    do {
      let value = try await call()
      tell(line, .success(value))
      return value
    } catch {
      tell(line, Task.isCancelled ? nil : .failure(error))
      throw error
    }
  }

  /// nil: there is none, and the caller has to see for itself.
  private func answerOfOthers(to read: Read) async -> Result<Value, APIError>? {
    places += 1
    let place = places
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        lines[read]?.append(place)
        waiting[place] = continuation
      }
    } onCancel: {
      Task { await tell([place], nil) }
    }
  }

  private func tell(_ line: [Place]?, _ answer: Result<Value, APIError>?) {
    for place in line ?? [] { waiting.removeValue(forKey: place)?.resume(returning: answer) }
  }
}
