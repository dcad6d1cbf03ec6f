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

/// How many simulated clouds may be at work at once: each boots machines and jobs of its own on few cores.
package actor Slots {
  package static let shared = Slots(5)

  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  package init(_ count: Int) { free = count }

  package func take() async {
    guard free == 0 else {
      free -= 1
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  package func give() {
    guard !waiting.isEmpty else {
      free += 1
      return
    }
    waiting.removeFirst().resume()
  }
}
