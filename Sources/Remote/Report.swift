extension JobStatus {
  /// Whether a loss is that of a machine which has booted since: as `report` of the scripts words it.
  package static func isReboot(_ reason: String) -> Bool { reason == "the machine was rebooted" }

  /// Reads the line that the scripts' `report` prints; nil for any other line.
  package init?(report line: String) {
    let words = line.split(separator: " ")
    switch words.first {
    case "notBegun" where words.count == 1: self = .notBegun
    case "running" where words.count == 1: self = .running
    case "lost": self = .lost(reason: words.dropFirst().joined(separator: " "))
    case "exited":
      guard words.count == 6, let code = Int(words[1]), let phase = ExitRecord.Phase(rawValue: String(words[2])),
        let ending = ExitRecord.Ending(rawValue: String(words[3])), let out = Int(words[4]), let err = Int(words[5])
      else { return nil }
      self = .exited(ExitRecord(code: code, phase: phase, ending: ending, stdoutBytes: out, stderrBytes: err))
    default: return nil
    }
  }
}
