// `limits`, `retry`, and the fields of more than one job or of its course.

extension SpecReader {
  mutating func limits(_ node: SpecNode, _ path: SpecPath) -> JobSpec.Limits {
    let fields = fields(node, path, known: SpecFields.limits)
    return JobSpec.Limits(
      maxDuration: located(fields, "max_duration") { $0.duration($1, $2, atLeast: 1) },
      maxCost: located(fields, "max_cost") { $0.price($1, $2) },
      bootTimeout: located(fields, "boot_timeout") { $0.duration($1, $2, atLeast: 1) },
      outputGrace: located(fields, "output_grace") { $0.duration($1, $2, atLeast: 0) },
      idleGPU: located(fields, "idle_gpu") { $0.idleLimit($1, $2) })
  }

  private mutating func idleLimit(_ node: SpecNode, _ path: SpecPath) -> IdleLimit? {
    let fields = fields(node, path, known: SpecFields.idleGPU)
    let below = located(fields, "below") { $0.integer($1, $2, atLeast: 1, atMost: 100) }
    let duration = located(fields, "for") { $0.duration($1, $2, atLeast: 1) }
    missing(fields, ["for": "a duration such as \"15m\""], of: node)
    guard let duration else { return nil }
    return IdleLimit(below: below?.value ?? IdleLimit.defaultBelow, duration: duration.value)
  }

  /// `"90s"`, `"15m"`, `"6h"`, `"1d"`, `"1h30m"`, or a number of seconds. Returns seconds.
  mutating func duration(_ node: SpecNode, _ path: SpecPath, atLeast least: Int) -> Int? {
    let expected = "a duration such as \"90s\", \"15m\", \"6h\" or \"1d\", or whole seconds as a number"
    guard let seconds = seconds(node) else {
      report(node.place, path, "is \(node.inWords)", expected: expected)
      return nil
    }
    guard seconds >= least, seconds <= Durations.longest else {
      let bounds = "\(least)s to \(Durations.format(Durations.longest))"
      report(node.place, path, "is \(node.inWords)", expected: "a duration of \(bounds)")
      return nil
    }
    return seconds
  }

  private func seconds(_ node: SpecNode) -> Int? {
    switch node.value {
    case .number(let literal): NumberLiteral(literal)?.integer
    case .string(let text): Durations.parse(text)
    case .null, .bool, .list, .object: nil
    }
  }

  mutating func retry(_ node: SpecNode, _ path: SpecPath) -> JobSpec.Retry {
    let fields = fields(node, path, known: SpecFields.retry)
    return JobSpec.Retry(
      on: located(fields, "on") { $0.causes($1, $2) },
      attempts: located(fields, "attempts") { $0.integer($1, $2, atLeast: 1) })
  }

  private mutating func causes(_ node: SpecNode, _ path: SpecPath) -> [RetryCause] {
    let words = RetryCause.words.map(\.key)
    let expected = "\(RetryCause.list) or exit:N with N from 0 to 255"
    var causes: [RetryCause] = []
    for (element, path) in elements(node, path, expected: "a list of \(expected)") {
      guard let word = text(element, path, expected: expected) else { continue }
      if let cause = RetryCause(word) {
        if !causes.contains(cause) { causes.append(cause) }
      } else {
        let hint = EditDistance.nearest(to: word, in: words).map { " (did you mean \(quoted($0))?)" } ?? ""
        report(element.place, path, "is \(quoted(word))", expected: expected + hint)
      }
    }
    return causes
  }

  // MARK: Several jobs, and what happens while one runs

  mutating func matrix(_ node: SpecNode, _ path: SpecPath) -> [JobSpec.Axis] {
    let members = members(node, path, expected: "an object of lists")
    if case .object = node.value, members.isEmpty {
      report(node.place, path, "is empty", expected: "at least one list of values")
    }
    var seen: Set<String> = []
    return members.compactMap { member in
      let memberPath = path.appending(member.key)
      guard variableName(member.key, member.keyPlace, memberPath) else { return nil }
      if !seen.insert(member.key.uppercased()).inserted {
        let expected = "names that differ in more than upper and lower case"
        report(member.keyPlace, memberPath, "\(quoted(member.key)) is there twice", expected: expected)
      }
      return JobSpec.Axis(name: member.key, values: axis(member.node, memberPath))
    }
  }

  private mutating func axis(_ node: SpecNode, _ path: SpecPath) -> [String] {
    if case .list(let values) = node.value, values.isEmpty {
      report(node.place, path, "is empty", expected: "at least one value")
    }
    return elements(node, path, expected: "a list of values").compactMap { element, path in
      switch element.value {
      case .number(let literal): literal
      case .bool(let flag): "\(flag)"
      case .null, .string, .list, .object: string(element, path, expected: "a string, a number, true or false")
      }
    }
  }

  mutating func checkpoint(_ node: SpecNode, _ path: SpecPath) -> JobSpec.Checkpoint? {
    let fields = fields(node, path, known: SpecFields.checkpoint)
    let source = located(fields, "source") { $0.text($1, $2, expected: "a path inside the workdir") }
    let every = located(fields, "every") { $0.duration($1, $2, atLeast: 1) }
    missing(fields, ["source": "a path inside the workdir", "every": "a duration such as \"5m\""], of: node)
    if let source, let escape = SpecPaths.escape(source.value) {
      let wrong = "\(quoted(source.value)) \(escape)"
      report(source.place, path.appending("source"), wrong, expected: "a path inside the workdir")
    }
    guard let source, let every else { return nil }
    return JobSpec.Checkpoint(source: source.value, every: every.value)
  }

  mutating func engine(_ node: SpecNode, _ path: SpecPath) -> EngineChoice? {
    guard case .object = node.value else {
      return choice(node, path, of: Engine.self).map { EngineChoice($0) }
    }
    let fields = fields(node, path, known: SpecFields.engine)
    let engine = located(fields, "name") { $0.choice($1, $2, of: Engine.self) }
    let version = located(fields, "version") { $0.version($1, $2) }
    missing(fields, ["name": "the name of an engine such as \"ray\""], of: node)
    if let version, let engine, engine.value != .ray {
      let wrong = "is given for \(engine.value.rawValue), which fcrun does not install"
      report(version.place, path.appending("version"), wrong, expected: "no version; setup can install it")
    }
    let gpus = ofTask(fields, "gpus_per_task", atLeast: 0, engine)
    let cpus = ofTask(fields, "cpus_per_task", atLeast: 1, engine)
    return engine.map { EngineChoice($0.value, version: version?.value, gpusPerTask: gpus, cpusPerTask: cpus) }
  }

  private mutating func ofTask(_ fields: Fields, _ name: String, atLeast least: Int, _ engine: Located<Engine>?) -> Int?
  {
    guard let number = located(fields, name, { $0.integer($1, $2, atLeast: least) }) else { return nil }
    if let engine, engine.value != .ray {
      let wrong = "is given for \(engine.value.rawValue), which runs no tasks"
      report(number.place, fields.path.appending(name), wrong, expected: "it beside ray only")
    }
    return number.value
  }

  private mutating func version(_ node: SpecNode, _ path: SpecPath) -> String? {
    let expected = "a version such as \"2.60.0\""
    guard let text = text(node, path, expected: expected) else { return nil }
    let isVersion = text.unicodeScalars.allSatisfy {
      $0.isASCII && ($0.properties.isAlphabetic || "0123456789.+-".unicodeScalars.contains($0))
    }
    guard isVersion, text.utf8.first.map(isDigit) == true else {
      report(node.place, path, "is \(quoted(text))", expected: expected)
      return nil
    }
    return text
  }

  mutating func notify(_ node: SpecNode, _ path: SpecPath) -> [JobSpec.Notice] {
    elements(node, path, expected: "a list of objects with on and webhook or command")
      .compactMap { notice($0.node, $0.path) }
  }

  private mutating func notice(_ node: SpecNode, _ path: SpecPath) -> JobSpec.Notice? {
    let fields = fields(node, path, known: SpecFields.notice)
    let webhook = located(fields, "webhook") { $0.text($1, $2, expected: "an address") }
    let command = located(fields, "command") { $0.text($1, $2, expected: "a shell script") }
    let on = events(fields)
    missing(fields, ["on": "an event or a list of events"], of: node)
    if case .object = node.value, (fields("webhook") == nil) == (fields("command") == nil) {
      let wrong = fields("webhook") == nil ? "has neither webhook nor command" : "has webhook and command"
      report(node.place, path, wrong, expected: "one of the two")
    }
    let channel = webhook.map { JobSpec.Notice.Channel.webhook($0.value) } ?? command.map { .command($0.value) }
    return channel.map { JobSpec.Notice(on: on, channel: $0) }
  }

  private mutating func events(_ fields: Fields) -> [String] {
    guard let (node, path) = fields("on") else { return [] }
    if case .list = node.value { return texts(fields, "on", each: "the name of an event").map(\.value) }
    return text(node, path, expected: "an event or a list of events").map { [$0] } ?? []
  }

  /// Reports each of `required` that an object lacks.
  private mutating func missing(_ fields: Fields, _ required: KeyValuePairs<String, String>, of node: SpecNode) {
    guard case .object = node.value else { return }
    for (name, expected) in required where fields(name) == nil {
      report(node.place, fields.path.appending(name), "is missing", expected: expected)
    }
  }
}
