import Jobs

/// Whose turn it is: the processes of a seed, and the strands of one process, run one at a time in the order of virtual time.
///
/// What runs alone never waits here. Of several, each gives its turn away where it lets time pass, and gets it back when its
/// time has come: the order follows from the seed alone, not from the threads that run the tasks.
final class Turns: @unchecked Sendable {
  fileprivate struct Waiting {
    var number: Int
    var until: Moment
    /// Nothing is waited for any more: its turn is next.
    var isOver: @Sendable () -> Bool
    var go: CheckedContinuation<Void, Never>
  }

  private var waiting: [Waiting] = []
  private var running = 0
  private var count = 0

  /// More than one is there.
  var isShared: Bool { running > 1 }

  /// Runs all of them, each in a task of its own; hands each end to `heard` in the order in which they come.
  /// - Parameters:
  ///   - isOver: true when none of them waits for anything any more.
  ///   - heard: true to cancel the others.
  func run<Answer: Sendable>(
    _ bodies: [@Sendable () async -> Answer], at now: Moment, isOver: @escaping @Sendable () -> Bool = { false },
    until heard: (_ index: Int, _ answer: Answer) -> Bool
  ) async {
    let group = Group<Answer>()
    for (index, body) in bodies.enumerated() {
      await enter(group, at: now, isOver: isOver) { group.end(index, await body()) }
    }
    await withTaskCancellationHandler {
      for _ in bodies {
        let (index, answer) = await nextEnd(of: group)
        if !group.isCancelled, heard(index, answer) { group.cancel() }
      }
    } onCancel: {
      group.cancel()
    }
  }

  private func nextEnd<Answer>(of group: Group<Answer>) async -> (Int, Answer) {
    if group.ended.isEmpty {
      await withCheckedContinuation { continuation in
        group.parent = continuation
        next()
      }
    }
    return group.ended.removeFirst()
  }

  private func enter<Answer>(
    _ group: Group<Answer>, at now: Moment, isOver: @escaping @Sendable () -> Bool,
    _ body: @escaping @Sendable () async -> Void
  ) async {
    running += 1
    await withCheckedContinuation { ready in
      group.tasks.append(
        Task {
          await withCheckedContinuation { go in
            add(go, until: now, isOver)
            ready.resume()
          }
          await body()
          self.running -= 1
          // Whoever waits for this end goes on at once: the turn is handed over.
          group.wake()
        })
    }
  }

  /// Waits for `moment` while others run, or until that has become pointless.
  func wait(until moment: Moment, isOver: @escaping @Sendable () -> Bool) async {
    let number = count
    await withTaskCancellationHandler {
      await withCheckedContinuation { go in
        add(go, until: moment, isOver)
        next()
      }
    } onCancel: {
      hasten(number)
    }
  }

  /// Its task is cancelled, by the one that has the turn.
  private func hasten(_ number: Int) {
    for place in waiting.indices where waiting[place].number == number { waiting[place].isOver = { true } }
  }

  private func add(
    _ go: CheckedContinuation<Void, Never>, until moment: Moment, _ isOver: @escaping @Sendable () -> Bool
  ) {
    let isCancelled = Task.isCancelled
    waiting.append(Waiting(number: count, until: moment, isOver: { isCancelled || isOver() }, go: go))
    count += 1
  }

  private func next() {
    guard var soonest = waiting.indices.first else { return }
    for place in waiting.indices where waiting[place].precedes(waiting[soonest]) { soonest = place }
    waiting.remove(at: soonest).go.resume()
  }
}

extension Turns.Waiting {
  fileprivate func precedes(_ other: Self) -> Bool {
    let (isOver, otherIsOver) = (isOver(), other.isOver())
    guard isOver == otherIsOver else { return isOver }
    return isOver || until == other.until ? number < other.number : until < other.until
  }
}

/// What was begun together, and who waits for it.
private final class Group<Answer: Sendable>: @unchecked Sendable {
  var tasks: [Task<Void, Never>] = []
  var ended: [(Int, Answer)] = []
  var parent: CheckedContinuation<Void, Never>?
  private(set) var isCancelled = false

  func end(_ index: Int, _ answer: Answer) { ended.append((index, answer)) }

  func cancel() {
    isCancelled = true
    for task in tasks { task.cancel() }
  }

  /// Whoever is woken goes on at once, on another thread: nothing may be done after it.
  func wake() {
    let sleeper = parent
    parent = nil
    sleeper?.resume()
  }
}
