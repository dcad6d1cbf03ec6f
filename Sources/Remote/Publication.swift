#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Puts what is complete in place, each entry by itself: what cannot be placed stays in the partial folder, and holds up nothing else.
struct Publication {
  /// Where the partial folder is, for people.
  private let partial: [UInt8]
  /// A folder of this name beside a destination on another file system holds copies until they are whole. The same at the
  /// next attempt, which empties it.
  private let copies: [UInt8]
  private(set) var problems: [Failure] = []

  init(partial: [UInt8]) {
    self.partial = partial
    copies = (partial.split(separator: Path.slash).last.map(Array.init) ?? []) + Array(".copy".utf8)
  }

  // MARK: Entries

  /// - Parameter path: of both folders, below the partial folder and below `root`.
  mutating func merge(_ source: Int32, into destination: Int32, _ path: [[UInt8]], _ root: [UInt8]) {
    do throws(Failure) {
      for name in try Extraction.names(in: source, shown(partial, path)) {
        do throws(Failure) {
          try put(name, from: source, into: destination, path + [name], root)
        } catch {
          problems.append(lying(error, path + [name]))
        }
      }
    } catch {
      problems.append(error)
    }
  }

  private mutating func put(
    _ name: [UInt8], from source: Int32, into destination: Int32, _ path: [[UInt8]], _ root: [UInt8]
  ) throws(Failure) {
    let place = shown(root, path)
    let isFolder = Extraction.status(source, name)?.isFolder ?? false
    guard let there = Extraction.status(destination, name) else {
      return try move(name, from: source, into: destination, place)
    }
    guard there.isFolder == isFolder else {
      throw Failure(
        kind: .local,
        message: there.isFolder
          ? "\(place.shown) is a folder here and the output is none"
          : "\(place.shown) is no folder here and the output is one")
    }
    guard isFolder else { return try move(name, from: source, into: destination, place) }
    let (from, to) = (
      try Extraction.enter(source, name, shown(partial, path)), try Extraction.enter(destination, name, place)
    )
    defer { _ = (close(from), close(to)) }
    merge(from, into: to, path, root)
    // Stays where something in it does.
    _ = name.withCString { unlinkat(source, $0, AT_REMOVEDIR) }
  }

  private func lying(_ failure: Failure, _ path: [[UInt8]]) -> Failure {
    Failure(kind: .local, message: "\(failure.message); it lies in \(shown(partial, path).shown)")
  }

  private func shown(_ folder: [UInt8], _ path: [[UInt8]]) -> [UInt8] {
    Path.joined([folder] + path)
  }

  private func move(_ name: [UInt8], from source: Int32, into destination: Int32, _ place: [UInt8]) throws(Failure) {
    if Self.rename(name, source, destination) { return }
    guard errno == EXDEV else { throw Failure.local("put in place", place) }
    try copyAcross(name, from: source, into: destination, place)
  }

  private static func rename(_ name: [UInt8], _ source: Int32, _ destination: Int32) -> Bool {
    name.withCString { renameat(source, $0, destination, $0) } == 0
  }

  // MARK: Another file system

  /// A copy beside the destination first, written to disk: what has the output's name is whole at any time.
  private func copyAcross(_ name: [UInt8], from source: Int32, into destination: Int32, _ place: [UInt8])
    throws(Failure)
  {
    _ = copies.withCString { mkdirat(destination, $0, 0o700) }
    let beside = try Extraction.enter(destination, copies, place)
    defer {
      try? Extraction.empty(beside, place)
      _ = close(beside)
      _ = copies.withCString { unlinkat(destination, $0, AT_REMOVEDIR) }
    }
    try Extraction.empty(beside, place)
    try copy(name, from: source, to: beside, place)
    guard Self.rename(name, beside, destination) else { throw Failure.local("put in place", place) }
    _ = fsync(destination)
    try Extraction.remove(name, in: source, place)
  }

  private func copy(_ name: [UInt8], from source: Int32, to destination: Int32, _ place: [UInt8]) throws(Failure) {
    guard let status = Extraction.status(source, name) else { throw Failure.local("read", place) }
    switch status.format {
    case S_IFDIR: try copyFolder(name, status, from: source, to: destination, place)
    case S_IFLNK: try copyLink(name, from: source, to: destination, place)
    default: try copyFile(name, status, from: source, to: destination, place)
    }
  }

  private func copyFolder(
    _ name: [UInt8], _ status: FileStatus, from source: Int32, to destination: Int32, _ place: [UInt8]
  ) throws(Failure) {
    guard name.withCString({ mkdirat(destination, $0, mode_t(status.permissions)) }) == 0 else {
      throw Failure.local("make the folder", place)
    }
    let (from, to) = (
      try Extraction.enter(source, name, place), try Extraction.enter(destination, name, place)
    )
    defer { _ = (close(from), close(to)) }
    for inner in try Extraction.names(in: from, place) {
      try copy(inner, from: from, to: to, place + [Path.slash] + inner)
    }
    _ = fsync(to)
  }

  private func copyLink(_ name: [UInt8], from source: Int32, to destination: Int32, _ place: [UInt8]) throws(Failure) {
    var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = name.withCString { name in
      target.withUnsafeMutableBytes {
        readlinkat(source, name, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
      }
    }
    guard count >= 0 else { throw Failure.local("read", place) }
    let code = Array(target.prefix(count)).withCString { target in
      name.withCString { symlinkat(target, destination, $0) }
    }
    guard code == 0 else { throw Failure.local("make the link", place) }
  }

  private func copyFile(
    _ name: [UInt8], _ status: FileStatus, from source: Int32, to destination: Int32, _ place: [UInt8]
  ) throws(Failure) {
    let input = name.withCString { openat(source, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) }
    guard input >= 0 else { throw Failure.local("open", place) }
    defer { _ = close(input) }
    let output = name.withCString {
      openat(destination, $0, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(status.permissions))
    }
    guard output >= 0 else { throw Failure.local("create", place) }
    defer { _ = close(output) }
    let digest = try read(input, place) { bytes throws(Failure) in try Extraction.write(bytes, to: output, place) }
    let time = timespec(tv_sec: status.modified, tv_nsec: 0)
    futimens(output, [time, time])
    guard fsync(output) == 0, lseek(output, 0, SEEK_SET) == 0 else { throw Failure.local("write to", place) }
    guard try read(output, place, { _ in }) == digest else {
      throw Failure(kind: .local, message: "\(place.shown) reads otherwise than it was written")
    }
  }

  /// - Returns: the sha256 of all that was read.
  private func read(_ input: Int32, _ place: [UInt8], _ take: (ArraySlice<UInt8>) throws(Failure) -> Void)
    throws(Failure) -> [UInt8]
  {
    var digest = FileDigest()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = systemRead(input, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure.local("read", place) }
      if count == 0 { return digest.hexadecimal() }
      digest.update(buffer[..<count])
      try take(buffer[..<count])
    }
  }
}

private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  read(descriptor, buffer, count)
}
