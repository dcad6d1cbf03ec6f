/// The fewest ingredients with which a script still breaks a promise.
package enum Shrinking {
  /// The numbers of the ingredients that are needed, as ``Script/recipe`` counts them; nil when the script breaks nothing.
  ///
  /// Delta debugging (Zeller and Hildebrandt, 2002): halves, quarters and so on are left out for as long as some promise is
  /// still broken. Any promise will do: what matters is a short story.
  package static func fewest(of script: Script) async -> [Int]? {
    var kept = Array(1...max(1, script.ingredients.count)).filter { $0 <= script.ingredients.count }
    guard await breaks(script, kept) else { return nil }
    var pieces = 2
    while !kept.isEmpty {
      let size = (kept.count + pieces - 1) / pieces
      if let fewer = await without(oneOf: chunks(kept, of: size), script, kept) {
        kept = fewer
        pieces = max(2, pieces - 1)
      } else if size > 1 {
        pieces = min(pieces * 2, kept.count)
      } else {
        break
      }
    }
    return kept
  }

  private static func without(oneOf chunks: [[Int]], _ script: Script, _ kept: [Int]) async -> [Int]? {
    for chunk in chunks {
      let fewer = kept.filter { !chunk.contains($0) }
      if await breaks(script, fewer) { return fewer }
    }
    return nil
  }

  private static func chunks(_ numbers: [Int], of size: Int) -> [[Int]] {
    stride(from: 0, to: numbers.count, by: size).map { Array(numbers[$0..<min($0 + size, numbers.count)]) }
  }

  private static func breaks(_ script: Script, _ numbers: [Int]) async -> Bool {
    var scenario = Scenario(script.keeping(numbers))
    return await !scenario.run().isEmpty
  }
}
