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
  /// Puts lines before what every session of the first machine runs, as soon as there is one. They see what is to be run
  /// in `$SSH_ORIGINAL_COMMAND`.
  func disturbMachine(_ lines: String) async throws {
    let machines = cloud.state + "/machines"
    try await eventually("the machine has a session script") { () -> Bool? in
      guard let id = try? FileManager.default.contentsOfDirectory(atPath: machines).first else { return nil }
      let path = "\(machines)/\(id)/etc/session"
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
