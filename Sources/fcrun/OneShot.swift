import Synchronization

/// Something that happens once, whoever brings it about, and that one task waits for.
final class OneShot: Sendable {
  private enum State {
    case open
    case awaited(CheckedContinuation<Void, Never>)
    case over
  }

  private let state = Mutex(State.open)

  func fire() {
    let waiter = state.withLock { state in
      defer { state = .over }
      return if case .awaited(let waiter) = state { waiter } else { nil as CheckedContinuation<Void, Never>? }
    }
    waiter?.resume()
  }

  func wait() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if case .over = state { return true }
        state = .awaited(continuation)
        return false
      }
      if isOver { continuation.resume() }
    }
  }
}
