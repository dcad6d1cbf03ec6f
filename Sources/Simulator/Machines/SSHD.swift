#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The programs of OpenSSH on this computer, and who may log in.
struct OpenSSH: Sendable {
  let sshd: String
  let keygen: String
  /// The one login that a private sshd of ours can serve: whoever runs the simulator.
  let user: String
  /// Its home folder.
  let home: String
  let usesPAM: Bool

  /// Looks for them. Throws ``SimulatorFailure`` that names what to install.
  init() throws(SimulatorFailure) {
    // sshd re-executes itself and wants an absolute path; /usr/sbin is not in an ordinary user's PATH.
    guard let sshd = Spawn.find("sshd", folders: ["/usr/sbin", "/usr/local/sbin", "/sbin"]) else {
      throw SimulatorFailure(
        "no sshd on this computer, and each simulated instance is one; install the package openssh-server")
    }
    guard let keygen = Spawn.find("ssh-keygen", folders: ["/usr/bin"]) else {
      throw SimulatorFailure(
        "no ssh-keygen on this computer, which makes the host keys; install the package openssh-client")
    }
    guard let entry = getpwuid(geteuid()), let name = entry.pointee.pw_name else {
      throw SimulatorFailure("user \(geteuid()) has no name on this computer, and sshd logs in names; add it to passwd")
    }
    let shell = entry.pointee.pw_shell.map { String(cString: $0) } ?? ""
    guard !["nologin", "false"].contains(shell.split(separator: "/").last ?? "") else {
      throw SimulatorFailure(
        "nobody can log in as \(String(cString: name)), whose shell is \(shell); run it as another user")
    }
    self.sshd = sshd
    self.keygen = keygen
    user = String(cString: name)
    home = entry.pointee.pw_dir.map { String(cString: $0) } ?? "/"
    usesPAM = OpenSSH.isLockedRoot(user)
    try OpenSSH.makeSeparationFolder()
  }

  /// sshd run by root wants this folder, and a system on which no sshd service has started has none.
  private static func makeSeparationFolder() throws(SimulatorFailure) {
    #if os(Linux)
      guard geteuid() == 0 else { return }
      try Files.makeFolder("/run/sshd", mode: 0o755)
    #endif
  }

  /// Without PAM sshd refuses a login whose password is locked with `!`, as root's is on Ubuntu, whatever key it has.
  private static func isLockedRoot(_ user: String) -> Bool {
    let line = (Files.read("/etc/shadow") ?? "").split(separator: "\n").first { $0.hasPrefix("\(user):") }
    let password = line?.split(separator: ":", omittingEmptySubsequences: false).dropFirst().first
    return password?.hasPrefix("!") ?? false
  }

  /// Makes an ed25519 pair without passphrase at `path` and `path`.pub. Throws ``SimulatorFailure``.
  func makeKey(at path: String, comment: String) async throws {
    Files.remove(path)
    Files.remove(path + ".pub")
    let status = try await Spawn.run(keygen, ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])
    guard status == 0 else { throw SimulatorFailure("ssh-keygen could not make \(path): exit \(status)") }
  }

  /// A configuration that reads nothing of this computer's own sshd.
  func configuration(of marker: MachineMarker, at address: SimAddress, home: String, tmp: String) -> String {
    let folder = marker.folder
    return """
      Port \(address.port)
      ListenAddress \(address.ip)
      HostKey "\(folder)/etc/host_ed25519"
      PidFile none
      AuthorizedKeysFile "\(folder)/etc/authorized_keys" "\(home)/.ssh/authorized_keys"
      StrictModes no
      UsePAM \(usesPAM ? "yes" : "no")
      PasswordAuthentication no
      KbdInteractiveAuthentication no
      PubkeyAuthentication yes
      PermitRootLogin prohibit-password
      UseDNS no
      PrintMotd no
      PrintLastLog no
      X11Forwarding no
      MaxStartups 500:30:1000
      MaxSessions 200
      LoginGraceTime 20
      SetEnv \(marker.variables.map { "\"\($0)\"" }.joined(separator: " ")) "HOME=\(home)" "TMPDIR=\(tmp)"
      ForceCommand exec \(Files.shellWord("\(folder)/etc/session"))
      Subsystem sftp internal-sftp

      """
  }

  /// What every session runs: the machine's own HOME, working folder and environment, then what was asked for.
  static func session(of marker: MachineMarker, envs: [SimEnvironmentVariable], home: String, tmp: String) -> String {
    let exports = envs.map { "export \($0.name)=\(Files.shellWord($0.value))\n" }.joined()
    let servers = ["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server"]
    let sftp = servers.first { access($0, X_OK) == 0 }
    return """
      #!/bin/sh
      \(exports)export HOME=\(Files.shellWord(home)) TMPDIR=\(Files.shellWord(tmp))
      export \(marker.variables.map { Files.shellWord($0) }.joined(separator: " "))
      cd "$HOME" || exit 125
      set -- "$SSH_ORIGINAL_COMMAND"
      unset SSH_ORIGINAL_COMMAND OLDPWD
      case "$1" in
        '') exec "${SHELL:-/bin/sh}" -l ;;
        internal-sftp*|*/sftp-server*) exec \(sftp ?? "false") ;;
        *) exec /bin/sh -c "$1" ;;
      esac

      """
  }
}
