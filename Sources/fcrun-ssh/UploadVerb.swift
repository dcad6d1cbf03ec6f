import Remote
import SSH

/// A tree into the workdir: one tar stream, then the hash of every file as the machine reads it.
@SSHLoop
final class UploadVerb {
  private let verb: Upload
  private let session: Session
  private let progress: ProgressMeter
  /// What was read here, by path on the machine. A later source overwrites an earlier one, there as here.
  private var digests: [[UInt8]: [UInt8]] = [:]

  init(_ verb: Upload, on session: Session, tell: @escaping @SSHLoop (WorkerEvent.Kind) -> Void) {
    (self.verb, self.session, progress) = (verb, session, ProgressMeter(tell))
  }

  func perform() async throws -> Transferred {
    let tree = try UploadTree.scan(verb.sources)
    progress.begin(totalBytes: tree.totalBytes, totalFiles: tree.fileCount)
    let turn = try await claim()
    try await send(tree.entries, turn)
    let wrong = try await mismatches()
    if !wrong.isEmpty {
      let again = tree.entries.filter { wrong.contains($0.path) }
      try await send(again, turn)
      if let still = try await mismatches().first {
        throw Failure(
          kind: .integrity, message: "\(still.shown) arrived with another sha256 than it was sent with, twice")
      }
    }
    progress.flush()
    return Transferred(files: tree.fileCount, bytes: tree.totalBytes)
  }

  // MARK: Sending

  /// The number of this upload on the machine: from now on no earlier one writes there any more.
  private func claim() async throws -> String {
    let answer = try await Conversation.ask(Script.claim, [verb.control], on: session)
    guard let number = answer.first, Int(number) != nil else {
      throw Failure(kind: .remote, message: "the machine's answer is not understood: \(answer)")
    }
    return number
  }

  private func send(_ entries: [UploadTree.Entry], _ turn: String) async throws {
    let remote = try await Conversation.start(Script.unpack, [verb.control, verb.workdir, turn], on: session)
    defer { remote.close() }
    // Read from the beginning: tar may give up at any moment, with the reason on stderr.
    let answer = Task { try await remote.lines() }
    do {
      try await write(entries, to: remote.channel)
    } catch let error as SSHError where error.kind == .channelClosed {
      // The answer says why.
    } catch {
      answer.cancel()
      throw error
    }
    _ = try await withTaskCancellationHandler {
      try await answer.value
    } onCancel: {
      answer.cancel()
    }
  }

  private func write(_ entries: [UploadTree.Entry], to channel: Channel) async throws {
    var waiting: [UInt8] = []
    func put(_ bytes: [UInt8]) async throws {
      waiting += bytes
      guard waiting.count >= Channel.writeSize else { return }
      try await channel.write(waiting)
      waiting.removeAll(keepingCapacity: true)
    }
    for entry in entries {
      switch entry.kind {
      case .folder, .link:
        try await put(
          TarWriter.header(path: entry.path, kind: entry.kind, mode: entry.mode, modified: entry.modified))
      case .file: try await send(entry, put)
      }
    }
    try await put(TarWriter.end)
    try await channel.write(waiting)
    try await channel.sendEOF()
  }

  private func send(_ entry: UploadTree.Entry, _ put: ([UInt8]) async throws -> Void) async throws {
    let file = try LocalFile(reading: entry.local)
    defer { file.close() }
    try await put(
      TarWriter.header(
        path: entry.path, kind: .file(size: file.size), mode: entry.mode, modified: entry.modified))
    var digest = FileDigest()
    var left = file.size
    while left > 0 {
      let bytes = try file.read(min(left, Channel.writeSize))
      guard !bytes.isEmpty else { break }
      digest.update(bytes)
      left -= bytes.count
      progress.add(bytes: bytes.count)
      try await put(bytes)
    }
    try file.checkUnchanged()
    guard left == 0 else { throw Failure(kind: .local, message: "\(entry.local.shown) shrank while it was being read") }
    try await put(TarWriter.padding(after: file.size))
    digests[entry.path] = digest.hexadecimal()
    progress.add(files: 1)
  }

  // MARK: Checking

  /// The paths whose content on the machine is not what was read here.
  private func mismatches() async throws -> Set<[UInt8]> {
    guard !digests.isEmpty else { return [] }
    let names = digests.keys.sorted { $0.lexicographicallyPrecedes($1) }
    let remote = try await Conversation.start(Script.hash, [verb.workdir], on: session)
    defer { remote.close() }
    let list: [UInt8] = names.reduce(into: []) { $0 += Array("./".utf8) + $1 + [0] }
    let answer = Task {
      var hashes: [[UInt8]] = []
      while let line = try await remote.answerLine() { hashes.append(HashLine.digest(line)) }
      return hashes
    }
    do {
      try await remote.channel.write(list)
      try await remote.channel.sendEOF()
    } catch let error as SSHError where error.kind == .channelClosed {
      // The answer says why.
    }
    let hashes = try await withTaskCancellationHandler {
      try await answer.value
    } onCancel: {
      answer.cancel()
    }
    guard hashes.count == names.count else {
      throw remote.failed("the machine hashed \(hashes.count) of \(names.count) files")
    }
    return Set(zip(names, hashes).filter { digests[$0.0] != $0.1 }.map(\.0))
  }
}

/// A line of sha256sum(1). A backslash in front says that the name is escaped, which is of no interest: names are never read.
enum HashLine {
  static func digest(_ line: [UInt8]) -> [UInt8] {
    Array((line.first == UInt8(ascii: "\\") ? line.dropFirst() : line[...]).prefix(64))
  }
}

/// Tells how far a transfer is, at most ten times a second.
@SSHLoop
final class ProgressMeter {
  private let tell: @SSHLoop (WorkerEvent.Kind) -> Void
  private var progress = Progress(bytes: 0, totalBytes: nil, files: 0, totalFiles: nil)
  private var told = ContinuousClock.now
  private var isToldOf = true

  init(_ tell: @escaping @SSHLoop (WorkerEvent.Kind) -> Void) { self.tell = tell }

  func begin(totalBytes: Int?, totalFiles: Int?) {
    progress = Progress(bytes: 0, totalBytes: totalBytes, files: 0, totalFiles: totalFiles)
    isToldOf = false
    flush()
  }

  func add(bytes: Int = 0, files: Int = 0) {
    progress.bytes += bytes
    progress.files += files
    isToldOf = false
    if ContinuousClock.now - told >= .milliseconds(100) { flush() }
  }

  func flush() {
    guard !isToldOf else { return }
    (isToldOf, told) = (true, .now)
    tell(.progress(progress))
  }
}
