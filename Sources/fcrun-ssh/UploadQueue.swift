import Remote

/// What an upload still has to do, and what has come of what it did. Knows no connection.
struct UploadQueue {
  typealias Piece = UploadRequest.Piece

  let tree: UploadTree
  /// To be done as they stand, first.
  private var requests: [UploadRequest] = []
  /// Folders, links and small files that go into archives.
  private var members: [Int]
  /// Of large files.
  private var pieces: [Piece]
  private let large: [Int]

  /// Files that came as they are there already.
  private(set) var keptBytes = 0
  private(set) var keptFiles = 0
  /// Of pieces of large files on this side: a part is asked for the same pieces as what it was made of.
  private var hashes: [Piece: [[UInt8]]] = [:]
  /// Of each large file, bytes that are there already.
  private var keptOf: [Int: Int] = [:]
  private var archives = 0
  /// What arrived with another hash.
  private var wrongMembers: [Int] = []
  private var wrongPieces: [Piece] = []

  /// Folders and links, sent after everything was looked at.
  private var held: [Int] = []
  /// What is found to differ waits until everything was looked at.
  private var isLooking = false
  /// Large files whose part, or what is in their place, is longer or shorter than they are.
  private var resized: Set<Int> = []
  private var opened: [Int] = []
  private var differingPieces: [Piece] = []
  private var isLast = false

  private static let filesAtOnce = 1000
  private static let lookedAtOnce = 2500
  private static let widePiece = 16 << 20
  private static let closePiece = 1 << 20
  /// What all channels may have under way when a connection ends, wherever it begins.
  private static let underWay = (UploadVerb.mostLanes + 1) * widePiece

  /// A later source overwrites an earlier one.
  init(_ tree: UploadTree) {
    var last: [[UInt8]: Int] = [:]
    for (position, entry) in tree.entries.enumerated() { last[entry.path] = position }
    let entries = tree.entries
    let places = entries.indices.filter { last[entries[$0].path] == $0 }
    let isLarge = { (place: Int) in entries[place].fileSize ?? 0 > UploadVerb.large }
    self.tree = tree
    large = places.filter(isLarge)
    members = places.filter { !isLarge($0) }
    pieces = large.map { Piece(file: $0, range: 0..<(entries[$0].fileSize ?? 0)) }
  }

  /// Paths that arrived wrong.
  var wrong: [[UInt8]] { (wrongMembers + wrongPieces.map(\.file)).map { tree.entries[$0].path } }

  /// More than one channel has under way.
  var isWorthAnotherLane: Bool {
    requests.count > 1 || members.count > Self.filesAtOnce || bytes > 2 << 20
  }

  /// Requests that wait to be sent as they stand.
  var asking: Int { requests.count }

  /// To be sent.
  var bytes: Int {
    pieces.reduce(0) { $0 + $1.range.count } + members.reduce(0) { $0 + (tree.entries[$1].fileSize ?? 0) }
  }

  // MARK: Stages

  /// Instead of sending: asks what is there of each file. What differs is to be sent afterwards.
  mutating func lookFirst() {
    let small = members.filter { tree.entries[$0].fileSize != nil }
    members.removeAll { tree.entries[$0].fileSize != nil }
    requests += stride(from: 0, to: small.count, by: Self.lookedAtOnce).map {
      .look(Array(small[$0..<min($0 + Self.lookedAtOnce, small.count)]))
    }
    requests += pieces.flatMap { $0.split(into: Self.widePiece) }.map { .hash($0) }
    (held, members, pieces, isLooking) = (members, [], [], true)
  }

  /// Parts of large files that are to be changed are made of what is there.
  mutating func openParts() {
    let changing = resized.union(pieces.map(\.file))
    (requests, pieces) = (large.filter(changing.contains).map { .open($0) }, [])
    opened = large.filter(changing.contains)
  }

  /// A copy proves nothing: the parts are asked for, piece by piece.
  mutating func lookAtParts() {
    for file in opened {
      keptBytes -= keptOf.removeValue(forKey: file) ?? 0
      requests += whole(file).split(into: Self.widePiece).map { UploadRequest.hash($0) }
    }
  }

  private func whole(_ file: Int) -> Piece { Piece(file: file, range: 0..<(tree.entries[file].fileSize ?? 0)) }

  /// Where a file begins to differ, how much: what a cut upload had under way is there for the most part. Farther on all is new as a rule, and
  /// a look costs the machine some processes.
  mutating func lookCloser() {
    let coarse = Dictionary(grouping: pieces, by: \.file)
    pieces = []
    for (file, differing) in coarse.sorted(by: { $0.key < $1.key }) {
      let near = max(Self.underWay, (tree.entries[file].fileSize ?? 0) / 4) / Self.widePiece
      let ordered = differing.sorted { $0.range.lowerBound < $1.range.lowerBound }
      requests += ordered.prefix(near).flatMap { $0.split(into: Self.closePiece) }.map { .hash($0) }
      differingPieces += ordered.dropFirst(near)
    }
  }

  mutating func sendTheRest() {
    (pieces, members) = (Piece.joined(differingPieces + pieces), (held + members).sorted())
    (differingPieces, held, isLooking) = ([], [], false)
  }

  mutating func sendAgain() {
    (members, pieces) = (wrongMembers.sorted(), wrongPieces)
    (wrongMembers, wrongPieces) = ([], [])
  }

  /// All is there. A folder gets its mode last: it may be one that nobody writes to.
  mutating func finish(isOld: Bool) {
    let folders = tree.entries.indices.filter { tree.entries[$0].kind == .folder }
    let isAsItShould = archives == 1 && !folders.contains { tree.entries[$0].mode & 0o700 != 0o700 }
    requests = large.map { .close($0) }
    if !folders.isEmpty, !isAsItShould { requests.append(.tar(folders)) }
    isLast = true
    // There are parts of large files only, of this upload's or an earlier one's; and the first request, whichever it is, makes the workdir.
    if isOld || !large.isEmpty || archives == 0 { requests.append(.clear) }
  }

  // MARK: Requests

  /// - Parameter quantum: bytes of files to send with one request.
  mutating func next(quantum: Int) -> UploadRequest? {
    if !requests.isEmpty { return requests.removeFirst() }
    if isLooking { return nil }
    if !members.isEmpty { return .tar(nextMembers(quantum)) }
    guard let piece = pieces.first else { return nil }
    let count = min(piece.range.count, quantum)
    let end = piece.range.lowerBound + count
    if end == piece.range.upperBound { pieces.removeFirst() } else { pieces[0].range = end..<piece.range.upperBound }
    return .put(Piece(file: piece.file, range: piece.range.lowerBound..<end))
  }

  private mutating func nextMembers(_ quantum: Int) -> [Int] {
    var bytes = 0
    var count = 0
    while count < min(members.count, Self.filesAtOnce), bytes < quantum {
      bytes += (tree.entries[members[count]].fileSize ?? 0) + TarWriter.block
      count += 1
    }
    defer { members.removeFirst(count) }
    return Array(members.prefix(count))
  }

  /// The bytes to send with it.
  func feed(for request: UploadRequest) -> (any UploadFeed)? {
    switch request {
    case .tar(let members): TarFeed(members.map { isLast ? tree.entries[$0] : tree.entries[$0].writable })
    case .put(let piece): PieceFeed(tree.entries[piece.file], piece.range)
    case .look, .open, .hash, .close, .clear: nil
    }
  }

  func written(_ request: UploadRequest, _ feed: (any UploadFeed)?, isPacked: Bool) -> UploadRequest.Written {
    UploadRequest.Written(line: line(request, feed, isPacked ? 1 : 0), feed: feed, isPacked: isPacked)
  }

  private func line(_ request: UploadRequest, _ feed: (any UploadFeed)?, _ packed: Int) -> [UInt8] {
    switch request {
    case .look(let files):
      let names = files.reduce(into: [UInt8]()) { $0 += Array("./".utf8) + tree.entries[$1].path + [0] }
      return Array("look \(names.count) \(isPlain(names))\n".utf8) + names
    case .tar:
      return Array(
        "tar \(feed?.length ?? 0) \(packed) \(feed?.names.count ?? 0) \(isPlain(feed?.names ?? []))\n".utf8)
    case .open(let file): return named("open \(key(file)) \(tree.entries[file].fileSize ?? 0)", file)
    case .hash(let piece): return named("hash \(place(piece))", piece.file)
    case .put(let piece): return Array("put \(place(piece)) \(packed)\n".utf8)
    case .close(let file):
      let entry = tree.entries[file]
      return named("close \(key(file)) \(String(entry.mode, radix: 8)) \(TouchTime.text(entry.modified))", file)
    case .clear: return Array("clear\n".utf8)
    }
  }

  private func isPlain(_ names: [UInt8]) -> Int { names.contains(0x0A) ? 0 : 1 }

  private func place(_ piece: Piece) -> String {
    "\(key(piece.file)) \(piece.range.lowerBound / Piece.block) \(piece.range.count)"
  }

  private func named(_ words: String, _ file: Int) -> [UInt8] {
    let path = tree.entries[file].path
    return Array("\(words) \(path.count)\n".utf8) + path
  }

  /// The name of a part, the same for each upload.
  private func key(_ file: Int) -> String {
    var digest = FileDigest()
    digest.update(tree.entries[file].path)
    return String(decoding: digest.hexadecimal().prefix(32), as: UTF8.self)
  }

  /// What this side has of what is only asked for: read and hashed meanwhile.
  func own(_ request: UploadRequest) -> Task<[[UInt8]], any Error>? {
    let entries = tree.entries
    switch request {
    case .look(let files): return Task.detached { try files.map { try entries[$0].digest() } }
    case .hash(let piece):
      if let known = hashes[piece] { return Task { known } }
      return Task.detached { [try PieceFeed.digest(entries[piece.file], piece.range)] }
    case .tar, .put, .open, .close, .clear: return nil
    }
  }

  // MARK: Answers

  /// - Returns: how many files are there with it.
  mutating func take(_ answer: [[UInt8]], to sent: UploadRequest.Sent, own: [[UInt8]]) throws(Failure) -> Int {
    switch sent.request {
    case .look(let files): look(files, own, Looked(answer))
    case .hash(let piece):
      hashes[piece] = own
      hash(piece, own, answer)
    case .tar(let members): return try unpacked(members, sent.feed?.digests ?? [], answer)
    case .put(let piece): if answer.map(HashLine.digest) != sent.feed?.digests { wrongPieces.append(piece) }
    case .close: return 1
    case .open, .clear: break
    }
    return 0
  }

  private mutating func look(_ files: [Int], _ own: [[UInt8]], _ there: Looked) {
    for (file, digest) in zip(files, own) {
      let entry = tree.entries[file]
      guard there.has(entry, digest) else {
        members.append(file)
        continue
      }
      keptFiles += 1
      keptBytes += entry.fileSize ?? 0
    }
  }

  private mutating func hash(_ piece: Piece, _ own: [[UInt8]], _ answer: [[UInt8]]) {
    let size = tree.entries[piece.file].fileSize ?? 0
    if answer.last != Array("\(size)".utf8) { resized.insert(piece.file) }
    if let digest = answer.first, HashLine.digest(digest) == own.first {
      keptBytes += piece.range.count
      keptOf[piece.file, default: 0] += piece.range.count
    } else {
      pieces.append(piece)
    }
  }

  private mutating func unpacked(_ members: [Int], _ own: [[UInt8]], _ answer: [[UInt8]]) throws(Failure) -> Int {
    archives += 1
    let files = members.filter { tree.entries[$0].fileSize != nil }
    guard answer.count == files.count, own.count == files.count else {
      throw Failure(
        kind: .remote, message: "the machine hashed \(answer.count) of \(Counted.text(files.count, "file"))")
    }
    let wrong = files.indices.filter { HashLine.digest(answer[$0]) != own[$0] }.map { files[$0] }
    wrongMembers += wrong
    return files.count - wrong.count
  }
}

extension UploadTree.Entry {
  /// A folder that its owner may write to, until all of it is there.
  fileprivate var writable: UploadTree.Entry {
    guard kind == .folder else { return self }
    var entry = self
    entry.mode |= 0o700
    return entry
  }
}

/// What the machine knows of small files: by name, so that a name that its programs print in their own way counts as missing.
private struct Looked {
  private var facts: [[UInt8]: [UInt8]] = [:]
  private var digests: [[UInt8]: [UInt8]] = [:]

  init(_ lines: [[UInt8]]) {
    let middle = lines.firstIndex(of: Array("digests".utf8)) ?? lines.count
    for line in lines[..<middle] {
      let words = line.split(separator: 0x20, maxSplits: 2)
      if words.count == 3 { facts[Array(words[2])] = Array(words[0] + [0x20] + words[1]) }
    }
    for line in lines[middle...] where line.count > 66 { digests[Array(line[66...])] = Array(line[..<64]) }
  }

  func has(_ entry: UploadTree.Entry, _ digest: [UInt8]) -> Bool {
    let name = Array("./".utf8) + entry.path
    return digests[name] == digest && facts[name] == Array("\(String(entry.mode, radix: 8)) \(entry.modified)".utf8)
  }
}

/// A line of sha256sum(1). A backslash in front says that the name is escaped, which is of no interest where names are never read.
enum HashLine {
  static func digest(_ line: [UInt8]) -> [UInt8] {
    Array((line.first == UInt8(ascii: "\\") ? line.dropFirst() : line[...]).prefix(64))
  }
}
