import Remote
import SSH

/// One channel of an upload: requests out, answers in the same order.
@SSHLoop
final class UploadLane {
  /// What the machine says when the workdir is taken.
  struct Ground {
    /// The number of this upload on the machine: from now on no earlier one writes there any more.
    var turn: String
    /// Something is in the workdir.
    var isOld: Bool
    var hasZstd: Bool
  }

  private let remote: Conversation
  private var known: Ground?
  /// The machine takes no more requests, or its answers are not what was expected.
  private(set) var isOver = false

  init(_ remote: Conversation) { self.remote = remote }

  func close() { remote.close() }

  func giveUp() { isOver = true }

  /// Only of the lane that took the workdir.
  func ground() async throws -> Ground {
    if let known { return known }
    let line = try await remote.answerLine() ?? []
    let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
    guard let turn = words.first, Int(turn) != nil else {
      throw Failure(kind: .remote, message: "the machine's answer is not understood: \(line.shown)")
    }
    let ground = Ground(turn: turn, isOld: words.contains("old"), hasZstd: words.contains("zstd"))
    known = ground
    return ground
  }

  /// - Parameter moved: is told of plain bytes.
  /// - Returns: bytes that went over the connection. When the machine takes no more, its answer tells why.
  func write(_ request: UploadRequest.Written, moved: (Int) -> Void) async throws -> Int {
    do {
      try await remote.channel.write(request.line)
      guard let feed = request.feed else { return 0 }
      return try await write(UploadStream(feed, isPacked: request.isPacked), moved)
    } catch let error as SSHError where error.kind == .channelClosed {
      isOver = true
      return 0
    }
  }

  /// The next chunk is read, hashed and packed while the last one is sent.
  private func write(_ stream: UploadStream, _ moved: (Int) -> Void) async throws -> Int {
    var written = 0
    var next = Task.detached { try stream.next() }
    while let chunk = try await next.value {
      next = Task.detached { try stream.next() }
      try await remote.channel.write(chunk.bytes)
      moved(chunk.plain)
      written += chunk.bytes.count
    }
    return written
  }

  /// The lines of the next answer.
  func answer() async throws -> [[UInt8]] {
    var lines: [[UInt8]] = []
    while let line = try await remote.answerLine() {
      if line == Array("done".utf8) { return lines }
      lines.append(line)
    }
    throw remote.unfinished()
  }
}
