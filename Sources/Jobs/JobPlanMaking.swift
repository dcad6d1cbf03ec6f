// From what was written to what it means. Everything that needs the local environment, and nothing that needs the network.

extension JobPlan {
  /// Decodes, with the layers of a config file and a command line around it, and plans: what is wrong in any of them
  /// comes at once.
  ///
  /// `file` is the spec's absolute path.
  package static func make(
    _ parsed: SpecNode.Parsed, _ layers: SpecLayers = SpecLayers(), file: String, environment: (String) -> String?
  ) -> Result<JobPlan, SpecProblems> {
    let (spec, problems) = SpecDecoder.readable(parsed, layers)
    guard let spec else { return .failure(SpecProblems(problems)) }
    switch make(spec: spec, file: file, environment: environment) {
    case .success(let plan): return problems.isEmpty ? .success(plan) : .failure(SpecProblems(problems))
    case .failure(let wrong): return .failure(SpecProblems(problems + wrong.problems))
    }
  }

  /// Fills in every default and resolves the environment, or tells all that stands against it.
  ///
  /// `file` is the absolute path of the spec; a sweep is planned task by task, see ``PlannedWork``; `environment` answers with a local variable's value.
  package static func make(
    spec: JobSpec, file: String, isTask: Bool = false, environment: (String) -> String?
  ) -> Result<JobPlan, SpecProblems> {
    var planner = Planner(root: SpecPaths.folder(of: file), home: environment("HOME"))
    planner.refuseWhatCannotRun(spec)
    if !isTask { planner.refuseSweep(spec) }
    planner.refuseSharedFolder(spec)
    planner.protectTheSpec(spec, file: file)
    let envs = planner.envs(spec, environment)
    planner.requireSecrets(spec, environment)
    var plan = JobPlan(
      name: spec.name?.value ?? defaultName(file: file), file: SpecPaths.absolute(file), root: planner.root,
      resources: spec.resources?.value ?? Resources(), command: spec.command.value)
    plan.envs = envs
    plan.secrets = spec.secrets.map(\.value)
    plan.fillMachine(from: spec, planner)
    plan.fillWork(from: spec, planner)
    plan.fillEnding(from: spec)
    return planner.problems.isEmpty ? .success(plan) : .failure(SpecProblems(planner.problems))
  }

  /// A file's name without extension, made fit for `[a-z0-9-]{1,32}`: `My train.v2.json` gives `my-train-v2`.
  package static func defaultName(file: String) -> String {
    var letters = Array((SpecPaths.components(file).last ?? "").utf8)
    if let dot = letters.lastIndex(of: UInt8(ascii: ".")), dot > 0 { letters.removeSubrange(dot...) }
    let words = String(decoding: letters, as: UTF8.self).lowercased().utf8.split { byte in
      !isDigit(byte) && !(UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
    let name = Array(words.joined(separator: "-".utf8).prefix(SpecReader.longestName))[...]
    let trimmed = name.last == UInt8(ascii: "-") ? name.dropLast() : name
    return trimmed.isEmpty ? "job" : String(decoding: trimmed, as: UTF8.self)
  }

  private mutating func fillMachine(from spec: JobSpec, _ planner: Planner) {
    nodes = spec.nodes?.value ?? 1
    engine = spec.engine.flatMap { $0.value.engine == .none ? nil : $0.value }
    onNodeLoss = spec.onNodeLoss?.value
    volumes = spec.volumes.enumerated().map { index, volume in
      VolumeChoice(idOrName: volume.value, field: "volumes[\(index)]", place: volume.place)
    }
    sshKey = spec.sshKey.map { key in
      KeyChoice(registered: key.value.registered, privateKey: key.value.privateKey.map(planner.local))
    }
    sshUser = spec.sshUser?.value
  }

  private mutating func fillWork(from spec: JobSpec, _ planner: Planner) {
    files = spec.files.enumerated().map { planner.file($1, index: $0) }
    workdir = spec.workdir.map { planner.remote($0.value) }
    setup = spec.setup.map(\.value).flatMap { $0.isEmpty ? nil : $0 }
    outputs = spec.outputs.enumerated().map { index, output in
      OutputPlan(
        source: SpecPaths.relative(output.source.value),
        destination: output.destination.map { SpecPaths.relative($0.value) }, nodes: output.nodes,
        field: "outputs[\(index)]", place: output.source.place)
    }
    checkpoint = spec.checkpoint.map {
      CheckpointPlan(source: SpecPaths.relative($0.value.source), every: $0.value.every)
    }
  }

  private mutating func fillEnding(from spec: JobSpec) {
    limits = Limits(
      maxDuration: spec.limits.maxDuration?.value, maxCost: spec.limits.maxCost?.value,
      bootTimeout: spec.limits.bootTimeout?.value,
      outputGrace: spec.limits.outputGrace?.value ?? Limits.defaultOutputGrace,
      idleGPU: spec.limits.idleGPU?.value)
    retry = Retry(on: spec.retry.on?.value ?? Retry().on, attempts: spec.retry.attempts?.value ?? Retry().attempts)
    teardown = spec.teardown?.value ?? .always
  }
}

/// The rules of planning that can fail, and the folder and home that paths start from.
private struct Planner {
  let root: String
  let home: String?
  private(set) var problems: [SpecProblem] = []

  init(root: String, home: String?) {
    self.root = root
    self.home = home
  }

  private mutating func report(_ place: Place, _ path: String, _ message: String) {
    problems.append(SpecProblem(at: place, path: path, message: message))
  }

  /// Part of version 1, checked by the decoder, and not run by this version of fcrun: better refused than ignored.
  mutating func refuseWhatCannotRun(_ spec: JobSpec) {
    refuse(spec.notify?.place, "notify", "it left out; the exit code of submit tells the end")
  }

  /// One plan is one job.
  mutating func refuseSweep(_ spec: JobSpec) {
    if let matrix = spec.matrix { report(matrix.place, "matrix", "makes a sweep; expected a spec of one job") }
    if let parallel = spec.maxParallel, spec.matrix == nil {
      report(
        parallel.place, "max_parallel",
        "is given without a sweep; expected a matrix beside it, --array or --tasks, or no max_parallel")
    }
    if let engine = spec.engine, engine.value.gpusPerTask ?? engine.value.cpusPerTask != nil, spec.matrix == nil {
      report(
        engine.place, "engine",
        "has resources of a task without a sweep; expected a matrix beside it, --array or --tasks, or neither gpus_per_task nor cpus_per_task"
      )
    }
    if let reuse = spec.reuse, reuse.value, spec.matrix == nil {
      report(
        reuse.place, "reuse", "is given without a sweep; expected a matrix beside it, --array or --tasks, or no reuse")
    }
  }

  /// Tasks follow one another on a machine: what one leaves in a folder of its own cannot be in the next one's way.
  mutating func refuseSharedFolder(_ spec: JobSpec) {
    guard spec.reuse?.value == true, let workdir = spec.workdir else { return }
    report(workdir.place, "workdir", "is given beside reuse; expected no workdir: each task has a fresh one of its own")
  }

  private mutating func refuse(_ place: Place?, _ field: String, _ instead: String) {
    guard let place else { return }
    report(place, field, "this version of fcrun cannot do that yet; expected \(instead)")
  }

  /// An output with the job file's own name would replace it.
  mutating func protectTheSpec(_ spec: JobSpec, file: String) {
    let name = SpecPaths.components(file).last
    for (index, output) in spec.outputs.enumerated() {
      let target = output.destination ?? output.source
      guard SpecPaths.relative(target.value) == name else { continue }
      report(target.place, "outputs[\(index)]", "would replace the job file itself; expected another destination")
    }
  }

  mutating func envs(_ spec: JobSpec, _ environment: (String) -> String?) -> [JobPlan.Variable] {
    var variables: [JobPlan.Variable] = []
    for env in spec.envs {
      if let value = env.value ?? environment(env.name) {
        variables.append(JobPlan.Variable(name: env.name, value: value))
      } else {
        report(
          env.place, "envs.\(env.name)",
          "is not set in the local environment; expected \(env.name) exported, or a value here")
      }
    }
    return variables.sorted { $0.name < $1.name }
  }

  mutating func requireSecrets(_ spec: JobSpec, _ environment: (String) -> String?) {
    for (index, secret) in spec.secrets.enumerated() {
      let value = environment(secret.value)
      guard value?.isEmpty ?? true else { continue }
      let wrong = value == nil ? "is not set" : "is empty"
      report(
        secret.place, "secrets[\(index)]",
        "\(secret.value) \(wrong) in the local environment; expected it exported with a value")
    }
  }

  func file(_ file: JobSpec.File, index: Int) -> JobPlan.FilePlan {
    JobPlan.FilePlan(
      source: local(file.source.value),
      destination: SpecPaths.relative(file.destination?.value ?? file.source.value),
      exclude: file.exclude, field: "files[\(index)]", place: file.source.place)
  }

  /// A local path, absolute: relative ones start at the spec's folder, `~/` at the home folder.
  func local(_ path: String) -> String {
    if SpecPaths.isAbsolute(path) { return SpecPaths.absolute(path) }
    guard SpecPaths.isInHome(path), let home else { return SpecPaths.join(root, path) }
    return SpecPaths.join(home, String(decoding: path.utf8.dropFirst(), as: UTF8.self))
  }

  /// A path on the machine: relative ones start at the home folder there.
  func remote(_ path: String) -> String {
    if SpecPaths.isAbsolute(path) { return SpecPaths.absolute(path) }
    let below = SpecPaths.isInHome(path) ? String(decoding: path.utf8.dropFirst(), as: UTF8.self) : path
    let parts = SpecPaths.components(below)
    return (["~"] + parts).joined(separator: "/")
  }
}
