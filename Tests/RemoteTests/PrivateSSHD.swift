import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A real sshd of our own on loopback: own keys, own HOME, own port.
final class PrivateSSHD: @unchecked Sendable {
  // Safe: everything is set once in the initializer.
  let folder: TemporaryFolder
  let port: Int
  let home: String
  let user: String
  private let child: Spawned

  static let program = "/usr/sbin/sshd"

  /// Skipping is for machines without sshd only, and never where the tests are required to be whole.
  static var isUsable: Bool {
    FileManager.default.isExecutableFile(atPath: program)
      || ProcessInfo.processInfo.environment["FCRUN_REQUIRE_SSHD"] == "1"
  }

  struct NotUp: Error, CustomStringConvertible { var description: String }

  /// - Parameters:
  ///   - tools: programs that come first in the PATH of whoever logs in, by name.
  ///   - disk: the size of a disk of its own for the HOME folder, as mount(8) reads it; nobody else sees that folder then.
  init(_ extra: [String] = [], hostKey: String = "ed25519", tools: [String: String] = [:], disk: String? = nil) throws {
    folder = try TemporaryFolder()
    home = try folder.folder("home")
    // Only root's sshd needs it, and only root can make it.
    try? FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
    for (name, type) in [("host", hostKey), ("id", "ed25519")] {
      let path = "\(folder.path)/\(name)"
      let made = try Spawned.run(["/usr/bin/ssh-keygen", "-q", "-t", type, "-N", "", "-f", path])
      guard made.status == 0 else { throw NotUp(description: "ssh-keygen \(type): \(made.status)") }
    }
    if !tools.isEmpty { _ = try folder.folder("tools") }
    for (name, script) in tools {
      // Copied by a child: a file that we write may be open in a process that another test forks at this moment, and a
      // shell that may not execute it for that reason (ETXTBSY) takes the next one in its PATH.
      try folder.file("script-\(name)", Array(script.utf8), mode: 0o755)
      let tool = "\(folder.path)/tools/\(name)"
      guard try Spawned.run(["/bin/cp", "-p", "\(folder.path)/script-\(name)", tool]).status == 0 else {
        throw NotUp(description: "cannot make \(tool)")
      }
    }
    port = try Self.freePort()
    user = getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "root"
    let lines =
      [
        "Port \(port)", "ListenAddress 127.0.0.1", "HostKey \(folder.path)/host", "PidFile none",
        "AuthorizedKeysFile \(folder.path)/id.pub", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
        "KbdInteractiveAuthentication no", "UseDNS no", "MaxStartups 100",
        "SetEnv HOME=\(home) PATH=\(folder.path)/tools:/usr/local/bin:/usr/bin:/bin",
      ] + extra
    try folder.file("config", Array((lines.joined(separator: "\n") + "\n").utf8))
    let daemon = [Self.program, "-D", "-f", "\(folder.path)/config", "-E", "\(folder.path)/log"]
    let mount = disk.map { "mount -t tmpfs -o size=\($0) none \"$0\" && exec \"$@\"" }
    let wrapper = mount.map { [MountNamespace.program] + MountNamespace.words($0) } ?? []
    child = try Spawned.start(
      (wrapper.isEmpty ? [] : wrapper + [home]) + daemon,
      environment: ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin"])
    try waitUntilUp()
  }

  deinit {
    kill(child.pid, SIGTERM)
    _ = child.wait()
    close(child.input)
    close(child.output)
  }

  var key: String { "\(folder.path)/id" }

  /// `ssh-ed25519 AAAA…`
  var hostKey: String {
    (text(of: "\(folder.path)/host.pub") ?? "").split(separator: " ").prefix(2).joined(separator: " ")
  }

  private func waitUntilUp() throws {
    for _ in 0..<500 {
      if let descriptor = Self.loopback(port, connect), descriptor >= 0 {
        close(descriptor)
        return
      }
      usleep(10_000)
    }
    throw NotUp(description: "sshd did not listen: \(text(of: "\(folder.path)/log") ?? "no log")")
  }

  private static func freePort() throws -> Int {
    guard let descriptor = loopback(0, bind) else { throw NotUp(description: "no free port") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
    }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  /// A socket after `call` (bind or connect) on 127.0.0.1; nil when that failed.
  private static func loopback(
    _ port: Int, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32? {
    #if canImport(Glibc)
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    #else
      let descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if code == 0 { return descriptor }
    close(descriptor)
    return nil
  }
}
