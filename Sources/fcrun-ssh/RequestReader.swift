import Remote
import SSH

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Reads stdin on a thread of its own, so that its end ends the process even while libssh2 spins on what a hostile server sent
/// (CVE-2026-55199: no time-out of a session applies).
enum RequestReader {
  /// A longer line is no request.
  static let longestLine = 64 << 20

  static func start(_ worker: Worker) {
    let context = Unmanaged.passRetained(worker)
    #if canImport(Glibc)
      var thread = pthread_t()
    #else
      var thread: pthread_t?
    #endif
    let code = pthread_create(
      &thread, nil,
      { context in
        #if canImport(Glibc)
          guard let context else { return nil }
        #endif
        RequestReader.run(Unmanaged<Worker>.fromOpaque(context).takeRetainedValue())
      }, context.toOpaque())
    precondition(code == 0, "the thread that reads requests")
  }

  private static func run(_ worker: Worker) -> Never {
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let count = read(0, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      // Whoever asked is gone, and with it every reason to go on.
      guard count > 0 else { _exit(0) }
      for part in buffer[..<count].split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
        if part.offset > 0 { deliver(&line, to: worker) }
        line += part.element
      }
      if line.count > longestLine { _exit(64) }
    }
  }

  private static func deliver(_ line: inout [UInt8], to worker: Worker) {
    let request = line
    line = []
    Task { @SSHLoop in worker.receive(request) }
  }
}
