import TestSupport

/// Many runs, some at once.
package struct Campaign: Sendable {
  package var seed: UInt64
  package var numbers: Range<Int>
  /// Only runs of this kind.
  package var kind: Kind?
  package var jobs: Int
  package var terrain: Terrain

  package init(seed: UInt64, numbers: Range<Int>, kind: Kind? = nil, jobs: Int, terrain: Terrain) {
    (self.seed, self.numbers, self.kind, self.jobs, self.terrain) = (seed, numbers, kind, jobs, terrain)
  }

  /// The plan of a run; nil where it cannot be made on this computer.
  package func plan(_ number: Int) -> Plan? {
    guard let kind else { return Plan(seed: seed, number: number, on: terrain) }
    return Plan(seed: seed, kind, number, number, on: terrain)
  }

  private func word(_ number: Int) -> Kind { kind ?? Kind.of(number) }

  /// Performs every run, and tells each that is over. Ends early when its task is cancelled.
  package func run(_ tell: @Sendable (_ number: Int, _ report: Report, _ done: Int) -> Void) async -> Tally {
    var tally = Tally()
    var waiting = numbers.makeIterator()
    await withTaskGroup(of: (Int, Report).self) { group in
      func startNext() {
        while let number = waiting.next() {
          guard let plan = plan(number) else {
            tally.skipped[word(number), default: 0] += 1
            continue
          }
          group.addTask { (number, await KillRun.perform(plan, load: .waiting)) }
          return
        }
      }
      for _ in 0..<jobs { startNext() }
      for await (number, report) in group {
        guard !Task.isCancelled else { continue }
        tally.add(report, of: word(number))
        tell(number, report, tally.runs)
        startNext()
      }
    }
    return tally
  }
}

/// What came of many runs.
package struct Tally: Sendable {
  package struct Row: Sendable {
    package var runs = 0
    package var struck = 0
    /// Runs in which this went wrong.
    package var wrong: [Finding.Wrong: Int] = [:]
  }

  package var rows: [Kind: Row] = [:]
  package var skipped: [Kind: Int] = [:]

  package init() {}

  mutating func add(_ report: Report, of kind: Kind) {
    rows[kind, default: Row()].runs += 1
    rows[kind, default: Row()].struck += report.struck
    for wrong in Set(report.findings.map(\.wrong)) { rows[kind, default: Row()].wrong[wrong, default: 0] += 1 }
  }

  package var runs: Int { rows.values.map(\.runs).reduce(0, +) }
  package var isClean: Bool { rows.values.allSatisfy(\.wrong.isEmpty) }

  /// A line for each kind and one for all.
  package var table: String {
    let header = ["kind", "runs", "struck"] + Finding.Wrong.allCases.map(\.rawValue) + ["skipped"]
    let lines = Kind.allCases.map { line($0.rawValue, [rows[$0] ?? Row()], skipped[$0] ?? 0) }
    return Self.aligned([header] + lines + [line("all", Array(rows.values), skipped.values.reduce(0, +))])
  }

  private func line(_ name: String, _ rows: [Row], _ skipped: Int) -> [String] {
    let wrong = Finding.Wrong.allCases.map { wrong in rows.map { $0.wrong[wrong] ?? 0 }.reduce(0, +) }
    let counts = [rows.map(\.runs).reduce(0, +), rows.map(\.struck).reduce(0, +)] + wrong + [skipped]
    return [name] + counts.map { "\($0)" }
  }

  private static func aligned(_ lines: [[String]]) -> String {
    let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { line in
      zip(line, widths).enumerated().map { index, cell in
        let space = String(repeating: " ", count: cell.1 - cell.0.count)
        return index == 0 ? cell.0 + space : space + cell.0
      }.joined(separator: "  ")
    }.joined(separator: "\n")
  }
}
