/// Paths as a spec writes them. Split by bytes: a `/` with a combining mark after it is still a separator on disk.
package enum SpecPaths {
  package static func components(_ path: String) -> [String] {
    path.utf8.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }.filter { $0 != "." }
  }

  static func isAbsolute(_ path: String) -> Bool { path.utf8.first == UInt8(ascii: "/") }

  static func isInHome(_ path: String) -> Bool { path == "~" || path.utf8.starts(with: "~/".utf8) }

  /// `./a//b/` is `a/b`, and nothing is `.`.
  static func relative(_ path: String) -> String {
    let parts = components(path)
    return parts.isEmpty ? "." : parts.joined(separator: "/")
  }

  static func absolute(_ path: String) -> String { "/" + components(path).joined(separator: "/") }

  static func join(_ folder: String, _ path: String) -> String { absolute(folder + "/" + path) }

  static func folder(of file: String) -> String { "/" + components(file).dropLast().joined(separator: "/") }

  /// Why `path` may leave the folder it belongs to, in words; nil when it cannot.
  static func escape(_ path: String) -> String? {
    if isAbsolute(path) { return "is absolute" }
    if isInHome(path) { return "starts at the home folder" }
    if components(path).contains("..") { return "leads out with \"..\"" }
    return nil
  }

  /// Whether the shell-like pattern characters `*`, `?` or `[` occur.
  package static func isGlob(_ path: String) -> Bool {
    path.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[") }
  }

  /// Each entry that becomes the same path as one before it. Many may go into `.`, the folder itself.
  static func collisions(_ entries: [(path: String, place: Place)]) -> [(index: Int, path: String, first: Place)] {
    var seen: [String: Place] = [:]
    var collisions: [(index: Int, path: String, first: Place)] = []
    for (index, entry) in entries.enumerated() where entry.path != "." {
      if let first = seen[entry.path] { collisions.append((index, entry.path, first)) }
      seen[entry.path] = seen[entry.path] ?? entry.place
    }
    return collisions
  }
}
