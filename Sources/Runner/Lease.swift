#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The right to drive one job, held for the life of the process.
///
/// `flock(2)` on a file of the job's folder: the kernel gives it back when the process dies, so there is no expiry and
/// no false takeover after a sleep. The descriptor is not inherited by any child.
package final class Lease: Sendable {
  private let descriptor: Int32

  /// nil when another process holds it.
  /// - Throws: ``NoLease`` when the file cannot be opened: open(2).
  package init?(folder: String) throws(NoLease) {
    let path = folder + "/lock"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw NoLease(path: path, error: errno) }
    guard Self.lock(descriptor) else {
      close(descriptor)
      return nil
    }
    writeOwner()
  }

  /// Who only looks holds the lock for a moment (``isHeld(folder:)``): that is waited for, an owner is not.
  private static func lock(_ descriptor: Int32) -> Bool {
    for _ in 0..<40 {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
      usleep(5_000)
    }
    return false
  }

  deinit { close(descriptor) }

  /// The process that holds, or last held, a job: for people only, the lock itself is what counts.
  package static func owner(folder: String) -> Int32? {
    let file = open(folder + "/lock", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: 32)
    let count = read(file, &buffer, buffer.count)
    return count > 0 ? Int32(String(decoding: buffer.prefix(count), as: UTF8.self)) : nil
  }

  /// Ends the process that holds the job, with SIGKILL, and waits until the kernel has given the job back.
  ///
  /// A stopped or hung owner is ended like any other. Its workers end when it does; those that were stopped too, as by
  /// Ctrl-Z, are continued, or they would never see that their owner is gone, and would hold the job's logs for ever.
  /// - Returns: false when the owner cannot be found, may not be ended, or does not end within five seconds.
  package static func endOwner(folder: String) -> Bool {
    guard isHeld(folder: folder) else { return true }
    guard let owner = owner(folder: folder), holds(owner, folder + "/lock") else { return !isHeld(folder: folder) }
    let workers = children(of: owner)
    guard kill(owner, SIGKILL) == 0 || errno == ESRCH else { return false }
    for worker in workers { kill(worker, SIGCONT) }
    for _ in 0..<500 where isHeld(folder: folder) { usleep(10_000) }
    return !isHeld(folder: folder)
  }

  /// Empty where there is no /proc.
  private static func children(of process: Int32) -> [Int32] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.compactMap { Int32($0) }.filter { parent(of: $0) == process }
  }

  /// proc_pid_stat(5): the name in brackets may hold anything; after it come the state and the parent.
  private static func parent(of process: Int32) -> Int32? {
    guard let stat = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return nil }
    let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
    return fields.count > 1 ? Int32(fields[1]) : nil
  }

  /// Whether that process has the file open: a number in a file may be another process' by now (proc(5)).
  private static func holds(_ process: Int32, _ path: String) -> Bool {
    #if os(Linux)
      var (wanted, found) = (stat(), stat())
      guard stat(path, &wanted) == 0 else { return false }
      let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? []
      return descriptors.contains { name in
        stat("/proc/\(process)/fd/\(name)", &found) == 0 && found.st_dev == wanted.st_dev
          && found.st_ino == wanted.st_ino
      }
    #else
      return process > 1 && kill(process, 0) == 0
    #endif
  }

  /// Whether some process drives the job at this moment, or may: what cannot be seen is taken for held.
  package static func isHeld(folder: String) -> Bool {
    do { return try look(folder: folder) } catch { return true }
  }

  /// - Throws: ``NoLease`` when that cannot be seen.
  package static func look(folder: String) throws(NoLease) -> Bool {
    let path = folder + "/lock"
    let file = open(path, O_RDONLY | O_CLOEXEC)
    // Only where there is no such file nobody can hold it; every other error says nothing.
    guard file >= 0 else {
      if errno == ENOENT { return false }
      throw NoLease(path: path, error: errno)
    }
    defer { close(file) }
    // Shared: those who look are not in each other's way.
    return flock(file, LOCK_SH | LOCK_NB) != 0
  }

  private func writeOwner() {
    let text = Array("\(getpid())".utf8)
    ftruncate(descriptor, 0)
    _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
  }
}

/// A lease that this process cannot ask for: full disk, too few descriptors, a folder that is gone.
package struct NoLease: Error, CustomStringConvertible {
  let path: String
  let error: Int32

  package var description: String { "\(path) cannot be opened: \(String(cString: strerror(error)))" }
}
