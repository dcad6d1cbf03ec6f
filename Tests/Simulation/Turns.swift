import Jobs

/// Whose turn it is: the processes of a seed run one at a time, in the order of virtual time.
///
/// A process that runs alone never waits here. With a second one, each gives its turn away where it lets time pass, and
/// gets it back when its time has come: the order follows from the seed alone, not from the threads that run the tasks.
final class Turns: @unchecked Sendable {
  private struct Waiting {
    var until: Moment
    var number: Int
    var go: CheckedContinuation<Void, Never>
  }

  private var waiting: [Waiting] = []
  private var running = 0
  private var count = 0
  private var finished: CheckedContinuation<Void, Never>?

  /// More than one process is there.
  var isShared: Bool { running > 1 }

  /// Runs all of them to their ends.
  func run(_ bodies: [@Sendable () async -> Void], at now: Moment) async {
    for body in bodies { await enter(body, at: now) }
    await withCheckedContinuation { all in
      finished = all
      next()
    }
  }

  private func enter(_ body: @escaping @Sendable () async -> Void, at now: Moment) async {
    running += 1
    await withCheckedContinuation { ready in
      Task {
        await withCheckedContinuation { go in
          add(go, until: now)
          ready.resume()
        }
        await body()
        self.running -= 1
        self.next()
      }
    }
  }

  /// Waits for `moment` while others run.
  func wait(until moment: Moment) async {
    await withCheckedContinuation { go in
      add(go, until: moment)
      next()
    }
  }

  private func add(_ go: CheckedContinuation<Void, Never>, until moment: Moment) {
    count += 1
    waiting.append(Waiting(until: moment, number: count, go: go))
  }

  private func next() {
    let soonest = waiting.indices.min {
      (waiting[$0].until, waiting[$0].number) < (waiting[$1].until, waiting[$1].number)
    }
    guard let soonest else {
      finished?.resume()
      finished = nil
      return
    }
    waiting.remove(at: soonest).go.resume()
  }
}
