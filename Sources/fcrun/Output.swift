import ForwardCompute

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The answer of a command on stdout. Alone switches between a table and JSON.
enum Output {
  /// Of all that `--json` prints: docs/json.md says what may change within one.
  static let version = 1

  /// A document, indented.
  static func json(_ value: JSONValue) throws {
    try print(value.text(pretty: true) + "\n")
  }

  /// Aligned columns under a header. On a terminal that is too narrow the least important columns are left out.
  static func table(header: [Column], rows: [[String]]) throws {
    let table = Table(columns: header, rows: rows)
    try print(table.text(width: Terminal.width, bold: Terminal.isColourful))
  }

  /// One object as lines of a field's name and its value; fields of inner objects have dotted names.
  static func object(_ value: JSONValue) throws {
    let lines = fields(of: value, prefix: "")
    let widest = lines.map(\.name.count).max() ?? 0
    try print(lines.map { pad($0.name, to: widest) + "  " + $0.value + "\n" }.joined())
  }

  private static func fields(of value: JSONValue, prefix: String) -> [(name: String, value: String)] {
    guard case .object(let fields) = value else { return [] }
    return fields.flatMap { field in
      let name = prefix + Excerpt.escaped(field.name)
      if case .object(let inner) = field.value, !inner.isEmpty {
        return self.fields(of: field.value, prefix: name + ".")
      }
      return [(name, cell(field.value))]
    }
  }

  private static func cell(_ value: JSONValue) -> String {
    switch value {
    case .string(let text): Excerpt.escaped(text)
    case .null: "-"
    case .bool(let value): value ? "yes" : "no"
    case .number, .array, .object: value.text()
    }
  }

  static func pad(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  /// - Throws: ``Failure`` when the answer cannot be written. A reader that went away ends us quietly, as `head` does.
  static func print(_ text: String) throws {
    let code = StandardStream.write(text, to: STDOUT_FILENO)
    if code == EPIPE { StandardStream.leave(128 + SIGPIPE) }
    guard code == 0 else {
      throw Failure(status: .failed, message: "cannot write to stdout: \(String(cString: strerror(code)))")
    }
  }
}

/// stdout and stderr by their descriptors: nothing is buffered, nothing is lost when the process ends.
enum StandardStream {
  /// A descriptor that the caller closed would be given to the next file or socket: the job's output would go there.
  /// - Throws: ``Failure`` 78 where a process may have too few descriptors for the cloud, a worker and the store.
  static func requireAll() throws {
    let limit = raiseDescriptorLimit()
    guard limit >= leastDescriptors else {
      throw Failure(
        status: .notConfigured, message: "this process may have \(limit) files open, fcrun needs \(leastDescriptors)",
        next: "raise the limit: ulimit -n 256")
    }
    while true {
      let descriptor = open("/dev/null", O_RDWR)
      if descriptor > 2 || descriptor < 0 {
        if descriptor > 2 { close(descriptor) }
        return
      }
    }
  }

  /// Writes all of `text`; returns 0, or the errno that stopped it: write(2).
  static func write(_ text: String, to descriptor: Int32) -> Int32 {
    write(bytes: Array(text.utf8), to: descriptor)
  }

  /// Writes all of `all`; returns 0, or the errno that stopped it: write(2).
  static func write(bytes all: [UInt8], to descriptor: Int32) -> Int32 {
    var bytes = all[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EAGAIN {
        // Somebody made it non-blocking: its reader is slow, not gone.
        var wish = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&wish, 1, -1)
      } else if count < 0 && errno != EINTR {
        return errno
      }
      bytes = bytes.dropFirst(max(count, 0))
    }
    return 0
  }

  /// NIO ends the process where it gets no descriptor for an event loop.
  private static let leastDescriptors: UInt = 64

  /// Many jobs in one process need many descriptors (rulings 15): what the system allows is taken, within reason.
  /// - Returns: how many there may be now.
  private static func raiseDescriptorLimit() -> UInt {
    var limit = rlimit()
    #if canImport(Glibc)
      let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
      let files = RLIMIT_NOFILE
    #endif
    guard getrlimit(files, &limit) == 0 else { return leastDescriptors }
    guard limit.rlim_cur < min(limit.rlim_max, 65_536) else { return UInt(limit.rlim_cur) }
    let before = UInt(limit.rlim_cur)
    limit.rlim_cur = min(limit.rlim_max, 65_536)
    return setrlimit(files, &limit) == 0 ? UInt(limit.rlim_cur) : before
  }

  /// Writes a last line, unless that would wait for a reader.
  static func writeIfHeard(_ text: String, to descriptor: Int32) {
    var wish = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    if poll(&wish, 1, 0) > 0 { _ = write(text, to: descriptor) }
  }

  /// Ends the process.
  static func leave(_ code: Int32) -> Never {
    WorkflowCommands.ofThisProcess?.goOn()
    exit(code)
  }
}

private let systemWrite = write

/// One column of a table.
struct Column {
  enum Alignment { case left, right }

  var title: String
  var alignment: Alignment = .left
  /// 0 always stays; the highest is the first to be left out.
  var expendable = 0
}

/// Rows of text under a header.
struct Table {
  var columns: [Column]
  /// As many cells as columns; foreign text, not yet escaped.
  var rows: [[String]]

  private static let gap = "  "

  /// - Parameter width: the columns of the terminal; nil when there is none.
  func text(width: Int?, bold: Bool) -> String {
    let cells = rows.map { $0.map { Excerpt.escaped($0) } }
    let widths = columns.indices.map { column in
      max(columns[column].title.count, cells.map { $0[column].count }.max() ?? 0)
    }
    let shown = fitting(widths, into: width)
    let header = line(columns.map(\.title), shown, widths)
    let body = cells.map { line($0, shown, widths) + "\n" }.joined()
    return (bold ? "\u{1B}[1m\(header)\u{1B}[0m" : header) + "\n" + body
  }

  private func fitting(_ widths: [Int], into width: Int?) -> [Int] {
    var shown = Array(columns.indices)
    guard let width else { return shown }
    while shown.map({ widths[$0] + Self.gap.count }).reduce(-Self.gap.count, +) > width,
      let least = shown.filter({ columns[$0].expendable > 0 }).max(by: {
        columns[$0].expendable < columns[$1].expendable
      })
    {
      shown.removeAll { $0 == least }
    }
    return shown
  }

  private func line(_ cells: [String], _ shown: [Int], _ widths: [Int]) -> String {
    let padded = shown.map { column in
      let space = String(repeating: " ", count: widths[column] - cells[column].count)
      return columns[column].alignment == .left ? cells[column] + space : space + cells[column]
    }
    let line = padded.joined(separator: Self.gap)
    return String(line.reversed().drop { $0 == " " }.reversed())
  }
}

/// What is known of the terminal on stdout.
enum Terminal {
  static var isThere: Bool { isatty(STDOUT_FILENO) == 1 }

  /// https://no-color.org: any value but the empty one switches colour off.
  static var isColourful: Bool {
    isThere && Context.environment("NO_COLOR") == nil && Context.environment("TERM") != "dumb"
  }

  /// In lines.
  static var height: Int {
    var size = winsize()
    guard isThere, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0 else { return 24 }
    return Int(size.ws_row)
  }

  /// In characters; nil when stdout is no terminal or does not say.
  static var width: Int? {
    var size = winsize()
    guard isThere, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }
}
