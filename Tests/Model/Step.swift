import Jobs

/// What may happen next, one step of one participant at a time, with the action that a trace names it by.
struct Step {
  enum Kind: UInt32 {
    case time, lost, executed, executedAndAnswered, executedAndRefused, executedToBeRepeated, preempted, vanished,
      forgotten, restart, crash, interrupt, cancel, deadline, leave, postLeaves, postNotSent, postRejected,
      postUnlikely, postTimesOut, list, read, delete, plain, reaperFinds, reaperDies, reaperEnds
  }

  /// Kind, who, what it is about, and an answer.
  var action: UInt32
  var situation: Situation

  static func action(_ kind: Kind, _ what: Int = 0, _ answer: UInt32 = 0, byReaper: Bool = false) -> UInt32 {
    kind.rawValue | (byReaper ? 1 << 5 : 0) | UInt32(what) << 6 | answer << 9
  }
}

/// Which of the two processes moves.
enum Actor { case driver, reaper }

/// Makes the steps out of a situation. Knows the cloud and how its answers are carried; what follows from them is the client's.
struct Stepper {
  var table: ClientTable
  let bounds: Bounds
  /// Ticks of the watch; nil: longer than anything here.
  let watchTicks: Int?
  /// What follows from the situation that was asked about last.
  private(set) var steps: [Step] = []
  /// The reducer refused an event there.
  private(set) var isIllegal = false
  private var here = Situation()

  init(client: Client, bounds: Bounds) {
    table = ClientTable(client: client, bounds: bounds)
    self.bounds = bounds
    let ticks = Bounds.ticks(client.watch)
    watchTicks = ticks <= 12 ? ticks : nil
    steps.reserveCapacity(256)
  }

  mutating func start() -> Situation {
    var first = Situation()
    first.driver = table.start()
    first.reaper = Situation.none
    first.driving.mode = .up
    return first
  }

  mutating func expand(_ situation: Situation) {
    here = situation
    isIllegal = false
    steps.removeAll(keepingCapacity: true)
    passTime()
    for name in 0..<bounds.names { cloudSteps(name) }
    driverSteps()
    if here.reaper != Situation.none { reaperSteps() } else { reaperFinds() }
  }

  func isWatched(_ name: Name) -> Bool { name.watchAge > 0 && name.watchAge - 1 < watchTicks ?? .max }

  var isOver: Bool { table.facts[Int(here.driver)].isOver }

  private mutating func add(
    _ kind: Step.Kind, _ situation: Situation, _ what: Int = 0, _ answer: UInt32 = 0, by actor: Actor = .driver
  ) {
    steps.append(
      Step(action: Step.action(kind, what, answer, byReaper: actor == .reaper), situation: situation))
  }
}

// MARK: - Time and the cloud

extension Stepper {
  /// One tick, unless something has to happen before.
  private mutating func passTime() {
    var next = here
    for index in 0..<bounds.names {
      var name = here[index]
      guard mayAge(name) else { return }
      for flight in 0..<Bounds.copies where name.flight(flight).isThere { name.set(flight, name.flight(flight).older) }
      for place in 0..<Bounds.copies { name.set(place, name.instance(place).older(bounds.lag)) }
      if name.watchAge > 0, watchTicks != nil { name.watchAge += 1 }
      next[index] = name
    }
    guard let driver = table.move(here.driver, EventCode(.tick)) else { return }
    next.driver = driver
    if here.reaper != Situation.none {
      guard let reaper = table.move(here.reaper, EventCode(.tick)) else { return }
      next.reaper = reaper
    }
    if next != here { add(.time, next) }
  }

  /// A POST is executed in time or never, and somebody has looked before a watch ends.
  private func mayAge(_ name: Name) -> Bool {
    for flight in 0..<Bounds.copies where name.flight(flight).isThere && name.flight(flight).age >= bounds.delay {
      return false
    }
    guard isOver, watchTicks != nil, isWatched(name) else { return true }
    return !(0..<Bounds.copies).contains { name.instance($0).isAlive && name.instance($0).age >= bounds.lag }
  }

  private mutating func cloudSteps(_ index: Int) {
    let name = here[index]
    for flight in 0..<Bounds.copies where name.flight(flight).isThere { execute(flight, of: index) }
    for place in 0..<Bounds.copies {
      let instance = index * Bounds.copies + place
      switch name.instance(place).life {
      case .none, .gone: break
      case .live: become(.deleted, instance, .preempted)
      case .deleting:
        become(.deleted, instance, .vanished)
        become(.gone, instance, .forgotten)
      case .deleted: become(.gone, instance, .forgotten)
      }
    }
  }

  private mutating func become(_ life: ModelInstance.Life, _ instance: Int, _ kind: Step.Kind) {
    add(kind, here.with(instance, here.instance(instance).becoming(life)), instance)
  }

  private mutating func execute(_ flight: Int, of index: Int) {
    var lost = here
    var name = here[index]
    let isAwaited = name.flight(flight).isAwaited
    let again = name.flight(flight).unawaited
    name.set(flight, .none)
    lost[index] = name
    add(.lost, lost, index)
    guard let place = name.freeInstance else { return }
    name.set(place, ModelInstance(.live))
    var made = here
    made[index] = name
    answer(made, index, place, isAwaited)
    guard bounds.executesTwice, !here.hasExecutedTwice else { return }
    name.set(flight, again)
    name.wasExecutedTwice = true
    made[index] = name
    made.hasExecutedTwice = true
    add(.executedToBeRepeated, made, index)
    if isAwaited { postAnswered(made, index, Posted.made + place, .executedAndAnswered) }
  }

  private mutating func answer(_ made: Situation, _ index: Int, _ place: Int, _ isAwaited: Bool) {
    add(.executed, made, index)
    guard isAwaited else { return }
    postAnswered(made, index, Posted.made + place, .executedAndAnswered)
    if bounds.refusesFalsely { postAnswered(made, index, Posted.unlikely, .executedAndRefused) }
  }
}

// MARK: - The processes

extension Stepper {
  private mutating func driverSteps() {
    switch here.driving.mode {
    case .ended: break
    case .down:
      var next = here
      next.driving.mode = .up
      arrive(next, EventCode(.restart), .restart)
    case .up:
      fate()
      effectSteps(.driver, table.facts[Int(here.driver)], here.driving)
    }
  }

  /// What may come in between, wherever the process is.
  private mutating func fate() {
    let facts = table.facts[Int(here.driver)]
    if here.crashes < bounds.crashes {
      var next = here.withNobodyWaiting(bounds)
      next.crashes += 1
      next.driving = Doing()
      next.driver = table.move(here.driver, EventCode(.crash)) ?? here.driver
      add(.crash, next)
    }
    if bounds.isInterrupted, !here.wasAskedToEnd {
      var next = here.withNobodyWaiting(bounds)
      next.wasAskedToEnd = true
      arrive(next, EventCode(.cancel), .cancel)
      next.driving.isSignalled = true
      arrive(next, EventCode(.interrupt), .interrupt)
    }
    if facts.isPastDeadline { arrive(here.withNobodyWaiting(bounds), EventCode(.deadline), .deadline) }
    if facts.isReleasing, here.driving.isBetweenEffects {
      var next = here
      next.driving = Doing()
      next.driver = table.move(here.driver, EventCode(.leave)) ?? here.driver
      add(.leave, next)
    }
  }

  private mutating func reaperSteps() {
    add(.reaperDies, here.withoutReaper(bounds), by: .reaper)
    effectSteps(.reaper, table.facts[Int(here.reaper)], here.reaping)
  }

  /// A list shows what lives under a watched name of a job that is over, and it is read once more.
  private mutating func reaperFinds() {
    guard isOver else { return }
    for instance in 0..<(bounds.names * Bounds.copies)
    where here.instance(instance).isAlive && isWatched(here[instance / Bounds.copies]) {
      let age = here.instance(instance).age
      // One that every list shows may be of any age.
      for age in age < bounds.lag ? [age] : [age, max(age, Bounds.ticks(Window.settle))] {
        var next = here
        next.reaper = table.found(instance, age: age)
        next.reaping.mode = .up
        add(.reaperFinds, next, instance, by: .reaper)
      }
    }
  }

  /// Gives the event to the reducer, and goes where it leads.
  private mutating func arrive(
    _ situation: Situation, _ event: EventCode, _ kind: Step.Kind, _ what: Int = 0, _ answer: UInt32 = 0,
    by actor: Actor = .driver
  ) {
    guard let after = actor == .driver ? driven(situation, event) : reaped(situation, event) else {
      isIllegal = true
      return add(kind, situation, what, answer, by: actor)
    }
    add(kind, after, what, answer, by: actor)
  }

  private mutating func driven(_ situation: Situation, _ event: EventCode) -> Situation? {
    guard var id = table.move(situation.driver, event) else { return nil }
    var next = situation
    next.driving.beginNext()
    // As the driver: after a signal there is no next attempt.
    if next.driving.isSignalled, table.facts[Int(id)].isChoosing {
      guard let ended = table.move(id, EventCode(.interrupt)) else { return nil }
      id = ended
    }
    next.driver = id
    let facts = table.facts[Int(id)]
    if id != situation.driver { for name in facts.watched { next[name].watchAge = 1 } }
    if facts.known != 0 { next = next.knowing(facts.known, bounds) }
    if facts.kind == .done {
      next.driving = Doing()
      next.driving.mode = .ended
      (next.crashes, next.wasAskedToEnd) = (0, false)
      next = next.withoutDead(bounds)
    }
    return next
  }

  private mutating func reaped(_ situation: Situation, _ event: EventCode) -> Situation? {
    guard let id = table.move(situation.reaper, event) else { return nil }
    var next = situation
    next.reaping.beginNext()
    next.reaper = id
    return next
  }
}

// MARK: - Effects

extension Stepper {
  private mutating func effectSteps(_ actor: Actor, _ facts: ClientTable.Facts, _ doing: Doing) {
    switch facts.kind {
    case .create: createSteps(facts, doing)
    case .look: listSteps(actor, .listed, doing)
    case .observe: observeSteps(actor, facts, doing)
    case .delete: deleteSteps(actor, facts, doing)
    case .verify:
      if doing.step < facts.unproved.count {
        readSteps(actor, facts, doing)
      } else {
        listSteps(actor, .verified, doing)
      }
    case .price: plain(actor, [.unchangedPrice, .higherPrice])
    case .follow: plain(actor, [.succeeded, .lost])
    case .choose: plain(actor, [.chosen])
    case .reach: plain(actor, [.reached])
    case .upload: plain(actor, [.uploaded])
    case .launch: plain(actor, [.launched])
    case .stop: plain(actor, [.stopped])
    case .collect: plain(actor, [.collected])
    case .salvage: plain(actor, [.salvaged])
    case .done:
      guard actor == .reaper else { break }
      add(.reaperEnds, here.withoutReaper(bounds), by: .reaper)
    }
  }

  private mutating func plain(_ actor: Actor, _ events: [EventCode.Kind]) {
    for event in events { arrive(here, EventCode(event), .plain, 0, UInt32(event.rawValue), by: actor) }
  }

  /// Each node without a POST is asked for, all at once: in any order, and each answer for itself.
  private mutating func createSteps(_ facts: ClientTable.Facts, _ doing: Doing) {
    for node in facts.unsent {
      let name = facts.firstName + node
      switch doing.answer(node) {
      case Posted.unasked:
        postAnswered(here, name, Posted.notSent, .postNotSent)
        postAnswered(here, name, Posted.rejected, .postRejected)
        postAnswered(here, name, Posted.unlikely, .postUnlikely)
        send(node, name)
      case Posted.waiting: postAnswered(here.withNobodyWaiting(for: name), name, Posted.unknown, .postTimesOut)
      default: break
      }
    }
  }

  private mutating func send(_ node: Int, _ index: Int) {
    guard let free = here[index].freeFlight else { return }
    var next = here
    next[index].posts = min(2, here[index].posts + 1)
    next[index].set(free, .justSent)
    next.driving.answer(node, Posted.waiting)
    add(.postLeaves, next, index)
  }

  private mutating func postAnswered(_ situation: Situation, _ index: Int, _ answer: Int, _ kind: Step.Kind) {
    let facts = table.facts[Int(here.driver)]
    var next = situation
    next.driving.answer(index - facts.firstName, answer)
    let isComplete = facts.unsent.allSatisfy { next.driving.answer($0) > Posted.waiting }
    guard isComplete else { return add(kind, next, index) }
    arrive(next, EventCode(.posted, answers: next.driving.answers), kind, index)
  }

  private mutating func observeSteps(_ actor: Actor, _ facts: ClientTable.Facts, _ doing: Doing) {
    guard let instance = facts.adopted[doing.step] else {
      return answered(actor, here, .observed, Seen.unknown.rawValue, facts.adopted.count, .read, 0)
    }
    for seen in here.instance(instance).readings(bounds, whileBooting: true) {
      answered(
        actor, here.showing(instance, seen, bounds), .observed, seen.rawValue, facts.adopted.count, .read, instance)
    }
  }

  private mutating func readSteps(_ actor: Actor, _ facts: ClientTable.Facts, _ doing: Doing) {
    let instance = facts.unproved[doing.step].instance
    for seen in here.instance(instance).readings(bounds, whileBooting: false) {
      // The list that follows completes the event.
      answered(actor, here.showing(instance, seen, bounds), .verified, seen.rawValue, .max, .read, instance)
    }
  }

  private mutating func deleteSteps(_ actor: Actor, _ facts: ClientTable.Facts, _ doing: Doing) {
    guard doing.step < facts.unproved.count else { return arrive(here, EventCode(.deleted), .delete, by: actor) }
    let (instance, wasRead) = facts.unproved[doing.step]
    let thing = here.instance(instance)
    let marks = !wasRead && thing.life != .gone && thing.life != .none ? [0, 4] : [0]
    for mark in marks {
      for (life, how) in thing.deletions(bounds) {
        let seen = mark == 0 ? thing : thing.shown(bounds.lag)
        let next = here.with(instance, life == thing.life ? seen : seen.becoming(life))
        answered(actor, next, .deleted, how.rawValue | mark, facts.unproved.count, .delete, instance)
      }
    }
  }

  /// One answer of several; the last one completes the event.
  private mutating func answered(
    _ actor: Actor, _ situation: Situation, _ event: EventCode.Kind, _ answer: Int, _ count: Int, _ kind: Step.Kind,
    _ instance: Int
  ) {
    var next = situation
    var doing = actor == .driver ? here.driving : here.reaping
    doing.answer(doing.step, answer)
    doing.step += 1
    if actor == .driver { next.driving = doing } else { next.reaping = doing }
    guard doing.step >= count else { return add(kind, next, instance, UInt32(answer), by: actor) }
    arrive(next, EventCode(event, answers: doing.answers), kind, instance, UInt32(answer), by: actor)
  }

  /// No readable list, or one of each set of the instances that are young enough to be missed.
  private mutating func listSteps(_ actor: Actor, _ event: EventCode.Kind, _ doing: Doing) {
    arrive(here, EventCode(event, answers: doing.answers), .list, 0, 0, by: actor)
    var sure = ShownList.empty
    var young: [Int] = []
    for instance in 0..<(bounds.names * Bounds.copies) {
      let thing = here.instance(instance)
      switch thing.life {
      case .none, .gone: break
      case .deleted: sure[instance] = .deleted
      case .live, .deleting: if thing.age < bounds.lag { young.append(instance) } else { sure[instance] = .alive }
      }
    }
    for chosen in 0..<(1 << young.count) {
      var list = sure
      for (place, instance) in young.enumerated() where chosen >> place & 1 == 1 { list[instance] = .alive }
      arrive(here, EventCode(event, answers: doing.answers, list: list), .list, 0, list.bits, by: actor)
    }
  }
}

// MARK: - What the cloud may answer

extension ModelInstance {
  func readings(_ bounds: Bounds, whileBooting: Bool) -> [Seen] {
    switch life {
    case .none, .gone: [.notFound, .unknown]
    case .deleted: [.deleted, .unknown]
    case .deleting: age < bounds.lag && !isShown ? [.deleting, .notFound, .unknown] : [.deleting, .unknown]
    case .live:
      (whileBooting ? [.active, .creating] : [.active])
        + (age < bounds.lag && !isShown ? [.notFound, .unknown] : [.unknown])
    }
  }

  /// What a DELETE does, and what is answered: it may be accepted and forgotten, or executed with the answer lost.
  func deletions(_ bounds: Bounds) -> [(life: Life, how: Asked)] {
    switch life {
    case .none, .gone: [(life, .notFound), (life, .unknown)]
    case .deleted: [(life, .accepted), (life, .notFound), (life, .unknown)]
    case .deleting: [(life, .accepted), (life, .refused), (life, .unknown)]
    case .live:
      [(.deleting, .accepted), (.live, .accepted), (.deleting, .unknown), (.live, .unknown), (.live, .refused)]
        + (age < bounds.lag ? [(.live, .notFound)] : [])
    }
  }
}

extension Situation {
  func instance(_ instance: Int) -> ModelInstance { self[instance / Bounds.copies].instance(instance % Bounds.copies) }

  func with(_ instance: Int, _ thing: ModelInstance) -> Situation {
    var copy = self
    copy[instance / Bounds.copies].set(instance % Bounds.copies, thing)
    return copy
  }

  func showing(_ instance: Int, _ seen: Seen, _ bounds: Bounds) -> Situation {
    [.active, .creating, .deleting].contains(seen) ? with(instance, self.instance(instance).shown(bounds.lag)) : self
  }

  /// Answers that are still on their way have nobody to go to.
  func withNobodyWaiting(_ bounds: Bounds) -> Situation {
    (0..<bounds.names).reduce(self) { $0.withNobodyWaiting(for: $1) }
  }

  func withNobodyWaiting(for name: Int) -> Situation {
    var copy = self
    for flight in 0..<Bounds.copies { copy[name].set(flight, copy[name].flight(flight).unawaited) }
    return copy
  }

  func withoutReaper(_ bounds: Bounds) -> Situation {
    var copy = withoutDead(bounds)
    copy.reaper = Self.none
    copy.reaping = Doing()
    return copy
  }

  /// Once the job is over nobody asks for what is dead; its place is not free all the same.
  func withoutDead(_ bounds: Bounds) -> Situation {
    var copy = self
    for instance in 0..<(bounds.names * Bounds.copies) where [.deleted, .gone].contains(copy.instance(instance).life) {
      copy = copy.with(instance, ModelInstance(.gone))
    }
    return copy
  }

  func knowing(_ known: UInt8, _ bounds: Bounds) -> Situation {
    var copy = self
    for instance in 0..<(bounds.names * Bounds.copies) where known >> UInt8(instance) & 1 == 1 {
      let thing = instance / Bounds.copies
      copy[thing].set(instance % Bounds.copies, copy.instance(instance).known)
    }
    return copy
  }
}
