import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A program on a terminal of its own: it leads a session whose controlling terminal is one end of a pty(7), the test holds the other.
package final class PseudoTerminal: Sendable {
  package let pid: pid_t
  private let master: Int32
  private let shown = Mutex(Data())
  private let ending = Mutex<Int32?>(nil)
  private let isHungUp = Mutex(false)

  /// - Parameters:
  ///   - stdout: a file for stdout instead of the terminal.
  ///   - columns: width of the terminal.
  package init(
    _ program: String, _ arguments: [String], environment: [String: String], folder: String, stdout: String? = nil,
    columns: UInt16 = 80
  ) throws {
    var (master, slave): (Int32, Int32) = (-1, -1)
    var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    var path = [CChar](repeating: 0, count: 256)
    guard openpty(&master, &slave, &path, nil, &size) == 0 else {
      throw Unmet("no terminal: \(String(cString: strerror(errno)))")
    }
    let name = String(decoding: path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // No carriage return before a newline: what is read here is what was written there.
    var mode = termios()
    tcgetattr(slave, &mode)
    mode.c_oflag &= ~tcflag_t(OPOST)
    tcsetattr(slave, TCSANOW, &mode)
    for end in [master, slave] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // The leader of a session without a terminal gets the first one that it opens.
    posix_spawn_file_actions_addopen(&actions, 0, name, O_RDWR, 0)
    if let stdout {
      posix_spawn_file_actions_addopen(&actions, 1, stdout, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    } else {
      posix_spawn_file_actions_adddup2(&actions, 0, 1)
    }
    posix_spawn_file_actions_adddup2(&actions, 0, 2)
    for descriptor in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, descriptor) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    Self.prepare(&attributes)
    var words: [UnsafeMutablePointer<CChar>?] =
      (["sh", "-c", #"cd "$1" && shift && exec "$@""#, "sh", folder, program] + arguments).map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { for text in words + variables { free(text) } }
    var pid: pid_t = 0
    let problem = posix_spawn(&pid, "/bin/sh", &actions, &attributes, &words, &variables)
    close(slave)
    guard problem == 0 else { throw Unmet("\(program) cannot be started: \(String(cString: strerror(problem)))") }
    (self.pid, self.master) = (pid, master)
    listen()
  }

  private static func prepare(_ attributes: inout posix_spawnattr_t) {
    var all = sigset_t()
    var none = sigset_t()
    sigemptyset(&all)
    sigemptyset(&none)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGCHLD] { sigaddset(&all, number) }
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    // POSIX_SPAWN_SETSID of <spawn.h>: behind _GNU_SOURCE, and so not in the Glibc module.
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK) | 0x80)
  }

  private func listen() {
    let thread = Thread { [self] in
      var chunk = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = read(master, &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        shown.withLock { $0.append(contentsOf: chunk.prefix(count)) }
      }
    }
    thread.start()
  }

  /// All that was written to the terminal so far.
  package var output: Data { shown.withLock { $0 } }
  package var text: String { String(decoding: output, as: UTF8.self) }

  /// As if typed; `\u{3}` is Ctrl-C.
  package func type(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { write(master, $0.baseAddress, $0.count) }
  }

  /// The window is closed: the kernel sends SIGHUP to who has the terminal.
  package func hangUp() {
    let isFirst = isHungUp.withLock { isHungUp in
      defer { isHungUp = true }
      return !isHungUp
    }
    if isFirst { close(master) }
  }

  /// Waits until the terminal shows `text`.
  package func shows(_ text: String, within seconds: Double = 30) async throws {
    try await eventually("the terminal shows \(text)", within: seconds, else: { self.text }) {
      if self.text.contains(text) { return true }
      if self.reap() != nil { throw Unmet("the process ended without showing \(text):\n\(self.text)") }
      return nil
    }
  }

  /// Waits for its end; the exit code, 128 + n when signal n killed it.
  package func end(within seconds: Double = 60) async throws -> Int32 {
    let code = try await eventually("process \(pid) ends", within: seconds, else: { self.text }) { self.reap() }
    var last = -1
    // What it wrote last may still be on its way through the pty.
    try await eventually("the terminal is quiet", within: seconds) { () -> Bool? in
      defer { last = self.output.count }
      try await Task.sleep(for: .milliseconds(30))
      return last == self.output.count ? true : nil
    }
    return code
  }

  package func destroy() async {
    while reap() == nil {
      kill(pid, SIGKILL)
      try? await Task.sleep(for: .milliseconds(5))
    }
    hangUp()
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
