import TestSupport
import Testing

@testable import Jobs

/// How an attempt with several nodes ends.
@Suite struct GangTests {
  private let now = StateTable.now

  private func context(_ engine: Engine = .none, _ loss: NodeLoss? = nil, nodes: Int = 3) -> JobContext {
    var context = StateTable.context
    context.plan.nodes = nodes
    context.plan.engine = engine == .none ? nil : EngineChoice(engine)
    context.plan.onNodeLoss = loss
    return context
  }

  private func running(_ context: JobContext) -> JobState {
    var attempt = Attempt.planned(number: 1, at: StateTable.offering, in: context, now: now + .seconds(-300))
    for index in attempt.machines.indices {
      attempt.machines[index].post = .made
      attempt.machines[index].instances = [MadeInstance(id: "i-\(index)")]
    }
    return JobState(phase: .running(attempt.launched(at: now)))
  }

  private func end(_ node: Int, _ code: Int, _ reason: CommandEnd.Reason = .exited) -> NodeEnd {
    NodeEnd(node: node, how: .ended(CommandEnd(code: code, phase: .command, reason: reason)))
  }

  private func lost(_ node: Int) -> NodeEnd { NodeEnd(node: node, how: .lost("node \(node) is lost")) }

  private func after(_ ends: [NodeEnd]..., in context: JobContext) throws -> JobState {
    try ends.reduce(running(context)) { try $0.after(.ended($1), in: context, at: now) }
  }

  @Test func successIsTheSuccessOfAll() throws {
    let context = context()
    #expect(try after([end(0, 0)], [end(2, 0)], in: context).word == "running")
    let all = try after([end(0, 0)], [end(2, 0)], [end(1, 0)], in: context)
    #expect(all.word == "collecting" && all.outcome?.isSuccess == true)
  }

  @Test func theFirstFailureEndsTheOthersAndDecides() throws {
    let context = context()
    let failed = try after([end(0, 0)], [end(1, 7)], in: context)
    #expect(failed.word == "stopping" && failed.outcome?.exitCode == 7)
    let stopped = try failed.after(.stopped([end(2, 143, .stopped)]), in: context, at: now)
    #expect(stopped.word == "collecting" && stopped.outcome?.exitCode == 7)
  }

  @Test(arguments: [Engine.ray, .mpi]) func whereTheCommandRunsOnTheHeadItsEndIsTheEnd(engine: Engine) throws {
    let context = context(engine)
    for code in [0, 7] {
      let ended = try after([end(0, code)], in: context)
      #expect(ended.word == "stopping" && ended.outcome?.exitCode == Int32(code))
      let ends = [end(1, 143, .stopped), end(2, 143, .stopped)]
      let stopped = try ended.after(.stopped(ends), in: context, at: now)
      #expect(stopped.word == "collecting" && stopped.outcome?.exitCode == Int32(code))
    }
    #expect(try after([end(2, 1)], in: context).word == "stopping")
  }

  @Test func aRanksOwnCodeIsWorthMoreThanWhatTheOthersMadeOfIt() throws {
    let context = context(.torchrun)
    // The peers of a rank that exits 7 fail with 1, and theirs may be seen first.
    let seen = try after([end(0, 1)], in: context)
    #expect(seen.outcome?.exitCode == 1)
    let told = try seen.after(.stopped([end(1, 7), end(2, 143, .stopped)]), in: context, at: now)
    #expect(told.outcome?.exitCode == 7)
    #expect(try after([end(0, 1), end(2, 137)], in: context).outcome?.exitCode == 137)
    #expect(try after([end(0, 1), end(2, 134)], in: context).outcome?.exitCode == 1)
  }

  @Test func theLossOfANodeEndsTheOthersBeforeTheMachinesGo() throws {
    let context = context()
    let state = try after([lost(1)], in: context)
    #expect(state.word == "stopping" && state.outcome == .lost("node 1 is lost"))
    #expect(state.attempt?.unended.map(\.node) == [0, 2])
    let stopped = try state.after(.stopped([end(0, 143, .stopped), end(2, 143, .stopped)]), in: context, at: now)
    #expect(stopped.word == "collecting" && stopped.outcome?.exitCode == 76)
  }

  @Test func theOthersGoOnWhereThatIsWanted() throws {
    let context = context(.none, .continue)
    #expect(try after([lost(0)], in: context).word == "running")
    let rest = try after([lost(0)], [end(1, 0), end(2, 0)], in: context)
    #expect(rest.word == "collecting" && rest.outcome?.isSuccess == true)
    #expect(try after([lost(0)], [lost(1)], [lost(2)], in: context).word == "releasing")
  }

  @Test func aRayClusterGoesOnWithoutAWorkerAndNotWithoutItsHead() throws {
    let context = context(.ray, .continue)
    #expect(try after([lost(2)], in: context).word == "running")
    #expect(try after([lost(0)], in: context).word == "stopping")
    // Its Ray died and its machine did not: for the cluster that is the same.
    let alone = try after([end(1, 1)], in: context)
    #expect(alone.word == "running" && alone.attempt?.present.map(\.node) == [0, 2])
  }

  /// One that is lost is not asked about any more: that it is gone is known.
  @Test func aLostNodeThatIsGoneIsNoReasonToGiveUp() throws {
    let context = context(.none, .continue)
    let active = Observation.active(Address(host: "h", port: 22, user: "root"))
    let state = try (0..<4).reduce(after([lost(1)], in: context)) { state, _ in
      try state.after(.observed([active, .ending(status: "deleted"), active]), in: context, at: now)
    }
    #expect(state.word == "running")
  }

  @Test func aMachineAloneThatIsLostIsGivenBackAtOnce() throws {
    let context = context(nodes: 1)
    #expect(try after([lost(0)], in: context).word == "releasing")
  }

  @Test func anOutputIsMissingWhereThePlanSaysThatItMustBe() {
    var plan = context().plan
    let place = Place(file: "", line: 1, column: 1)
    plan.outputs = [OutputNodes.any, .head, .every].map {
      JobPlan.OutputPlan(source: $0.rawValue, destination: nil, nodes: $0, field: "", place: place)
    }
    let here = (node: 0, missing: [String]()), without = (node: 2, missing: ["any", "head", "every"])
    #expect(plan.missing([here, without]) == ["every of node 2"])
    #expect(plan.missing([(0, ["any", "head", "every"]), (1, [])]) == ["head", "every of node 0"])
    #expect(plan.missing([(0, ["any"]), (1, ["any"])]) == ["any"])
    #expect(plan.missing([(1, [])]) == ["head"], "the head is lost")
  }

  @Test func whatCannotGoOnWithoutANodeRefusesTo() {
    for engine in ["torchrun", "mpi"] {
      let text =
        #"{"command": "x", "resources": {"vcpus": 1}, "nodes": 2, "engine": "\#(engine)", "on_node_loss": "continue"}"#
      guard case .failure(let wrong) = SpecDecoder.decode(text, file: "job.json") else {
        Issue.record("\(engine) took it")
        continue
      }
      #expect(wrong.problems.map(\.path) == ["on_node_loss"])
      #expect(wrong.problems[0].message.contains(engine))
    }
  }
}
