// Where the tasks of a sweep come from: the spec's matrix, `--array`, or the rows of `--tasks`.

/// What the command line says of a sweep.
package enum SweepSource: Sendable, Equatable {
  /// `0-15%4`, `0-10:2`, `1,3,7`.
  case array(String)
  /// A table with a header; `file` as the user wrote it.
  case table(bytes: [UInt8], file: String)

  static let arrayOption = "--array"
  static let arrayName = "index"

  var option: String {
    switch self {
    case .array: Self.arrayOption
    case .table: "--tasks"
    }
  }
}

/// Tasks before they are planned.
struct SweepTasks: Equatable {
  var tasks: [SweepTask]
  /// Of `%N`.
  var maxParallel: Int?
}

extension SweepSource {
  func tasks() -> Result<SweepTasks, SpecProblems> {
    switch self {
    case .array(let text):
      var reader = ArrayReader(text: text)
      return reader.tasks()
    case .table(let bytes, let file):
      var reader = TableReader(file: file)
      return reader.tasks(bytes)
    }
  }
}

extension SweepTasks {
  /// One for each combination; the last name varies fastest.
  static func combinations(of axes: [JobSpec.Axis], at place: Place) -> Result<SweepTasks, SpecProblems> {
    let count = axes.reduce(1) { count, axis in
      let (product, isTooMuch) = count.multipliedReportingOverflow(by: axis.values.count)
      return isTooMuch ? .max : product
    }
    guard count <= SweepPlan.mostTasks else {
      let message =
        "has \(count == .max ? "too many" : "\(count)") combinations; expected at most \(SweepPlan.mostTasks)"
      return .failure(SpecProblems([SpecProblem(at: place, path: "matrix", message: message)]))
    }
    let rows = axes.reduce([[]]) { rows, axis in
      rows.flatMap { row in axis.values.map { row + [JobPlan.Variable(name: axis.name, value: $0)] } }
    }
    return .success(SweepTasks(tasks: rows.enumerated().map { SweepTask(index: $0, values: $1) }))
  }
}

// MARK: - --array

private struct ArrayReader {
  let text: String

  private static let expected = "indices such as 0-15, 0-10:2 or 1,3,7, and %N for how many at once"

  mutating func tasks() -> Result<SweepTasks, SpecProblems> {
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    var parallel: Int?
    if parts.count == 2 {
      guard let number = Self.number(parts[1]), number > 0 else {
        return failure(at: parts[0].count + 2, "\(quoted(String(parts[1]))) is not how many run at once")
      }
      parallel = number
    }
    var indices: Set<Int> = []
    var column = 1
    for item in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
      guard let range = Self.range(item) else { return failure(at: column, "\(quoted(String(item))) is no range") }
      for index in range {
        guard indices.insert(index).inserted else { return failure(at: column, "the index \(index) is there twice") }
        guard indices.count <= SweepPlan.mostTasks else {
          return failure(at: column, "are more than \(SweepPlan.mostTasks) tasks")
        }
      }
      column += item.count + 1
    }
    return .success(SweepTasks(tasks: indices.sorted().map(Self.task), maxParallel: parallel))
  }

  private static func task(_ index: Int) -> SweepTask {
    SweepTask(index: index, values: [JobPlan.Variable(name: SweepSource.arrayName, value: "\(index)")])
  }

  /// `3`, `0-15`, `0-10:2`.
  private static func range(_ text: Substring) -> StrideThrough<Int>? {
    let step = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let ends = step[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = number(ends[0]), let last = ends.count == 2 ? number(ends[1]) : first, first <= last,
      let by = step.count == 2 ? number(step[1]) : 1, by > 0, step.count == 1 || ends.count == 2
    else { return nil }
    return stride(from: first, through: last, by: by)
  }

  private static func number(_ text: Substring) -> Int? {
    guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy(isDigit) else { return nil }
    return Int(text)
  }

  private func failure(at column: Int, _ wrong: String) -> Result<SweepTasks, SpecProblems> {
    let place = Place(file: SweepSource.arrayOption, line: 1, column: column)
    return .failure(
      SpecProblems([SpecProblem(at: place, path: "matrix.index", message: "\(wrong); expected \(Self.expected)")]))
  }
}

// MARK: - --tasks

/// Tab-separated values: names in the first line, a task in each other.
private struct TableReader {
  let file: String
  private var problems: [SpecProblem] = []

  init(file: String) { self.file = file }

  mutating func tasks(_ bytes: [UInt8]) -> Result<SweepTasks, SpecProblems> {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      report(1, 1, "is not UTF-8", expected: "a table in UTF-8")
      return .failure(SpecProblems(problems))
    }
    let lines = Self.lines(text)
    let names = header(lines.first ?? "")
    let rows = lines.dropFirst().enumerated().map { row($1, line: $0 + 2, names) }
    if rows.isEmpty { report(1, 1, "has no task", expected: "names in the first line, and a line for each task") }
    if rows.count > SweepPlan.mostTasks {
      report(SweepPlan.mostTasks + 2, 1, "is one task too many", expected: "at most \(SweepPlan.mostTasks)")
    }
    guard problems.isEmpty else { return .failure(SpecProblems(problems)) }
    return .success(SweepTasks(tasks: rows.enumerated().map { SweepTask(index: $0, values: $1) }))
  }

  /// Without what some editors put at the beginning and at the end.
  private static func lines(_ text: String) -> [String] {
    let plain = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    var lines = plain.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      String(line.last == "\r" ? line.dropLast() : line)
    }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }

  private mutating func header(_ line: String) -> [String] {
    var seen: Set<String> = []
    return cells(line).map { name, column in
      if !isVariableName(name) {
        report(
          1, column, "\(quoted(name)) cannot be a variable's name", expected: "letters, digits and _, not a digit first"
        )
      } else if !seen.insert(name.uppercased()).inserted {
        report(
          1, column, "\(quoted(name)) is there twice", expected: "names that differ in more than upper and lower case")
      }
      return name
    }
  }

  private mutating func row(_ line: String, line number: Int, _ names: [String]) -> [JobPlan.Variable] {
    let cells = cells(line)
    guard cells.count == names.count else {
      let column = cells.count > names.count ? cells[names.count].column : line.unicodeScalars.count + 1
      report(
        number, column, "has \(cells.count) value\(cells.count == 1 ? "" : "s")",
        expected: "\(names.count), with a tab between two, as the first line has")
      return []
    }
    if let (_, column) = cells.first(where: { $0.text.utf8.contains(0) }) {
      report(number, column, "holds a NUL character", expected: "text without NUL")
    }
    return zip(names, cells).map { JobPlan.Variable(name: $0, value: $1.text) }
  }

  private func cells(_ line: String) -> [(text: String, column: Int)] {
    var column = 1
    return line.unicodeScalars.split(separator: "\t", omittingEmptySubsequences: false).map { cell in
      defer { column += cell.count + 1 }
      return (String(cell), column)
    }
  }

  private mutating func report(_ line: Int, _ column: Int, _ wrong: String, expected: String) {
    let place = Place(file: file, line: line, column: column)
    problems.append(SpecProblem(at: place, path: "tasks", message: "\(wrong); expected \(expected)"))
  }
}
