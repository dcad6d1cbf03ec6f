import Foundation

/// A folder on another file system than the one for temporary files; gone with its last user.
package final class OtherFileSystem {
  private static let mount = "/dev/shm"
  package let path: String

  /// Only Linux has one that everybody can write to.
  package static var isThere: Bool {
    let device = { (path: String) in
      (try? FileManager.default.attributesOfFileSystem(forPath: path))?[.systemNumber] as? Int
    }
    return FileManager.default.isWritableFile(atPath: mount) && device(mount) != device(NSTemporaryDirectory())
  }

  package init() throws {
    path = "\(Self.mount)/fcrun-test-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
