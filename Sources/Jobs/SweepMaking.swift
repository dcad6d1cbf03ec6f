// From one spec to the plans of all its tasks.

extension PlannedWork {
  /// Decodes, lays the options of the command line over it, and plans one job, or a job for each task.
  ///
  /// What is wrong comes at once: of the spec, of the table or array, and of the first task that cannot be planned.
  /// - Parameters:
  ///   - file: the spec's absolute path.
  ///   - source: what the command line says of a sweep.
  package static func make(
    _ written: SpecNode.Parsed, _ layers: SpecLayers = SpecLayers(), file: String, sweep source: SweepSource? = nil,
    environment: @escaping (String) -> String?
  ) -> Result<PlannedWork, SpecProblems> {
    let parsed = layers.applied(to: written)
    let maker = SweepMaker(parsed: parsed, file: file, environment: environment)
    guard let node = parsed.node else { return .failure(SpecProblems(parsed.problems)) }
    return maker.work(node, source)
  }
}

private struct SweepMaker {
  let parsed: SpecNode.Parsed
  let file: String
  let environment: (String) -> String?

  func work(_ node: SpecNode, _ source: SweepSource?) -> Result<PlannedWork, SpecProblems> {
    guard let tasks = tasks(node, source) else { return plan(node, nil).map(PlannedWork.job) }
    switch tasks {
    case .failure(let wrong):
      // What else is wrong with the spec is told at the same time.
      return .failure(SpecProblems(wrong.problems + problemsOfSpec.filter { !wrong.problems.contains($0) }))
    case .success(var tasks):
      let reuses = node["reuse"].map { $0.value == .bool(true) } ?? false
      for place in tasks.tasks.indices { tasks.tasks[place].reuses = reuses }
      return sweep(node, tasks)
    }
  }

  /// nil: a single job.
  private func tasks(_ node: SpecNode, _ source: SweepSource?) -> Result<SweepTasks, SpecProblems>? {
    let matrix = node["matrix"]
    if let source, let matrix {
      let message = "is given beside \(source.option); expected one of the two"
      return .failure(SpecProblems([SpecProblem(at: matrix.place, path: "matrix", message: message)]))
    }
    if let source { return source.tasks() }
    guard let matrix else { return nil }
    var reader = SpecReader()
    let axes = reader.matrix(matrix, SpecPath("matrix"))
    guard reader.problems.isEmpty else { return .failure(SpecProblems(reader.problems)) }
    return SweepTasks.combinations(of: axes, at: matrix.place)
  }

  private var problemsOfSpec: [SpecProblem] {
    SpecDecoder.readable(parsed).problems
  }

  private func sweep(_ node: SpecNode, _ tasks: SweepTasks) -> Result<PlannedWork, SpecProblems> {
    var plans: [JobPlan] = []
    for task in tasks.tasks {
      switch plan(node, task) {
      case .success(let plan): plans.append(plan)
      case .failure(let wrong): return .failure(wrong)
      }
    }
    let name = plans[0].name
    for place in plans.indices { plans[place].become(tasks.tasks[place], of: name, outputsAsWritten: node["outputs"]) }
    let collisions = plans.collisions
    guard collisions.isEmpty else { return .failure(SpecProblems(collisions)) }
    let parallel = tasks.maxParallel ?? maxParallel(node)
    if plans[0].brings == .ray { return fleet(node, plans, of: name, parallel) }
    return .success(.sweep(SweepPlan(name: name, tasks: plans, maxParallel: parallel ?? SweepPlan.defaultParallel)))
  }

  /// One cluster for all tasks: a cluster for each is not what anybody wants to pay for.
  private func fleet(_ node: SpecNode, _ plans: [JobPlan], of name: String, _ parallel: Int?) -> Result<
    PlannedWork, SpecProblems
  > {
    let problems = plans.sharing.compactMap { field, isShared in
      isShared ? nil : node[field].map { Self.shared(field, at: $0.place) }
    }
    let others = Self.foreign.compactMap { field, why in
      node[field].flatMap { $0.value == .bool(false) ? nil : SpecProblem(at: $0.place, path: field, message: why) }
    }
    let grace = plans[0].limits.outputGrace > 0 ? [] : [Self.withoutGrace(node)]
    guard problems.isEmpty, others.isEmpty, grace.isEmpty else {
      return .failure(SpecProblems(problems + others + grace))
    }
    return .success(.job(JobPlan(fleet: plans, of: name, maxParallel: parallel)))
  }

  private static func shared(_ field: String, at place: Place) -> SpecProblem {
    let message =
      "differs between the tasks, which share the machines of one Ray cluster; expected no ${matrix.…} in it, or engine \"none\""
    return SpecProblem(at: place, path: field, message: message)
  }

  private static func withoutGrace(_ node: SpecNode) -> SpecProblem {
    let place = node["limits"]?["output_grace"]?.place ?? node.place
    let message = "is 0, and what tasks of one cluster print comes home as an output; expected at least a second"
    return SpecProblem(at: place, path: "limits.output_grace", message: message)
  }

  /// What has no meaning for tasks of one cluster.
  private static let foreign: KeyValuePairs = [
    "reuse": "is given beside engine ray; expected no reuse: all tasks share the machines of one cluster",
    "checkpoint":
      "is given in a sweep beside engine ray; expected no checkpoint: Ray starts a task again from its beginning",
  ]

  private func maxParallel(_ node: SpecNode) -> Int? {
    var reader = SpecReader()
    return node["max_parallel"].flatMap { reader.integer($0, SpecPath("max_parallel"), atLeast: 1) }
  }

  private func plan(_ node: SpecNode, _ task: SweepTask?) -> Result<JobPlan, SpecProblems> {
    var template = SweepTemplate(task)
    var whole = parsed
    whole.node = template.filled(node)
    whole.problems += template.problems
    let (spec, problems) = SpecDecoder.readable(whole)
    guard let spec else { return .failure(SpecProblems(problems)) }
    switch JobPlan.make(spec: spec, file: file, isTask: task != nil, environment: environment) {
    case .success(let plan): return problems.isEmpty ? .success(plan) : .failure(SpecProblems(problems))
    case .failure(let wrong): return .failure(SpecProblems(problems + wrong.problems))
    }
  }
}

extension JobPlan {
  /// The plan of one task: a name of its own, and places of its own for its outputs.
  fileprivate mutating func become(_ task: SweepTask, of sweep: String, outputsAsWritten: SpecNode?) {
    self.task = task
    name = "\(sweep)-\(task.index)"
    guard case .list(let written)? = outputsAsWritten?.value else { return }
    for (place, node) in zip(outputs.indices, written) where !node.namesItsTask { outputs[place].folder = name }
  }
}

extension SpecNode {
  /// Where an output goes, the destination or else the source, depends on the task.
  fileprivate var namesItsTask: Bool {
    let target = self["destination"] ?? self["source"] ?? self
    if case .string(let text) = target.value { return SweepTemplate.isUsed(in: text) }
    return false
  }
}

extension [JobPlan] {
  /// What all tasks of one cluster have in common, as long as they do.
  fileprivate var sharing: KeyValuePairs<String, Bool> {
    let first = self[0]
    return [
      "setup": allSatisfy { $0.setup == first.setup }, "files": allSatisfy { $0.files == first.files },
      "workdir": allSatisfy { $0.workdir == first.workdir },
    ]
  }

  /// Outputs of two tasks that would go to the same place.
  fileprivate var collisions: [SpecProblem] {
    var seen: [String: Int] = [:]
    var problems: [String: SpecProblem] = [:]
    for plan in self {
      guard let index = plan.task?.index else { continue }
      for output in plan.outputs where output.folder == nil {
        let target = output.destination ?? output.source
        guard let first = seen.updateValue(index, forKey: target), first != index else { continue }
        let message =
          "becomes \(quoted(target)) for the tasks \(first) and \(index); expected a destination that differs for all"
        problems[output.field] =
          problems[output.field] ?? SpecProblem(at: output.place, path: output.field, message: message)
      }
    }
    return problems.keys.sorted().compactMap { problems[$0] }
  }
}
