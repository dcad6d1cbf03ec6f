import Remote
import SSH

/// One script of ours running on the machine: what a login shell printed before it is skipped, its answer is read, its end is known.
@SSHLoop
final class Conversation {
  /// No line of our scripts is nearly as long: a machine that sends more would fill our memory.
  static let longestLine = 1 << 20
  /// What is kept of a script's stderr.
  static let longestComplaint = 64 * 1024

  let channel: Channel
  let marker: String
  private var unread: [UInt8] = []
  private var position = 0
  private var hasOpened = false
  private(set) var complaint: [UInt8] = []
  /// Bytes of stdout that came in after the marker.
  private(set) var received = 0

  private init(_ channel: Channel, marker: String) {
    (self.channel, self.marker) = (channel, marker)
  }

  /// - Parameter isExtra: it goes without, too: is refused at once where the server allows no more sessions.
  static func start(
    _ script: String, _ arguments: [String], on session: Session, isExtra: Bool = false
  ) async throws -> Conversation {
    let marker = newMarker()
    let channel = try await Channel.exec(
      Shell.command(script, [marker] + arguments), on: session, isExtra: isExtra)
    return Conversation(channel, marker: marker)
  }

  /// Returns the answer's lines.
  /// - Parameter input: what to send before stdin ends; nil: stdin stays open, because its end tells a waiting script that we are gone.
  static func ask(
    _ script: String, _ arguments: [String], input: [UInt8]? = nil, on session: Session
  ) async throws -> [String] {
    let conversation = try await start(script, arguments, on: session)
    defer { conversation.channel.close() }
    do {
      if let input {
        try await conversation.channel.write(input)
        try await conversation.channel.sendEOF()
      }
    } catch let error as SSHError where error.kind == .channelClosed {
      // It ended early; its answer says why.
    }
    return try await conversation.lines()
  }

  static func newMarker() -> String {
    var generator = SystemRandomNumberGenerator()
    return (0..<4).map { _ in
      let word = String(generator.next() as UInt32, radix: 16)
      return String(repeating: "0", count: 8 - word.count) + word
    }.joined()
  }

  func close() { channel.close() }

  /// The lines up to the end of the script.
  /// - Throws: ``Failure`` `remote` with the script's stderr when it failed or did not come to its end.
  func lines() async throws -> [String] {
    var lines: [String] = []
    while let line = try await answerLine() { lines.append(String(decoding: line, as: UTF8.self)) }
    return lines
  }

  /// The next line; nil after the closing marker of a script that went well.
  func answerLine() async throws -> [UInt8]? {
    guard let line = try await line() else { throw unfinished() }
    let text = String(decoding: line, as: UTF8.self)
    guard text.hasPrefix(marker) else { return line }
    let status = text.dropFirst(marker.count + 1)
    guard status == "0" else { throw try await complained() }
    return nil
  }

  /// The failure of a script that has said so: what it wrote to stderr may come in after what it wrote to stdout.
  func complained() async throws -> Failure {
    while let (stream, bytes) = try await channel.read() { if stream == .stderr { complain(bytes) } }
    return failed("")
  }

  func failed(_ what: String) -> Failure {
    let words = complaint.shownLines
    return Failure(kind: .remote, message: [what, words].filter { !$0.isEmpty }.joined(separator: ": "))
  }

  private func complain(_ bytes: [UInt8]) {
    complaint += bytes
    if complaint.count > Self.longestComplaint { complaint.removeFirst(complaint.count - Self.longestComplaint) }
  }

  func unfinished() -> Failure {
    let failure = failed("the remote script ended without an answer")
    return complaint.isEmpty ? Failure(kind: .unanswered, message: failure.message) : failure
  }

  /// The next line without its newline; nil at the end of stdout.
  func line() async throws -> [UInt8]? {
    while true {
      if let end = unread[position...].firstIndex(of: 0x0A) {
        defer { position = end + 1 }
        return Array(unread[position..<end])
      }
      guard unread.count - position <= Self.longestLine else { throw failed("the machine sends a line without an end") }
      guard try await more() else { return nil }
    }
  }

  /// What has come in and is not used yet, at least `count` bytes unless stdout ends before.
  func peek(_ count: Int) async throws -> ArraySlice<UInt8> {
    while unread.count - position < count { guard try await more() else { break } }
    return unread[position...]
  }

  func skip(_ count: Int) { position += count }

  /// - Returns: false at the end.
  private func more() async throws -> Bool {
    unread.removeFirst(position)
    position = 0
    while let (stream, bytes) = try await channel.read() {
      switch stream {
      case .stdout:
        // What belongs to a file is not copied once more.
        if unread.isEmpty { unread = bytes } else { unread += bytes }
        if !hasOpened { open() }
        if hasOpened {
          received += bytes.count
          return true
        }
      case .stderr: complain(bytes)
      }
    }
    return false
  }

  private func open() {
    let mark = Array((marker + "\n").utf8)
    if let place = unread.firstOccurrence(of: mark) {
      unread.removeFirst(place + mark.count)
      hasOpened = true
    } else if unread.count > 1 << 20 {
      unread.removeFirst(unread.count - mark.count)
    }
  }
}

extension [UInt8] {
  func firstOccurrence(of word: [UInt8]) -> Int? {
    guard count >= word.count else { return nil }
    return (0...(count - word.count)).first { self[$0] == word[0] && self[$0...].starts(with: word) }
  }

  /// The last lines of a text for an error message, control characters escaped.
  var shownLines: String {
    split(separator: 0x0A).suffix(5).map { Array($0.suffix(400)).shown }.joined(separator: "; ")
  }
}
