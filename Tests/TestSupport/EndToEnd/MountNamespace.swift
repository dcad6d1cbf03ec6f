import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A view of the file system of one process' own (unshare(1)), in which disks can be full or read-only.
package enum MountNamespace {
  /// Whether this user may have one; said once, loudly, where not.
  package static let isAllowed: Bool = {
    let problem = status(of: ["/usr/bin/unshare", "-m", "/bin/mount", "-t", "tmpfs", "none", "/mnt"])
    if problem == 0 { return true }
    FileHandle.standardError.write(
      Data("SKIPPED: no mount namespace for this user, so no test with a full or read-only disk runs\n".utf8))
    return false
  }()

  /// The exit code of a program that says nothing; 127 when it cannot be started.
  private static func status(of words: [String]) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for descriptor in Int32(0)...2 { posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0) }
    var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for text in argv { free(text) } }
    var pid: pid_t = 0
    guard posix_spawn(&pid, words[0], &actions, nil, &argv, environ) == 0 else { return 127 }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128
  }

  /// Words that run `script` (of sh) in a namespace of its own.
  package static func words(_ script: String) -> [String] { ["-m", "/bin/sh", "-c", script] }
  package static let program = "/usr/bin/unshare"
}
