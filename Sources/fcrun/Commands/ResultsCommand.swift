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
    switch try installation.subject(sweep) {
    case .sweep(let record):
      let view = try SweepView(record, installation)
      try show(view.table, view.rows.map(\.json))
    case .job(let record):
      guard let view = FleetView(record) else {
        throw Failure(status: .usage, message: "\(sweep) is no sweep", next: "fcrun show \(sweep)")
      }
      try show(view.table, view.rows.map(\.json))
    }
  }

  private func show(_ table: TaskTable, _ rows: [JSONValue]) throws {
    if output.json { return try Output.json(.object(of: [("data", .array(rows))])) }
    csv ? try Output.print(table.csv) : try table.show()
  }
}

/// Tasks beside each other: their values, how they went, and what each put into `result.json`.
struct TaskTable {
  struct Row {
    var index: Int
    var values: [String]
    /// By ``TaskTable/own``; nil where there is nothing to say.
    var own: [String?]
    /// In its own order.
    var result: [(name: String, value: JSONValue)]
  }

  /// A column that every table of this kind has.
  typealias Own = (name: String, column: Column)

  /// What `fcrun results` takes for all of it.
  var id: String
  /// Of the values, which are the same for all tasks.
  var names: [String]
  var own: [Own]
  var rows: [Row]

  /// Of all result files, in the order in which they come up. One that is called as another column is `result.NAME`.
  private var results: [String] {
    var seen: [String] = []
    for name in rows.flatMap({ $0.result.map(\.name) }) where !seen.contains(name) { seen.append(name) }
    return seen
  }

  /// Where there is no room the last results leave first, then the last values.
  func show() throws {
    let columns =
      [Column(title: "INDEX", alignment: .right)]
      + names.enumerated().map { Column(title: $1, expendable: 1 + $0, room: .cut) } + own.map(\.column)
      + results.enumerated().map { Column(title: $1, alignment: .right, expendable: 1 + names.count + $0, room: .cut) }
    let leftOut = try Output.table(header: columns, rows: rows.map { row in cells(row).map { $0 ?? "-" } })
    guard !leftOut.isEmpty else { return }
    // What was measured is the answer: that some of it is not shown is not for the reader to find out.
    let titles = leftOut.map { Excerpt.escaped($0) }.joined(separator: ", ")
    let text = "not shown for want of room: \(titles); all of it: fcrun results \(id) --csv"
    let room = Terminal.width.map { $0 - "fcrun: ".count } ?? text.count
    Report.warn(Wrapping.lines(of: text, width: room).joined(separator: "\n"))
  }

  /// The values beside the index; empty where there is nothing.
  var csv: String {
    let own = own.map(\.name)
    let taken = Set(["index"] + own + names)
    let header = ["index"] + names + own + results.map { taken.contains($0) ? "result.\($0)" : $0 }
    let lines = [header] + rows.map { row in cells(row).map { $0 ?? "" } }
    return lines.map { $0.map(Self.quoted).joined(separator: ",") + "\r\n" }.joined()
  }

  private func cells(_ row: Row) -> [String?] {
    ["\(row.index)"] + row.values + row.own
      + results.map { name in row.result.first { $0.name == name }.map { ResultFile.text($0.value) } }
  }

  private static func quoted(_ cell: String) -> String {
    guard cell.unicodeScalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else { return cell }
    return "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
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

  private static let own: [TaskTable.Own] = [
    ("state", Column(title: "STATE")), ("outcome", Column(title: "OUTCOME", expendable: .max)),
    ("exit_code", Column(title: "EXIT", alignment: .right)),
    ("attempts", Column(title: "ATTEMPTS", alignment: .right, expendable: .max)),
    ("duration", Column(title: "SECONDS", alignment: .right)), ("cost", Column(title: "COST", alignment: .right)),
  ]

  var table: TaskTable {
    TaskTable(
      id: sweep.id, names: sweep.tasks.first?.values.map(\.name) ?? [], own: Self.own,
      rows: rows.map { row in
        TaskTable.Row(
          index: row.task.index, values: row.task.values.map(\.value), own: row.own, result: row.result)
      })
  }

  // MARK: show

  func show(json: Bool) throws {
    if json { return try Output.json(self.json) }
    try Output.object(summary)
    try Output.print("\n")
    try table.show()
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
      state, outcome?.word, record?.isFinished == true ? record.map { "\($0.exitCode)" } : nil,
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

/// The tasks that the machines of one job run, as far as their results are here.
struct FleetView {
  let job: JobRecord
  let rows: [Row]

  struct Row {
    var task: SweepTask
    /// How it ended; nil: nothing of it is here.
    var end: End?
    var result: [(name: String, value: JSONValue)]
  }

  /// A line of `results.jsonl`, which the machines write.
  struct End: Decodable {
    var job: String
    var index: Int
    var exitCode: Int
    var seconds: Double?
    var node: Int?
  }

  /// nil: a job of one command.
  init?(_ job: JobRecord) {
    guard let fleet = job.context.plan.fleet else { return nil }
    let root = job.context.plan.root
    // A job of the same name leaves its own in the same place.
    let ends = End.read("\(root)/\(Fleet.folder(of: job.name))/results.jsonl", of: job.id)
    self.job = job
    rows = fleet.tasks.map { task in
      let end = ends[task.task.index]
      let file = "\(root)/\(task.name)-outputs/result.json"
      return Row(task: task.task, end: end, result: end == nil ? [] : ResultFile.read(file))
    }
  }

  private static let own: [TaskTable.Own] = [
    ("exit_code", Column(title: "EXIT", alignment: .right)), ("duration", Column(title: "SECONDS", alignment: .right)),
    ("node", Column(title: "NODE", alignment: .right, expendable: .max)),
  ]

  var table: TaskTable {
    TaskTable(
      id: job.id, names: rows.first?.task.values.map(\.name) ?? [], own: Self.own,
      rows: rows.map { row in
        TaskTable.Row(
          index: row.task.index, values: row.task.values.map(\.value),
          own: [row.end.map { "\($0.exitCode)" }, row.end?.seconds.map { "\($0)" }, row.end?.node.map { "\($0)" }],
          result: row.result)
      })
  }
}

extension FleetView.Row {
  var json: JSONValue {
    .object(of: [
      ("index", .integer(task.index)), ("matrix", task.json),
      ("exit_code", end.map { .integer($0.exitCode) } ?? .null),
      ("duration", end?.seconds.flatMap { Int(exactly: $0.rounded()) }.map(JSONValue.integer) ?? .null),
      ("node", end?.node.map(JSONValue.integer) ?? .null),
      ("result", result.isEmpty ? .null : .object(of: result.map { ($0.name, $0.value) })),
    ])
  }
}

extension FleetView.End {
  /// A file that comes from a machine: more than this is no table of at most ten thousand tasks.
  private static let most = 64 << 20

  /// By index. What cannot be read is not there.
  static func read(_ path: String, of job: String) -> [Int: FleetView.End] {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let whole = FileManager.default.contents(atPath: path) ?? Data()
    let lines = whole.count > most ? [] : whole.split(separator: UInt8(ascii: "\n"))
    let ends = lines.compactMap { try? decoder.decode(FleetView.End.self, from: $0) }.filter { $0.job == job }.map {
      ($0.index, $0)
    }
    return Dictionary(ends) { $1 }
  }
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
