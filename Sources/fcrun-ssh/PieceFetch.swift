import Remote
import SSH

/// An output that is fetched in pieces, by several channels at once.
struct LargeOutput: Sendable {
  /// As the machine names it.
  let name: [UInt8]
  let domain: String
  /// What stat(1) there says of it: as long as that is the same, so is the file.
  let facts: [UInt8]
  let size: Int
  let mode: UInt16
  let modified: Int
  private(set) var places: [[[UInt8]]] = []

  /// Nobody has a larger one, and a machine that says so has something in mind.
  private static let largest = 1 << 45

  /// - Parameter facts: size, mode in octal and seconds since 1970, and more that is only compared.
  init?(_ name: [UInt8], _ facts: [UInt8], _ domain: String) {
    let words = String(decoding: facts, as: UTF8.self).split(separator: " ")
    guard words.count >= 3, let size = Int(words[0]), (0...Self.largest).contains(size),
      let mode = UInt16(words[1], radix: 8),
      let modified = Int(words[2])
    else { return nil }
    (self.name, self.domain, self.facts, self.size) = (name, domain, facts, size)
    (self.mode, self.modified) = (mode & 0o777, modified)
  }

  func at(_ places: [[[UInt8]]]) -> LargeOutput {
    var output = self
    output.places = places
    return output
  }

  /// The name of its part, the same at the next attempt.
  var part: [UInt8] {
    var digest = FileDigest()
    digest.update(Array(domain.utf8) + name)
    return digest.hexadecimal()
  }

  /// A piece costs the machine some processes: sixteen MiB where there is enough for all channels.
  var pieces: [Range<Int>] {
    let block = 1 << 16
    let length = min(max(size / 8, 1 << 20), 16 << 20) / block * block
    return stride(from: 0, to: size, by: length).map { $0..<min($0 + length, size) }
  }
}

/// Large outputs into parts, and then to their places; what an earlier attempt has left there is kept where it is right.
@SSHLoop
final class PieceFetch {
  private static let mostLanes = 4
  /// Requests that a channel is ahead of its answers.
  private static let ahead = 2

  private let verb: Collect
  private let ways: Ways
  private let extraction: Extraction
  private let progress: ProgressMeter
  private var pieces: [Piece] = []

  private struct Piece {
    var output: LargeOutput
    var range: Range<Int>
    var part: PartFile
    /// So many times it has arrived with another hash.
    var failures = 0
  }

  init(_ verb: Collect, _ ways: Ways, _ extraction: Extraction, _ progress: ProgressMeter) {
    (self.verb, self.ways, self.extraction, self.progress) = (verb, ways, extraction, progress)
  }

  func perform(_ outputs: [LargeOutput], into intake: Intake) async throws {
    // One after the other, so that few files are open; each by all channels.
    for output in outputs { try await fetch(output) }
    // Not before all are there: in its place it is gone when the connection is.
    for output in outputs { try intake.finish(output) }
  }

  private func fetch(_ output: LargeOutput) async throws {
    let part = try PartFile(extraction.openPart(output.part, size: output.size), output.name)
    pieces = output.pieces.map { Piece(output: output, range: $0, part: part) }
    try await keepWhatIsRight(part)
    try await fetchPieces()
    try part.close()
    guard try await facts(output) == output.facts else {
      throw Failure(kind: .integrity, message: "\(output.name.shown) changed while it was fetched")
    }
  }

  // MARK: Requests

  private func start(on session: Session? = nil, isExtra: Bool = false) async throws -> Conversation {
    try await Conversation.start(
      Script.fetch, [verb.control, verb.workdir], on: session ?? ways.first, isExtra: isExtra)
  }

  private nonisolated func line(_ what: String, _ output: LargeOutput, _ range: Range<Int>) -> [UInt8] {
    Array("\(what) \(output.domain) \(range.lowerBound >> 16) \(range.count) \(output.name.count)\n".utf8) + output.name
  }

  /// All that this channel is asked.
  private func ask(_ lines: [UInt8], _ remote: Conversation) async throws {
    try await remote.channel.write(lines)
    try await remote.channel.sendEOF()
  }

  private func facts(_ output: LargeOutput) async throws -> [UInt8]? {
    let remote = try await start()
    defer { remote.close() }
    try await ask(line("facts", output, 0..<0), remote)
    return try await remote.answerLine()
  }

  /// Pieces of an earlier attempt, by their hashes on both sides.
  private func keepWhatIsRight(_ part: PartFile) async throws {
    guard part.hasContent, let output = pieces.first?.output else { return }
    let remote = try await start()
    defer { remote.close() }
    let ranges = pieces.map(\.range)
    let own = Task.detached { try ranges.map { try part.digest($0) } }
    async let asking: Void = ask(ranges.flatMap { line("hash", output, $0) }, remote)
    var there: [[UInt8]] = []
    while let line = try await remote.answerLine() { there.append(HashLine.digest(line)) }
    try await asking
    let here = try await own.value
    guard there.count == here.count else {
      throw remote.failed("the machine hashed \(there.count) of \(Counted.text(here.count, "piece"))")
    }
    progress.add(bytes: zip(ranges, zip(here, there)).reduce(0) { $0 + ($1.1.0 == $1.1.1 ? $1.0.count : 0) })
    pieces = zip(pieces, zip(here, there)).filter { $1.0 != $1.1 }.map(\.0)
  }

  // MARK: Lanes

  private func fetchPieces() async throws {
    while !pieces.isEmpty {
      let isFar = ways.isWorthAnother(pieces.reduce(0) { $0 + $1.range.count })
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await self.serve(try await self.start()) }
        for _ in 1..<max(1, min(Self.mostLanes, pieces.count)) {
          group.addTask { try await self.serveAlso { self.ways.first } }
        }
        for _ in 0..<(isFar ? Self.mostLanes : 0) { group.addTask { try await self.serveAlso(self.ways.another) } }
        try await group.waitForAll()
      }
    }
  }

  /// Where the server takes no more sessions or connections, fewer do as well.
  private func serveAlso(_ session: @SSHLoop () async throws -> Session) async throws {
    guard let remote = try? await start(on: session(), isExtra: true) else { return }
    try await serve(remote)
  }

  private func serve(_ remote: Conversation) async throws {
    defer { remote.close() }
    var asked: [Piece] = []
    var isLast = false
    while true {
      while !isLast, asked.count < Self.ahead, !pieces.isEmpty {
        let piece = pieces.removeFirst()
        try await remote.channel.write(line("get", piece.output, piece.range))
        asked.append(piece)
      }
      guard !asked.isEmpty else { return }
      // With nothing more to ask, a file that has shrunk ends in the end of the answer instead of in silence.
      if !isLast, pieces.isEmpty, asked.count == 1 {
        isLast = true
        try await remote.channel.sendEOF()
      }
      try await receive(asked.removeFirst(), from: remote)
    }
  }

  /// Bytes into the part, written and hashed off the loop while the next ones come.
  private func receive(_ piece: Piece, from remote: Conversation) async throws {
    let sink = PieceSink(piece.part, at: piece.range.lowerBound)
    var last = Task<Void, any Error> {}
    var left = piece.range.count
    while left > 0 {
      let bytes = try await remote.peek(1).prefix(left)
      guard !bytes.isEmpty else { throw remote.unfinished() }
      try await last.value
      last = Task.detached { try sink.take(bytes) }
      remote.skip(bytes.count)
      left -= bytes.count
      progress.add(bytes: bytes.count)
    }
    try await last.value
    guard let answer = try await remote.answerLine() else { throw remote.unfinished() }
    if HashLine.digest(answer) != sink.digest() { try again(piece) }
  }

  private func again(_ piece: Piece) throws {
    guard piece.failures == 0 else {
      throw Failure(
        kind: .integrity, message: "\(piece.output.name.shown) arrived with another sha256 than the machine has, twice")
    }
    var piece = piece
    piece.failures += 1
    progress.add(bytes: -piece.range.count)
    pieces.append(piece)
  }
}
