import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The processes of this computer, as far as we may see them. Empty where there is no /proc.
package enum Processes {
  /// Those with this `NAME=value` in their environment; zombies have none.
  package static func having(_ variable: String) -> [pid_t] {
    pids().filter { words(of: $0, "environ").contains(variable) }
  }

  /// Those with an argument that contains this.
  package static func mentioning(_ text: String) -> [pid_t] {
    pids().filter { words(of: $0, "cmdline").contains { $0.contains(text) } }
  }

  /// Those whose working directory is this folder or in it.
  package static func working(below folder: String) -> [pid_t] {
    pids().filter {
      let place = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/cwd")
      return place.map { $0 == folder || $0.hasPrefix(folder + "/") } ?? false
    }
  }

  /// Those on a simulated machine.
  package static func on(instance id: String) -> [pid_t] { having("FCRUN_SIM_INSTANCE=\(id)") }

  /// Those that this process started and that have not ended.
  package static func children(of pid: pid_t) -> [pid_t] { pids().filter { parent(of: $0) == pid } }

  /// Who started it; nil for one that has ended.
  package static func parent(of pid: pid_t) -> pid_t? {
    guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return nil }
    // proc_pid_stat(5): the name in brackets may hold anything; after it come the state and the parent.
    let fields = String(decoding: data, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
    return fields.count > 1 && fields[0] != "Z" ? pid_t(fields[1]) : nil
  }

  /// Its arguments; empty for one that has ended.
  package static func commandLine(of pid: pid_t) -> [String] { words(of: pid, "cmdline") }

  private static func pids() -> [pid_t] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }.filter {
      $0 != getpid()
    }
  }

  private static func words(of pid: pid_t, _ file: String) -> [String] {
    guard let handle = FileHandle(forReadingAtPath: "/proc/\(pid)/\(file)"), let data = try? handle.readToEnd() else {
      return []
    }
    return data.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }
}
