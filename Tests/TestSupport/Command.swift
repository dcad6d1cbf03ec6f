import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One run of a program of ours, from start to exit, with nothing of our own environment but what it is given.
///
/// posix_spawn(3), because Foundation's Process keeps a thread of its own in wait4(2).
package struct Command: Sendable {
  package var status: Int32
  package var stdout: String
  package var stderr: String

  /// Runs the built product `name` to its end. Blocks; call it from a thread that may be blocked.
  package init(_ name: String, _ arguments: [String], environment: [String: String] = [:]) throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let out = folder.path + "/stdout"
    let err = folder.path + "/stderr"
    let product = try Self.products().appendingPathComponent(name).path
    let pid = try Self.spawn([product] + arguments, environment: environment, out: out, err: err)
    status = Self.wait(pid)
    stdout = try String(contentsOfFile: out, encoding: .utf8)
    stderr = try String(contentsOfFile: err, encoding: .utf8)
  }

  /// Where the build put the programs: beside the test bundle.
  private static func products() throws -> URL {
    #if canImport(Darwin)
      return Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }!.bundleURL.deletingLastPathComponent()
    #else
      let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      return URL(fileURLWithPath: own).deletingLastPathComponent()
    #endif
  }

  private static func spawn(
    _ arguments: [String], environment: [String: String], out: String, err: String
  ) throws -> pid_t {
    #if canImport(Darwin)
      var actions: posix_spawn_file_actions_t?
    #else
      var actions = posix_spawn_file_actions_t()
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT, 0o600)
    let argv = arguments.map { strdup($0) } + [nil]
    let envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, arguments[0], &actions, nil, argv, envp)
    guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO) }
    return pid
  }

  /// The exit code, or 128 and the signal.
  private static func wait(_ pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
  }
}

/// A folder of a test's own.
package struct TemporaryFolder: Sendable {
  package let path: String

  package init() throws {
    path = NSTemporaryDirectory() + "fcrun-test-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  package func remove() {
    try? FileManager.default.removeItem(atPath: path)
  }
}
