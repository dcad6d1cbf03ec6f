#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// One open regular file of this machine.
package final class LocalFile {
  package let descriptor: Int32
  package let path: [UInt8]
  private let before: FileStatus

  /// - Throws: ``Failure`` `local`, also for what is no regular file. O_NONBLOCK: a FIFO put in its place must not hold us.
  package init(reading path: [UInt8]) throws(Failure) {
    let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else { throw Failure.local("open", path) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      _ = systemClose(descriptor)
      throw Failure(kind: .local, message: "\(path.shown) is no regular file any more")
    }
    (self.descriptor, self.path, before) = (descriptor, path, FileStatus(status))
  }

  /// When it was opened.
  package var size: Int { before.size }
  /// Seconds since 1970, when it was opened.
  package var modified: Int { before.modified }

  /// At most `count` bytes; empty at the end.
  package func read(_ count: Int) throws(Failure) -> [UInt8] {
    try bytes(count) { systemRead(self.descriptor, $0, count) }
  }

  /// At most `count` bytes from `offset`; empty at the end.
  package func read(_ count: Int, at offset: Int) throws(Failure) -> [UInt8] {
    try bytes(count) { pread(self.descriptor, $0, count, off_t(offset)) }
  }

  private func bytes(_ count: Int, _ call: (UnsafeMutableRawPointer?) -> Int) throws(Failure) -> [UInt8] {
    var got = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      repeat { got = call(buffer.baseAddress) } while got < 0 && errno == EINTR
      used = max(0, got)
    }
    guard got >= 0 else { throw Failure.local("read", path) }
    return bytes
  }

  package func readAll() throws(Failure) -> [UInt8] {
    var all: [UInt8] = []
    while true {
      let part = try read(1 << 20)
      if part.isEmpty { return all }
      all += part
    }
  }

  /// - Throws: ``Failure`` `local` when size or time of change are not those of the opening.
  package func checkUnchanged() throws(Failure) {
    var status = stat()
    guard fstat(descriptor, &status) == 0, FileStatus(status) == before else {
      throw Failure(
        kind: .local, message: "\(path.shown) changed while it was being read; try again when nothing writes to it")
    }
  }

  package func close() { _ = systemClose(descriptor) }
}

private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }

private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  read(descriptor, buffer, count)
}
