import Dispatch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Calls back when somebody wants the process to end. Children are not concerned: they get every signal as at birth.
final class Signals: Sendable {
  // Dispatch sources may be cancelled from any thread: dispatch_source_cancel(3).
  private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

  init(_ onEnd: @escaping @Sendable () -> Void) {
    signal(SIGPIPE, SIG_IGN)
    sources = [SIGTERM, SIGINT, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler(handler: onEnd)
      source.activate()
      return source
    }
  }

  func close() {
    for source in sources { source.cancel() }
  }
}
