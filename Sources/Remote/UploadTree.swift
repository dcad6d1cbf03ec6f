#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What an upload will send: every folder, file and link below its sources, in the order of sending.
package struct UploadTree: Sendable, Equatable {
  package struct Entry: Sendable, Equatable {
    /// Relative to the workdir, any bytes.
    package var path: [UInt8]
    package var local: [UInt8]
    package var kind: TarWriter.Kind
    /// Permission bits.
    package var mode: UInt16
    /// Seconds since 1970.
    package var modified: Int
  }

  package var entries: [Entry] = []
  package var fileCount = 0
  package var totalBytes = 0

  package init() {}

  /// Walks the sources; reads ignore files, no content.
  /// - Throws: ``Failure`` `local` naming what cannot be sent: missing, unreadable, a link that leads outside, a socket, a FIFO, a device;
  ///   `badRequest` for a destination outside the workdir.
  package static func scan(_ sources: [Upload.Source]) throws(Failure) -> UploadTree {
    var tree = UploadTree()
    for source in sources {
      guard let destination = Path.components(source.destination.utf8) else {
        throw Failure(
          kind: .badRequest,
          message:
            "files: the destination \(source.destination) leads out of the workdir; expected a relative path without .."
        )
      }
      try tree.add(source, at: destination)
    }
    return tree
  }

  private mutating func add(_ source: Upload.Source, at destination: [[UInt8]]) throws(Failure) {
    // The source itself may be a link: the user named it, so it stands for what it leads to.
    let local = Array(source.source.utf8)
    let status = try Self.status(of: local, follow: true)
    if status.isFolder {
      let rules = [Scope(depth: 0, rules: IgnoreRules(lines: source.exclude.map { Array($0.utf8) }))]
      if !destination.isEmpty { append(status, path: destination, local: local, kind: .folder) }
      try walk(local, below: [], at: destination, scopes: source.isWhole == true ? nil : [], extra: rules)
    } else {
      let name = destination.isEmpty ? [local.split(separator: Path.slash).last.map(Array.init) ?? []] : destination
      try append(checked: status, path: name, local: local, below: [])
    }
  }

  /// Rules and the number of components their folder lies below the source.
  private struct Scope {
    var depth: Int
    var rules: IgnoreRules
  }

  /// - Parameter scopes: nil: no file of rules is looked for.
  private mutating func walk(
    _ folder: [UInt8], below: [[UInt8]], at destination: [[UInt8]], scopes: [Scope]?, extra: [Scope]
  ) throws(Failure) {
    var scopes = scopes
    for file in scopes == nil ? [] : [".gitignore", ".fcrunignore"] {
      let path = folder + [Path.slash] + Array(file.utf8)
      guard let text = try Self.textIfThere(path) else { continue }
      scopes?.append(Scope(depth: below.count, rules: IgnoreRules(text)))
    }
    for name in try Self.names(in: folder) {
      let place = below + [name]
      let local = folder + [Path.slash] + name
      let status = try Self.status(of: local, follow: false)
      if let scopes, name == Array(".git".utf8) || Self.isIgnored(place, status.isFolder, scopes + extra) { continue }
      if status.isFolder {
        append(status, path: destination + place, local: local, kind: .folder)
        try walk(local, below: place, at: destination, scopes: scopes, extra: extra)
      } else {
        try append(checked: status, path: destination + place, local: local, below: place)
      }
    }
  }

  /// The last word counts: deeper files over shallower ones, the spec's own patterns over all.
  private static func isIgnored(_ place: [[UInt8]], _ isFolder: Bool, _ scopes: [Scope]) -> Bool {
    for scope in scopes.reversed() {
      if let verdict = scope.rules.verdict(for: place[scope.depth...], isFolder: isFolder) {
        return verdict == .ignored
      }
    }
    return false
  }

  private mutating func append(checked status: FileStatus, path: [[UInt8]], local: [UInt8], below: [[UInt8]])
    throws(Failure)
  {
    switch status.format {
    case S_IFREG:
      append(status, path: path, local: local, kind: .file(size: status.size))
      fileCount += 1
      totalBytes += status.size
    case S_IFLNK:
      let target = try Self.target(of: local)
      guard !below.isEmpty, Path.staysInside(link: below, target: target) else {
        throw Failure(
          kind: .local,
          message: "\(local.shown) is a symbolic link to \(target.shown), which leads out of the folder that is sent; "
            + "put it into .fcrunignore or make it a relative link to a place inside")
      }
      append(status, path: path, local: local, kind: .link(target: target))
    default:
      throw Failure(
        kind: .local,
        message: "\(local.shown) is \(status.name) and cannot be sent; put it into .fcrunignore or remove it")
    }
  }

  private mutating func append(_ status: FileStatus, path: [[UInt8]], local: [UInt8], kind: TarWriter.Kind) {
    entries.append(
      Entry(path: Path.joined(path), local: local, kind: kind, mode: status.permissions, modified: status.modified))
  }

  private static func status(of path: [UInt8], follow: Bool) throws(Failure) -> FileStatus {
    guard let status = FileStatus(path, follow: follow) else { throw Failure.local("look at", path) }
    return status
  }

  private static func names(in folder: [UInt8]) throws(Failure) -> [[UInt8]] {
    let stream = folder.withCString { opendir($0) }
    guard let stream else { throw Failure.local("open the folder", folder) }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw Failure.local("list the folder", folder) }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
  }

  private static func target(of link: [UInt8]) throws(Failure) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 4097)
    let count = link.withCString { path in
      buffer.withUnsafeMutableBytes { bytes in
        bytes.withMemoryRebound(to: CChar.self) { $0.baseAddress.map { start in readlink(path, start, 4097) } ?? -1 }
      }
    }
    guard count >= 0 else { throw Failure.local("read the link", link) }
    return Array(buffer.prefix(count))
  }

  private static func textIfThere(_ path: [UInt8]) throws(Failure) -> [UInt8]? {
    guard let status = FileStatus(path, follow: true), status.format == S_IFREG else { return nil }
    let file = try LocalFile(reading: path)
    defer { file.close() }
    return try file.readAll()
  }
}

/// stat(2), as far as uploads look at it.
package struct FileStatus: Sendable, Equatable {
  package var format: mode_t
  package var permissions: UInt16
  package var size: Int
  package var modified: Int
  package var modifiedNanoseconds: Int

  init(_ status: stat) {
    format = status.st_mode & S_IFMT
    permissions = UInt16(truncatingIfNeeded: status.st_mode & 0o777)
    size = Int(status.st_size)
    #if canImport(Glibc)
      modified = status.st_mtim.tv_sec
      modifiedNanoseconds = status.st_mtim.tv_nsec
    #else
      modified = status.st_mtimespec.tv_sec
      modifiedNanoseconds = status.st_mtimespec.tv_nsec
    #endif
  }

  /// nil, and errno, when there is nothing to look at.
  init?(_ path: [UInt8], follow: Bool) {
    var status = stat()
    guard path.withCString({ follow ? stat($0, &status) : lstat($0, &status) }) == 0 else { return nil }
    self.init(status)
  }

  var isFolder: Bool { format == S_IFDIR }

  var name: String {
    switch format {
    case S_IFSOCK: "a socket"
    case S_IFIFO: "a FIFO"
    case S_IFBLK, S_IFCHR: "a device"
    default: "no file"
    }
  }
}

extension Failure {
  /// `cannot VERB PATH: why errno says`.
  package static func local(_ verb: String, _ path: [UInt8], _ code: Int32 = errno) -> Failure {
    Failure(kind: .local, message: "cannot \(verb) \(path.shown): \(String(cString: strerror(code)))")
  }
}

extension [UInt8] {
  package func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (self + [0]).withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { preconditionFailure("there is at least the NUL") }
      return body(start.assumingMemoryBound(to: CChar.self))
    }
  }
}
