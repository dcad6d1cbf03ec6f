#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// One process as the kernel shows it. A pid alone is no name: the start time tells a later owner of the same number apart.
struct ProcessIdentity: Sendable, Equatable {
  var pid: pid_t
  /// Clock ticks since the kernel started, as text.
  var started: String
}

/// The processes of one moment.
struct ProcessTable: Sendable {
  struct Row: Sendable {
    var identity: ProcessIdentity
    var parent: pid_t
    var session: pid_t
    var name: String
    /// As the kernel gives them, each entry ended by a zero byte; empty where we may not read.
    var environment: [UInt8]
    var arguments: [UInt8]
    /// Empty where we may not read it.
    var workingFolder: String
  }

  var rows: [Row]

  /// Zombies are left out: they run no more, whoever has to reap them.
  static func now() -> ProcessTable {
    #if os(Linux)
      ProcessTable(rows: pids().compactMap { row($0) })
    #else
      ProcessTable(rows: [])
    #endif
  }

  /// Everything that belongs to a machine: bearers of its marker, its sshd, and all that descends from these or shares a session that they lead.
  func members(of machine: MachineMarker, sshd: ProcessIdentity?) -> [Row] {
    var doomed = rows.filter { row in
      row.identity == sshd || machine.isOn(row)
    }
    var known = Set(doomed.map(\.identity.pid))
    var grew = true
    while grew {
      let more = rows.filter { row in
        !known.contains(row.identity.pid) && (known.contains(row.parent) || known.contains(row.session))
      }
      known.formUnion(more.map(\.identity.pid))
      doomed += more
      grew = !more.isEmpty
    }
    return doomed.filter { $0.identity.pid != getpid() && $0.identity.pid > 1 }
  }

  #if os(Linux)
    private static func pids() -> [pid_t] {
      guard let folder = opendir("/proc") else { return [] }
      defer { closedir(folder) }
      var pids: [pid_t] = []
      while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if let pid = pid_t(name) { pids.append(pid) }
      }
      return pids
    }

    static func row(_ pid: pid_t) -> Row? {
      guard let stat = bytes(of: "/proc/\(pid)/stat").map({ String(decoding: $0, as: UTF8.self) }),
        let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")")
      else { return nil }
      // proc_pid_stat(5): after the name come state, ppid, pgrp, session, … and the start time as the 20th.
      let fields = stat[stat.index(after: close)...].split(separator: " ").map(String.init)
      guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
      return Row(
        identity: ProcessIdentity(pid: pid, started: fields[19]), parent: pid_t(fields[1]) ?? 0,
        session: pid_t(fields[3]) ?? 0, name: String(stat[stat.index(after: open)..<close]),
        environment: bytes(of: "/proc/\(pid)/environ") ?? [], arguments: bytes(of: "/proc/\(pid)/cmdline") ?? [],
        workingFolder: link("/proc/\(pid)/cwd"))
    }

    private static func link(_ path: String) -> String {
      var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
      let length = readlink(path, &buffer, buffer.count - 1)
      return String(decoding: buffer[..<max(length, 0)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  #endif

  static func bytes(of path: String) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
      let count = read(file, &chunk, chunk.count)
      guard count > 0 else { return all }
      all += chunk[..<count]
    }
  }
}

/// How the processes of one machine are told from all others.
struct MachineMarker: Sendable, Equatable {
  /// The instance.
  var id: String
  /// The machine's own folder, an absolute path.
  var folder: String

  /// The variables that everything gets that is started on the machine. The id is for people: two simulators of one seed give the same ids,
  /// so that only the folder tells whose process it is.
  var variables: [String] { ["FCRUN_SIM_INSTANCE=\(id)", "FCRUN_SIM_MACHINE=\(folder)"] }

  private var mark: String { "FCRUN_SIM_MACHINE=\(folder)" }

  /// Whether a process was started by a session of the machine.
  func isMarked(_ row: ProcessTable.Row) -> Bool { row.environment.holds(mark + "\0") }

  func isOn(_ row: ProcessTable.Row) -> Bool {
    isMarked(row) || row.workingFolder == folder || row.workingFolder.hasPrefix(folder + "/") || isSSHD(row)
  }

  /// sshd writes its title over its environment: `sshd: /usr/sbin/sshd -D -e -f FOLDER/etc/sshd_config [listener]`.
  private func isSSHD(_ row: ProcessTable.Row) -> Bool {
    row.name.hasPrefix("sshd") && row.arguments.holds("\(folder)/etc/sshd_config")
  }
}

extension [UInt8] {
  /// Whether these bytes are somewhere in here. Somebody waits for a deletion while this looks through every process, so it must not be slow.
  func holds(_ text: String) -> Bool {
    let wanted = Array(text.utf8)
    guard let first = wanted.first else { return true }
    return withUnsafeBytes { all in
      var offset = 0
      while let start = all.baseAddress, all.count - offset >= wanted.count {
        let here = start + offset
        guard let hit = memchr(here, Int32(first), all.count - offset - wanted.count + 1) else { return false }
        if memcmp(hit, wanted, wanted.count) == 0 { return true }
        offset += here.distance(to: UnsafeRawPointer(hit)) + 1
      }
      return false
    }
  }
}

/// Ends everything that runs on one machine.
struct Sweep: Sendable {
  var marker: MachineMarker
  var sshd: ProcessIdentity?

  /// Rounds before giving up: each ends what the one before missed because it was being forked.
  private static let rounds = 200

  /// Kills until nothing is left. False when something still ran after the last round.
  func run() async -> Bool {
    for _ in 0..<Sweep.rounds {
      let members = ProcessTable.now().members(of: marker, sshd: sshd)
      if members.isEmpty { return true }
      // First everything stops, so that nothing forks behind our back; then it dies.
      for row in members { signal(row, SIGSTOP) }
      for row in ProcessTable.now().members(of: marker, sshd: sshd) { signal(row, SIGKILL) }
      if let sshd { _ = Spawn.reap(sshd.pid) }
      try? await Task.sleep(for: .milliseconds(5))
    }
    return ProcessTable.now().members(of: marker, sshd: sshd).isEmpty
  }

  /// Kills sshd and its connections, and leaves alone what was started through them.
  func cutConnections() async {
    for _ in 0..<Sweep.rounds {
      let connections = ProcessTable.now().members(of: marker, sshd: sshd).filter { row in
        row.name.hasPrefix("sshd") && !marker.isMarked(row)
      }
      if connections.isEmpty { return }
      for row in connections { signal(row, SIGKILL) }
      if let sshd { _ = Spawn.reap(sshd.pid) }
      try? await Task.sleep(for: .milliseconds(5))
    }
  }

  /// The number could have a new owner since the table was read: it is looked at again right before.
  private func signal(_ row: ProcessTable.Row, _ number: Int32) {
    #if os(Linux)
      guard ProcessTable.row(row.identity.pid)?.identity == row.identity else { return }
    #endif
    kill(row.identity.pid, number)
  }
}
