import Remote
import SSH

/// Tells how far a transfer is, at most ten times a second.
@SSHLoop
final class ProgressMeter {
  private let tell: @SSHLoop (WorkerEvent.Kind) -> Void
  private var progress = Progress(bytes: 0, totalBytes: nil, files: 0, totalFiles: nil)
  private var told = ContinuousClock.now
  private var isToldOf = true

  init(_ tell: @escaping @SSHLoop (WorkerEvent.Kind) -> Void) { self.tell = tell }

  func begin(totalBytes: Int?, totalFiles: Int?) {
    progress = Progress(bytes: 0, totalBytes: totalBytes, files: 0, totalFiles: totalFiles)
    isToldOf = false
    flush()
  }

  func add(bytes: Int = 0, files: Int = 0) {
    progress.bytes += bytes
    progress.files += files
    isToldOf = false
    if ContinuousClock.now - told >= .milliseconds(100) { flush() }
  }

  func flush() {
    guard !isToldOf else { return }
    (isToldOf, told) = (true, .now)
    tell(.progress(progress))
  }
}
