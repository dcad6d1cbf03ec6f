import Jobs
import Runner
import Store
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The driver of a detached job: `fcrun resume ID` in a session of its own (rulings 11).
struct DetachedDriver {
  let process: pid_t

  /// - Parameters:
  ///   - job: or a sweep.
  ///   - folder: where it writes its `driver.log`.
  ///   - takesFromHere: it waits until this process has let go of the job.
  static func start(_ job: String, log folder: String, takesFromHere: Bool = false) throws -> DetachedDriver {
    var spawn = Spawn(Executable.own, ["resume", job, "--unheard"] + (takesFromHere ? ["--inherits"] : []))
    spawn.isDetached = true
    (spawn.stdout, spawn.stderr) = (.null, .appended(to: folder + "/driver.log"))
    return DetachedDriver(process: try spawn.start())
  }

  var hasEnded: Bool {
    var status: Int32 = 0
    return waitpid(process, &status, WNOHANG) == process
  }

  func end() { kill(process, SIGKILL) }
}

/// The question after Ctrl-C on a terminal: stop the job, or leave it to a process of its own. Without an answer it is stopped.
///
/// To leave is what a crash would be: the lease goes with this process, and the other one takes the job on from what is
/// committed. Only between a POST and its answer that would cost a look for the machine, so the answer is waited for.
struct StopOrDetach: Sendable {
  let id: String
  /// Where the other process writes its `driver.log`.
  let folder: String
  /// What is stopped otherwise.
  let what: String
  /// Whether the answer to a POST is waited for.
  let isCreating: @Sendable () -> Bool

  init(_ job: JobRecord, _ installation: Installation) {
    (id, folder, what) = (job.id, installation.folder(of: job.id), "the job and give its machine back")
    isCreating = { [id = job.id] in (try? installation.store.job(id))?.isCreating ?? false }
  }

  init(_ sweep: SweepRecord, _ installation: Installation) {
    (id, folder) = (sweep.id, installation.folder(ofSweep: sweep.id))
    what = "the sweep and give its machines back"
    isCreating = { [id = sweep.id] in
      (try? installation.store.tasks(of: id))?.contains(where: \.isCreating) ?? false
    }
  }

  /// Stop begins at most so long after Ctrl-C (rulings 10).
  private static let patience = Duration.milliseconds(900)

  /// Only where somebody is there to answer, and a driver without a terminal could go on: also a process in the background
  /// has no say about the terminal.
  static func isPossible(for record: JobRecord) -> Bool {
    isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
      && (try? Passphrases.refuseToAsk(for: record.arrangement.key)) != nil
  }

  /// - Returns: whether the driver is to be told of the signal. Does not return when the job was handed over.
  func tells(of signal: Signal, unless isAgain: () -> Bool) -> Bool {
    guard signal == .interrupt, tcgetpgrp(STDIN_FILENO) == getpgrp() else { return true }
    Question.begin()
    defer { Question.end() }
    say("\nfcrun: stop \(what), or detach and let it run? [S/d] ")
    let answer = KeyPress.wait(for: Self.patience, unless: isAgain)
    guard let answer, "dD".utf8.contains(answer) else {
      say(answer == nil ? "\nfcrun: stop\n" : "\n")
      return true
    }
    say("\n")
    return !handOver()
  }

  /// - Returns: false when it could not be.
  private func handOver() -> Bool {
    guard let driver = try? DetachedDriver.start(id, log: folder, takesFromHere: true) else {
      say("fcrun: a process of its own could not be started: it is stopped here\n")
      return false
    }
    usleep(300_000)
    waitForAnswerOfPOST()
    guard !driver.hasEnded else {
      say("fcrun: the process that was to drive on has ended (\(folder)/driver.log): it is stopped here\n")
      return false
    }
    say("fcrun: detached; \(id) goes on: fcrun attach \(id), or fcrun cancel \(id)\n")
    KeyPress.restore()
    _exit(0)
  }

  private func waitForAnswerOfPOST() {
    for _ in 0..<300 where isCreating() { usleep(50_000) }
  }

  private func say(_ text: String) { StandardStream.writeIfHeard(text, to: STDERR_FILENO) }
}

extension JobRecord {
  fileprivate var isCreating: Bool { if case .creating = state.phase { true } else { false } }
}

/// A question on the terminal stands alone: who draws in place waits meanwhile, and begins anew below it.
enum Question {
  private static let state = Mutex((isOpen: false, count: 0))

  static var isOpen: Bool { state.withLock { $0.isOpen } }
  /// How many there were so far.
  static var count: Int { state.withLock { $0.count } }

  static func begin() { state.withLock { $0 = (true, $0.count + 1) } }
  static func end() { state.withLock { $0.isOpen = false } }
}

/// One key of the terminal on stdin, without Return.
enum KeyPress {
  /// The terminal's settings while they are not as they were.
  private static let saved = Mutex<termios?>(nil)

  /// nil when none was pressed in time.
  static func wait(for patience: Duration, unless isAnswered: () -> Bool) -> UInt8? {
    var mode = termios()
    guard tcgetattr(STDIN_FILENO, &mode) == 0 else { return nil }
    saved.withLock { $0 = mode }
    atexit { KeyPress.restore() }
    mode.c_lflag &= ~tcflag_t(ICANON)
    tcsetattr(STDIN_FILENO, TCSANOW, &mode)
    defer { restore() }
    let end = ContinuousClock.now + patience
    var wish = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    // A signal on another thread does not interrupt poll(2) here.
    while poll(&wish, 1, 30) == 0 { if isAnswered() || ContinuousClock.now >= end { return nil } }
    var byte: UInt8 = 0
    return read(STDIN_FILENO, &byte, 1) == 1 ? byte : nil
  }

  static func restore() {
    saved.withLock { saved in
      if var mode = saved { tcsetattr(STDIN_FILENO, TCSANOW, &mode) }
      saved = nil
    }
  }
}
