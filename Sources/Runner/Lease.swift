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
  package init?(folder: String) {
    descriptor = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
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

  /// Whether some process drives the job at this moment.
  package static func isHeld(folder: String) -> Bool {
    let file = open(folder + "/lock", O_RDWR | O_CLOEXEC)
    guard file >= 0 else { return false }
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
