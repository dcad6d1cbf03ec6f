import Jobs

/// All situations that can be reached, breadth first, so that the first trace to a violation is a shortest one.
///
/// A situation is compared as a whole, not by a hash of it: two that are counted as one are the same.
package struct Exploration {
  package struct Violation: Sendable {
    package var what: String
    /// One line for each step from the start.
    package var trace: [String]
  }

  package struct Findings: Sendable {
    package var situations: Int
    package var steps: Int
    /// Steps of the longest of the shortest traces.
    package var depth: Int
    package var clientStates: Int
    /// Different questions that the reducer answered.
    package var reducerCalls: Int
    /// Situations in which the job is over, nothing lives and nothing is on its way.
    package var clean: Int
    /// At most one of each kind, with its shortest trace.
    package var violations: [Violation]
    /// False when the limit came first.
    package var isComplete: Bool
  }

  private var stepper: Stepper
  private let bounds: Bounds
  private var situations: [Situation] = []
  private var parents: [UInt32] = []
  private var actions: [UInt32] = []
  private var index = SituationIndex()
  /// Where the steps out of each situation begin in `targets`.
  private var starts: [UInt32] = []
  private var targets: [UInt32] = []
  private var depth = 0
  private var clean: [UInt32] = []
  private var found: [(rule: Rule, at: UInt32)] = []

  package init(_ client: Client, _ bounds: Bounds) {
    stepper = Stepper(client: client, bounds: bounds)
    self.bounds = bounds
  }

  /// Explores everything, or until the first violation, or as far as `limit` situations.
  package mutating func run(untilViolated: Bool = false, limit: Int = .max) -> Findings {
    _ = insert(stepper.start(), from: 0, by: 0)
    var next = 0
    var endOfLevel = 1
    while next < situations.count, situations.count <= limit, !(untilViolated && !found.isEmpty) {
      if next == endOfLevel { (depth, endOfLevel) = (depth + 1, situations.count) }
      expand(UInt32(next))
      next += 1
    }
    let isComplete = next == situations.count
    if isComplete, found.isEmpty { findStuck() }
    return findings(isComplete)
  }

  private mutating func expand(_ at: UInt32) {
    starts.append(UInt32(targets.count))
    stepper.expand(situations[Int(at)])
    if stepper.isIllegal { note(.illegal, at) }
    for step in stepper.steps { targets.append(insert(step.situation, from: at, by: step.action)) }
  }

  private mutating func insert(_ situation: Situation, from parent: UInt32, by action: UInt32) -> UInt32 {
    let (place, known) = index.find(situation, in: situations)
    if let known { return known }
    let number = UInt32(situations.count)
    situations.append(situation)
    parents.append(parent)
    actions.append(action)
    index.fill(place, number, situations)
    check(situation, number)
    return number
  }

  private func findings(_ isComplete: Bool) -> Findings {
    Findings(
      situations: situations.count, steps: targets.count, depth: depth, clientStates: stepper.table.facts.count,
      reducerCalls: stepper.table.reducerCalls, clean: clean.count,
      violations: found.map { Violation(what: $0.rule.sentence, trace: trace(to: $0.at)) }, isComplete: isComplete)
  }
}

// MARK: - What must hold everywhere

extension Exploration {
  private enum Rule {
    case twoUnderOneName, secondPost, finishedTooEarly, reapedTooEarly, unwatched, leftBehind, tooMany, illegal, stuck

    var sentence: String {
      switch self {
      case .twoUnderOneName: "two machines live under one name, and the cloud executed no POST twice"
      case .secondPost: "a name was posted twice"
      case .finishedTooEarly: "the job is finished, and a machine it knew lives"
      case .reapedTooEarly: "the reaper is done, and the machine lives"
      case .unwatched: "the job is finished, and a machine lives under a name that nobody watches"
      case .leftBehind:
        "the cloud was as good as is assumed, the job is finished, and a machine lives or may still come"
      case .tooMany: "the cloud was as good as is assumed, and more machines live than the job wants"
      case .illegal: "the reducer refused an event"
      case .stuck: "from here the job cannot end with nothing left"
      }
    }
  }

  private mutating func note(_ rule: Rule, _ at: UInt32) {
    if !found.contains(where: { $0.rule == rule }) { found.append((rule, at)) }
  }

  private mutating func check(_ situation: Situation, _ at: UInt32) {
    let facts = stepper.table.facts[Int(situation.driver)]
    var (living, isComing) = (0, false)
    for index in 0..<bounds.names {
      let name = situation[index]
      if name.living > 1, !name.wasExecutedTwice { note(.twoUnderOneName, at) }
      if name.posts > 1 { note(.secondPost, at) }
      if facts.isOver { checkEnd(name, at) }
      living += name.living
      isComing = isComing || name.hasFlights
    }
    checkReaper(situation, at)
    if facts.isOver, living == 0, !isComing, situation.reaper == Situation.none { clean.append(at) }
    guard bounds.areAssumed, !situation.hasExecutedTwice else { return }
    if living > bounds.nodes { note(.tooMany, at) }
    if facts.isOver, living > 0 || isComing { note(.leftBehind, at) }
  }

  private mutating func checkEnd(_ name: Name, _ at: UInt32) {
    for place in 0..<Bounds.copies where name.instance(place).isAlive {
      if name.instance(place).isKnown { note(.finishedTooEarly, at) }
      if !stepper.isWatched(name) { note(.unwatched, at) }
    }
  }

  private mutating func checkReaper(_ situation: Situation, _ at: UInt32) {
    guard situation.reaper != Situation.none else { return }
    let facts = stepper.table.facts[Int(situation.reaper)]
    guard facts.kind == .done else { return }
    for instance in 0..<(bounds.names * Bounds.copies)
    where facts.known >> UInt8(instance) & 1 == 1 && situation.instance(instance).isAlive { note(.reapedTooEarly, at) }
  }

  /// Every situation must have a way to one in which the job is over and nothing is left.
  private mutating func findStuck() {
    let count = situations.count
    starts.append(UInt32(targets.count))
    var ends = [UInt32](repeating: 0, count: count + 1)
    for target in targets { ends[Int(target) + 1] += 1 }
    for number in 0..<count { ends[number + 1] += ends[number] }
    var (sources, filled) = ([UInt32](repeating: 0, count: targets.count), ends)
    for number in 0..<count {
      for step in Int(starts[number])..<Int(starts[number + 1]) {
        sources[Int(filled[Int(targets[step])])] = UInt32(number)
        filled[Int(targets[step])] += 1
      }
    }
    var reaches = [Bool](repeating: false, count: count)
    for number in clean { reaches[Int(number)] = true }
    var queue = clean
    while let number = queue.popLast() {
      for place in Int(ends[Int(number)])..<Int(ends[Int(number) + 1]) where !reaches[Int(sources[place])] {
        reaches[Int(sources[place])] = true
        queue.append(sources[place])
      }
    }
    if let stuck = reaches.firstIndex(of: false) { note(.stuck, UInt32(stuck)) }
  }
}

// MARK: - Traces

extension Exploration {
  private func trace(to end: UInt32) -> [String] {
    var path = [end]
    while let last = path.last, last != 0 { path.append(parents[Int(last)]) }
    var now = 0
    return path.reversed().map { number in
      let action = actions[Int(number)]
      if number != 0, Step.Kind(rawValue: action & 31) == .time { now += Int(Bounds.tick.seconds) }
      return "\(now) s  \(number == 0 ? "the job is submitted" : words(action)) — \(condition(situations[Int(number)]))"
    }
  }

  private func condition(_ situation: Situation) -> String {
    let facts = stepper.table.facts[Int(situation.driver)]
    let process = situation.driving.mode == .down ? " (not driven)" : ""
    let alive = (0..<(bounds.names * Bounds.copies)).filter { situation.instance($0).isAlive }.map { "i\($0)" }
    return facts.state.word + process + (alive.isEmpty ? "" : ", alive: " + alive.joined(separator: " "))
  }

  private func words(_ action: UInt32) -> String {
    let who = action >> 5 & 1 == 1 ? "the reaper: " : ""
    let (what, answer) = (Int(action >> 6 & 7), action >> 9)
    let name = stepper.table.names[min(what, bounds.names - 1)] ?? "?"
    return switch Step.Kind(rawValue: action & 31)! {
    case .time: "\(Int(Bounds.tick.seconds)) s pass"
    case .lost: "the cloud never executes the POST of \(name)"
    case .executed: "the cloud executes the POST of \(name); nobody hears it"
    case .executedAndAnswered: "the cloud executes the POST of \(name), and answers"
    case .executedAndRefused: "the cloud executes the POST of \(name), and answers provider_error"
    case .executedToBeRepeated: "the cloud executes the POST of \(name), and will do so again"
    case .preempted: "i\(what) is taken away"
    case .vanished: "i\(what) is deleted"
    case .forgotten: "i\(what) is not known any more"
    case .restart: "fcrun resume"
    case .crash: "CRASH"
    case .interrupt: "SIGINT"
    case .cancel: "fcrun cancel"
    case .deadline: "boot_timeout has passed"
    case .leave: "exit 75"
    case .postLeaves: "POST \(name)"
    case .postNotSent: "POST \(name) cannot be sent"
    case .postRejected: "POST \(name) is refused"
    case .postUnlikely: "POST \(name) is answered provider_error"
    case .postTimesOut: "no answer to POST \(name)"
    case .list: "\(who)list: \(shown(ShownList(bits: answer)))"
    case .read: "\(who)GET i\(what): \(Seen(rawValue: Int(answer)).map { "\($0)" } ?? "?")"
    case .delete: "\(who)DELETE i\(what): \(Asked(rawValue: Int(answer & 3)).map { "\($0)" } ?? "?")"
    case .plain: who + (EventCode.Kind(rawValue: UInt64(answer)).map { "\($0)" } ?? "?")
    case .reaperFinds: "the reaper finds i\(what)"
    case .reaperDies: "the reaper dies"
    case .reaperEnds: "the reaper ends"
    }
  }

  private func shown(_ list: ShownList) -> String {
    guard list.isReadable else { return "not readable" }
    let shown = (0..<(bounds.names * Bounds.copies)).filter { list[$0] == .alive }.map { "i\($0)" }
    return shown.isEmpty ? "nothing" : shown.joined(separator: " ")
  }
}

/// The numbers of the situations by their content: open addressing over the list of all.
private struct SituationIndex {
  private var slots = [UInt32](repeating: .max, count: 1 << 16)
  private var count = 0

  /// The number of `situation`, or the free place for it.
  func find(_ situation: Situation, in all: [Situation]) -> (place: Int, known: UInt32?) {
    var place = Int(truncatingIfNeeded: situation.hash) & (slots.count - 1)
    while slots[place] != .max {
      if all[Int(slots[place])] == situation { return (place, slots[place]) }
      place = (place + 1) & (slots.count - 1)
    }
    return (place, nil)
  }

  mutating func fill(_ place: Int, _ number: UInt32, _ all: [Situation]) {
    slots[place] = number
    count += 1
    if count * 2 > slots.count { grow(all) }
  }

  private mutating func grow(_ all: [Situation]) {
    slots = [UInt32](repeating: .max, count: slots.count * 2)
    for (number, situation) in all.enumerated() { slots[find(situation, in: all).place] = UInt32(number) }
  }
}
