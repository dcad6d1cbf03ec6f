#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What a folder lies on: the store rests on locks and on shared memory, which reach only as far as one kernel.
package enum FileSystem {
  /// Whether file systems of this type, as mount(8) names it, are shared with other computers.
  package static func isNetwork(type: String) -> Bool {
    let plain = type.hasPrefix("fuse.") ? String(type.dropFirst(5)) : type
    return [
      "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "afpfs", "webdav", "coda", "ceph", "lustre", "gpfs", "gfs2",
      "ocfs2", "beegfs", "glusterfs", "orangefs", "pvfs2", "sshfs", "davfs", "davfs2", "s3fs", "gcsfuse", "rclone",
    ].contains(plain)
  }

  /// The type of the file system with this device number, from the text of /proc/self/mountinfo (proc(5)).
  package static func type(ofDevice major: UInt32, _ minor: UInt32, in mounts: String) -> String? {
    for line in mounts.split(separator: "\n") {
      let words = line.split(separator: " ")
      // Optional fields stand before the dash, the type stands after it.
      guard words.count > 2, words[2] == "\(major):\(minor)", let dash = words.firstIndex(of: "-"),
        words.indices.contains(dash + 1)
      else { continue }
      return String(words[dash + 1])
    }
    return nil
  }

  /// The type of the network file system that `path` is on; nil when it is on none, or that cannot be known.
  static func network(of path: String) -> String? {
    type(of: path).flatMap { isNetwork(type: $0) ? $0 : nil }
  }

  private static func type(of path: String) -> String? {
    #if canImport(Darwin)
      var status = statfs()
      guard statfs(path, &status) == 0 else { return nil }
      return withUnsafeBytes(of: status.f_fstypename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    #else
      var status = stat()
      guard stat(path, &status) == 0, let bytes = FileManager.default.contents(atPath: "/proc/self/mountinfo") else {
        return nil
      }
      // makedev(3)
      let device = UInt64(status.st_dev)
      let major = UInt32(truncatingIfNeeded: (device >> 8 & 0xFFF) | (device >> 32 & ~0xFFF))
      let minor = UInt32(truncatingIfNeeded: (device & 0xFF) | (device >> 12 & ~0xFF))
      return type(ofDevice: major, minor, in: String(decoding: bytes, as: UTF8.self))
    #endif
  }
}
