import Dispatch
import Remote
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Prints a job's log files as they grow, each stream to its own descriptor, from where printing stopped before.
///
/// It works on a queue of its own: a reader that blocks our stdout slows printing and nothing else. What was printed is
/// noted beside the log, so that a later process goes on there (rulings 17).
final class LogPrinter: Sendable {
  /// Where printed bytes go.
  enum Sink: Sendable {
    /// Byte for byte to this process' stdout and stderr.
    case descriptors
    /// The same, from the start, and without noting it.
    case copies
    /// As `copies`, and as it is on a terminal, too.
    case rawCopies
    case nowhere
    case lines(@Sendable (_ file: LogFile, _ bytes: [UInt8]) -> Void)
  }

  struct LogFile: Hashable, Sendable {
    var attempt: Int
    var node: Int
    var stream: LogGrowth.Stream

    func path(in folder: String) -> String { "\(folder)/attempt-\(attempt)/node-\(node)/\(stream.rawValue).log" }
  }

  private let folder: String
  private let sink: Sink
  private let fromStart: Bool
  private let queue = DispatchQueue(label: "log printer")
  private let offsets = Mutex<[LogFile: Int]>([:])
  private let closed = Mutex<Set<LogGrowth.Stream>>([])
  private let lines = Mutex(NodeLines())

  /// - Parameters:
  ///   - folder: of the job.
  ///   - fromStart: prints again what another process has printed.
  init(folder: String, to sink: Sink, fromStart: Bool = false) {
    self.folder = folder
    self.sink = sink
    self.fromStart = fromStart
  }

  /// There may be new bytes in a file.
  func grew(_ file: LogFile) {
    if case .nowhere = sink { return }
    queue.async { [self] in printNew(of: file) }
  }

  /// Does `work` in the order of what is printed.
  func inTurn(_ work: @escaping @Sendable () -> Void) { queue.async(execute: work) }

  /// Waits until everything that is in `files` has been printed.
  func finish(_ files: [LogFile]) async {
    await withCheckedContinuation { continuation in finish(files) { continuation.resume() } }
  }

  /// Calls `then` when everything that is in `files` has been printed.
  func finish(_ files: [LogFile], then: @escaping @Sendable () -> Void) {
    for file in files { grew(file) }
    queue.async(execute: then)
  }

  /// Begins at the last `lines` lines of each file.
  func skip(toLast lines: Int, of files: [LogFile]) {
    for file in files {
      let offset = Tail.offset(ofLast: lines, in: file.path(in: folder))
      offsets.withLock { $0[file] = offset }
    }
  }

  private func printNew(of file: LogFile) {
    let log = open(file.path(in: folder), O_RDONLY | O_CLOEXEC)
    guard log >= 0 else { return }
    defer { close(log) }
    var offset = offsets.withLock { $0[file] } ?? printed(file)
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let count = pread(log, &chunk, chunk.count, off_t(offset))
      guard count > 0 else { break }
      show(Array(chunk.prefix(count)), of: file)
      offset += count
      note(offset, printedOf: file)
    }
    offsets.withLock { $0[file] = offset }
  }

  private var isRaw: Bool { if case .rawCopies = sink { true } else { false } }

  private func show(_ bytes: [UInt8], of file: LogFile) {
    switch sink {
    case .nowhere: break
    case .lines(let show): show(file, bytes)
    case .descriptors, .copies, .rawCopies:
      guard !closed.withLock({ $0.contains(file.stream) }) else { return }
      WorkflowCommands.ofThisProcess?.stop()
      let descriptor = file.stream == .stdout ? STDOUT_FILENO : STDERR_FILENO
      let visible = isRaw || isatty(descriptor) != 1 ? bytes : onTerminal(bytes, of: file)
      // A reader that went away, as `head` does: the job and its log files go on.
      if StandardStream.write(bytes: visible, to: descriptor) != 0 {
        _ = closed.withLock { $0.insert(file.stream) }
      }
    }
  }

  private func onTerminal(_ bytes: [UInt8], of file: LogFile) -> [UInt8] {
    let harmless = TerminalText.harmless(bytes)
    guard hasManyNodes(file.attempt) else { return harmless }
    return lines.withLock { $0.shown(harmless, of: file) }
  }

  /// The folders of all nodes are made before the command starts on any.
  private func hasManyNodes(_ attempt: Int) -> Bool { access("\(folder)/attempt-\(attempt)/node-1", F_OK) == 0 }

  // MARK: - Where printing stopped

  private func printed(_ file: LogFile) -> Int {
    guard case .descriptors = sink, !fromStart else { return 0 }
    let mark = open(file.path(in: folder) + ".printed", O_RDONLY | O_CLOEXEC)
    guard mark >= 0 else { return 0 }
    defer { close(mark) }
    var text = [UInt8](repeating: 0, count: 20)
    let count = read(mark, &text, text.count)
    return count > 0 ? Int(String(decoding: text.prefix(count), as: UTF8.self)) ?? 0 : 0
  }

  private func note(_ offset: Int, printedOf file: LogFile) {
    guard case .descriptors = sink else { return }
    let mark = open(file.path(in: folder) + ".printed", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard mark >= 0 else { return }
    defer { close(mark) }
    let digits = "\(offset)"
    let text = Array((String(repeating: "0", count: 20 - digits.count) + digits).utf8)
    _ = text.withUnsafeBytes { pwrite(mark, $0.baseAddress, $0.count, 0) }
  }
}

/// Where the last lines of a file begin.
enum Tail {
  static func offset(ofLast lines: Int, in path: String) -> Int {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return 0 }
    defer { close(file) }
    var end = Int(lseek(file, 0, SEEK_END))
    var left = lines + 1
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    var isLastByte = true
    while end > 0 {
      let start = max(0, end - chunk.count)
      let count = pread(file, &chunk, end - start, off_t(start))
      guard count > 0 else { break }
      for index in stride(from: count - 1, through: 0, by: -1) {
        if isLastByte, chunk[index] != UInt8(ascii: "\n") { left -= 1 }
        isLastByte = false
        if chunk[index] == UInt8(ascii: "\n") { left -= 1 }
        if left <= 0 { return start + index + 1 }
      }
      end = start
    }
    return 0
  }
}

/// Foreign text on a terminal.
enum TerminalText {
  /// Without the control sequences that move the cursor, set titles or touch the clipboard; colours stay.
  static func harmless(_ bytes: [UInt8]) -> [UInt8] {
    var shown: [UInt8] = []
    shown.reserveCapacity(bytes.count)
    var rest = bytes[...]
    while let byte = rest.popFirst() {
      if byte == 0x1B, let colour = colourSequence(rest) {
        shown += [byte] + rest.prefix(colour)
        rest = rest.dropFirst(colour)
      } else if byte == 0xC2, (rest.first ?? 0x80) < 0xA0 {
        // U+0080 to U+009F are control characters too, and terminals obey them. One that is cut by the end of the chunk
        // is left out on suspicion.
        _ = rest.popFirst()
      } else if byte >= 0x20 && byte != 0x7F || [0x09, 0x0A, 0x0D].contains(byte) {
        shown.append(byte)
      }
    }
    return shown
  }

  /// Length of `[…m` at the start.
  private static func colourSequence(_ rest: ArraySlice<UInt8>) -> Int? {
    guard rest.first == UInt8(ascii: "[") else { return nil }
    let parameters = rest.dropFirst().prefix { (0x30...0x3B).contains($0) }
    let end = rest.dropFirst(1 + parameters.count).first
    return end == UInt8(ascii: "m") ? parameters.count + 2 : nil
  }
}
