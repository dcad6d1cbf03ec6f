import Dispatch
import ForwardCompute
import Jobs
import Remote
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

/// Who is told that log files may have grown.
protocol LogReader: Sendable {
  func grew(_ files: [LogPrinter.LogFile])
  /// Returns when everything that is in `files` was read.
  func finish(_ files: [LogPrinter.LogFile]) async
}

extension LogPrinter: LogReader {
  func grew(_ files: [LogFile]) { for file in files { grew(file) } }
}

/// Prints log files line by line: those that pass a filter, attempt after attempt, within one in the order in which they came in.
final class LinePrinter: LogReader {
  enum Form: Sendable {
    case text(timestamps: Bool, isRaw: Bool)
    case json
  }

  private let queue: DispatchQueue
  private let state: Mutex<State>

  /// - Parameters:
  ///   - folder: of the job.
  ///   - last: only so many lines of each file, of those that are there at the first look.
  ///   - task: whose lines these are, where those of others stand beside them.
  ///   - queue: of all that print to the same place, so that no line is within another.
  init(
    folder: String, form: Form, filter: LineFilter, last: Int?, of task: JobRecord? = nil,
    on queue: DispatchQueue = DispatchQueue(label: "line printer")
  ) {
    self.queue = queue
    state = Mutex(State(folder: folder, writer: LineWriter(form: form, of: task), filter: filter, last: last))
  }

  func grew(_ files: [LogPrinter.LogFile]) {
    queue.async { [self] in state.withLock { $0.look(at: files, isLast: false) } }
  }

  func finish(_ files: [LogPrinter.LogFile]) async {
    await withCheckedContinuation { continuation in
      queue.async { [self] in
        state.withLock { $0.look(at: files, isLast: true) }
        continuation.resume()
      }
    }
  }

  private struct State {
    let folder: String
    var writer: LineWriter
    let filter: LineFilter
    var last: Int?
    var sources: [LogPrinter.LogFile: LineSource] = [:]

    init(folder: String, writer: LineWriter, filter: LineFilter, last: Int?) {
      (self.folder, self.writer, self.filter, self.last) = (folder, writer, filter, last)
    }

    mutating func look(at files: [LogPrinter.LogFile], isLast: Bool) {
      for file in files where sources[file] == nil {
        sources[file] = LineSource(path: file.path(in: folder), since: filter.since)
      }
      for attempt in Set(files.map(\.attempt)).sorted() {
        merge(files.filter { $0.attempt == attempt }, isLast)
      }
      writer.flush()
      last = nil
    }

    /// The earliest line of all files, again and again.
    private mutating func merge(_ files: [LogPrinter.LogFile], _ isLast: Bool) {
      if let last { for file in files { keep(last, of: file, isLast) } }
      var heads = files.map { file in Head(file: file, line: next(of: file, isLast)) }
      while let index = heads.indices.filter({ heads[$0].line != nil }).min(by: { heads[$0].time < heads[$1].time }),
        let line = heads[index].line
      {
        writer.write(line, of: heads[index].file)
        heads[index].line = next(of: heads[index].file, isLast)
      }
    }

    private mutating func next(of file: LogPrinter.LogFile, _ isLast: Bool) -> Line? {
      while let line = sources[file]?.next(isLast: isLast) { if filter.holds(line) { return line } }
      return nil
    }

    /// Goes through the whole file, and comes back to the last `count` lines of it that are wanted.
    private mutating func keep(_ count: Int, of file: LogPrinter.LogFile, _ isLast: Bool) {
      var kept: [Line] = []
      while let line = next(of: file, isLast) {
        kept.append(line)
        if kept.count > 2 * count + 1000 { kept.removeFirst(kept.count - count) }
      }
      sources[file]?.unread = kept.suffix(count)
    }
  }

  private struct Head {
    let file: LogPrinter.LogFile
    var line: Line?

    /// What came in at an unknown time comes first.
    var time: Int64 { line?.time ?? .min }
  }
}

/// A line of a log, with its newline when it has one.
struct Line: Sendable {
  var bytes: [UInt8]
  /// When its first byte came in, in milliseconds since 1970; nil when that is not known.
  var time: Int64?
  /// False for the rest of one that was too long to be held in one piece.
  var isStart: Bool

  /// The last of its file, without a newline.
  var isUnended: Bool { bytes.last != UInt8(ascii: "\n") && bytes.count < LineSource.longest }
}

/// One log file, line by line.
struct LineSource {
  /// A longer line is given in pieces.
  static let longest = 1 << 20
  private static let chunk = 256 * 1024

  private let path: String
  private var position: Int
  private var pending: [UInt8] = []
  private var used = 0
  private var isStart = true
  private var arrivals = Arrivals()
  private var readArrivals = 0
  /// Given before anything else.
  var unread: ArraySlice<Line> = []

  /// - Parameter since: nothing from before is wanted.
  init(path: String, since: Moment?) {
    (self.path, position) = (path, 0)
    learnArrivals()
    guard let since, !arrivals.isEmpty else { return }
    position = arrivals.offset(since: since.milliseconds) ?? Self.size(of: path)
    skipRestOfLine()
  }

  private static func size(of path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// The line that began before is not wanted: what is left of it is passed over.
  private mutating func skipRestOfLine() {
    guard position > 0 else { return }
    position -= 1
    while let line = next(isLast: false) { if line.bytes.last == UInt8(ascii: "\n") { break } }
  }

  /// - Parameter isLast: the file will not grow, so that what has no newline is a line, too.
  mutating func next(isLast: Bool) -> Line? {
    if let line = unread.popFirst() { return line }
    while true {
      if let end = pending[used...].firstIndex(of: UInt8(ascii: "\n")) { return take(end + 1 - used) }
      if pending.count - used >= Self.longest { return take(pending.count - used) }
      guard fill() else { break }
    }
    return isLast && used < pending.count ? take(pending.count - used) : nil
  }

  private mutating func take(_ count: Int) -> Line {
    let bytes = Array(pending[used..<(used + count)])
    let line = Line(bytes: bytes, time: arrivals.time(at: position), isStart: isStart)
    used += count
    position += count
    isStart = bytes.last == UInt8(ascii: "\n")
    return line
  }

  private mutating func fill() -> Bool {
    pending.removeFirst(used)
    used = 0
    let more = Self.read(path, from: position + pending.count, most: Self.chunk)
    guard !more.isEmpty else { return false }
    pending += more
    // A mark is written before its bytes.
    learnArrivals()
    return true
  }

  private mutating func learnArrivals() {
    let file = Arrivals.path(of: path)
    while true {
      let more = Self.read(file, from: readArrivals, most: Self.chunk)
      guard !more.isEmpty else { return }
      readArrivals += more.count
      arrivals.read(more)
    }
  }

  private static func read(_ path: String, from offset: Int, most: Int) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    return [UInt8](unsafeUninitializedCapacity: most) { buffer, count in
      count = max(0, pread(file, buffer.baseAddress, most, off_t(offset)))
    }
  }
}

/// Which lines are wanted.
struct LineFilter: Sendable {
  var since: Moment?
  var until: Moment?
  var pattern: LinePattern?

  var needsTimes: Bool { since != nil || until != nil }
  var isNeeded: Bool { needsTimes || pattern != nil }

  /// A line of which the time is not known is not left out for it.
  func holds(_ line: Line) -> Bool {
    if let since, let time = line.time, time < since.milliseconds { return false }
    if let until, let time = line.time, time > until.milliseconds { return false }
    return pattern?.isFound(in: line.bytes) ?? true
  }
}

/// A regular expression; one without any special character is looked for as bytes, which is much faster.
struct LinePattern: @unchecked Sendable {
  // Safe: a Regex is a value that nothing changes after it was made.
  private let regex: Regex<AnyRegexOutput>
  private let literal: [UInt8]?

  /// - Throws: ``Failure`` 64 for what is no regular expression.
  init(_ text: String) throws {
    do {
      regex = try Regex(text).matchingSemantics(.unicodeScalar)
    } catch {
      throw Failure(
        status: .usage, message: "--grep is \"\(text)\": not a regular expression: \(error)",
        next: "put a backslash before a special character that is meant as it is")
    }
    literal = text.utf8.contains(where: { Self.special.contains($0) || $0 > 0x7F }) ? nil : Array(text.utf8)
  }

  private static let special = Array(#"\^$.|?*+()[]{}"#.utf8)

  func isFound(in line: [UInt8]) -> Bool {
    if let literal { return Self.contains(line, literal) }
    let text = line.last == UInt8(ascii: "\n") ? line.dropLast() : line[...]
    return (try? regex.firstMatch(in: String(decoding: text, as: UTF8.self))) != nil
  }

  private static func contains(_ line: [UInt8], _ word: [UInt8]) -> Bool {
    guard let first = word.first else { return true }
    return line.withUnsafeBytes { line in
      (0...max(0, line.count - word.count)).contains { start in
        line.count - start >= word.count && line[start] == first
          && line[start..<(start + word.count)].elementsEqual(word)
      }
    }
  }
}

/// Puts lines where they belong.
struct LineWriter {
  private static let enough = 64 * 1024

  let form: LinePrinter.Form
  private let task: JobRecord?
  private var waiting: [UInt8] = []
  private var descriptor = STDOUT_FILENO
  private var closed: Set<Int32> = []
  private var lastTime: (milliseconds: Int64, text: String)?

  /// - Parameter task: whose lines these are, where those of others stand beside them.
  init(form: LinePrinter.Form, of task: JobRecord?) { (self.form, self.task) = (form, task) }

  mutating func write(_ line: Line, of file: LogPrinter.LogFile) {
    let target =
      if case .json = form { STDOUT_FILENO } else {
        file.stream == .stdout ? STDOUT_FILENO : STDERR_FILENO
      }
    if target != descriptor || waiting.count > Self.enough { flush() }
    descriptor = target
    switch form {
    case .json: waiting += Array((object(line, file).text() + "\n").utf8)
    case .text(let timestamps, let isRaw):
      if let task, line.isStart { waiting += Array("\(task.name): ".utf8) }
      if timestamps, line.isStart { waiting += Array("\(text(of: line.time)) ".utf8) }
      waiting += isRaw || isatty(target) != 1 ? line.bytes : TerminalText.harmless(line.bytes)
      // What has no end of its own gets one, or the next task's line would begin in its middle.
      if task != nil, line.isUnended { waiting.append(UInt8(ascii: "\n")) }
    }
  }

  /// As ``Console`` has them in the events of `submit --json`, with the time.
  private mutating func object(_ line: Line, _ file: LogPrinter.LogFile) -> JSONValue {
    let text = String(validating: line.bytes, as: UTF8.self)
    return .object(of: [
      ("event", .string("output")), ("job", (task?.id).map(JSONValue.string)),
      ("task", (task?.context.plan.task?.index).map(JSONValue.integer)), ("attempt", .integer(file.attempt)),
      ("node", .integer(file.node)), ("stream", .string(file.stream.rawValue)),
      ("at", line.time == nil ? .null : .string(self.text(of: line.time))), ("text", text.map(JSONValue.string)),
      ("base64", text == nil ? .string(Data(line.bytes).base64EncodedString()) : nil),
    ])
  }

  private mutating func text(of time: Int64?) -> String {
    guard let time else { return "-" }
    if let lastTime, lastTime.milliseconds == time { return lastTime.text }
    let text = Time.preciseText(Moment(milliseconds: time))
    lastTime = (time, text)
    return text
  }

  mutating func flush() {
    defer { waiting.removeAll(keepingCapacity: true) }
    guard !waiting.isEmpty, !closed.contains(descriptor) else { return }
    // A reader that went away, as `head` does: the other stream may have one still.
    if StandardStream.write(bytes: waiting, to: descriptor) != 0 { closed.insert(descriptor) }
  }
}
