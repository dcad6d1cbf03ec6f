import Remote
import SSH

/// Both logs from the machine's files into local ones, until the exit record is there and every byte of it is local.
///
/// Two channels: one brings the bytes (the log's stderr as the channel's stderr), one waits for the record and beats every 4 s.
@SSHLoop
final class FollowVerb {
  /// Without a new byte for so long, although the record promises more, the connection is given up.
  static let patience: Duration = .seconds(30)

  private let verb: Follow
  private let session: Session
  private let tell: @SSHLoop (WorkerEvent.Kind) -> Void
  /// Sizes on the machine that are final.
  private var goal: (stdout: Int, stderr: Int)?

  init(_ verb: Follow, on session: Session, tell: @escaping @SSHLoop (WorkerEvent.Kind) -> Void) {
    (self.verb, self.session, self.tell) = (verb, session, tell)
  }

  func perform() async throws -> JobStatus {
    let logs = try await open()
    defer { logs.close() }
    let reading = Task { try await self.read(into: logs) }
    let observing = Task { try await self.observe(logs) }
    let ending = Task { () throws -> JobStatus in
      let status = try await observing.value
      try await self.finish(logs, reading, status)
      return status
    }
    let watching = Task {
      guard case .failure = await reading.result else { return }
      // There may be nothing to read because nothing has begun: the observer knows better and has the first word.
      try await EventLoop.shared.sleep(for: .seconds(5))
      observing.cancel()
    }
    defer { [reading, observing, ending, watching].cancelAll() }
    do {
      return try await withTaskCancellationHandler {
        try await ending.value
      } onCancel: {
        reading.cancel()
        observing.cancel()
        ending.cancel()
      }
    } catch is CancellationError where !Task.isCancelled {
      // The observer was stopped because the reader failed: its error is the reason.
      try await reading.value
      throw Failure(kind: .dropped, message: "the log reader on the machine ended")
    }
  }

  private func open() async throws -> LogPair {
    let stdout = try LogFile(verb.stdout, .stdout, mask: verb.mask, tell: tell)
    let stderr = try LogFile(verb.stderr, .stderr, mask: verb.mask, tell: tell)
    try await stdout.lock()
    try await stderr.lock()
    return LogPair(stdout: stdout, stderr: stderr)
  }

  // MARK: Bytes

  private func read(into logs: LogPair) async throws {
    let marker = Conversation.newMarker()
    let arguments = [marker, verb.control, String(logs.stdout.position + 1), String(logs.stderr.position + 1)]
    let channel = try await Channel.exec(Shell.command(Script.tail, arguments), on: session)
    defer { channel.close() }
    var openings = [Opening(marker), Opening(marker)]
    while !hasArrived(logs) {
      guard let (stream, bytes) = try await channel.read() else {
        throw Failure(kind: .dropped, message: "the log reader on the machine ended")
      }
      switch stream {
      case .stdout: try logs.stdout.append(openings[0].pass(bytes))
      case .stderr: try logs.stderr.append(openings[1].pass(bytes))
      }
    }
  }

  private func hasArrived(_ logs: LogPair) -> Bool {
    goal.map { logs.stdout.position >= $0.stdout && logs.stderr.position >= $0.stderr } ?? false
  }

  /// Drops what comes before a line with the marker.
  private struct Opening {
    private let mark: [UInt8]
    private var before: [UInt8]? = []

    init(_ marker: String) { mark = Array((marker + "\n").utf8) }

    mutating func pass(_ bytes: [UInt8]) -> [UInt8] {
      guard let noise = before else { return bytes }
      let all = noise + bytes
      guard let place = all.firstOccurrence(of: mark) else {
        before = Array(all.suffix(1 << 16))
        return []
      }
      before = nil
      return Array(all[(place + mark.count)...])
    }
  }

  // MARK: The record

  private func observe(_ logs: LogPair) async throws -> JobStatus {
    let remote = try await Conversation.start(Script.observe, [verb.control], on: session)
    defer { remote.close() }
    var growth = Growth(logs)
    var status: JobStatus?
    while let line = try await remote.answerLine() {
      let text = String(decoding: line, as: UTF8.self)
      let words = text.split(separator: " ")
      switch words.first {
      case "beat", "sizes":
        let isFinal = words.first == "sizes"
        let sizes = (stdout: words.count > 1 ? Int(words[1]) ?? 0 : 0, stderr: words.count > 2 ? Int(words[2]) ?? 0 : 0)
        try growth.check(sizes, isFinal: isFinal, against: logs)
        if isFinal { goal = sizes }
      default: status = JobStatus(report: text) ?? status
      }
    }
    guard let status else { throw Failure(kind: .remote, message: "the machine did not say how the command stands") }
    return status
  }

  /// A log only grows: what was local at one beat must be on the machine at a later one.
  ///
  /// Beats may have waited in the channel while bytes were taken from the other one, so that one of them is older than
  /// what it is held against: only shrinking that lasts is believed. The final sizes are believed at once.
  private struct Growth {
    private static let patience: Duration = .seconds(15)
    private var settled: (stdout: Int, stderr: Int)
    private var suspectedAt: ContinuousClock.Instant?

    @SSHLoop
    init(_ logs: LogPair) { settled = (logs.stdout.position, logs.stderr.position) }

    @SSHLoop
    mutating func check(_ sizes: (stdout: Int, stderr: Int), isFinal: Bool, against logs: LogPair) throws {
      guard sizes.stdout < settled.stdout || sizes.stderr < settled.stderr else {
        settled = (logs.stdout.position, logs.stderr.position)
        suspectedAt = nil
        return
      }
      let since = suspectedAt ?? .now
      suspectedAt = since
      guard isFinal || .now - since >= Self.patience else { return }
      throw Failure(
        kind: .integrity,
        message: "the logs on the machine are shorter (\(sizes.stdout), \(sizes.stderr) bytes) than what was already "
          + "received (\(settled.stdout), \(settled.stderr)); they were cut or replaced")
    }
  }

  /// Waits for the last bytes, and compares with the record.
  private func finish(_ logs: LogPair, _ reading: Task<Void, any Error>, _ status: JobStatus) async throws {
    switch status {
    case .notBegun: return
    case .running: throw Failure(kind: .remote, message: "the observer on the machine ended while the command runs")
    case .lost: break
    case .exited(let record):
      if let goal, goal.stdout < record.stdoutBytes || goal.stderr < record.stderrBytes {
        throw Failure(
          kind: .integrity,
          message: "the logs on the machine (\(goal.stdout), \(goal.stderr) bytes) are shorter than the record says "
            + "(\(record.stdoutBytes), \(record.stderrBytes))")
      }
      goal = (record.stdoutBytes, record.stderrBytes)
    }
    guard goal != nil else { return }
    try await waitForArrival(logs, reading)
    try logs.stdout.flush()
    try logs.stderr.flush()
    guard case .exited(let record) = status else { return }
    guard logs.stdout.position == record.stdoutBytes, logs.stderr.position == record.stderrBytes else {
      throw Failure(
        kind: .integrity,
        message: "the local logs have \(logs.stdout.position) and \(logs.stderr.position) bytes, the record says "
          + "\(record.stdoutBytes) and \(record.stderrBytes)")
    }
  }

  private func waitForArrival(_ logs: LogPair, _ reading: Task<Void, any Error>) async throws {
    if hasArrived(logs) { return reading.cancel() }
    let alarm = Task {
      var last = logs.arrived
      while true {
        try await EventLoop.shared.sleep(for: Self.patience)
        if logs.arrived == last { return reading.cancel() }
        last = logs.arrived
      }
    }
    defer { alarm.cancel() }
    do {
      try await reading.value
    } catch is CancellationError {
      throw Failure(kind: .dropped, message: "the end of the logs did not arrive within \(Self.patience)")
    }
  }
}

extension [any Cancellable] {
  fileprivate func cancelAll() { for task in self { task.cancel() } }
}

private protocol Cancellable { func cancel() }
extension Task: Cancellable {}
