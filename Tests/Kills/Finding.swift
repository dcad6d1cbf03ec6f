/// Something that must never be, and was.
package struct Finding: Sendable, CustomStringConvertible {
  package enum Wrong: String, CaseIterable, Sendable {
    /// A machine that nobody gave back, or one too many.
    case leaked
    /// The command was started twice in one attempt.
    case doubled
    /// Bytes of a log, of what was printed or of an output are missing, too many or others.
    case lostBytes = "lost bytes"
    case wrongCode = "wrong code"
    /// A process of ours goes on without its parent.
    case leftRunning = "left running"
    /// A secret lies in a file.
    case secret
    /// Something did not end in its time.
    case hung
  }

  package var wrong: Wrong
  package var text: String

  package init(_ wrong: Wrong, _ text: String) { (self.wrong, self.text) = (wrong, text) }

  package var description: String { "\(wrong.rawValue): \(text)" }
}

/// One run and what came of it.
package struct Report: Sendable {
  package var plan: Plan
  package var findings: [Finding] = []
  /// How many kills, errors and cuts met a process that still ran.
  package var struck = 0
  package var seconds = 0.0
  /// What the processes said, and the ledger: for a run with findings.
  package var evidence = ""

  package var isClean: Bool { findings.isEmpty }
}
