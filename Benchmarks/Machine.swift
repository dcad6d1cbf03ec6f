import Foundation
import TestSupport

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A private sshd with a HOME of its own, made as the simulator makes its machines, and the ways to it.
final class Machine {
  let folder: String
  let home: String
  let port: Int
  let key: String
  let user: String
  private let daemon: Program
  private var relays: [Link: Delay] = [:]

  init(in parent: String) throws {
    folder = parent + "/machine"
    home = folder + "/home"
    key = folder + "/id"
    port = try Loopback.freePort()
    user = getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "root"
    try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
    try? FileManager.default.createDirectory(atPath: "/run/sshd", withIntermediateDirectories: true)
    for name in ["host", "id"] {
      try Program.run(["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(name)"])
    }
    let lines = [
      "Port \(port)", "ListenAddress 127.0.0.1", "HostKey \(folder)/host", "PidFile none",
      "AuthorizedKeysFile \(folder)/id.pub \(home)/.ssh/authorized_keys", "StrictModes no", "UsePAM no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no", "UseDNS no", "MaxStartups 500:30:1000", "Subsystem sftp internal-sftp",
      "SetEnv HOME=\(home) PATH=/usr/local/bin:/usr/bin:/bin",
    ]
    try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(filePath: folder + "/config"))
    daemon = try Program(
      ["/usr/sbin/sshd", "-D", "-f", "\(folder)/config", "-E", "\(folder)/log"], stdin: "/dev/null", stdout: "/dev/null"
    )
    try waitUntilUp()
  }

  func stop() { kill(daemon.pid, SIGTERM) }

  private func waitUntilUp() throws {
    for _ in 0..<500 {
      let probe = socket(AF_INET, Int32(1), 0)
      defer { close(probe) }
      if Loopback.connect(probe, port) { return }
      usleep(10_000)
    }
    throw Unmet("sshd did not listen; see \(folder)/log")
  }

  /// The port to go to for this way.
  func port(over link: Link) throws -> Int {
    if link == .loopback { return port }
    if let relay = relays[link] { return relay.port }
    let relay = try Delay(to: port, link)
    relays[link] = relay
    return relay.port
  }

  /// Nothing of the user's own configuration, no agent and no known_hosts.
  var options: [String] {
    [
      "-F", "none", "-i", key, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
      "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes",
    ]
  }

  /// `ssh` with a command.
  func ssh(over link: Link, _ command: String, extra: [String] = []) throws -> [String] {
    ["/usr/bin/ssh"] + options + extra + ["-p", "\(try port(over: link))", "\(user)@127.0.0.1", command]
  }

  var host: String { "\(user)@127.0.0.1" }

  /// What a script says for its `ssh`.
  func sshWord(over link: Link) throws -> String {
    (["ssh"] + options + ["-p", "\(try port(over: link))"]).joined(separator: " ")
  }

  /// Empties a place below HOME, and gives its path.
  func emptied(_ name: String) throws -> String {
    let path = "\(home)/\(name)"
    try? FileManager.default.removeItem(atPath: path)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }
}
