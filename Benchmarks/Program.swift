import Foundation
import TestSupport

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What a program and its children took, from its start to its end.
struct Usage {
  var seconds: Double
  /// User and system.
  var cpu: Double
}

/// A child process on pipes of ours, with nothing of our environment but PATH and HOME.
final class Program {
  let pid: pid_t
  let started: ContinuousClock.Instant
  /// Our ends of its stdin and stdout; -1: it reads from and writes to files.
  private(set) var input: Int32 = -1
  private(set) var output: Int32 = -1

  /// - Parameters:
  ///   - stdin: a file; nil: a pipe.
  ///   - stdout: a file; nil: a pipe.
  init(_ words: [String], environment: [String: String] = [:], stdin: String?, stdout: String?) throws {
    var (toChild, fromChild): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
    guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else { throw Unmet("no pipe") }
    for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    #if canImport(Glibc)
      var actions = posix_spawn_file_actions_t()
    #else
      var actions: posix_spawn_file_actions_t?
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let stdin {
      posix_spawn_file_actions_addopen(&actions, 0, stdin, O_RDONLY, 0)
    } else {
      posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
    }
    if let stdout {
      posix_spawn_file_actions_addopen(&actions, 1, stdout, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    } else {
      posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
    }
    var attributes = Self.defaultSignals()
    defer { posix_spawnattr_destroy(&attributes) }
    let variables = ["PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"].merging(environment) { $1 }
    let argv = words.map { strdup($0) } + [nil]
    let envp = variables.map { strdup("\($0)=\($1)") } + [nil]
    defer { for text in argv + envp { free(text) } }
    started = .now
    var pid: pid_t = 0
    let code = posix_spawn(&pid, words[0], &actions, &attributes, argv, envp)
    self.pid = pid
    close(toChild[0])
    close(fromChild[1])
    (input, output) = (toChild[1], fromChild[0])
    guard code == 0 else { throw Unmet("\(words[0]) cannot be started: \(String(cString: strerror(code)))") }
    if stdin != nil { endInput() }
    if stdout != nil { closeOutput() }
  }

  /// We ignore SIGPIPE; who writes into a pipe that nobody reads must not.
  private static func defaultSignals() -> posix_spawnattr_t {
    #if canImport(Glibc)
      var attributes = posix_spawnattr_t()
    #else
      var attributes: posix_spawnattr_t?
    #endif
    posix_spawnattr_init(&attributes)
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    return attributes
  }

  deinit {
    endInput()
    closeOutput()
  }

  func endInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  private func closeOutput() {
    if output >= 0 { close(output) }
    output = -1
  }

  /// - Throws: ``Unmet`` unless it ends with 0.
  @discardableResult
  func end() throws -> Usage {
    var status: Int32 = 0
    var usage = rusage()
    while wait4(pid, &status, 0, &usage) < 0 && errno == EINTR {}
    let seconds = (ContinuousClock.now - started) / .seconds(1)
    guard status == 0 else { throw Unmet("a program ended with status \(status)") }
    return Usage(
      seconds: seconds, cpu: Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime))
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  /// Runs to the end.
  @discardableResult
  static func run(
    _ words: [String], environment: [String: String] = [:], stdin: String = "/dev/null", stdout: String = "/dev/null"
  ) throws -> Usage {
    do {
      return try Program(words, environment: environment, stdin: stdin, stdout: stdout).end()
    } catch let error as Unmet { throw Unmet("\(words.joined(separator: " ")): \(error.description)") }
  }

  static func shell(_ script: String) throws { try run(["/bin/sh", "-euc", script]) }
}
