/// Strands as child tasks.
package struct LiveStrands: Strands {
  package init() {}

  package func run<Answer: Sendable>(
    _ strands: [@Sendable () async -> Answer], until isEnough: (_ index: Int, _ answer: Answer) -> Bool
  ) async {
    await withTaskGroup(of: (Int, Answer).self) { group in
      for (index, strand) in strands.enumerated() { group.addTask { (index, await strand()) } }
      var isOver = false
      for await (index, answer) in group where !isOver {
        isOver = isEnough(index, answer)
        if isOver { group.cancelAll() }
      }
    }
  }
}
