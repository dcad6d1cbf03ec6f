import Jobs
import Remote
import Runner
import Store
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What all tasks of a sweep wrote, each line with its task before it.
struct SweepLogs: Sendable {
  let installation: Installation
  let selection: LogSelection

  func print(_ sweep: SweepRecord, follow: Bool, lines: Int?) async throws {
    let tasks = try installation.store.tasks(of: sweep.id)
    guard follow else {
      for task in tasks { await print(task, lines) }
      return
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in tasks { group.addTask { try await self.follow(task, lines) } }
      try await group.waitForAll()
    }
  }

  private func print(_ task: JobRecord, _ lines: Int?) async {
    let writer = TaskLines(prefix: task.name)
    let printer = printer(task, lines, writer)
    await printer.finish(selection.files(of: task))
    writer.end()
  }

  private func follow(_ task: JobRecord, _ lines: Int?) async throws {
    let writer = TaskLines(prefix: task.name)
    let printer = printer(task, lines, writer)
    if task.isOver {
      await printer.finish(selection.files(of: task))
    } else {
      _ = try await Watch(installation: installation, printer: printer, selection: selection).untilOver(task.id)
    }
    writer.end()
  }

  private func printer(_ task: JobRecord, _ lines: Int?, _ writer: TaskLines) -> LogPrinter {
    let printer = LogPrinter(
      folder: installation.folder(of: task.id), to: .lines { file, bytes in writer.write(bytes, of: file) })
    if let lines { printer.skip(toLast: lines, of: selection.files(of: task)) }
    return printer
  }
}

/// Whole lines with a prefix: what begins a line waits for its end.
private final class TaskLines: Sendable {
  private let prefix: [UInt8]
  private let begun = Mutex<[LogPrinter.LogFile: [UInt8]]>([:])

  init(prefix: String) { self.prefix = Array("\(prefix): ".utf8) }

  func write(_ bytes: [UInt8], of file: LogPrinter.LogFile) {
    let lines = begun.withLock { begun in
      let all = begun[file, default: []] + bytes
      let end = all.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
      begun[file] = Array(all[end...])
      return all[..<end]
    }
    put(lines, of: file)
  }

  /// What has no end of its own gets one.
  func end() {
    for (file, rest) in begun.withLock({ $0 }) where !rest.isEmpty { put((rest + [UInt8(ascii: "\n")])[...], of: file) }
    begun.withLock { $0 = [:] }
  }

  private func put(_ lines: ArraySlice<UInt8>, of file: LogPrinter.LogFile) {
    guard !lines.isEmpty else { return }
    let descriptor = file.stream == .stdout ? STDOUT_FILENO : STDERR_FILENO
    var text: [UInt8] = []
    for line in lines.dropLast().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      text += prefix + line + [UInt8(ascii: "\n")]
    }
    _ = StandardStream.write(bytes: isatty(descriptor) == 1 ? TerminalText.harmless(text) : text, to: descriptor)
  }
}
