import Remote
import SSH

/// A short command: its two streams without what a login shell printed before, and its exit code.
enum ExecVerb {
  static let longest = 1 << 20

  @SSHLoop
  static func perform(_ verb: Exec, on session: Session) async throws -> Executed {
    let work = Task { try await run(verb, on: session) }
    let alarm = Task {
      try await EventLoop.shared.sleep(for: .seconds(verb.timeout))
      work.cancel()
    }
    defer { alarm.cancel() }
    do {
      return try await withTaskCancellationHandler {
        try await work.value
      } onCancel: {
        work.cancel()
      }
    } catch is CancellationError where !Task.isCancelled {
      throw Failure(kind: .timedOut, message: "the command did not end within \(verb.timeout) s")
    }
  }

  @SSHLoop
  private static func run(_ verb: Exec, on session: Session) async throws -> Executed {
    let marker = Conversation.newMarker()
    let channel = try await Channel.exec(Shell.command(Script.exec, [marker, verb.command]), on: session)
    defer { channel.close() }
    try await channel.sendEOF()
    var stdout = Framed(marker)
    var stderr = Framed(marker)
    while let (stream, bytes) = try await channel.read() {
      switch stream {
      case .stdout: stdout.append(bytes)
      case .stderr: stderr.append(bytes)
      }
    }
    guard let (output, code) = stdout.closed() else {
      throw Failure(kind: .remote, message: "the command ended without an exit code: \(stderr.opened().shownLines)")
    }
    return Executed(
      exitCode: code, stdout: String(decoding: output.prefix(longest), as: UTF8.self),
      stderr: String(decoding: stderr.opened().prefix(longest), as: UTF8.self))
  }

  /// A stream that begins after a line with the marker; keeps its beginning and its end.
  private struct Framed {
    let marker: [UInt8]
    var bytes: [UInt8] = []
    var end: [UInt8] = []

    init(_ marker: String) { self.marker = Array(marker.utf8) }

    mutating func append(_ more: [UInt8]) {
      end = Array((end + more).suffix(128))
      if bytes.count < 2 * ExecVerb.longest { bytes += more }
    }

    func opened() -> [UInt8] {
      guard let place = bytes.firstOccurrence(of: marker + [0x0A]) else { return bytes }
      return Array(bytes[(place + marker.count + 1)...])
    }

    /// Without the closing line `\nMARKER CODE\n`; nil when it is missing.
    func closed() -> ([UInt8], Int)? {
      let closing = [0x0A] + marker + [0x20]
      guard let place = end.firstOccurrence(of: closing),
        let code = Int(String(decoding: end[(place + closing.count)...].prefix { $0 != 0x0A }, as: UTF8.self))
      else { return nil }
      let output = opened()
      return (output.firstOccurrence(of: closing).map { Array(output[..<$0]) } ?? output, code)
    }
  }
}
