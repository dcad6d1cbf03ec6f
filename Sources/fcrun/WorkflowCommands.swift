import Runner
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Lines of a step's output that the runner of GitHub Actions obeys:
/// https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
///
/// What a job on a rented machine prints must not be obeyed: before its first byte the runner is told to stop, with a word
/// that nobody can guess, and after its last one to go on. That stands on stderr, so that stdout stays the job's own; the
/// runner reads both.
final class WorkflowCommands: Sendable {
  /// nil outside of GitHub Actions.
  static let ofThisProcess = Context.environment("GITHUB_ACTIONS") == "true" ? WorkflowCommands() : nil

  private enum State { case obeyed, inGroup, stopped }

  private let state = Mutex(State.obeyed)
  private let word = RandomName.make(32)

  /// The runner reads stdout and stderr each by itself: the word that lets it obey again may overtake the job's last line.
  private static let overtaking: UInt32 = 300_000

  /// Folds away what follows, until the job's own output.
  func group(_ title: String) {
    state.withLock { state in
      guard state == .obeyed else { return }
      write("::group::\(Self.escaped(title))")
      state = .inGroup
    }
  }

  /// The next bytes are the job's.
  func stop() {
    state.withLock { state in
      if state == .inGroup { write("::endgroup::") }
      if state != .stopped { write("::stop-commands::\(word)") }
      state = .stopped
    }
  }

  /// Nothing of the job follows any more. Waits for no reader: this may be the last thing that a process does.
  func goOn() {
    _ = state.withLockIfAvailable { state in
      if state == .stopped { usleep(Self.overtaking) }
      let line = state == .inGroup ? "::endgroup::" : state == .stopped ? "::\(word)::" : nil
      if let line { StandardStream.writeIfHeard(line + "\n", to: STDERR_FILENO) }
      state = .obeyed
    }
  }

  /// Shown at the top of the run.
  func annotate(_ error: String) {
    goOn()
    write("::error title=fcrun::\(Self.escaped(error))")
  }

  private func write(_ line: String) { _ = StandardStream.write(line + "\n", to: STDERR_FILENO) }

  private static func escaped(_ text: String) -> String {
    text.replacing("%", with: "%25").replacing("\r", with: "%0D").replacing("\n", with: "%0A")
  }
}
