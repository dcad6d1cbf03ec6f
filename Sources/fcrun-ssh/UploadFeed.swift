import Remote

/// The content of one request, made piece by piece off the loop. Used by one task at a time.
protocol UploadFeed: AnyObject, Sendable {
  /// Bytes of files that were read so far.
  var read: Int { get }
  /// When all of it was read: the sha256 of each file, or of the piece.
  var digests: [[UInt8]] { get }
  /// Plain bytes; nil at the end.
  func nextChunk() throws(Failure) -> [UInt8]?
  /// What comes right after the content.
  var names: [UInt8] { get }
  /// Plain bytes of the content.
  var length: Int { get }
  /// Some of it, to see whether it is worth packing.
  func sample() throws(Failure) -> [UInt8]
}

extension UploadFeed {
  /// Still in the processor's cache when it is hashed, and when it is encrypted.
  static var chunk: Int { 1 << 18 }
}

/// Plain chunks, or frames of zstd, each after a line with its length, and then what follows the content.
final class UploadStream: @unchecked Sendable {
  // Safe: each chunk is asked for after the one before has come.
  private let feed: any UploadFeed
  private let isPacked: Bool
  private var isOver = false

  init(_ feed: any UploadFeed, isPacked: Bool) { (self.feed, self.isPacked) = (feed, isPacked) }

  /// Bytes to send, and how many bytes of files they stand for.
  func next() throws(Failure) -> (bytes: [UInt8], plain: Int)? {
    if isOver { return nil }
    let before = feed.read
    if let chunk = try isPacked ? packedChunk() : feed.nextChunk() { return (chunk, feed.read - before) }
    isOver = true
    return ((isPacked ? Array("0\n".utf8) : []) + feed.names, 0)
  }

  private func packedChunk() throws(Failure) -> [UInt8]? {
    var plain: [UInt8] = []
    while plain.count < Self.frame, let chunk = try feed.nextChunk() { plain += chunk }
    if plain.isEmpty { return nil }
    guard let frame = Zstd.frame(of: plain) else { throw Failure(kind: .local, message: "zstd cannot pack") }
    return Array("\(frame.count)\n".utf8) + frame
  }

  private static let frame = 1 << 20
}

/// Folders, links and small files as a tar archive, and after it the names of the files.
final class TarFeed: UploadFeed, @unchecked Sendable {
  // Safe: used by one task at a time.
  private let entries: [UploadTree.Entry]
  private let headers: [[UInt8]]
  private(set) var digests: [[UInt8]] = []
  private(set) var read = 0
  let names: [UInt8]
  let length: Int
  private var position = 0
  private var isOver = false

  init(_ entries: [UploadTree.Entry]) {
    self.entries = entries
    headers = entries.map(Self.header)
    names = entries.filter { $0.fileSize != nil }.reduce(into: []) { $0 += Array("./".utf8) + $1.path + [0] }
    length = zip(entries, headers).reduce(TarWriter.end.count) { sum, member in
      let content = member.0.fileSize ?? 0
      return sum + member.1.count + content + TarWriter.padding(after: content).count
    }
  }

  /// The first file that has some content.
  func sample() throws(Failure) -> [UInt8] {
    guard let entry = entries.first(where: { $0.fileSize ?? 0 > 0 }) else { return [] }
    return try entry.beginning(at: 0)
  }

  private static func header(_ entry: UploadTree.Entry) -> [UInt8] {
    TarWriter.header(path: entry.path, kind: entry.kind, mode: entry.mode, modified: entry.modified)
  }

  func nextChunk() throws(Failure) -> [UInt8]? {
    if isOver { return nil }
    var chunk: [UInt8] = []
    while chunk.count < Self.chunk, position < entries.count {
      chunk += headers[position]
      if entries[position].fileSize != nil { try append(entries[position], to: &chunk) }
      position += 1
    }
    if position == entries.count {
      chunk += TarWriter.end
      isOver = true
    }
    return chunk
  }

  private func append(_ entry: UploadTree.Entry, to chunk: inout [UInt8]) throws(Failure) {
    let content = try entry.content()
    var digest = FileDigest()
    digest.update(content)
    digests.append(digest.hexadecimal())
    read += content.count
    chunk += content
    chunk += TarWriter.padding(after: content.count)
  }
}

/// A piece of a large file.
final class PieceFeed: UploadFeed, @unchecked Sendable {
  // Safe: used by one task at a time.
  private let entry: UploadTree.Entry
  private var left: Range<Int>
  private var file: LocalFile?
  private var digest = FileDigest()
  private(set) var digests: [[UInt8]] = []
  private(set) var read = 0
  let length: Int
  let names: [UInt8] = []

  init(_ entry: UploadTree.Entry, _ range: Range<Int>) { (self.entry, left, length) = (entry, range, range.count) }

  func nextChunk() throws(Failure) -> [UInt8]? {
    if left.isEmpty { return nil }
    let open = try opened()
    let bytes = try open.read(min(left.count, Self.chunk), at: left.lowerBound)
    guard !bytes.isEmpty else { throw entry.shrunk }
    digest.update(bytes)
    read += bytes.count
    left = (left.lowerBound + bytes.count)..<left.upperBound
    if left.isEmpty { try finish(open) }
    return bytes
  }

  func sample() throws(Failure) -> [UInt8] { try entry.beginning(at: left.lowerBound) }

  private func opened() throws(Failure) -> LocalFile {
    if let file { return file }
    let opened = try entry.opened()
    file = opened
    return opened
  }

  private func finish(_ open: LocalFile) throws(Failure) {
    digests = [digest.hexadecimal()]
    defer { open.close() }
    try open.checkUnchanged()
  }

  deinit { if !left.isEmpty { file?.close() } }

  /// Without sending it.
  static func digest(_ entry: UploadTree.Entry, _ range: Range<Int>) throws(Failure) -> [UInt8] {
    let feed = PieceFeed(entry, range)
    while try feed.nextChunk() != nil {}
    return feed.digests[0]
  }
}

extension UploadTree.Entry {
  /// Of a file.
  var fileSize: Int? { if case .file(let size) = kind { size } else { nil } }

  var shrunk: Failure { Failure(kind: .local, message: "\(local.shown) shrank while it was being read") }

  /// - Throws: ``Failure`` `local` when it is not what it was when the tree was looked at.
  func opened() throws(Failure) -> LocalFile {
    let file = try LocalFile(reading: local)
    guard file.size == fileSize, file.modified == modified else {
      file.close()
      throw Failure(
        kind: .local, message: "\(local.shown) changed while it was being read; try again when nothing writes to it")
    }
    return file
  }

  fileprivate func beginning(at offset: Int) throws(Failure) -> [UInt8] {
    let file = try opened()
    defer { file.close() }
    return try file.read(1 << 17, at: offset)
  }

  /// All of a small file.
  func content() throws(Failure) -> [UInt8] {
    let file = try opened()
    defer { file.close() }
    var all: [UInt8] = []
    while all.count < file.size {
      let part = try file.read(file.size - all.count)
      guard !part.isEmpty else { throw shrunk }
      if all.isEmpty { all = part } else { all += part }
    }
    try file.checkUnchanged()
    return all
  }

  /// Of all of a small file.
  func digest() throws(Failure) -> [UInt8] {
    var digest = FileDigest()
    digest.update(try content())
    return digest.hexadecimal()
  }
}
