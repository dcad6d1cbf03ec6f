import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// How a child process ended, and all that it wrote.
package struct Ended: Sendable {
  /// The exit code; 128 + n when signal n killed it.
  package var code: Int32
  package var stdout: Data
  package var stderr: Data
  /// From its start to its end.
  package var seconds: Double

  /// stdout as text, with replacement characters where it is not UTF-8.
  package var out: String { String(decoding: stdout, as: UTF8.self) }
  /// stderr as text.
  package var err: String { String(decoding: stderr, as: UTF8.self) }
  /// stdout as one JSON document.
  package var json: JSONTree { JSONTree(stdout) }
  /// stdout as NDJSON.
  package var events: [JSONTree] { out.split(separator: "\n").map { JSONTree(Data($0.utf8)) } }
}

/// A process that a test started: its output goes to files, so that no pipe has to be emptied.
///
/// Made with posix_spawn: `Foundation.Process` hangs beside sshd.
package final class ChildProcess: Sendable {
  package let pid: pid_t
  private let outPath: String
  private let errPath: String
  private let start = ContinuousClock.now
  private let ending = Mutex<Int32?>(nil)

  /// - Parameter stem: path of the output files, without `.out` and `.err`.
  package init(_ program: String, _ arguments: [String], environment: [String: String], folder: String, stem: String)
    throws
  {
    (outPath, errPath) = (stem + ".out", stem + ".err")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outPath, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errPath, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
    for descriptor in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, descriptor) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    Self.defaultSignals(&attributes)
    var words: [UnsafeMutablePointer<CChar>?] =
      (Self.inFolder + [folder, program] + arguments).map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { for text in words + variables { free(text) } }
    var pid: pid_t = 0
    let problem = posix_spawn(&pid, "/bin/sh", &actions, &attributes, &words, &variables)
    guard problem == 0 else { throw Unmet("\(program) cannot be started: \(String(cString: strerror(problem)))") }
    self.pid = pid
  }

  /// posix_spawn has no portable way to change the folder; a shell does it, and becomes the program under the same pid.
  private static let inFolder = ["sh", "-c", #"cd "$1" && shift && exec "$@""#, "sh"]

  /// The runner of the tests may ignore signals; a child must not inherit that.
  private static func defaultSignals(_ attributes: inout posix_spawnattr_t) {
    var all = sigset_t()
    var none = sigset_t()
    sigemptyset(&all)
    sigemptyset(&none)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGCHLD] { sigaddset(&all, number) }
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
  }

  /// What it has written to stdout so far.
  package var stdout: Data { FileManager.default.contents(atPath: outPath) ?? Data() }
  /// What it has written to stderr so far.
  package var stderr: Data { FileManager.default.contents(atPath: errPath) ?? Data() }
  package var err: String { String(decoding: stderr, as: UTF8.self) }

  /// True while it has not ended.
  package var isRunning: Bool { reap() == nil }
  /// As ``Ended/code``; nil while it runs.
  package var code: Int32? { reap() }

  package func signal(_ number: Int32) {
    guard isRunning else { return }
    kill(pid, number)
  }

  /// Waits for its end.
  ///
  /// - Throws: ``Unmet`` with what it wrote when it still runs after `seconds`.
  package func end(within seconds: Double = 60) async throws -> Ended {
    let code = try await eventually("process \(pid) ends", within: seconds, else: { self.err }) { self.reap() }
    return Ended(code: code, stdout: stdout, stderr: stderr, seconds: (ContinuousClock.now - start) / .seconds(1))
  }

  /// Waits until stderr has `text`.
  package func says(_ text: String, within seconds: Double = 60) async throws {
    try await eventually("stderr says \(text)", within: seconds, else: { self.err }) {
      if self.err.contains(text) { return true }
      if !self.isRunning { throw Unmet("the process ended without saying \(text):\n\(self.err)") }
      return nil
    }
  }

  /// SIGKILL, and the end of it.
  package func destroy() async {
    while reap() == nil {
      kill(pid, SIGKILL)
      try? await Task.sleep(for: .milliseconds(5))
    }
  }

  private func reap() -> Int32? {
    ending.withLock { code in
      if let code { return code }
      var status: Int32 = 0
      guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
      let signal = status & 0x7f
      code = signal == 0 ? (status >> 8) & 0xff : 128 + signal
      return code
    }
  }
}
