import Remote

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// An open part of a large output. Pieces of it may be written and read by several tasks at once.
final class PartFile: @unchecked Sendable {
  // Safe: pwrite(2) and pread(2) only, until it is closed.
  private var descriptor: Int32
  private let name: [UInt8]

  /// - Parameter descriptor: is closed with it.
  init(_ descriptor: Int32, _ name: [UInt8]) { (self.descriptor, self.name) = (descriptor, name) }

  deinit { try? close() }

  func close() throws(Failure) {
    guard descriptor >= 0 else { return }
    let code = systemClose(descriptor)
    descriptor = -1
    if code != 0 { throw Failure.local("write the part of", name) }
  }

  /// Something was written to it: it has more than room.
  var hasContent: Bool {
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_blocks > 0
  }

  func write(_ bytes: ArraySlice<UInt8>, at offset: Int) throws(Failure) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done, off_t(offset + done))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Failure.local("write the part of", name) }
      done += count
    }
  }

  func digest(_ range: Range<Int>) throws(Failure) -> [UInt8] {
    var digest = FileDigest()
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    var place = range.lowerBound
    while place < range.upperBound {
      let count = pread(descriptor, &buffer, min(buffer.count, range.upperBound - place), off_t(place))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Failure.local("read the part of", name) }
      digest.update(buffer[..<count])
      place += count
    }
    return digest.hexadecimal()
  }
}

/// One piece on its way into a part. Used by one task at a time.
final class PieceSink: @unchecked Sendable {
  // Safe: the next chunk is handed over when the one before has been taken.
  private let part: PartFile
  private var place: Int
  private var hash = FileDigest()

  init(_ part: PartFile, at place: Int) { (self.part, self.place) = (part, place) }

  func take(_ bytes: ArraySlice<UInt8>) throws(Failure) {
    try part.write(bytes, at: place)
    hash.update(bytes)
    place += bytes.count
  }

  func digest() -> [UInt8] { hash.hexadecimal() }
}

private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
