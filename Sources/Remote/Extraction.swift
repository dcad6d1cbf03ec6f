#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A local folder that files from a possibly hostile machine are put into: every step of a path is opened relative to the folder above it and
/// never through a symbolic link, every file is created anew. What is complete is then renamed to its place.
package final class Extraction {
  private let top: Int32
  private let partial: [UInt8]
  private var parent: (path: [[UInt8]], descriptor: Int32)?

  /// Where parts of large files wait to be whole. They stay when the rest fails, for the next attempt.
  package static let parts = Array(".fcrun-parts".utf8)

  /// Makes `partial` if need be, and empties it but for ``parts``.
  /// - Throws: ``Failure`` `local`.
  package init(partial: String) throws(Failure) {
    self.partial = Array(partial.utf8)
    try Self.makeFolders(self.partial)
    top = try Self.openFolder(self.partial)
    try Self.empty(top, self.partial, but: Self.parts)
  }

  package func close() {
    if let parent { _ = systemClose(parent.descriptor) }
    parent = nil
    _ = systemClose(top)
  }

  // MARK: Filling

  package func makeFolder(_ path: [[UInt8]], mode: UInt16) throws(Failure) {
    guard let name = path.last else { return }
    let folder = try folder(path.dropLast())
    let code = name.withCString { mkdirat(folder, $0, mode_t(mode | 0o700)) }
    guard code == 0 || errno == EEXIST else { throw Failure.local("make the folder", shown(path)) }
  }

  /// Creates a file; it must not exist.
  /// - Returns: its descriptor, to be closed by ``finish(_:modified:_:)``.
  package func createFile(_ path: [[UInt8]], mode: UInt16) throws(Failure) -> Int32 {
    guard let name = path.last else { throw Failure(kind: .remote, message: "a file without a name") }
    let folder = try folder(path.dropLast())
    let descriptor = name.withCString {
      openat(folder, $0, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode_t(mode | 0o600))
    }
    guard descriptor >= 0 else { throw Failure.local("create", shown(path)) }
    return descriptor
  }

  package func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, _ path: [[UInt8]]) throws(Failure) {
    try Self.write(bytes, to: descriptor, shown(path))
  }

  static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, _ path: [UInt8]) throws(Failure) {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Failure.local("write to", path) }
      rest = rest.dropFirst(count)
    }
  }

  package func finish(_ descriptor: Int32, modified: Int, _ path: [[UInt8]]) throws(Failure) {
    let time = timespec(tv_sec: modified, tv_nsec: 0)
    let times = [time, time]
    futimens(descriptor, times)
    guard systemClose(descriptor) == 0 else { throw Failure.local("write to", shown(path)) }
  }

  package func makeLink(_ path: [[UInt8]], target: [UInt8]) throws(Failure) {
    guard let name = path.last else { return }
    let folder = try folder(path.dropLast())
    let code = target.withCString { target in name.withCString { symlinkat(target, folder, $0) } }
    guard code == 0 else { throw Failure.local("make the link", shown(path)) }
  }

  /// Copies a file that is already here.
  package func copy(_ source: [[UInt8]], to path: [[UInt8]], mode: UInt16) throws(Failure) {
    guard let name = source.last else { return }
    let folder = try folder(source.dropLast())
    let input = name.withCString { openat(folder, $0, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) }
    guard input >= 0 else { throw Failure.local("open", shown(source)) }
    defer { _ = systemClose(input) }
    let output = try createFile(path, mode: mode)
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = systemRead(input, &buffer, buffer.count)
      if count == 0 { break }
      guard count > 0 else { throw Failure.local("read", shown(source)) }
      try write(buffer[..<count], to: output, path)
    }
    try finish(output, modified: 0, path)
  }

  /// The folder at `path`, made when missing; the last one stays open, files of one folder come together.
  private func folder(_ path: ArraySlice<[UInt8]>) throws(Failure) -> Int32 {
    if path.isEmpty { return top }
    if let parent, parent.path.elementsEqual(path) { return parent.descriptor }
    var current = top
    for (index, name) in path.enumerated() {
      _ = name.withCString { mkdirat(current, $0, 0o777) }
      let next = name.withCString { openat(current, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
      let code = errno
      if current != top { _ = systemClose(current) }
      guard next >= 0 else { throw Failure.local("enter", shown(Array(path.prefix(index + 1))), code) }
      current = next
    }
    if let parent { _ = systemClose(parent.descriptor) }
    parent = (Array(path), current)
    return current
  }

  private func shown(_ path: [[UInt8]]) -> [UInt8] { partial + [Path.slash] + Path.joined(path) }

  // MARK: Parts

  /// The part of that name, made or as an earlier attempt left it, with room for `size` bytes.
  package func openPart(_ name: [UInt8], size: Int) throws(Failure) -> Int32 {
    let path = partial + [Path.slash] + Self.parts
    _ = Self.parts.withCString { mkdirat(top, $0, 0o700) }
    let folder = try Self.enter(top, Self.parts, path)
    defer { _ = systemClose(folder) }
    let descriptor = name.withCString { openat(folder, $0, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600) }
    guard descriptor >= 0 else { throw Failure.local("create", path + [Path.slash] + name) }
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      throw Failure.local("make room for", path + [Path.slash] + name)
    }
    return descriptor
  }

  /// Gives a part that is whole its place among the other files.
  package func place(part name: [UInt8], at path: [[UInt8]], mode: UInt16, modified: Int) throws(Failure) {
    guard let last = path.last else { throw Failure(kind: .remote, message: "a file without a name") }
    let folder = try folder(path.dropLast())
    guard Self.status(folder, last) == nil else {
      throw Failure(kind: .remote, message: "the machine sends \(shown(path).shown) twice")
    }
    let parts = try Self.enter(top, Self.parts, shown([Self.parts]))
    defer { _ = systemClose(parts) }
    let times = [timespec(tv_sec: modified, tv_nsec: 0), timespec(tv_sec: modified, tv_nsec: 0)]
    let isDone = name.withCString { name in
      fchmodat(parts, name, mode_t(mode | 0o600), 0) == 0 && utimensat(parts, name, times, 0) == 0
        && last.withCString { renameat(parts, name, folder, $0) } == 0
    }
    if !isDone { throw Failure.local("put in place", shown(path)) }
  }

  private func removeParts() throws(Failure) {
    guard Self.status(top, Self.parts) != nil else { return }
    let path = shown([Self.parts])
    let folder = try Self.enter(top, Self.parts, path)
    defer { _ = systemClose(folder) }
    try Self.empty(folder, path)
    _ = Self.parts.withCString { unlinkat(top, $0, AT_REMOVEDIR) }
  }

  // MARK: Publishing

  /// Renames everything into `root`, also where that leads to another file system: files replace files, folders are merged.
  /// Afterwards the partial folder is gone, or holds only what could not be put in place.
  /// - Parameter isLeftInCache: nothing waits for the disk, but for what is copied to another file system.
  /// - Throws: ``Failure`` `local` that names what stays, after all the rest is in place: something of another kind is in the
  ///   way, or the folder cannot be written.
  package func publish(into root: String, isLeftInCache: Bool = false) throws(Failure) {
    let root = Array(root.utf8)
    try removeParts()
    // Nothing to put in place: no folder for it, and no waiting for the disk.
    guard try !Self.names(in: top, partial).isEmpty else {
      _ = partial.withCString { rmdir($0) }
      return
    }
    try Self.makeFolders(root)
    let destination = try Self.openFolder(root)
    defer { _ = systemClose(destination) }
    // On disk before it is in place: the machine, and with it the only other copy, is given back right afterwards. One sync(2) instead of
    // an fsync(2) for each of many small files.
    if !isLeftInCache { sync() }
    var publication = Publication(partial: partial)
    publication.merge(top, into: destination, [], root)
    if !isLeftInCache { _ = fsync(destination) }
    try Self.check(publication.problems)
    _ = partial.withCString { rmdir($0) }
  }

  private static let mostProblemsTold = 10

  private static func check(_ problems: [Failure]) throws(Failure) {
    guard !problems.isEmpty else { return }
    let more = problems.count - mostProblemsTold
    let told = problems.prefix(mostProblemsTold).map(\.message).joined(separator: "; ")
    throw Failure(
      kind: .local,
      message: told + (more > 0 ? "; and \(more) more" : "")
        + "; make room and move it there yourself (all other outputs are in place)")
  }

  // MARK: Folders by descriptor

  static func enter(_ folder: Int32, _ name: [UInt8], _ path: [UInt8]) throws(Failure) -> Int32 {
    let next = name.withCString { openat(folder, $0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
    guard next >= 0 else { throw Failure.local("enter", path) }
    return next
  }

  static func status(_ folder: Int32, _ name: [UInt8]) -> FileStatus? {
    var status = stat()
    guard name.withCString({ fstatat(folder, $0, &status, AT_SYMLINK_NOFOLLOW) }) == 0 else { return nil }
    return FileStatus(status)
  }

  static func names(in folder: Int32, _ path: [UInt8]) throws(Failure) -> [[UInt8]] {
    // A descriptor of its own: fdopendir(3) takes it over.
    let own = ".".withCString { openat(folder, $0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard own >= 0, let stream = fdopendir(own) else { throw Failure.local("list", path) }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
    }
    return names
  }

  static func empty(_ folder: Int32, _ path: [UInt8], but kept: [UInt8]? = nil) throws(Failure) {
    for name in try names(in: folder, path) where name != kept {
      try remove(name, in: folder, path + [Path.slash] + name)
    }
  }

  /// With all that is in it.
  static func remove(_ name: [UInt8], in folder: Int32, _ place: [UInt8]) throws(Failure) {
    let isFolder = status(folder, name)?.isFolder ?? false
    if isFolder {
      let inner = try enter(folder, name, place)
      defer { _ = systemClose(inner) }
      try empty(inner, place)
    }
    let code = name.withCString { unlinkat(folder, $0, isFolder ? AT_REMOVEDIR : 0) }
    guard code == 0 else { throw Failure.local("remove", place) }
  }

  private static func openFolder(_ path: [UInt8]) throws(Failure) -> Int32 {
    let descriptor = path.withCString { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw Failure.local("open the folder", path) }
    return descriptor
  }

  private static func makeFolders(_ path: [UInt8]) throws(Failure) {
    var place: [UInt8] = []
    for part in path.split(separator: Path.slash) {
      place += [Path.slash] + part
      let code = place.withCString { mkdir($0, 0o777) }
      guard code == 0 || errno == EEXIST || errno == EISDIR || FileStatus(place, follow: true)?.isFolder == true else {
        throw Failure.local("make the folder", place)
      }
    }
  }
}

private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }

private func systemWrite(_ descriptor: Int32, _ buffer: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, buffer, count)
}

private func systemRead(_ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  read(descriptor, buffer, count)
}
