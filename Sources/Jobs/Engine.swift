/// What brings the nodes of a job together.
package enum Engine: String, Codable, Sendable, CaseIterable {
  /// The command runs on every node; who is who says the environment.
  case none
  case ray, torchrun, mpi

  /// The command runs on the first node only, the others serve it: its end is the job's.
  package var runsOnHead: Bool {
    switch self {
    case .ray, .mpi: true
    case .none, .torchrun: false
    }
  }

  /// The others can go on when a node is gone. torchrun and mpirun hang instead (design: tried with a cut cable).
  package var outlivesNodes: Bool {
    switch self {
    case .none, .ray: true
    case .torchrun, .mpi: false
    }
  }
}

/// An engine as a spec names it.
package struct EngineChoice: Codable, Sendable, Equatable {
  package var engine: Engine
  /// The version to install where another one, or none, is there; nil: what is there is used, and nothing installed.
  package var version: String?
  /// What a task of a fleet takes of its machine; nil: one GPU where the machines have any, and one core.
  package var gpusPerTask: Int?
  package var cpusPerTask: Int?

  package init(_ engine: Engine, version: String? = nil, gpusPerTask: Int? = nil, cpusPerTask: Int? = nil) {
    self.engine = engine
    self.version = version
    self.gpusPerTask = gpusPerTask
    self.cpusPerTask = cpusPerTask
  }
}

/// What the loss of one node means.
package enum NodeLoss: String, Codable, Sendable, CaseIterable {
  /// The end of the attempt.
  case fail
  /// The others go on without it.
  case `continue`
}

/// Of which nodes an output is.
package enum OutputNodes: String, Codable, Sendable, CaseIterable {
  /// Whichever have it; missing where none has.
  case any
  /// The first node's only.
  case head
  /// Every node must have it.
  case every
}

extension JobPlan {
  package var brings: Engine { engine?.engine ?? .none }

  package var onLoss: NodeLoss { onNodeLoss ?? .fail }

  /// The outputs that are missing in the end.
  /// - Parameter found: by rank, the patterns that matched nothing on the node; nodes that are lost are not in it.
  package func missing(_ found: [(node: Int, missing: [String])]) -> [String] {
    outputs.flatMap { output -> [String] in
      let without = found.filter { $0.missing.contains(output.source) }.map(\.node)
      switch output.nodes ?? .any {
      case .any: return without.count == found.count ? [output.source] : []
      case .head: return without.contains(0) || !found.contains { $0.node == 0 } ? [output.source] : []
      case .every where nodes == 1: return without.isEmpty ? [] : [output.source]
      case .every: return without.map { "\(output.source) of node \($0)" }
      }
    }
  }
}

// MARK: - How several nodes end

extension Attempt {
  /// Those that are still ours to work with.
  package var present: [Machine] { machines.filter { $0.lost == nil } }

  /// The nodes whose command may still run.
  package var unended: [Machine] { present.filter { $0.end == nil } }

  /// The outcome once it is decided, by the first failure or by the success of all; nil while the command runs.
  ///
  /// Where the command runs on the head only, its end decides: the others serve it until they are told to end.
  func decision(in plan: JobPlan) -> Outcome? {
    if plan.brings.runsOnHead, let end = machines[0].end { return end.outcome(in: plan) }
    if let failure = failure(in: plan) { return failure.outcome(in: plan) }
    guard unended.isEmpty, let end = present.lazy.compactMap(\.end).first else { return nil }
    return end.outcome(in: plan)
  }

  private func failure(in plan: JobPlan) -> CommandEnd? {
    let failures = present.compactMap(\.end).filter(\.isFailure)
    return plan.brings == .torchrun ? failures.tellingOne : failures.first
  }

  /// Notes who is gone. A node that only served, and ended by itself with a failure, is gone as well where the rest may go on.
  func losing(_ ends: [NodeEnd], in plan: JobPlan) -> Attempt {
    changing { attempt in
      for end in ends {
        if let loss = end.loss { attempt.machines[end.node].lost = loss.sentence }
        guard plan.brings.runsOnHead, plan.onLoss == .continue, end.node > 0 else { continue }
        guard let record = attempt.machines[end.node].end, record.isFailure, record.phase == .command else { continue }
        attempt.machines[end.node].lost = "it ended with exit code \(record.code)"
      }
    }
  }

  /// Why the attempt cannot go on without the nodes that are gone; nil where it can.
  func mortalLoss(_ ends: [NodeEnd], in plan: JobPlan) -> Outcome? {
    guard let loss = loss(ends) else { return nil }
    let needsIt = plan.brings.runsOnHead && machines[0].lost != nil
    return plan.onLoss == .continue && !present.isEmpty && !needsIt ? nil : loss
  }

  /// The failure of a rank is worth more than what the others said of it: how they end once one of them is gone is their library's own
  /// way, mostly 1 or a signal.
  func judgedAgain(_ outcome: Outcome, in plan: JobPlan) -> Outcome {
    guard plan.brings == .torchrun, case .exited(let end) = outcome, end.isFailure else { return outcome }
    return .exited(([end] + machines.compactMap(\.end).filter(\.isFailure)).tellingOne ?? end)
  }
}

extension CommandEnd {
  var isFailure: Bool { code != 0 || reason == .timedOut }

  /// Not only that something else failed: torch's launcher and its peers end with 1, SIGABRT or SIGTERM then.
  fileprivate var isTelling: Bool { ![1, 134, 143].contains(code) }
}

extension [CommandEnd] {
  /// The first that says something of its own, else the first.
  fileprivate var tellingOne: CommandEnd? { first(where: \.isTelling) ?? first }
}
