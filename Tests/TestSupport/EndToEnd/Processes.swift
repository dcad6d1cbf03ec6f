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

  /// Those on a simulated machine.
  package static func on(instance id: String) -> [pid_t] { having("FCRUN_SIM_INSTANCE=\(id)") }

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
