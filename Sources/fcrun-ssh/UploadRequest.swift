import Remote

/// What an upload asks of the machine, as ``Script/upload`` has it; files by their place in the tree.
enum UploadRequest: Sendable {
  /// What is known of these small files there.
  case look([Int])
  /// Folders, links and small files, in an archive.
  case tar([Int])
  /// Makes a part of what is there of a large file.
  case open(Int)
  case hash(Piece)
  case put(Piece)
  /// Puts a part in its place.
  case close(Int)
  case clear

  struct Piece: Sendable, Hashable {
    var file: Int
    /// Begins and, but for the end of the file, ends at a whole block.
    var range: Range<Int>

    static let block = 1 << 16

    func split(into length: Int) -> [Piece] {
      stride(from: range.lowerBound, to: range.upperBound, by: length).map {
        Piece(file: file, range: $0..<min($0 + length, range.upperBound))
      }
    }

    /// In order, those that meet as one: each that is sent costs the machine some processes.
    static func joined(_ pieces: [Piece]) -> [Piece] {
      let ordered = pieces.sorted { ($0.file, $0.range.lowerBound) < ($1.file, $1.range.lowerBound) }
      return ordered.reduce(into: []) { joined, piece in
        if let last = joined.last, last.file == piece.file, last.range.upperBound == piece.range.lowerBound {
          joined[joined.count - 1].range = last.range.lowerBound..<piece.range.upperBound
        } else {
          joined.append(piece)
        }
      }
    }
  }

  /// As it goes to the machine.
  struct Written {
    var line: [UInt8]
    var feed: (any UploadFeed)?
    var isPacked: Bool
  }

  /// One that was sent, until it is answered.
  struct Sent: Sendable {
    var request: UploadRequest
    var feed: (any UploadFeed)?
    /// Bytes that went over the connection.
    var bytes: Int
    /// What a hash from the machine is held against when nothing was sent.
    var own: Task<[[UInt8]], any Error>?
  }
}
