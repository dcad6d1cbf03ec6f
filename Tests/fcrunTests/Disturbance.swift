import Foundation
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

extension Bench {
  /// Puts lines before what every session of the first machine, or of all `count` machines, runs, as soon as they are there.
  /// They see what is to be run in `$SSH_ORIGINAL_COMMAND`.
  func disturbMachine(_ lines: String, count: Int = 1) async throws {
    let machines = cloud.state + "/machines"
    let ids = try await eventually("there are \(count) machines") {
      let ids = (try? FileManager.default.contentsOfDirectory(atPath: machines)) ?? []
      return ids.count < count ? nil : ids.prefix(count)
    }
    for id in ids { try await disturb("\(machines)/\(id)/etc/session", lines) }
  }

  private func disturb(_ path: String, _ lines: String) async throws {
    try await eventually("the machine has a session script") { () -> Bool? in
      guard let script = FileManager.default.contents(atPath: path).map({ String(decoding: $0, as: UTF8.self) }),
        let mark = script.range(of: "set -- \"$SSH_ORIGINAL_COMMAND\"")
      else { return nil }
      let changed = script.replacingCharacters(in: mark, with: lines + "\n" + script[mark])
      try Data(changed.utf8).write(to: URL(filePath: path + ".new"))
      chmod(path + ".new", 0o700)
      return rename(path + ".new", path) == 0 ? true : nil
    }
  }
}
