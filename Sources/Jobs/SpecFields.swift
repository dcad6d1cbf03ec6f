/// The names that version 1 knows, and what is meant by those it does not.
package enum SpecFields {
  package static let spec = SpecSchema.spec.names
  package static let resources = SpecSchema.resources.names
  package static let limits = SpecSchema.limits.names
  package static let idleGPU = SpecSchema.idleGPU.names
  package static let retry = SpecSchema.retry.names
  package static let file = SpecSchema.file.names
  package static let output = SpecSchema.output.names
  package static let sshKey = SpecSchema.sshKey.names
  package static let checkpoint = SpecSchema.checkpoint.names
  package static let notice = SpecSchema.notice.names
  package static let engine = SpecSchema.engine.names

  /// What other tools call our fields, as far as spelling alone would not find them.
  private static let otherNames = [
    "env": "envs", "environment": "envs", "run": "command", "commands": "command", "cmd": "command", "args": "command",
    "num_nodes": "nodes", "file_mounts": "files", "inputs": "files", "timeout": "limits.max_duration",
    "time": "limits.max_duration", "budget": "limits.max_cost", "max_price": "resources.max_hourly_price",
    "accelerators": "resources.gpu_type", "gpu": "resources.gpu_type", "gpus": "resources.num_gpus",
    "gpu_count": "resources.num_gpus", "cpus": "resources.vcpus", "memory": "resources.memory_in_gb",
    "disk_size": "resources.storage_in_gb", "working_dir": "workdir", "identity_file": "ssh_key",
    "src": "source", "from": "source", "path": "source", "dest": "destination", "dst": "destination",
    "to": "destination", "target": "destination", "ignore": "exclude", "key": "ssh_key", "user": "ssh_user",
    "events": "on", "url": "webhook", "max_attempts": "retry.attempts",
  ]

  /// `did you mean "envs"?`, or all the names when none is near.
  static func suggestion(for name: String, among known: [String]) -> String {
    if let meant = nearest(to: name, among: known) { return "did you mean \(quoted(meant))?" }
    return "expected one of \(list(known))"
  }

  static func list(_ names: [String]) -> String { names.joined(separator: ", ") }

  private static func nearest(to name: String, among known: [String]) -> String? {
    if let near = EditDistance.nearest(to: name, in: known) { return near }
    if let meant = otherNames[name.lowercased()].flatMap({ ownName($0, among: known) }) { return meant }
    if spec.contains(name) { return name }
    if resources.contains(name) { return "resources.\(name)" }
    if limits.contains(name) { return "limits.\(name)" }
    return nil
  }

  /// Inside `resources` the field `resources.gpu_type` is just `gpu_type`; `source` means nothing outside its object.
  private static func ownName(_ path: String, among known: [String]) -> String? {
    let steps = path.utf8.split(separator: UInt8(ascii: ".")).map { String(decoding: $0, as: UTF8.self) }
    if let last = steps.last, known.contains(last) { return last }
    return steps.count > 1 || spec.contains(path) ? path : nil
  }
}

/// How many letters must change to make one word of another (Levenshtein), without regard to case.
package enum EditDistance {
  package static func between(_ left: String, _ right: String) -> Int {
    let (a, b) = (Array(left.lowercased().unicodeScalars), Array(right.lowercased().unicodeScalars))
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in b.enumerated() {
        let changed = letter == other ? diagonal : diagonal + 1
        diagonal = row[j + 1]
        row[j + 1] = min(changed, diagonal + 1, row[j] + 1)
      }
    }
    return row[b.count]
  }

  /// The word that was probably meant: at most a third of its letters differ. The first one of several.
  package static func nearest(to word: String, in words: [String]) -> String? {
    // Nobody's typing error is longer than this, and the comparison is quadratic.
    guard word.unicodeScalars.count <= 64 else { return nil }
    let ranked = words.enumerated().map { ($1, between(word, $1), $0) }
    guard let best = ranked.min(by: { ($0.1, $0.2) < ($1.1, $1.2) }) else { return nil }
    return best.1 <= max(1, best.0.unicodeScalars.count / 3) ? best.0 : nil
  }
}
