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

  /// Aligned columns under a header. On a terminal that is too narrow the least important columns are left out, prose goes
  /// on below itself, and of a long name only the beginning is shown.
  /// - Returns: the titles of what was left out.
  @discardableResult
  static func table(header: [Column], rows: [[String]]) throws -> [String] {
    let table = Table(columns: header, rows: rows)
    let layout = table.layout(Terminal.width)
    try print(table.text(layout, bold: Terminal.isColourful))
    return table.leftOut(of: layout)
  }

  /// One object as lines of a field's name and its value; fields of inner objects have dotted names.
  static func object(_ value: JSONValue) throws {
    let rows = fields(of: value, prefix: "").map { [$0.name, $0.value] }
    let table = Table(columns: [Column(title: ""), Column(title: "", room: .wraps)], rows: rows)
    try print(table.body(width: Terminal.width))
  }

  private static func fields(of value: JSONValue, prefix: String) -> [(name: String, value: String)] {
    guard case .object(let fields) = value else { return [] }
    return fields.flatMap { field in
      let name = prefix + field.name
      if case .object(let inner) = field.value, !inner.isEmpty {
        return self.fields(of: field.value, prefix: name + ".")
      }
      return [(name, cell(field.value))]
    }
  }

  private static func cell(_ value: JSONValue) -> String {
    switch value {
    case .string(let text): text
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
  private static let leastDescriptors: UInt = 32

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

  /// What becomes of it where the terminal is too narrow for all that stays.
  enum Room {
    /// Ids and amounts: nothing.
    case whole
    /// Prose: goes on below itself.
    case wraps
    /// A name: only its beginning is shown.
    case cut
  }

  var title: String
  var alignment: Alignment = .left
  /// 0 always stays; the highest is the first to be left out.
  var expendable = 0
  var room = Room.whole
}

/// Rows of text under a header.
struct Table {
  private let columns: [Column]
  /// Escaped.
  private let rows: [[String]]

  private static let gap = "  "
  /// So much of prose or of a name is always shown.
  private static let least = 20

  /// - Parameter rows: as many cells each as columns; foreign text.
  init(columns: [Column], rows: [[String]]) {
    self.columns = columns
    self.rows = rows.map { $0.map { Excerpt.escaped($0) } }
  }

  /// - Parameter width: the columns of the terminal; nil when there is none.
  func text(width: Int?, bold: Bool) -> String { text(layout(width), bold: bold) }

  func text(_ layout: [Place], bold: Bool) -> String {
    let header = lines(columns.map(\.title), layout)
    return header.map { (bold ? "\u{1B}[1m\($0)\u{1B}[0m" : $0) + "\n" }.joined() + body(layout)
  }

  /// The titles of the columns for which there is no room.
  func leftOut(of layout: [Place]) -> [String] {
    let shown = Set(layout.map(\.column))
    return columns.indices.filter { !shown.contains($0) }.map { columns[$0].title }
  }

  /// Without the header.
  func body(width: Int?) -> String { body(layout(width)) }

  private func body(_ layout: [Place]) -> String {
    rows.flatMap { lines($0, layout) }.map { $0 + "\n" }.joined()
  }

  // MARK: Who is shown, and how wide

  struct Place {
    var column: Int
    var width: Int
  }

  /// - Parameter width: the columns of the terminal; nil when there is none.
  func layout(_ width: Int?) -> [Place] {
    let widths = columns.indices.map { column in
      rows.reduce(columns[column].title.count) { max($0, $1[column].count) }
    }
    let natural = columns.indices.map { Place(column: $0, width: widths[$0]) }
    guard let width else { return natural }
    return spread(remaining(natural, in: width), over: width, atMost: widths)
  }

  /// As narrow as they may get; the most expendable ones leave until there is room for the others.
  private func remaining(_ natural: [Place], in width: Int) -> [Place] {
    var places = natural.map { place in
      let narrow = columns[place.column].room == .whole ? place.width : min(place.width, Self.least)
      return Place(column: place.column, width: max(narrow, columns[place.column].title.count))
    }
    while Self.total(places) > width,
      let least = places.filter({ columns[$0.column].expendable > 0 }).max(by: {
        columns[$0.column].expendable < columns[$1.column].expendable
      })
    {
      places.removeAll { $0.column == least.column }
    }
    return places
  }

  /// What is left of the width goes to those that had to give.
  private func spread(_ places: [Place], over width: Int, atMost widths: [Int]) -> [Place] {
    var left = max(0, width - Self.total(places))
    return places.map { place in
      let more = min(left, widths[place.column] - place.width)
      left -= more
      return Place(column: place.column, width: place.width + more)
    }
  }

  private static func total(_ places: [Place]) -> Int {
    places.reduce(-gap.count) { $0 + $1.width + gap.count }
  }

  // MARK: Rows

  /// A row; more than one line where a cell goes on below itself.
  private func lines(_ cells: [String], _ layout: [Place]) -> [String] {
    let parts = layout.map { place in
      switch columns[place.column].room {
      case .whole: [cells[place.column]]
      case .wraps: Wrapping.lines(of: cells[place.column], width: place.width)
      case .cut: [Self.cut(cells[place.column], to: place.width)]
      }
    }
    return (0..<(parts.map(\.count).max() ?? 0)).map { number in
      let padded = zip(layout, parts).map { pad($1.count > number ? $1[number] : "", in: $0) }
      return Self.withoutSpaces(atEndOf: padded.joined(separator: Self.gap))
    }
  }

  private static func withoutSpaces(atEndOf line: String) -> String {
    line.lastIndex { $0 != " " }.map { String(line[...$0]) } ?? ""
  }

  private func pad(_ text: String, in place: Place) -> String {
    let space = String(repeating: " ", count: max(0, place.width - text.count))
    return columns[place.column].alignment == .left ? text + space : space + text
  }

  private static func cut(_ text: String, to width: Int) -> String {
    text.count <= width ? text : text.prefix(max(0, width - 1)) + "…"
  }
}

/// Text in lines of at most so many characters, broken at spaces; a longer word is broken where the line ends.
enum Wrapping {
  static func lines(of text: String, width: Int) -> [String] {
    guard text.count > width else { return [text] }
    var lines = [""]
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      let isFirst = lines[lines.count - 1].isEmpty
      if !isFirst, lines[lines.count - 1].count + 1 + word.count <= width {
        lines[lines.count - 1] += " " + word
      } else {
        if isFirst { lines.removeLast() }
        lines += pieces(of: word, width: max(1, width))
      }
    }
    return lines
  }

  private static func pieces(of word: Substring, width: Int) -> [String] {
    var pieces: [String] = []
    var rest = word
    repeat {
      pieces.append(String(rest.prefix(width)))
      rest = rest.dropFirst(width)
    } while !rest.isEmpty
    return pieces
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
