/// The same read, asked for by many while it waits for its turn, is made once.
///
/// Who asks while the request is out makes the next one: no answer is older than its question. Two hundred jobs that look
/// for their names after a crash need one list for it, not two hundred.
actor SharedRead<Value: Sendable> {
  private var lines: [Line: [Place]] = [:]
  private(set) var waiting: [Place: CheckedContinuation<Result<Value, APIError>?, Never>] = [:]
  private var places: Place = 0

  typealias Place = Int

  /// What is urgent does not stand in line behind what is not.
  private struct Line: Hashable {
    let read: Read
    let isUrgent = RequestUrgency.isUrgent
  }

  /// The answer of `call`, or of somebody else's who was before in the line.
  /// - Parameter turn: waits until a request may leave.
  /// - Throws: what `turn` or `call` throws; `cancelled` where the caller is.
  func answer(
    to read: Read, turn: @Sendable () async throws(APIError) -> Void, call: @Sendable () async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    let line = Line(read: read)
    while lines[line] != nil {
      if let answer = await answerOfOthers(in: line) { return try answer.get() }
      // The one before was cancelled, or this one.
      guard !Task.isCancelled else {
        throw APIError(kind: .cancelled, operation: read.operation, message: "it was cancelled")
      }
    }
    return try await lead(line, turn, call)
  }

  private func lead(
    _ line: Line, _ turn: @Sendable () async throws(APIError) -> Void,
    _ call: @Sendable () async throws(APIError) -> Value
  ) async throws(APIError) -> Value {
    lines[line] = []
    do {
      try await turn()
    } catch {
      tell(lines.removeValue(forKey: line), nil)
      throw error
    }
    let others = lines.removeValue(forKey: line)
    do {
      let value = try await call()
      tell(others, .success(value))
      return value
    } catch {
      tell(others, Task.isCancelled ? nil : .failure(error))
      throw error
    }
  }

  /// nil: there is none, and the caller has to see for itself.
  private func answerOfOthers(in line: Line) async -> Result<Value, APIError>? {
    places += 1
    let place = places
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        guard lines[line] != nil else { return continuation.resume(returning: nil) }
        lines[line]?.append(place)
        waiting[place] = continuation
      }
    } onCancel: {
      Task { await tell([place], nil) }
    }
  }

  private func tell(_ places: [Place]?, _ answer: Result<Value, APIError>?) {
    for place in places ?? [] { waiting.removeValue(forKey: place)?.resume(returning: answer) }
  }
}
