import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Every state that the client was ever in, numbered, and where each event leads: each answer of the reducer is asked for once.
///
/// Of a state only what can still make a difference is kept (Relative.swift). That it makes none is checked: whenever the
/// reducer is asked, it is asked about a state as it came out, too, and must come to the same.
struct ClientTable {
  enum Kind {
    case choose, create, look, price, observe, reach, upload, launch, follow, stop, collect, delete, salvage, verify,
      done
  }

  /// What the world needs to know of a numbered state.
  struct Facts {
    var state: JobState
    /// One that came out of the reducer and was taken for `state`.
    var witness: JobState
    var tries: Int
    var kind: Kind
    var isReleasing = false
    var isOver = false
    var isChoosing = false
    var isPastDeadline = false
    /// The name of the attempt's first node, among all names.
    var firstName = 0
    /// Nodes without a POST.
    var unsent: [Int] = []
    /// Instances that a DELETE and a proof are due for, by their number in the world, and whether a GET has shown them.
    var unproved: [(instance: Int, wasRead: Bool)] = []
    /// The adopted instance of each node.
    var adopted: [Int?] = []
    /// Bit n: a state names instance n.
    var known: UInt8 = 0
    /// Names that go under watch when this state is committed.
    var watched: [Int] = []
  }

  private struct Numbered: Hashable {
    var state: JobState
    var tries: Int
  }

  private struct Question: Hashable {
    var id: UInt32
    var event: EventCode
  }

  static let now = Moment(milliseconds: 1_800_000_000_000)

  let client: Client
  let bounds: Bounds
  let context: JobContext
  private(set) var facts: [Facts] = []
  private(set) var reducerCalls = 0
  private var numbers: [Numbered: UInt32] = [:]
  private var moves: [Question: UInt32?] = [:]
  /// The text of each name, once a state has shown it.
  private(set) var names: [String?]

  init(client: Client, bounds: Bounds) {
    self.client = client
    self.bounds = bounds
    names = Array(repeating: nil, count: bounds.names)
    var plan = JobPlan(
      name: "m", file: "/m.json", root: "/", nodes: bounds.nodes, resources: Resources(), command: .script("true"))
    plan.resources.maxHourlyPrice = 2
    plan.limits.bootTimeout = Int(Bounds.tick.seconds) * 4
    plan.retry = Retry(on: [.noCapacity, .bootFailed, .preempted], attempts: bounds.attempts)
    context = JobContext(id: "jjjjjjjjjjjjjjjj", owner: "oooooo", plan: plan)
  }

  static let offering = Offering(
    id: "o", instanceType: "t", provider: "p", region: "r", deploymentType: "vm", available: true, hourlyPrice: 1,
    pricePerGPUHour: 1)

  mutating func start() -> UInt32 { number(JobState(), tries: 0) }
}

// MARK: - Moving

extension ClientTable {
  /// The number of the state after `event`; nil when the reducer refuses it.
  mutating func move(_ id: UInt32, _ event: EventCode) -> UInt32? {
    let question = Question(id: id, event: event)
    if let known = moves[question] { return known }
    let answer = ask(facts[Int(id)], event)
    moves[question] = .some(answer)
    return answer
  }

  private mutating func ask(_ facts: Facts, _ event: EventCode) -> UInt32? {
    switch event.kind {
    case .tick: return number(facts.state.shifted(by: Bounds.tick), tries: facts.tries)
    case .crash: return number(client.afterCrash(facts.state), tries: 0)
    case .leave: return number(client.afterLeaving(facts.state), tries: 0)
    default: break  // All others are the reducer's.
    }
    reducerCalls += 1
    let happened = self.event(event, facts)
    guard let next = try? client.after(facts.state, happened, context, Self.now) else { return nil }
    requireSame(next, facts, happened)
    // As the driver counts: an answer that changes nothing was asked for in vain.
    let isInVain = next == facts.state && !event.kind.comesFromOutside
    let tries = isInVain ? facts.tries + 1 : next == facts.state && event.kind != .restart ? facts.tries : 0
    return number(next, tries: tries)
  }

  /// A release of one machine that was found by its name, as the reaper begins it.
  mutating func found(_ instance: Int, age: Int) -> UInt32 {
    let (name, node) = (instance / Bounds.copies, instance / Bounds.copies % bounds.nodes)
    let made = Moment(milliseconds: Self.now.milliseconds - Bounds.tick.milliseconds * Int64(age))
    let attempt = Attempt(
      found: "i\(instance)", node: node, number: name / bounds.nodes + 1, at: made)
    return number(JobState(phase: .releasing(attempt, .cancelled)), tries: 0)
  }

  /// What was left out of a state must not show in what follows from it.
  private func requireSame(_ next: JobState, _ facts: Facts, _ event: Event) {
    guard facts.witness != facts.state else { return }
    let other = try? client.after(facts.witness, event, context, Self.now)
    guard let other, other.relative(in: context.plan) == next.relative(in: context.plan) else {
      preconditionFailure("\(event) tells \(facts.state) from \(facts.witness): Relative.swift leaves out too much")
    }
  }

  private mutating func number(_ raw: JobState, tries: Int) -> UInt32 {
    let state = raw.relative(in: context.plan)
    let numbered = Numbered(state: state, tries: canonical(tries, of: state))
    if let known = numbers[numbered] { return known }
    let id = UInt32(facts.count)
    numbers[numbered] = id
    facts.append(makeFacts(numbered.state, raw, numbered.tries))
    return id
  }

  /// The lowest count from which `next` goes on in the same way.
  private func canonical(_ tries: Int, of state: JobState) -> Int {
    let answers = (0..<12).map { client.next(state, $0) }
    let period = [1, 2, 3, 6].first { period in (0..<(12 - period)).allSatisfy { answers[$0] == answers[$0 + period] } }
    guard let period else { preconditionFailure("what \(state.word) does next does not repeat within 6 tries") }
    return tries % period
  }
}

// MARK: - Facts

extension ClientTable {
  private mutating func makeFacts(_ state: JobState, _ raw: JobState, _ tries: Int) -> Facts {
    var facts = Facts(state: state, witness: raw, tries: tries, kind: kind(client.next(state, tries)))
    facts.isReleasing = state.isReleasing
    if case .finished(_, nil) = state.phase { facts.isOver = true }
    if case .choosing = state.phase { facts.isChoosing = true }
    facts.isPastDeadline = state.deadline(in: context).map { $0.at <= Self.now } ?? false
    let instances = (state.attempt?.instanceIDs ?? []) + state.past.flatMap(\.instanceIDs)
    facts.known = instances.reduce(0) { $0 | 1 << UInt8(Self.instance($1)) }
    if let attempt = state.attempt { add(attempt, to: &facts) }
    facts.watched = state.namesToWatch.compactMap { name in names.firstIndex(of: name) }
    return facts
  }

  private mutating func add(_ attempt: Attempt, to facts: inout Facts) {
    facts.firstName = (attempt.number - 1) * bounds.nodes
    for machine in attempt.machines { names[facts.firstName + machine.node] = machine.name }
    facts.unsent = attempt.machines.filter { $0.post == .unsent }.map(\.node)
    facts.unproved = attempt.unproved.map { (Self.instance($0.id), $0.wasRead) }
    facts.adopted = attempt.machines.map { $0.id.map(Self.instance) }
  }

  static func instance(_ id: String) -> Int { Int(id.dropFirst())! }

  private func kind(_ next: JobState.Next) -> Kind {
    guard case .perform(let effect) = next else { return .done }
    return switch effect {
    case .choose: .choose
    case .create: .create
    case .look: .look
    case .price: .price
    case .observe: .observe
    case .reach: .reach
    case .upload: .upload
    case .launch: .launch
    case .follow: .follow
    case .stop: .stop
    case .collect: .collect
    case .clear: preconditionFailure("the model is of one job, which hands nothing over")
    case .delete: .delete
    case .salvage: .salvage
    case .verify: .verify
    }
  }
}
