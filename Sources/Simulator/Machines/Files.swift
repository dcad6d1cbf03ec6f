#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The few things the simulator does with files. Each throws ``SimulatorFailure`` with the path and the reason.
enum Files {
  static func makeFolder(_ path: String, mode: mode_t) throws(SimulatorFailure) {
    if mkdir(path, mode) != 0, errno != EEXIST {
      throw SimulatorFailure("cannot make the folder \(path): \(Spawn.errorText(errno))")
    }
  }

  /// Writes a file whole or not at all.
  static func write(_ text: String, to path: String, mode: mode_t) throws(SimulatorFailure) {
    let draft = path + ".new"
    unlink(draft)
    let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard file >= 0 else { throw SimulatorFailure("cannot write \(path): \(Spawn.errorText(errno))") }
    let written = writeAll(Array(text.utf8), to: file)
    let code = errno
    close(file)
    guard written, rename(draft, path) == 0 else {
      throw SimulatorFailure("cannot write \(path): \(Spawn.errorText(written ? errno : code))")
    }
  }

  private static func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { systemWrite(file, $0.baseAddress, $0.count) }
      if count < 0, errno != EINTR { return false }
      rest = rest.dropFirst(max(count, 0))
    }
    return true
  }

  static func read(_ path: String) -> String? {
    ProcessTable.bytes(of: path).map { String(decoding: $0, as: UTF8.self) }
  }

  static func remove(_ path: String) {
    try? FileManager.default.removeItem(atPath: path)
  }

  static func names(in folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
  }

  /// The absolute path without symbolic links, which is what the kernel shows of a working folder.
  static func real(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// `text` as one word of sh.
  static func shellWord(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
  }
}

private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(file, bytes, count)
}
