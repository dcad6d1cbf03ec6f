#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A child process, started with `posix_spawn(3)`.
///
/// swift-subprocess is bound to the scope that starts a process and fills its read buffers before it hands them on; a
/// worker outlives scopes and is waited for line by line, a detached driver outlives even this process.
package struct Spawn: Sendable {
  package var executable: String
  package var arguments: [String] = []
  /// nil: this process' own.
  package var environment: [String]?
  package var stdin = Standard.null
  package var stdout = Standard.null
  package var stderr = Standard.null
  /// What the child gets as its descriptors 3, 4, …; each above those numbers here.
  package var passed: [Int32] = []
  /// A session of its own: survives the terminal and the process group of this one.
  package var isDetached = false

  package enum Standard: Sendable, Equatable {
    case null
    case inherited
    case descriptor(Int32)
    case appended(to: String)
  }

  package struct NotStarted: Error, CustomStringConvertible {
    package var executable: String
    package var code: Int32
    package var description: String { "\(executable) could not be started: \(String(cString: strerror(code)))" }
  }

  package init(_ executable: String, _ arguments: [String] = []) {
    self.executable = executable
    self.arguments = arguments
  }

  /// Starts it; the caller owns the process id, and waits for it or leaves it to init.
  /// - Throws: ``NotStarted``
  package func start() throws(NotStarted) -> pid_t {
    Self.keepDescriptorsFromChildren()
    #if canImport(Darwin)
      var actions: posix_spawn_file_actions_t?
      var attributes: posix_spawnattr_t?
    #else
      var actions = posix_spawn_file_actions_t()
      var attributes = posix_spawnattr_t()
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (number, standard) in [stdin, stdout, stderr].enumerated() { add(standard, as: Int32(number), &actions) }
    for (number, descriptor) in passed.enumerated() { add(.descriptor(descriptor), as: Int32(3 + number), &actions) }
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    setSignals(&attributes)
    var pid: pid_t = 0
    let code = spawn(&pid, &actions, &attributes)
    guard code == 0 else { throw NotStarted(executable: executable, code: code) }
    return pid
  }

  #if canImport(Darwin)
    private typealias Actions = posix_spawn_file_actions_t?
    private typealias Attributes = posix_spawnattr_t?
    private static let newSession = Int16(POSIX_SPAWN_SETSID)
  #else
    private typealias Actions = posix_spawn_file_actions_t
    private typealias Attributes = posix_spawnattr_t
    // POSIX_SPAWN_SETSID of <spawn.h>: behind _GNU_SOURCE, and so not in the Glibc module.
    private static let newSession: Int16 = 0x80
  #endif

  private func spawn(_ pid: inout pid_t, _ actions: inout Actions, _ attributes: inout Attributes) -> Int32 {
    var words: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    guard let environment else { return posix_spawn(&pid, executable, &actions, &attributes, &words, environ) }
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for variable in variables { free(variable) } }
    return posix_spawn(&pid, executable, &actions, &attributes, &words, &variables)
  }

  private func add(_ standard: Standard, as number: Int32, _ actions: inout Actions) {
    switch standard {
    case .null: posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
    case .inherited: break
    case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor, number)
    case .appended(let path):
      posix_spawn_file_actions_addopen(&actions, number, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    }
  }

  /// No signal ignored that this process ignores.
  private func setSignals(_ attributes: inout Attributes) {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&signals, signal) }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF) | (isDetached ? Self.newSession : 0))
  }

  /// Libraries open descriptors too: none of a job's locks or sockets may live on in a child.
  private static func keepDescriptorsFromChildren() {
    for descriptor in Int32(3)..<256 {
      let flags = fcntl(descriptor, F_GETFD)
      if flags >= 0, flags & FD_CLOEXEC == 0 { _ = fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC) }
    }
  }
}

/// Both ends of a pipe that no child inherits unasked.
struct Pipe {
  let read: Int32
  let write: Int32

  init?() {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return nil }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    (read, write) = (ends[0], ends[1])
  }
}
