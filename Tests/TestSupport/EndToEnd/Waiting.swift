import Foundation

/// Something that a test waited for, or needs, did not come to pass.
package struct Unmet: Error, CustomStringConvertible {
  package var description: String
  package init(_ description: String) { self.description = description }
}

/// Asks until there is an answer: the only way in which these tests wait.
///
/// - Throws: ``Unmet`` when there is none after `seconds`.
@discardableResult
package func eventually<Answer>(
  _ what: String, within seconds: Double = 60, else details: () -> String = { "" }, _ ask: () async throws -> Answer?
) async throws -> Answer {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while true {
    if let answer = try await ask() { return answer }
    guard ContinuousClock.now < deadline else { throw Unmet("not within \(seconds) s: \(what)\n\(details())") }
    try await Task.sleep(for: .milliseconds(8))
  }
}

/// How many tests may be at it at once: each starts programs of its own on few cores, and all of them at once would make
/// each so slow that a state which lasts seconds is over before it is looked at.
package actor Slots {
  /// Those with a cloud that boots machines, and jobs on them.
  package static let working = Slots(5)
  /// Those that wait for the most part.
  package static let waiting = Slots(8)
  /// Those without a cloud: one program after the other.
  package static let offline = Slots(3)

  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  package init(_ count: Int) { free = count }

  package nonisolated func occupied(_ body: () async throws -> Void) async throws {
    await take()
    do { try await body() } catch {
      await give()
      throw error
    }
    await give()
  }

  private func take() async {
    guard free == 0 else {
      free -= 1
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  private func give() {
    guard !waiting.isEmpty else {
      free += 1
      return
    }
    waiting.removeFirst().resume()
  }
}
