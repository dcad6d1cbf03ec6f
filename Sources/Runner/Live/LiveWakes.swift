import Jobs
import Store

/// Signals, cancel requests of other processes, and the clock.
package struct LiveWakes: Wakes {
  let signals: SignalInbox
  let store: JobStore
  let clock: any Clock

  package init(signals: SignalInbox, store: JobStore, clock: any Clock) {
    self.signals = signals
    self.store = store
    self.clock = clock
  }

  /// How often a request of another process is looked for.
  private static let glance = Duration.milliseconds(300)

  private enum Item: Sendable {
    case event(Event?)
    case wake(Wake)
    case mercyOver
    case nothing
  }

  package func run(
    job: String, within limit: Duration?, mercy: Duration, listensForCancel: Bool, heard: (Wake) async -> Void,
    _ operation: @escaping @Sendable () async -> Event?
  ) async -> (event: Event?, wake: Wake?) {
    if let signal = signals.takePending() { return await endBefore(operation, .signal(signal), mercy, heard) }
    return await withTaskGroup(of: Item.self) { group in
      group.addTask { .event(await operation()) }
      group.addTask { await signals.next().map { .wake(.signal($0)) } ?? .nothing }
      if let limit { group.addTask { await wait(until: clock.now() + limit) } }
      if listensForCancel { group.addTask { await cancelRequest(of: job) } }
      return await gather(&group, mercy, heard)
    }
  }

  /// The signal was there first: nothing is done any more. An operation that is shown mercy says so itself.
  private func endBefore(
    _ operation: @escaping @Sendable () async -> Event?, _ wake: Wake, _ mercy: Duration, _ heard: (Wake) async -> Void
  ) async -> (event: Event?, wake: Wake?) {
    guard mercy > .zero else { return (nil, wake) }
    await heard(wake)
    let answer = await withTaskGroup(of: Event?.self) { group in
      group.cancelAll()
      group.addTask { await operation() }
      return await group.next() ?? nil
    }
    return (answer, nil)
  }

  private func gather(
    _ group: inout TaskGroup<Item>, _ mercy: Duration, _ heard: (Wake) async -> Void
  ) async -> (event: Event?, wake: Wake?) {
    var event: Event?
    var wake: Wake?
    var isMerciful = false
    var isGivenUp = false
    for await item in group {
      switch item {
      case .event(let answer):
        event = isGivenUp ? nil : answer
        group.cancelAll()
      case .wake(let first) where mercy > .zero && !group.isCancelled:
        await heard(first)
        guard !isMerciful else { continue }
        isMerciful = true
        group.addTask { [clock] in
          await clock.sleep(for: mercy)
          return .mercyOver
        }
      case .wake(let first) where wake == nil && !group.isCancelled:
        wake = first
        isGivenUp = true
        group.cancelAll()
      // Deadlines and requests come up again by themselves, a signal does not.
      case .wake(.signal(let signal)): wake = .signal(signal)
      // What a POST answers that is called back still counts: one that waited for its turn was never sent.
      case .mercyOver: group.cancelAll()
      case .wake, .nothing: continue
      }
    }
    return (event, wake)
  }

  private func wait(until deadline: Moment) async -> Item {
    while clock.now() < deadline {
      await clock.sleep(for: deadline - clock.now())
      if Task.isCancelled { return .nothing }
    }
    return .wake(.deadline)
  }

  private func cancelRequest(of job: String) async -> Item {
    while !Task.isCancelled {
      if (try? store.isCancelRequested(job)) == true { return .wake(.cancelRequest) }
      await clock.sleep(for: Self.glance)
    }
    return .nothing
  }
}
