import ArgumentParser
import ForwardCompute
import Jobs
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `fcrun results SWEEP`: all tasks in one table.
struct ResultsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "results", abstract: "Show the tasks of a sweep in one table, with what each put into result.json.",
    discussion: """
        fcrun results grid
        fcrun results grid --csv > grid.csv
      """)

  @Argument(help: "Id of a sweep, the beginning of one, or a name.", completion: Completions.sweeps)
  var sweep: String

  @Flag(help: "Comma-separated values (RFC 4180).")
  var csv = false

  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard !csv || !output.json else { throw ValidationError("--csv is given beside --json; expected one") }
  }

  func run() async throws {
    let installation = try Installation.openAndLook()
    guard case .sweep(let record) = try installation.subject(sweep) else {
      throw Failure(status: .usage, message: "\(sweep) is no sweep", next: "fcrun show \(sweep)")
    }
    let view = try SweepView(record, installation)
    if output.json { return try Output.json(.object(of: [("data", .array(view.rows.map(\.json)))])) }
    csv ? try Output.print(view.csv) : try view.table()
  }
}

/// One sweep as `results`, `show` and `--json` have it.
struct SweepView {
  let sweep: SweepRecord
  let isDriven: Bool
  let rows: [Row]

  /// One task; without a record it was skipped.
  struct Row {
    var task: SweepTask
    var record: JobRecord?
    var now: Moment
    /// What the task put into `result.json`, in its order.
    var result: [(name: String, value: JSONValue)]
  }

  init(_ sweep: SweepRecord, _ installation: Installation) throws {
    let tasks = try installation.store.tasks(of: sweep.id)
    let records = Dictionary(tasks.map { ($0.context.plan.task?.index, $0) }) { first, _ in first }
    let now = LiveClock().now()
    self.sweep = sweep
    isDriven = installation.isDriven(sweep: sweep.id)
    rows = sweep.tasks.map { task in
      let record = records[task.index]
      let file = "\(sweep.root)/\(sweep.name)-\(task.index)-outputs/result.json"
      // Of a task that is not over it could only be an earlier sweep's.
      let isThere = record?.isFinished ?? true
      return Row(task: task, record: record, now: now, result: isThere ? ResultFile.read(file) : [])
    }
  }

  private static let own = ["index", "state", "outcome", "exit_code", "attempts", "duration", "cost"]
  private static let columns = [
    Column(title: "STATE"), Column(title: "OUTCOME", expendable: .max), Column(title: "EXIT", alignment: .right),
    Column(title: "ATTEMPTS", alignment: .right, expendable: .max), Column(title: "SECONDS", alignment: .right),
    Column(title: "COST", alignment: .right),
  ]

  /// Names of the values, which are the same for all tasks.
  private var names: [String] { sweep.tasks.first?.values.map(\.name) ?? [] }

  /// Of all result files, in the order in which they come up. One that is called as another column is `result.NAME`.
  private var results: [String] {
    var seen: [String] = []
    for name in rows.flatMap({ $0.result.map(\.name) }) where !seen.contains(name) { seen.append(name) }
    return seen
  }

  /// Where there is no room the last results leave first, then the last values.
  func table() throws {
    let columns =
      [Column(title: "INDEX", alignment: .right)]
      + names.enumerated().map { Column(title: $1, expendable: 1 + $0, room: .cut) } + Self.columns
      + results.enumerated().map { Column(title: $1, alignment: .right, expendable: 1 + names.count + $0, room: .cut) }
    let leftOut = try Output.table(header: columns, rows: rows.map { row in cells(row).map { $0 ?? "-" } })
    guard !leftOut.isEmpty else { return }
    // What was measured is the answer: that some of it is not shown is not for the reader to find out.
    let titles = leftOut.map { Excerpt.escaped($0) }.joined(separator: ", ")
    let text = "not shown for want of room: \(titles); all of it: fcrun results \(sweep.id) --csv"
    let room = Terminal.width.map { $0 - "fcrun: ".count } ?? text.count
    Report.warn(Wrapping.lines(of: text, width: room).joined(separator: "\n"))
  }

  /// The values beside the index; empty where there is nothing.
  var csv: String {
    let taken = Set(Self.own + names)
    let header = ["index"] + names + Self.own.dropFirst() + results.map { taken.contains($0) ? "result.\($0)" : $0 }
    let lines = [header] + rows.map { row in cells(row).map { $0 ?? "" } }
    return lines.map { $0.map(Self.quoted).joined(separator: ",") + "\r\n" }.joined()
  }

  private func cells(_ row: Row) -> [String?] {
    [row.own[0]] + row.task.values.map(\.value) + row.own.dropFirst()
      + results.map { name in row.result.first { $0.name == name }.map { ResultFile.text($0.value) } }
  }

  private static func quoted(_ cell: String) -> String {
    guard cell.unicodeScalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else { return cell }
    return "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
  }

  // MARK: show

  func show(json: Bool) throws {
    if json { return try Output.json(self.json) }
    try Output.object(summary)
    try Output.print("\n")
    try table()
  }

  private var fields: [(String, JSONValue?)] {
    let cost = rows.compactMap(\.cost).reduce(Decimal(0), +)
    return [
      ("id", .string(sweep.id)), ("submit_id", sweep.submitID.map(JSONValue.string)), ("name", .string(sweep.name)),
      ("tasks", .integer(sweep.tasks.count)),
      ("max_parallel", .integer(sweep.maxParallel)), ("driven", .bool(isDriven)),
      ("max_cost", sweep.maxCost.map { .string(Jobs.Money.exact($0)) }),
      ("cost", .string(Jobs.Money.formatUp(cost, places: 4))), ("created", .string(Time.text(sweep.createdAt))),
    ]
  }

  private var summary: JSONValue {
    let count = SweepCount(rows.compactMap(\.record))
    return .object(of: fields + [("progress", .string(count.inWords))])
  }

  private var json: JSONValue { .object(of: fields + [("data", .array(rows.map(\.json)))]) }
}

extension SweepView.Row {
  /// In the order of the columns; nil where there is nothing to say.
  fileprivate var own: [String?] {
    let outcome = record?.state.outcome
    return [
      "\(task.index)", state, outcome?.word, record?.isFinished == true ? record.map { "\($0.exitCode)" } : nil,
      "\(attempts)", seconds.map { "\($0)" }, cost.map { Jobs.Money.formatUp($0, places: 4) },
    ]
  }

  private var state: String {
    guard let record else { return "skipped" }
    if case .finished(_, .some) = record.state.phase { return "kept" }
    return record.isWaiting ? "waiting" : record.state.word
  }

  private var attempts: Int {
    guard let record else { return 0 }
    let present = record.isFinished ? 0 : record.state.attempt == nil ? 0 : 1
    return record.state.past.count + present + (record.state.attempt != nil && record.isFinished ? 1 : 0)
  }

  /// Of the job, from its first machine to the end of its last: what it was billed for.
  private var seconds: Int? {
    guard let record, let start = record.state.past.first?.sentAt ?? record.state.attempt?.sentAt else { return nil }
    return max(0, Int(((record.isOver ? record.updatedAt : now) - start).seconds.rounded()))
  }

  var cost: Decimal? { record.map { $0.state.cost(at: $0.isOver ? $0.updatedAt : now) } }

  var json: JSONValue {
    let outcome = record?.state.outcome
    let code = record.flatMap { $0.isFinished ? JSONValue.integer(Int($0.exitCode)) : nil }
    let fields: [(String, JSONValue?)] = [
      ("index", .integer(task.index)), ("job", Self.text(record?.id)), ("matrix", task.json),
      ("state", .string(state)), ("outcome", Self.text(outcome?.word)), ("message", Self.text(outcome?.sentence)),
      ("exit_code", code ?? .null), ("attempts", .integer(attempts)),
      ("duration", seconds.map(JSONValue.integer) ?? .null),
      ("cost", Self.text(cost.map { Jobs.Money.formatUp($0, places: 4) })),
      ("result", result.isEmpty ? .null : .object(of: result.map { ($0.name, $0.value) })),
    ]
    return .object(of: fields)
  }

  private static func text(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
}

extension SweepTask {
  /// The values by their names.
  var json: JSONValue { .object(of: values.map { ($0.name, .string($0.value)) }) }
}

/// The flat object that a task may put into `$FCRUN_OUTPUT_DIR/result.json`.
enum ResultFile {
  /// A task's own file: more than this is no row of a table.
  private static let most = 1 << 20

  /// Empty when there is none, or it is no object.
  static func read(_ path: String) -> [(name: String, value: JSONValue)] {
    guard let bytes = FileManager.default.contents(atPath: path), bytes.count <= most,
      case .object(let fields)? = try? JSONValue(parsing: Array(bytes))
    else { return [] }
    return fields.map { ($0.name, $0.value) }
  }

  static func text(_ value: JSONValue) -> String {
    switch value {
    case .string(let text): text
    case .null: ""
    case .bool(let flag): "\(flag)"
    case .number, .array, .object: value.text()
    }
  }
}
