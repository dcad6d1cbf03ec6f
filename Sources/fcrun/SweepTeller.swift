import Dispatch
import ForwardCompute
import Jobs
import Runner
import Store
import Synchronization

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Tells what happens to a sweep: a table on a terminal, else lines that begin with the task, or events with `--json`.
struct SweepTeller: Sendable {
  private let sweep: SweepRecord
  private let form: Console.Form
  private let installation: Installation
  private let board: SweepBoard?

  init(_ sweep: SweepRecord, _ tasks: [JobRecord], _ form: Console.Form, _ installation: Installation) {
    (self.sweep, self.form, self.installation) = (sweep, form, installation)
    if case .text = form, isatty(STDERR_FILENO) == 1, Context.environment("TERM") != "dumb" {
      board = SweepBoard(sweep.name, tasks, now: { LiveClock().now() })
    } else {
      board = nil
    }
    board?.start()
  }

  /// Of one task.
  var voice: @Sendable (JobRecord) -> any Voice {
    let (form, installation, board) = (taskForm, installation, board)
    return { record in
      board.map { SweepBoard.Place(board: $0, name: record.name) }
        ?? Console(form, folder: installation.folder(of: record.id), of: record.name)
    }
  }

  /// A task as it is in the store: another process drives it.
  func saw(_ record: JobRecord) {
    if let board { return board.moved(record) }
    switch form {
    case .json, .events: Console.emit(Console.event(state: record, record.updatedAt))
    case .text, .told:
      let what = record.state.outcome?.sentence ?? record.state.word
      _ = StandardStream.write("fcrun: \(record.name): \(Excerpt.escaped(what))\n", to: STDERR_FILENO)
    case .quiet: break
    }
  }

  /// `logs` has what the tasks print.
  private var taskForm: Console.Form {
    switch form {
    case .text, .told: .told
    case .json, .events: .events
    case .quiet: .quiet
    }
  }

  func finish(_ tasks: [JobRecord], code: Int32) async {
    await board?.finish(tasks)
    let cost = tasks.reduce(Decimal(0)) { $0 + $1.state.cost(at: $1.isOver ? $1.updatedAt : LiveClock().now()) }
    switch form {
    case .json, .events: Console.emit(event(tasks, code, Jobs.Money.formatUp(cost, places: 4)))
    case .text, .told:
      let text = "\(sweep.name): \(SweepCount(tasks).inWords); cost about $\(Jobs.Money.formatUp(cost, places: 4))"
      _ = StandardStream.write("fcrun: \(text); more: fcrun results \(sweep.id)\n", to: STDERR_FILENO)
    case .quiet: break
    }
  }

  private func event(_ tasks: [JobRecord], _ code: Int32, _ cost: String) -> JSONValue {
    let count = SweepCount(tasks)
    let isOfJob = code == 0 || tasks.contains { $0.exitCode == code && $0.state.outcome?.isOfJob == true }
    return .object(of: [
      ("event", .string("finished")), ("sweep", .string(sweep.id)), ("source", .string(isOfJob ? "job" : "fcrun")),
      ("exit_code", .integer(Int(code))), ("tasks", .integer(sweep.tasks.count)),
      ("succeeded", .integer(count.succeeded)), ("failed", .integer(count.failed)),
      ("skipped", .integer(sweep.tasks.count - tasks.count)), ("cost", .string(cost)),
    ])
  }
}

/// How many tasks are how far.
struct SweepCount {
  private(set) var (succeeded, failed, running, waiting) = (0, 0, 0, 0)

  init(_ tasks: [JobRecord]) {
    for task in tasks { add(task.state) }
  }

  mutating func add(_ state: JobState) {
    switch state.phase {
    case .choosing: waiting += 1
    case .finished(let outcome, _) where outcome.isSuccess: succeeded += 1
    case .finished: failed += 1
    default: running += 1  // whatever has a machine, or asks for one
    }
  }

  private var all: Int { succeeded + failed + running + waiting }

  /// `3 of 16 succeeded, 1 failed, 4 running, 8 waiting`
  var inWords: String {
    let others = [(failed, "failed"), (running, "running"), (waiting, "waiting")].filter { $0.0 > 0 }
    return (["\(succeeded) of \(all) succeeded"] + others.map { "\($0.0) \($0.1)" }).joined(separator: ", ")
  }
}

/// The tasks that run, in place on the terminal that stderr is.
final class SweepBoard: Sendable {
  private struct Content {
    var states: [String: JobRecord] = [:]
    /// In the order of their indices.
    var names: [String] = []
    /// How many lines are on the screen now, and after how many questions they were drawn.
    var shown = 0
    var questions = 0
    var isOver = false
  }

  private let title: String
  private let now: @Sendable () -> Moment
  private let content: Mutex<Content>
  /// A terminal that does not read must not hold up a driver.
  private let screen = DispatchQueue(label: "board")

  init(_ title: String, _ tasks: [JobRecord], now: @escaping @Sendable () -> Moment) {
    (self.title, self.now) = (title, now)
    var content = Content()
    content.names = tasks.map(\.name)
    content.states = Dictionary(tasks.map { ($0.name, $0) }) { first, _ in first }
    self.content = Mutex(content)
  }

  /// Once a second: times and costs grow by themselves.
  func start() {
    screen.async { [self] in redraw() }
    screen.asyncAfter(deadline: .now() + 1) { [weak self] in
      guard let self, !self.content.withLock({ $0.isOver }) else { return }
      self.start()
    }
  }

  func moved(_ record: JobRecord) {
    content.withLock { $0.states[record.name] = record }
    screen.async { [self] in redraw() }
  }

  /// A line that stays, above the table.
  func say(_ text: String) {
    screen.async { [self] in
      wipe()
      _ = StandardStream.write("fcrun: \(Excerpt.escaped(text))\n", to: STDERR_FILENO)
      redraw()
    }
  }

  /// The last table stays, with what the store knows.
  func finish(_ tasks: [JobRecord]) async {
    content.withLock { content in
      for task in tasks { content.states[task.name] = task }
      content.isOver = true
    }
    await withCheckedContinuation { continuation in
      screen.async { [self] in
        wipe()
        continuation.resume()
      }
    }
  }

  // MARK: Drawing

  private func wipe() {
    let questions = Question.count
    let shown = content.withLock { content in
      defer { (content.shown, content.questions) = (0, questions) }
      return content.questions == questions ? content.shown : 0
    }
    if shown > 0 { _ = StandardStream.write("\u{1B}[\(shown)A\u{1B}[J", to: STDERR_FILENO) }
  }

  private func redraw() {
    guard !Question.isOpen, !content.withLock({ $0.isOver }) else { return }
    let size = Terminal.size(of: STDERR_FILENO)
    let lines = lines(columns: size.columns, rows: size.rows)
    wipe()
    _ = StandardStream.write(lines.map { $0 + "\n" }.joined(), to: STDERR_FILENO)
    content.withLock { $0.shown = lines.count }
  }

  /// A line of counts, then the tasks that run, as many as there is room for.
  func lines(columns: Int, rows: Int) -> [String] {
    let records = content.withLock { content in content.names.compactMap { content.states[$0] } }
    let now = now()
    let running = records.filter { !$0.isFinished && !$0.isWaiting }
    let cost = records.reduce(Decimal(0)) { $0 + $1.state.cost(at: $1.isFinished ? $1.updatedAt : now) }
    let head = "\(title): \(SweepCount(records).inWords), $\(Jobs.Money.formatUp(cost, places: 4))"
    let room = max(1, rows - 3)
    let cells = running.prefix(running.count > room ? room - 1 : room).map { row($0, at: now) }
    let widths = (0..<4).map { column in cells.map { $0[column].count }.max() ?? 0 }
    let body = cells.map { cells in
      "  " + zip(cells, widths + [0]).map { Output.pad($0, to: $1) }.joined(separator: "  ")
    }
    let rest = running.count - cells.count
    return ([head] + body + (rest > 0 ? ["  and \(rest) more"] : [])).map { Self.cut($0, to: columns - 1) }
  }

  private func row(_ record: JobRecord, at now: Moment) -> [String] {
    let attempt = record.state.attempt
    let age = attempt.map { Durations.format(max(0, Int((now - $0.sentAt).seconds))) } ?? ""
    let values = record.context.plan.task?.values.map { "\($0.name)=\($0.value)" }.joined(separator: " ") ?? ""
    return [
      record.name, record.state.word, age, "$" + Jobs.Money.formatUp(record.state.cost(at: now), places: 4),
      Excerpt.escaped(values),
    ]
  }

  private static func cut(_ line: String, to columns: Int) -> String {
    let bare = String(line.reversed().drop { $0 == " " }.reversed())
    return bare.count <= columns ? bare : String(bare.prefix(max(0, columns - 1))) + "…"
  }

  /// One task's place on it.
  struct Place: Voice {
    let board: SweepBoard
    let name: String

    func tell(_ notice: Notice) {
      switch notice {
      case .moved(let record, let event, _):
        if let warning = Narration.warning(record, event) { say("warning: \(warning)") }
        if case .finished(let outcome, _) = record.state.phase, !outcome.isSuccess { say(outcome.sentence) }
        board.moved(record)
      case .warning(_, let text): say("warning: \(text)")
      case .note(_, let text): say(text)
      case .booting, .progress, .logGrew: break
      }
    }

    func say(_ text: String) { board.say("\(name): \(text)") }

    func finish(_ verdict: Verdict, at now: Moment, within patience: Duration?) async {
      if verdict.outcome == nil { say(StillBilling.sentence(verdict.record, at: now)) }
      board.moved(verdict.record)
    }
  }
}

extension Terminal {
  /// Of the terminal on `descriptor`; 80 by 24 where it does not say.
  static func size(of descriptor: Int32) -> (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }
}
