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

  struct Piece: Sendable, Equatable {
    var file: Int
    /// Begins and, but for the end of the file, ends at a whole block.
    var range: Range<Int>

    static let block = 1 << 16

    func split(into length: Int) -> [Piece] {
      stride(from: range.lowerBound, to: range.upperBound, by: length).map {
        Piece(file: file, range: $0..<min($0 + length, range.upperBound))
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
