import Foundation
import Jobs
import Runner
import Testing

/// Checkpoints on this computer: whatever is interrupted, the newest complete one counts.
@Suite struct CheckpointTests {
  private func withStore(_ body: (LocalCheckpoints, _ folder: String) async throws -> Void) async throws {
    let folder = NSTemporaryDirectory() + "fcrun-checkpoints-\(UInt64.random(in: 0 ... .max))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(LocalCheckpoints { "\(folder)/\($0)" }, folder)
  }

  private func put(_ text: String, at moment: Int64?, _ store: LocalCheckpoints) async throws {
    let place = store.begin(of: "job", node: 0)
    try FileManager.default.createDirectory(atPath: place.folder, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(filePath: place.folder + "/step"))
    guard let moment else { return }
    try await store.complete(place.folder, of: "job", node: 0, takenAt: Moment(milliseconds: moment))
  }

  private func newest(_ store: LocalCheckpoints) throws -> (text: String, at: Int64)? {
    guard let found = store.newest(of: "job", node: 0) else { return nil }
    let text = try String(contentsOf: URL(filePath: found.folder + "/step"), encoding: .utf8)
    return (text, found.takenAt.milliseconds)
  }

  @Test func theNewestCompleteOneCountsAndIsTheOnlyOneLeft() async throws {
    try await withStore { store, folder in
      #expect(try newest(store) == nil)
      try await put("one", at: 1_000, store)
      try await put("two", at: 2_000, store)
      #expect(try newest(store)! == ("two", 2_000))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/job/node-0") == ["at-2000"])
      #expect(store.newest(of: "job", node: 1) == nil && store.newest(of: "other", node: 0) == nil)
    }
  }

  @Test func oneThatWasInterruptedLeavesTheOldOneAndIsGoneWithTheNext() async throws {
    try await withStore { store, _ in
      try await put("one", at: 1_000, store)
      try await put("half", at: nil, store)
      #expect(try newest(store)! == ("one", 1_000))
      let next = store.begin(of: "job", node: 0)
      #expect(!FileManager.default.fileExists(atPath: next.folder))
    }
  }

  @Test func aClockThatWentBackMakesNoOlderOneOfTheNext() async throws {
    try await withStore { store, _ in
      try await put("one", at: 5_000, store)
      try await put("two", at: 3_000, store)
      #expect(try newest(store)! == ("two", 5_001))
    }
  }

  @Test func whatCannotBePutInPlaceLeavesTheOldOne() async throws {
    try await withStore { store, _ in
      try await put("one", at: 1_000, store)
      let place = store.begin(of: "job", node: 0)
      await #expect(throws: (any Error).self) {
        try await store.complete(place.folder, of: "job", node: 0, takenAt: Moment(milliseconds: 2_000))
      }
      #expect(try newest(store)! == ("one", 1_000))
    }
  }
}
