import Runner

/// The strands of one virtual process.
struct VirtualStrands: Strands {
  /// In a strand a wait that is pointless ends the strand.
  @TaskLocal static var isStrand = false

  let process: VirtualProcess

  func run<Answer: Sendable>(
    _ strands: [@Sendable () async -> Answer], until isEnough: (_ index: Int, _ answer: Answer) -> Bool
  ) async {
    guard strands.count > 1 else { return await StrandsInOrder().run(strands, until: isEnough) }
    let process = process
    let bodies = strands.map { strand -> @Sendable () async -> Answer in
      { await Self.$isStrand.withValue(true) { await strand() } }
    }
    await process.kernel.turns.run(
      bodies, at: process.kernel.now, isOver: { process.isDead }, until: isEnough)
  }
}

/// One after the other, for worlds without a time of their own.
package struct StrandsInOrder: Strands {
  package init() {}

  package func run<Answer: Sendable>(
    _ strands: [@Sendable () async -> Answer], until isEnough: (_ index: Int, _ answer: Answer) -> Bool
  ) async {
    for (index, strand) in strands.enumerated() {
      let answer = await strand()
      if isEnough(index, answer) { return }
    }
  }
}
