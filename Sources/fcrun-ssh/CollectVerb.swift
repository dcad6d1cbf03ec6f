import Remote
import SSH

/// Outputs from the machine: one stream of tar archives and hashes into the partial folder, compared, then renamed to their place.
@SSHLoop
final class CollectVerb {
  /// Members of all archives together.
  static let mostMembers = 1_000_000
  static let mostRefusalsTold = 1000
  /// How often outputs are read that something else writes to meanwhile.
  static let mostReadings = 5

  private let verb: Collect
  private let ways: Ways
  private let progress: ProgressMeter
  private let outputFolder: [[UInt8]]?

  init(_ verb: Collect, on ways: Ways, tell: @escaping @SSHLoop (WorkerEvent.Kind) -> Void) throws {
    (self.verb, self.ways, progress) = (verb, ways, ProgressMeter(tell))
    outputFolder = try verb.outputFolder.map { folder throws(Failure) in
      guard let path = Place.components(folder) else {
        throw Failure(kind: .badRequest, message: "collect: the output folder \(folder) leads outside")
      }
      return path
    }
  }

  func perform() async throws -> Transferred {
    defer { ways.close() }
    for _ in 1..<Self.mostReadings {
      // Something wrote to an output meanwhile, or bytes were hurt on their way: once more from the beginning.
      do { return try await receive() } catch let failure as Failure where failure.kind == .integrity {}
    }
    return try await receive()
  }

  private func receive() async throws -> Transferred {
    progress.begin(totalBytes: nil, totalFiles: nil)
    let extraction = try Extraction(partial: verb.partial)
    defer { extraction.close() }
    let arguments =
      [verb.control, verb.workdir, outputFolder == nil ? "0" : "1"] + verb.outputs.map(\.source)
    let remote = try await Conversation.start(Script.pack, arguments, on: ways.first)
    defer { remote.close() }
    try await remote.channel.sendEOF()
    let intake = Intake(
      extraction, map: try OutputMap(verb.outputs), outputFolder: outputFolder ?? [], progress: progress)
    try await read(remote, into: intake)
    try await PieceFetch(verb, ways, extraction, progress).perform(intake.large, into: intake)
    try extraction.publish(into: verb.root, isLeftInCache: verb.isLeftInCache == true)
    progress.flush()
    let missing = verb.outputs.indices.filter { !intake.found.contains($0) }.map { verb.outputs[$0].source }
    return Transferred(files: intake.files, bytes: intake.bytes, missing: missing, refused: intake.refused)
  }

  // MARK: The stream

  private func read(_ remote: Conversation, into intake: Intake) async throws {
    while let section = try await remote.nextSection() {
      let words = section.split(separator: " ").map(String.init)
      let domain = words.count > 1 ? words[1] : ""
      switch words.first {
      case "matches":
        guard let index = Int(domain) else { throw Self.confused(section) }
        while let name = try await remote.nextName() { try intake.match(name, index) }
      case "refused":
        while let name = try await remote.nextName() { intake.refuse(name, "neither file, folder nor link") }
      case "large":
        while let name = try await remote.nextName() { try intake.listLarge(name) }
      case "facts":
        var facts: [[UInt8]] = []
        while let line = try await remote.nextSectionLine() { facts.append(line) }
        try intake.describeLarge(facts, domain)
      case "tar": try await readArchives(remote, intake, domain)
      case "files":
        intake.listed = []
        while let name = try await remote.nextName() { try intake.list(name) }
      case "hashes":
        var position = 0
        while let line = try await remote.nextSectionLine() {
          try intake.check(HashLine.digest(line), at: position, domain)
          position += 1
        }
        try intake.checkCount(position)
      default: throw Self.confused(section)
      }
    }
  }

  private static func confused(_ section: String) -> Failure {
    Failure(kind: .remote, message: "the machine's answer is not understood: \(Array(section.utf8).shown)")
  }

  private func readArchives(_ remote: Conversation, _ intake: Intake, _ domain: String) async throws {
    while !(try await remote.isAtSection()) {
      var reader = TarReader()
      while !reader.hasEnded {
        let bytes = try await remote.peek(1)
        guard !bytes.isEmpty else { throw remote.failed("the archive of the outputs was cut") }
        do {
          remote.skip(try reader.feed(bytes) { try intake.take($0, domain) })
        } catch let error as TarReader.Malformed {
          throw Failure(kind: .remote, message: "the machine sent an archive that is refused: \(error)")
        }
      }
      // Archives are padded to a whole record.
      while let zeros = try await remote.peek(1).firstRange(ofZeros: ()) { remote.skip(zeros) }
    }
  }
}

extension ArraySlice<UInt8> {
  /// How many zeros it begins with; nil when none.
  fileprivate func firstRange(ofZeros: Void) -> Int? {
    let count = prefix { $0 == 0 }.count
    return count > 0 ? count : nil
  }
}

extension Conversation {
  private var sectionStart: [UInt8] { Array((marker + " ").utf8) }

  func isAtSection() async throws -> Bool {
    let start = sectionStart
    let bytes = try await peek(start.count)
    guard !bytes.isEmpty else { throw unfinished() }
    return bytes.starts(with: start)
  }

  /// The next section's title; nil after the end of a script that went well.
  func nextSection() async throws -> String? {
    guard try await isAtSection(), let line = try await line() else {
      throw Failure(kind: .remote, message: "the machine's answer is not understood; \(complaint.shownLines)")
    }
    let title = String(decoding: line.dropFirst(sectionStart.count), as: UTF8.self)
    guard let status = Int(title) else { return title }
    if status == 3 { throw Failure(kind: .integrity, message: try await changed()) }
    guard status == 0 else { throw try await complained() }
    return nil
  }

  private func changed() async throws -> String {
    "the outputs changed while they were read: \(try await complained().message)"
  }

  /// The next name of a section, ended by NUL; nil at the next section.
  func nextName() async throws -> [UInt8]? {
    if try await isAtSection() { return nil }
    var wanted = 1
    while true {
      let bytes = try await peek(wanted)
      if let end = bytes.firstIndex(of: 0) {
        skip(end - bytes.startIndex + 1)
        return Array(bytes[..<end])
      }
      guard bytes.count >= wanted, bytes.count < 1 << 16 else { throw failed("a name without an end") }
      wanted = bytes.count + 1
    }
  }

  /// The next line of a section; nil at the next section.
  func nextSectionLine() async throws -> [UInt8]? {
    try await isAtSection() ? nil : try await line()
  }
}
