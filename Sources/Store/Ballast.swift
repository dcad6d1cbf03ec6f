import GRDB

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Room on the disk that is kept for the commits of jobs that have a machine: a file that is removed when they need it.
///
/// A disk that others fill while a job runs would else hide from every later process how the job ended.
struct Ballast {
  private let path: String

  /// Some thirty commits.
  private static let size = 1 << 20

  /// Makes it where it is missing and there is room.
  init(home: String) {
    path = home + "/ballast"
    if !isThere { make() }
  }

  var isThere: Bool {
    var status = stat()
    return stat(path, &status) == 0 && Int(status.st_size) == Self.size
  }

  /// Why no job is begun without it.
  var absence: String {
    "\(path) cannot be made: the disk is full, or cannot be written; make \(Self.size >> 20) MiB of room, or set FCRUN_HOME"
  }

  /// True when there is more room now.
  func giveUp() -> Bool { unlink(path) == 0 }

  /// SQLITE_FULL, and SQLITE_IOERR where the file of shared memory could not grow: https://www.sqlite.org/rescode.html
  static func wouldHelp(against error: any Error) -> Bool {
    guard let code = (error as? DatabaseError)?.resultCode else { return false }
    return code == .SQLITE_FULL || code == .SQLITE_IOERR
  }

  /// Written, not reserved: a file with a hole in it would keep no room. Under another name until it is whole.
  private func make() {
    let draft = "\(path).\(getpid())"
    let file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { return }
    // Not zeros: file systems that compress would keep no room for them.
    var dice = SystemRandomNumberGenerator()
    let noise = (0..<Self.size / 8).map { _ in dice.next() }
    let count = noise.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    close(file)
    if count != Self.size || rename(draft, path) != 0 { unlink(draft) }
  }
}
