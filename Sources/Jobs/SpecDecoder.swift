/// Version 1 of the job spec: from text to ``JobSpec``, with all that is wrong in it at once.
package enum SpecDecoder {
  /// `file` is the name that errors show, as the user wrote it; it says the notation, too.
  package static func decode(_ text: String, file: String) -> Result<JobSpec, SpecProblems> {
    decode(bytes: Array(text.utf8), file: file)
  }

  /// With the layers of a config file and a command line around it.
  package static func decode(
    bytes: [UInt8], file: String, _ layers: SpecLayers = SpecLayers()
  ) -> Result<JobSpec, SpecProblems> {
    decode(SpecNode.parse(bytes: bytes, file: file), layers)
  }

  /// From nodes of any notation.
  package static func decode(
    _ parsed: SpecNode.Parsed, _ layers: SpecLayers = SpecLayers()
  ) -> Result<JobSpec, SpecProblems> {
    let (spec, problems) = readable(parsed, layers)
    guard problems.isEmpty, let spec else { return .failure(SpecProblems(problems)) }
    return .success(spec)
  }

  /// As much of the spec as can be read, beside all that is wrong: for problems that only planning finds.
  static func readable(_ parsed: SpecNode.Parsed, _ layers: SpecLayers) -> (spec: JobSpec?, problems: [SpecProblem]) {
    readable(layers.applied(to: parsed))
  }

  /// Of the whole, with all layers.
  static func readable(_ whole: SpecNode.Parsed) -> (spec: JobSpec?, problems: [SpecProblem]) {
    var reader = SpecReader()
    let spec = whole.node.flatMap { reader.spec($0) }
    // What its notation has complained about is not judged once more.
    let judged = Set(whole.problems.map { [$0.place.file, "\($0.line):\($0.column)", $0.path] })
    let more = reader.problems.filter { !judged.contains([$0.place.file, "\($0.line):\($0.column)", $0.path]) }
    return (spec, whole.problems + more)
  }
}

extension SpecReader {
  /// Nobody rents more for one job; a larger number is a typing error that would be expensive.
  static let mostNodes = 10_000

  /// nil when the one thing a job cannot be without, its command, cannot be read; everything else is read all the same.
  mutating func spec(_ node: SpecNode) -> JobSpec? {
    guard case .object = node.value else {
      report(node.place, SpecPath(), "is \(node.inWords)", expected: "an object such as {\"command\": \"…\"}")
      return nil
    }
    let fields = fields(node, SpecPath(), known: SpecFields.spec)
    var spec = JobSpec(place: node.place, command: Located(.argv([]), at: node.place))
    machine(fields, into: &spec)
    environment(fields, into: &spec)
    work(fields, into: &spec)
    ending(fields, into: &spec)
    fleet(fields, into: &spec)
    requireConstraint(fields)
    contradictions(spec)
    guard let command = command(fields) else { return nil }
    spec.command = command
    return spec
  }

  /// Reads one field of an object; `read` gets its node and path.
  mutating func located<Value>(
    _ fields: Fields, _ name: String, _ read: (inout SpecReader, SpecNode, SpecPath) -> Value?
  ) -> Located<Value>? {
    guard let (node, path) = fields(name) else { return nil }
    return read(&self, node, path).map { Located($0, at: node.place) }
  }

  private mutating func machine(_ fields: Fields, into spec: inout JobSpec) {
    spec.name = located(fields, "name") { $0.name($1, $2) }
    // For editors only; a wrong type is a mistake all the same.
    _ = located(fields, "$schema") { $0.text($1, $2, expected: "the address of a schema, for editors") }
    spec.resources = located(fields, "resources") { $0.resources($1, $2) }
    spec.nodes = located(fields, "nodes") { $0.integer($1, $2, atLeast: 1, atMost: Self.mostNodes) }
    spec.volumes = texts(fields, "volumes", each: "a volume's id or name")
    spec.sshKey = located(fields, "ssh_key") { $0.sshKey($1, $2) }
    spec.sshUser = located(fields, "ssh_user") { $0.sshUser($1, $2) }
  }

  private mutating func environment(_ fields: Fields, into spec: inout JobSpec) {
    spec.envs = fields("envs").map { envs($0.node, $0.path) } ?? []
    spec.secrets = texts(fields, "secrets", each: "the name of a variable of the local environment")
    let ownNames = Set(spec.envs.map(\.name))
    for (index, secret) in spec.secrets.enumerated() {
      let path = fields.path.appending("secrets").appending(index)
      guard variableName(secret.value, secret.place, path) else { continue }
      if ownNames.contains(secret.value) {
        report(secret.place, path, "\(secret.value) is in envs too", expected: "it in one of the two")
      }
    }
  }

  private mutating func work(_ fields: Fields, into spec: inout JobSpec) {
    spec.files = fields("files").map { files($0.node, $0.path) } ?? []
    spec.workdir = located(fields, "workdir") { $0.workdir($1, $2) }
    spec.setup = located(fields, "setup") { $0.string($1, $2, expected: "a shell script") }
    spec.outputs = fields("outputs").map { outputs($0.node, $0.path) } ?? []
  }

  private mutating func ending(_ fields: Fields, into spec: inout JobSpec) {
    if let (node, path) = fields("limits") { spec.limits = limits(node, path) }
    if let (node, path) = fields("retry") { spec.retry = retry(node, path) }
    spec.teardown = located(fields, "teardown") { $0.choice($1, $2, of: Teardown.self) }
  }

  private mutating func fleet(_ fields: Fields, into spec: inout JobSpec) {
    spec.matrix = located(fields, "matrix") { $0.matrix($1, $2) }
    spec.maxParallel = located(fields, "max_parallel") { $0.integer($1, $2, atLeast: 1) }
    spec.reuse = located(fields, "reuse") { $0.flag($1, $2) }
    spec.checkpoint = located(fields, "checkpoint") { $0.checkpoint($1, $2) }
    spec.notify = located(fields, "notify") { $0.notify($1, $2) }
    spec.engine = located(fields, "engine") { $0.engine($1, $2) }
    spec.onNodeLoss = located(fields, "on_node_loss") { $0.choice($1, $2, of: NodeLoss.self) }
  }

  /// A job that names no limit at all would take whatever is offered. A constraint that is written wrong is one all the same.
  private mutating func requireConstraint(_ fields: Fields) {
    let resources = fields("resources")
    if case .object(let members)? = resources?.node.value {
      let names = members.map(\.key).filter { $0 != "prefer" }
      if !names.isEmpty { return }
    } else if resources != nil {
      return
    }
    let message = "would accept any machine; at least one constraint or max_hourly_price is required"
    report(resources?.node.place ?? fields.place, fields.path.appending("resources"), message)
  }

  /// What each field allows and both together do not.
  private mutating func contradictions(_ spec: JobSpec) {
    let path = SpecPath("limits").appending("output_grace")
    if let grace = spec.limits.outputGrace, grace.value == 0, !spec.outputs.isEmpty {
      report(grace.place, path, "is 0 and leaves no time to fetch the outputs", expected: "at least 1s, or no outputs")
    }
    if let loss = spec.onNodeLoss, loss.value == .continue, let engine = spec.engine?.value.engine,
      !engine.outlivesNodes
    {
      let wrong = "is \"continue\", and what \(engine.rawValue) has started cannot go on without a node"
      report(loss.place, SpecPath("on_node_loss"), wrong, expected: "\"fail\", with a checkpoint and retry")
    }
  }

  /// A list of distinct strings.
  mutating func texts(_ fields: Fields, _ name: String, each: String) -> [Located<String>] {
    guard let (node, path) = fields(name) else { return [] }
    var texts: [Located<String>] = []
    var seen: Set<String> = []
    for (element, path) in elements(node, path, expected: "a list, each \(each)") {
      guard let text = text(element, path, expected: each) else { continue }
      if !seen.insert(text).inserted {
        report(element.place, path, "\(quoted(text)) is listed twice", expected: "each once")
      }
      texts.append(Located(text, at: element.place))
    }
    return texts
  }
}
