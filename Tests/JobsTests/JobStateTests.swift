import TestSupport
import Testing

@testable import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Every state against every event: what is legal, and what must hold wherever it leads.
@Suite struct JobStateTests {
  @Test(arguments: StateTable.states)
  func everyStateTakesEveryEventOrRefusesItUnchanged(state: JobState) {
    for event in StateTable.events {
      let after = try? state.after(event, in: StateTable.context, at: StateTable.now)
      guard let after else { continue }
      if case .finished(_, nil) = after.phase, !state.isEnd {
        let isProved = if case .verified = event { true } else { false }
        let isNothing = state.attempt?.mayExist != true
        let isGiven = if case .handedOver = event { true } else { false }
        #expect(isNothing || isProved || isGiven, "\(state.word) ended by \(event) without a proof")
      }
    }
  }

  @Test(.faults(106), arguments: StateTable.states)
  func aSignalLeadsToTheReleaseOfEveryMachine(state: JobState) throws {
    let after = try state.after(.interrupted(.interrupt), in: StateTable.context, at: StateTable.now)
    #expect(state.attempt == nil || after.isReleasing || after == state)
    #expect(after.attempt?.instanceIDs == state.attempt?.instanceIDs)
  }

  @Test(.faults(2, 3)) func onlyCreatingForgetsWhatItWasDoing() throws {
    for state in StateTable.states {
      let after = try state.after(.restarted, in: StateTable.context, at: StateTable.now)
      if case .creating = state.phase {
        #expect(after.word == "settling")
        #expect(after.attempt?.machines.allSatisfy { $0.post == .unknown } == true)
      } else {
        #expect(after == state)
      }
    }
  }

  @Test(.faults(17)) func aNameIsNeverPostedTwice() throws {
    let posted = StateTable.attempt { $0.machines[0].post = .unknown }
    for event in StateTable.events {
      guard let after = try? JobState(phase: .settling(posted)).after(event, in: StateTable.context, at: StateTable.now)
      else { continue }
      let isPostedAgain =
        if case .creating(let attempt) = after.phase { attempt.machines[0].name == posted.machines[0].name } else {
          false
        }
      #expect(!isPostedAgain, "\(event) leads back to a POST")
    }
  }

  @Test(.faults(39)) func deletedOnceIsNotProved() throws {
    let first = try proving().after(read(.deleted, []), in: StateTable.context, at: StateTable.now)
    #expect(first.word == "proving")
    let soon = try first.after(read(.deleted, []), in: StateTable.context, at: StateTable.now + .seconds(1))
    #expect(soon.word == "proving")
    let later = try first.after(read(.deleted, []), in: StateTable.context, at: StateTable.now + .seconds(2))
    #expect(later.word == "finished")
  }

  @Test(.faults(30, 34)) func notFoundNeedsAListWithoutTheInstance() throws {
    let listed = [Listing.Listed(id: "i-1", name: "x", isDeleted: false)]
    let once = try proving().after(read(.notFound, listed), in: StateTable.context, at: StateTable.now)
    let twice = try once.after(read(.notFound, listed), in: StateTable.context, at: StateTable.now + .seconds(3))
    #expect(twice.word == "proving")
    let absent = try twice.after(read(.notFound, []), in: StateTable.context, at: StateTable.now + .seconds(6))
    #expect(absent.word == "finished")
  }

  @Test(arguments: [Outcome.cancelled, .outOfBudget("spent")])
  func whatTheUserWantsToEndIsNotKept(outcome: Outcome) throws {
    var context = StateTable.context
    context.plan.teardown = .never
    let collecting = JobState(phase: .collecting(StateTable.attempt { _ in }, outcome))
    #expect(try collecting.after(.collected(missing: []), in: context, at: StateTable.now).word == "releasing")
    let failed = JobState(phase: .collecting(StateTable.attempt { _ in }, .outOfTime("late")))
    #expect(try failed.after(.collected(missing: []), in: context, at: StateTable.now).word == "kept")
  }

  // MARK: From one task to the next

  private let success = Outcome.exited(CommandEnd(code: 0, phase: .command, reason: .exited))

  private func afterCollecting(
    _ attempt: Attempt = StateTable.attempt { _ in }, _ outcome: Outcome? = nil,
    in context: JobContext = StateTable.reusing,
    at now: Moment = StateTable.now
  ) throws -> String {
    try JobState(phase: .collecting(attempt, outcome ?? success)).after(.collected(missing: []), in: context, at: now)
      .word
  }

  @Test func onlyAMachineThatIsWellAndLongEnoughThereIsHandedOver() throws {
    #expect(try afterCollecting() == "handing")
    #expect(try afterCollecting(in: StateTable.context) == "releasing")
    let failed = Outcome.exited(CommandEnd(code: 3, phase: .command, reason: .exited))
    #expect(try afterCollecting(StateTable.attempt { _ in }, failed) == "handing")
    for outcome in [Outcome.cancelled, .outOfTime(""), .lost(""), .failed(""), .outOfBudget("")] {
      #expect(try afterCollecting(StateTable.attempt { _ in }, outcome) == "releasing", "\(outcome)")
    }
    #expect(try afterCollecting(StateTable.attempt { $0.machines[0].strikes = 1 }) == "releasing")
    let twice = StateTable.attempt { $0.machines[0].instances.append(MadeInstance(id: "i-2")) }
    #expect(try afterCollecting(twice) == "releasing", "one of two is nobody's gift")
    var kept = StateTable.reusing
    kept.plan.teardown = .never
    #expect(try afterCollecting(in: kept) == "kept")
    var retried = StateTable.reusing
    retried.plan.retry = Retry(on: [.exit(3)], attempts: 2)
    #expect(try afterCollecting(StateTable.attempt { _ in }, failed, in: retried) == "releasing")
  }

  @Test func theDeadlineInTheNameLeavesTimeForTheNextTask() throws {
    var context = StateTable.reusing
    context.plan.limits = Limits(maxDuration: 600, outputGrace: 60)
    let expiry = (StateTable.now.milliseconds / 60_000) + 20
    let attempt = StateTable.attempt {
      $0.machines[0].name =
        MachineName(owner: "owner1", job: "aaaaaaaabbbbbbbb", attempt: 1, node: 0, expiry: expiry).text(label: "x")
    }
    #expect(try afterCollecting(attempt, in: context) == "handing")
    #expect(try afterCollecting(attempt, in: context, at: StateTable.now + .seconds(10 * 60)) == "releasing")
  }

  @Test func whatEndsATaskThatHandsOverGivesItsMachineBackAndKeepsItsOutcome() throws {
    let handing = JobState(phase: .handing(StateTable.attempt { _ in }, success))
    let events: [Event] = [
      .unwanted, .cancelRequested, .interrupted(.interrupt), .failed(.failed("x")),
      .unreachable("x", wasConnected: true),
    ]
    for event in events {
      let after = try handing.after(event, in: StateTable.reusing, at: StateTable.now)
      #expect(after == JobState(phase: .releasing(StateTable.attempt { _ in }, success)), "\(event)")
    }
  }

  @Test func theHeirBeginsOnTheSameMachineAndTheCostsAddUp() throws {
    let attempt = StateTable.attempt { $0.number = 2 }
    let (then, end) = (StateTable.now + .seconds(100), StateTable.now + .seconds(250))
    let ended = try JobState(phase: .handing(attempt, success))
      .after(.handedOver(to: "next"), in: StateTable.reusing, at: then)
    #expect(ended.phase == .finished(success, kept: nil))
    let heir = JobState().inheriting(attempt, at: then)
    let inherited = try #require(heir.attempt)
    #expect(heir.word == "connecting")
    #expect(inherited.number == 1)
    #expect(inherited.machines.map(\.name) == attempt.machines.map(\.name))
    #expect(inherited.instanceIDs == attempt.instanceIDs)
    #expect(inherited.machines.allSatisfy { $0.end == nil && $0.hostKey == attempt.machines[0].hostKey })
    #expect(ended.cost(at: end) + heir.cost(at: end) == JobState(phase: .proving(attempt, success)).cost(at: end))
    let name = try #require(MachineName(attempt.machines[0].name))
    #expect(!heir.isStray(attempt.instanceIDs[0], named: name), "the number in the name is another attempt's")
    #expect(heir.isStray("i-late", named: name))
  }

  @Test(.faults(30, 31)) func aListThatHidesWhatIsKnownToLiveIsNotBelieved() {
    let known = StateTable.attempt { _ in }
    let other = Listing.Listed(id: "i-2", name: "somebody's", isDeleted: false)
    let own = Listing.Listed(id: "i-1", name: StateTable.name, isDeleted: false)
    #expect(Listing.shown([other, own], expecting: known) == .trusted([other, own]))
    for hiding in [[], [other]] {
      guard case .unreadable(let why) = Listing.shown(hiding, expecting: known) else {
        Issue.record("\(hiding) is believed")
        continue
      }
      #expect(why.contains("i-1"))
    }
    let gone = [InstanceRead(id: "i-1", how: .notFound)]
    #expect(Listing.shown([], expecting: known, after: gone) == .trusted([]), "what was just read as gone is no canary")
  }

  @Test(.faults(31)) func anUnreadableListProvesNothing() throws {
    let unreadable = Event.verified([InstanceRead(id: "i-1", how: .notFound)], .unreadable("HTML"))
    var state = proving()
    for second in 0..<100 {
      state = try state.after(unreadable, in: StateTable.context, at: StateTable.now + .seconds(second))
      #expect(state.isReleasing)
    }
  }

  @Test(.faults(33)) func aNotFoundRightAfterTheCreateIsNoNews() throws {
    let fresh = StateTable.attempt {
      $0.machines[0].instances[0].wasRead = false
      $0.sentAt = StateTable.now
    }
    var state = JobState(phase: .proving(fresh, .cancelled))
    for second in [0, 10, 30, 59] {
      state = try state.after(read(.notFound, []), in: StateTable.context, at: StateTable.now + .seconds(second))
      #expect(state.isReleasing)
    }
    state = try state.after(read(.notFound, []), in: StateTable.context, at: StateTable.now + .seconds(61))
    state = try state.after(read(.notFound, []), in: StateTable.context, at: StateTable.now + .seconds(64))
    #expect(state.word == "finished")
  }

  /// What the API says once may be stale, and SSH may still work: the machine is deleted and proved gone all the same.
  @Test(.faults(27, 93)) func aMachineThatTheAPICallsDeletedIsBelievedTheSecondTimeAndStillDeleted() throws {
    let gone = Event.observed([.ending(status: "deleted")])
    let running = JobState(phase: .running(StateTable.attempt { $0.launchedAt = StateTable.now }))
    let once = try running.after(gone, in: StateTable.context, at: StateTable.now)
    #expect(once.word == "running")
    let twice = try once.after(gone, in: StateTable.context, at: StateTable.now + .seconds(2))
    #expect(twice.word == "releasing")
    guard case .perform(.delete(let attempt)) = twice.next(tries: 0) else {
      Issue.record("it is not deleted: \(twice.next(tries: 0))")
      return
    }
    #expect(attempt.instanceIDs == running.attempt?.instanceIDs)
  }

  @Test(.faults(49)) func twoInstancesUnderOneNameAreBothReleased() throws {
    let two = ["i-1", "i-2"].map { Listing.Listed(id: $0, name: StateTable.name, isDeleted: false) }
    let settling = StateTable.attempt {
      $0.machines[0].post = .unknown
      $0.machines[0].instances = []
    }
    let adopted = try JobState(phase: .settling(settling)).after(
      .listed(.trusted(two)), in: StateTable.context, at: StateTable.now)
    #expect(adopted.attempt?.machines[0].id == "i-1")
    #expect(adopted.attempt?.instanceIDs == ["i-1", "i-2"])
  }

  /// A job between two attempts, of which the first was given up as never made.
  private var between: JobState {
    let lost = StateTable.attempt { $0.machines[0] = Machine(node: 0, name: StateTable.name) }
    let absent = Outcome.noCapacity("never seen")
    return JobState(phase: .choosing, past: [PastAttempt(lost, outcome: absent, releasedAt: StateTable.now)])
  }

  @Test(.faults(17, 19)) func whatShowsLateIsReleasedBeforeTheNextAttemptAndIsNoAttemptOfItsOwn() throws {
    let late = Listing.Listed(id: "i-9", name: StateTable.name, isDeleted: false)
    let found = try between.after(.listed(.trusted([late])), in: StateTable.context, at: StateTable.now)
    #expect(found.word == "releasing" && found.attempt?.instanceIDs == ["i-9"])
    let gone = Event.verified([InstanceRead(id: "i-9", how: .deleted)], .trusted([]))
    var released = try found.after(gone, in: StateTable.context, at: StateTable.now)
    released = try released.after(gone, in: StateTable.context, at: StateTable.now + .seconds(3))
    #expect(released.word == "choosing" && released.past.count == 2)
    #expect(released.past.tries == 1, "one of the attempts that retry allows was used")
    let next = try released.after(.chosen(StateTable.offering), in: StateTable.context, at: StateTable.now)
    #expect(next.attempt?.number == 3, "its name was never used")
  }

  @Test(.faults(58)) func twoNodesAtOneAddressAreNotWorkedWith() throws {
    let both = StateTable.attempt { attempt in
      attempt.machines.append(attempt.machines[0])
      for node in 0...1 { attempt.machines[node].address = Address(host: "198.18.0.9", port: 22, user: nil) }
    }
    let connecting = JobState(phase: .connecting(both))
    let contacts = [Contact](repeating: Contact(hostKey: "k", user: "root"), count: 2)
    let reached = try connecting.after(.reached(contacts), in: StateTable.context, at: StateTable.now)
    #expect(reached == connecting, "one of them is another one's by now")
  }

  @Test func aListWithoutAnythingOfOursChangesNothingBetweenTwoAttempts() throws {
    let dead = Listing.Listed(id: "i-9", name: StateTable.name, isDeleted: true)
    let other = Listing.Listed(id: "i-2", name: "somebody's", isDeleted: false)
    for listing in [Listing.trusted([dead, other]), .unreadable("broken")] {
      #expect(try between.after(.listed(listing), in: StateTable.context, at: StateTable.now) == between)
    }
  }

  @Test(.faults(31)) func aProofWaitsAMomentForAListThatCanBeReadButNotAfterASignal() throws {
    let blind = Event.verified([InstanceRead(id: "i-1", how: .deleted)], .unreadable("broken"))
    func word(_ outcome: Outcome, after seconds: Int) throws -> String {
      let proving = JobState(phase: .proving(StateTable.attempt { _ in }, outcome))
      let once = try proving.after(blind, in: StateTable.context, at: StateTable.now)
      return try once.after(blind, in: StateTable.context, at: StateTable.now + .seconds(seconds)).word
    }
    #expect(try word(.cancelled, after: 3) == "proving")
    #expect(try word(.cancelled, after: 21) == "finished", "deleted, read twice, is a proof (rulings 6)")
    #expect(try word(.interrupted(.interrupt), after: 3) == "finished")
  }

  @Test(.faults(17)) func anAnswerToAPOSTThatWasOutWhenTheJobWasGivenUpIsTakenInTheRelease() throws {
    let creating = JobState(
      phase: .creating(StateTable.attempt { $0.machines[0] = Machine(node: 0, name: StateTable.name) }))
    let given = try creating.after(.interrupted(.interrupt), in: StateTable.context, at: StateTable.now)
    let known = try given.after(.posted([.made(id: "i-7")]), in: StateTable.context, at: StateTable.now)
    #expect(known.word == "releasing" && known.attempt?.instanceIDs == ["i-7"])
    let refused = try given.after(.posted([.rejected(.noCapacity("full"))]), in: StateTable.context, at: StateTable.now)
    #expect(refused.word == "releasing" && refused.attempt?.isGone == true)
  }

  @Test func theDiagramInTheDocsIsTheOneTheCodeDraws() throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/states.md")
    let drawn = StateDiagram.page
    if ProcessInfo.processInfo.environment["FCRUN_UPDATE_DOCS"] != nil { try Data(drawn.utf8).write(to: path) }
    let written = try String(decoding: Data(contentsOf: path), as: UTF8.self)
    #expect(
      written == drawn,
      "docs/states.md is stale; write it anew with: FCRUN_UPDATE_DOCS=1 swift test --filter theDiagramInTheDocs")
  }

  private func proving() -> JobState { JobState(phase: .proving(StateTable.attempt { _ in }, .cancelled)) }

  /// A machine of attempt 1 that shows while attempt 2's own POST is unknown is given back, and proves nothing of that POST.
  @Test func whatIsTakenAlongDoesNotAnswerForAnotherMachine() throws {
    let past = PastAttempt(
      StateTable.attempt { $0.machines[0].instances = [] }, outcome: .noCapacity("none"), releasedAt: StateTable.now)
    let second = StateTable.attempt {
      $0.number = 2
      $0.sentAt = StateTable.now
      $0.machines[0].name = StateTable.name.replacing("-a1-", with: "-a2-")
      $0.machines[0].post = .unknown
      $0.machines[0].instances = []
    }
    let late = Listing.trusted([Listing.Listed(id: "i-late", name: StateTable.name, isDeleted: false)])
    let gone = [InstanceRead(id: "i-late", how: .deleted)]
    var state = JobState(phase: .releasing(second, .cancelled), past: [past])
    for (second, event) in [
      (1, Event.verified([], late)), (2, .verified(gone, .trusted([]))), (5, .verified(gone, .trusted([]))),
      (6, .verified([], .trusted([]))),
    ] {
      state = try state.after(event, in: StateTable.context, at: StateTable.now + .seconds(second))
    }
    let attempt = try #require(state.attempt)
    #expect(attempt.machines[0].post == .unknown && attempt.instanceIDs == ["i-late"])
    #expect(attempt.machines[0].instances[0].isProvedGone)
    // Only when its own name has not shown for the whole window it is over.
    let late2 = StateTable.now + .seconds(70)
    #expect(try state.after(.verified([], .trusted([])), in: StateTable.context, at: late2).word == "finished")
  }

  private func read(_ how: InstanceRead.How, _ listed: [Listing.Listed]) -> Event {
    .verified([InstanceRead(id: "i-1", how: how)], .trusted(listed))
  }
}

extension JobState {
  fileprivate var isEnd: Bool { if case .finished = phase { true } else { false } }
}

/// One state of each phase, and one event of each kind and of each way it can go.
enum StateTable {
  static let now = Moment(milliseconds: 1_800_000_000_000)
  static let name = "fcr-owner1-aaaaaaaabbbbbbbb-a1-n0-0-table"
  static let offering = Offering(
    id: "off", instanceType: "A100x1", provider: "p", region: "r", deploymentType: "vm", available: true,
    hourlyPrice: 2, pricePerGPUHour: 2)
  static let context = JobContext(
    id: "aaaaaaaabbbbbbbb", owner: "owner1",
    plan: JobPlan(name: "table", file: "/t.json", root: "/", resources: Resources(), command: .script("true")))

  static func attempt(_ change: (inout Attempt) -> Void) -> Attempt {
    var attempt = Attempt.planned(number: 1, at: offering, in: context, now: now + .seconds(-300))
    attempt.machines[0].name = name
    attempt.machines[0].post = .made
    attempt.machines[0].instances = [MadeInstance(id: "i-1")]
    attempt.machines[0].instances[0].wasRead = true
    change(&attempt)
    return attempt
  }

  /// A task whose machine the next one may have.
  static let reusing: JobContext = {
    var reusing = context
    reusing.plan.task = SweepTask(index: 0, values: [], reuses: true)
    return reusing
  }()

  static let states: [JobState] = {
    let made = attempt { _ in }
    let asked = attempt {
      $0.machines[0].post = .unsent
      $0.machines[0].instances = []
    }
    let unknown = attempt {
      $0.machines[0].post = .unknown
      $0.machines[0].instances = []
    }
    let success = Outcome.exited(CommandEnd(code: 0, phase: .command, reason: .exited))
    let phases: [Phase] = [
      .choosing, .creating(asked), .settling(unknown), .pricing(made), .booting(made), .connecting(made),
      .uploading(made), .launching(made), .running(made), .stopping(made, .cancelled), .collecting(made, success),
      .handing(made, success), .releasing(made, success), .salvaging(made, .interrupted(.interrupt)),
      .proving(vanishing, success),
      .finished(success, kept: nil), .finished(success, kept: made),
    ]
    return phases.map { JobState(phase: $0) }
  }()

  private static let vanishing = attempt { $0.machines[0].instances[0].goneSince = now + .seconds(-5) }

  static let events: [Event] = {
    let address = Address(host: "h", port: 22, user: "root")
    let dear = {
      var offering = offering
      offering.hourlyPrice = 99
      return offering
    }()
    return [
      .restarted, .chosen(offering), .posted([.made(id: "i-9")]), .posted([.unknown("reset")]),
      .posted([.notSent("refused")]), .posted([.rejected(.noCapacity("none"))]), .posted([.unlikely("none")]),
      .listed(.trusted([])), .listed(.trusted([Listing.Listed(id: "i-9", name: name, isDeleted: false)])),
      .listed(.unreadable("HTML")), .priced(offering), .priced(dear), .priced(nil), .observed([.active(address)]),
      .observed([.notYet(status: "creating")]), .observed([.ending(status: "error")]), .observed([.notFound]),
      .observed([.unknown("timeout")]), .reached([Contact(hostKey: "k", user: "root")]), .uploaded, .launched,
      .ended([NodeEnd(node: 0, how: .ended(CommandEnd(code: 0, phase: .command, reason: .exited)))]),
      .ended([NodeEnd(node: 0, how: .ended(CommandEnd(code: 7, phase: .command, reason: .exited)))]),
      .ended([NodeEnd(node: 0, how: .ended(CommandEnd(code: 143, phase: .command, reason: .timedOut)))]),
      .ended([NodeEnd(node: 0, how: .lost("rebooted"))]), .stopped([]), .collected(missing: []),
      .collected(missing: ["out"]), .handedOver(to: "next"), .unwanted, .unreachable("refused", wasConnected: false),
      .unreachable("reset", wasConnected: true), .deleted([DeleteAnswer(id: "i-1", how: .accepted)]),
      .deleted([DeleteAnswer(id: "i-1", how: .refused("no"))]), .salvaged,
      .verified([InstanceRead(id: "i-1", how: .deleted)], .trusted([])),
      .verified([InstanceRead(id: "i-1", how: .notFound)], .trusted([])),
      .verified([InstanceRead(id: "i-1", how: .present(status: "active"))], .trusted([])),
      .failed(.failed("broken")), .deadline(.boot, trouble: nil), .deadline(.duration, trouble: nil),
      .deadline(.budget, trouble: nil), .deadline(.grace, trouble: nil), .cancelRequested, .interrupted(.terminate),
    ]
  }()
}

/// docs/states.md, drawn from the machine itself.
enum StateDiagram {
  static var page: String {
    """
    # The states of a job

    Drawn from `Sources/Jobs/JobState.swift` by a test (`FCRUN_UPDATE_DOCS=1 swift test --filter theDiagramInTheDocs`).
    What is not drawn leaves the state as it is, or is refused.

    ```mermaid
    stateDiagram-v2
    \(arrows.map { "    " + $0 }.joined(separator: "\n"))
    ```

    | state | what the world is asked | what it costs |
    |---|---|---|
    \(StateTable.states.map(row).joined(separator: "\n"))

    """
  }

  private static var arrows: [String] {
    var labels: [String: [String]] = [:]
    var order: [String] = []
    let contexts = [StateTable.context, StateTable.reusing]
    for (state, context) in StateTable.states.flatMap({ state in contexts.map { (state, $0) } }) {
      for event in StateTable.events {
        guard let after = try? state.after(event, in: context, at: StateTable.now), after.word != state.word
        else { continue }
        let arrow = "\(state.word) --> \(after.word)"
        if labels[arrow] == nil { order.append(arrow) }
        let label = event.kind
        if labels[arrow]?.contains(label) != true { labels[arrow, default: []].append(label) }
      }
    }
    return ["[*] --> choosing"] + order.map { "\($0): \(labels[$0]!.joined(separator: ", "))" } + ["finished --> [*]"]
  }

  private static func row(_ state: JobState) -> String {
    let ask =
      switch state.next() {
      case .perform(let effect): "`\("\(effect)".prefix { $0 != "(" })`"
      case .done: "nothing"
      }
    let cost = state.attempt == nil ? "nothing" : state.word == "creating" ? "perhaps already" : "the machine"
    return "| \(state.word) | \(ask) | \(cost) |"
  }
}

extension Event {
  fileprivate var kind: String { "\(self)".prefix { $0 != "(" }.description }
}
