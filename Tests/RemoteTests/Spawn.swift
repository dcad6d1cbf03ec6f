import Foundation

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A child process started with posix_spawn(3): Foundation.Process hangs beside a live sshd.
struct Spawned {
  var pid: pid_t
  /// Our ends of its stdin and stdout.
  var input: Int32
  var output: Int32

  // A pipe made by one test must not be inherited by the child of another: its end would never be seen.
  private static let lock = NSLock()

  struct NotStarted: Error { var path: String, code: Int32 }

  static func start(_ argv: [String], environment: [String: String] = [:], stderrTo log: String = "/dev/null") throws
    -> Spawned
  {
    try lock.withLock {
      var (toChild, fromChild): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
      guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else { throw NotStarted(path: "pipe", code: errno) }
      for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      #if canImport(Glibc)
        var (actions, attributes) = (posix_spawn_file_actions_t(), posix_spawnattr_t())
      #else
        var (actions, attributes): (posix_spawn_file_actions_t?, posix_spawnattr_t?)
      #endif
      // A thread of a pool blocks signals: a shell that inherits that waits for its children for ever.
      var none = sigset_t()
      sigemptyset(&none)
      posix_spawnattr_init(&attributes)
      defer { posix_spawnattr_destroy(&attributes) }
      posix_spawnattr_setsigmask(&attributes, &none)
      posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
      posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
      posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      let words: [UnsafeMutablePointer<CChar>?] = argv.map { strdup($0) } + [nil]
      let names: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") } + [nil]
      defer { for word in words + names { free(word) } }
      var pid: pid_t = 0
      let code = posix_spawn(&pid, argv[0], &actions, &attributes, words, names)
      close(toChild[0])
      close(fromChild[1])
      guard code == 0 else { throw NotStarted(path: argv[0], code: code) }
      return Spawned(pid: pid, input: toChild[1], output: fromChild[0])
    }
  }

  /// Runs to the end and returns the exit status (-n: signal n) with stdout.
  static func run(
    _ argv: [String], input: [UInt8] = [], environment: [String: String] = ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
  ) throws -> (status: Int32, output: [UInt8]) {
    let child = try start(argv, environment: environment)
    let writer = Thread {
      var rest = input[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(child.input, $0.baseAddress, $0.count) }
        if count <= 0 { break }
        rest = rest.dropFirst(count)
      }
      close(child.input)
    }
    writer.start()
    let output = readAll(child.output)
    close(child.output)
    return (child.wait(), output)
  }

  func wait() -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
  }

  private static func readAll(_ descriptor: Int32) -> [UInt8] {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count <= 0 { return all }
      all += buffer[..<count]
    }
  }
}

/// A folder that is gone when the test is over.
final class TemporaryFolder: @unchecked Sendable {
  // Safe: the path never changes.
  let path: String

  init() throws {
    var template = Array("/tmp/fcrun-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Spawned.NotStarted(path: "mkdtemp", code: errno) }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func folder(_ name: String) throws -> String {
    let path = "\(path)/\(name)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  @discardableResult
  func file(_ name: String, _ content: [UInt8] = [], mode: Int = 0o644) throws -> String {
    let path = "\(path)/\(name)"
    let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    guard FileManager.default.createFile(atPath: path, contents: Data(content), attributes: [.posixPermissions: mode])
    else { throw Spawned.NotStarted(path: path, code: errno) }
    return path
  }
}

func bytes(of path: String) -> [UInt8]? { FileManager.default.contents(atPath: path).map(Array.init) }
func text(of path: String) -> String? { bytes(of: path).map { String(decoding: $0, as: UTF8.self) } }
