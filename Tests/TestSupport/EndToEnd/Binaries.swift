import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The built programs under test, and what they need on this computer.
package enum Binaries {
  /// FCRUN_BIN_DIR, else the folder of the running test bundle.
  package static let folder: String = {
    let environment = ProcessInfo.processInfo.environment
    if let given = environment["FCRUN_BIN_DIR"], !given.isEmpty { return given }
    let bundle = CommandLine.arguments.first { $0.contains(".xctest") } ?? CommandLine.arguments[0]
    let product = bundle.components(separatedBy: ".xctest")[0]
    return URL(filePath: product).deletingLastPathComponent().path
  }()

  package static var fcrun: String { folder + "/fcrun" }
  package static var worker: String { folder + "/fcrun-ssh" }

  /// - Throws: ``Unmet`` when they are not built.
  package static func require() throws {
    for program in [fcrun, worker] where access(program, X_OK) != 0 {
      throw Unmet("\(program) is not there; build it first, or name its folder in FCRUN_BIN_DIR")
    }
  }

  /// Each simulated machine is an sshd. Without one these tests are skipped, unless FCRUN_REQUIRE_SSHD=1.
  package static let canBoot: Bool = {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd", "/usr/bin/sshd"]
    let found = places.contains { FileManager.default.isExecutableFile(atPath: $0) }
    if found || ProcessInfo.processInfo.environment["FCRUN_REQUIRE_SSHD"] == "1" { return true }
    FileHandle.standardError.write(
      Data("SKIPPED: no sshd on this computer, so no end-to-end test runs; install openssh-server\n".utf8))
    return false
  }()

  /// The package's own folder.
  package static let repository: String = {
    var url = URL(filePath: #filePath)
    for _ in 0..<4 { url.deleteLastPathComponent() }
    return url.path
  }()
}
