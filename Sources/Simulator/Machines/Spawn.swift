#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Why the simulator cannot go on: one sentence with the next step.
package struct SimulatorFailure: Error, Sendable, CustomStringConvertible {
  /// The sentence.
  package var description: String

  init(_ description: String) { self.description = description }
}

/// Starts programs without Foundation.Process, whose manager thread hangs beside a live sshd.
enum Spawn {
  /// Starts a program in a session of its own. It inherits no descriptor but the three named here, no signal setting and no variable but these.
  /// Throws ``SimulatorFailure``.
  static func start(
    _ path: String, _ arguments: [String], environment: [String], output: String
  ) throws(SimulatorFailure) -> pid_t {
    var actions = FileActions()
    defer { actions.close() }
    actions.open(0, "/dev/null", O_RDONLY)
    actions.open(1, output, O_WRONLY | O_CREAT | O_APPEND)
    actions.duplicate(1, to: 2)
    actions.closeOthers()
    var attributes = Attributes()
    defer { attributes.close() }
    var pid: pid_t = 0
    let code = withCStrings([path] + arguments) { argv in
      withCStrings(environment) { envp in
        posix_spawn(&pid, path, &actions.raw, &attributes.raw, argv, envp)
      }
    }
    guard code == 0 else { throw SimulatorFailure("cannot start \(path): \(errorText(code))") }
    return pid
  }

  /// Runs a short program to its end and tells its exit status. Throws ``SimulatorFailure`` when it cannot start.
  static func run(_ path: String, _ arguments: [String], output: String = "/dev/null") async throws -> Int32 {
    let pid = try start(path, arguments, environment: ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"], output: output)
    while true {
      if let status = reap(pid) { return status }
      try await Task.sleep(for: .milliseconds(2))
    }
  }

  /// The exit status of a child that has ended (128 + n for a signal), taking it off the table; nil while it runs.
  static func reap(_ pid: pid_t) -> Int32? {
    var status: Int32 = 0
    switch waitpid(pid, &status, WNOHANG) {
    case 0: return nil
    case pid: return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    default: return 0  // no child of ours any more: there is nothing to wait for
    }
  }

  static func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }

  /// The first executable of that name in these folders and PATH.
  static func find(_ name: String, folders: [String]) -> String? {
    let path = getenv("PATH").map { String(cString: $0) } ?? ""
    let places = folders + path.split(separator: ":").map(String.init)
    return places.map { "\($0)/\(name)" }.first { $0.hasPrefix("/") && access($0, X_OK) == 0 }
  }
}

private func withCStrings<Result>(
  _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
  let pointers = strings.map { strdup($0) }
  defer { for pointer in pointers { free(pointer) } }
  return body(pointers + [nil])
}

/// What happens to descriptors between fork and exec.
private struct FileActions {
  #if canImport(Darwin)
    var raw: posix_spawn_file_actions_t?
  #else
    var raw = posix_spawn_file_actions_t()
  #endif

  init() { posix_spawn_file_actions_init(&raw) }

  mutating func open(_ descriptor: Int32, _ path: String, _ flags: Int32) {
    posix_spawn_file_actions_addopen(&raw, descriptor, path, flags, 0o600)
  }

  mutating func duplicate(_ from: Int32, to: Int32) {
    posix_spawn_file_actions_adddup2(&raw, from, to)
  }

  /// Every descriptor of ours is close-on-exec; this holds for one that a library forgot, too.
  mutating func closeOthers() {
    #if os(Linux)
      for descriptor in Files.names(in: "/proc/self/fd").compactMap({ Int32($0) }) where descriptor > 2 {
        posix_spawn_file_actions_addclose(&raw, descriptor)
      }
    #endif
  }

  mutating func close() { posix_spawn_file_actions_destroy(&raw) }
}

/// A session of its own, and every signal as at birth.
private struct Attributes {
  #if canImport(Darwin)
    var raw: posix_spawnattr_t?
  #else
    var raw = posix_spawnattr_t()
  #endif

  init() {
    posix_spawnattr_init(&raw)
    var none = sigset_t()
    var all = sigset_t()
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&raw, &none)
    posix_spawnattr_setsigdefault(&raw, &all)
    #if canImport(Darwin)
      let extra = POSIX_SPAWN_SETSID | POSIX_SPAWN_CLOEXEC_DEFAULT
    #else
      // POSIX_SPAWN_SETSID of <spawn.h>, which Swift does not see: it stands behind __USE_GNU.
      let extra = 0x80
    #endif
    posix_spawnattr_setflags(&raw, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(extra))
  }

  mutating func close() { posix_spawnattr_destroy(&raw) }
}
