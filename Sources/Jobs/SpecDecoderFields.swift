// The fields of the spec one by one, in the order of its reference.

extension SpecReader {
  static let longestName = 32

  mutating func name(_ node: SpecNode, _ path: SpecPath) -> String? {
    let expected = "1 to \(Self.longestName) of a-z, 0-9 and -"
    guard let name = text(node, path, expected: expected) else { return nil }
    guard name.utf8.count <= Self.longestName, name.utf8.allSatisfy(isNameByte) else {
      report(node.place, path, "is \(quoted(name))", expected: expected)
      return nil
    }
    return name
  }

  mutating func envs(_ node: SpecNode, _ path: SpecPath) -> [JobSpec.Env] {
    var envs: [JobSpec.Env] = []
    for member in members(node, path, expected: "an object of names and values") {
      let memberPath = path.appending(member.key)
      guard variableName(member.key, member.keyPlace, memberPath) else { continue }
      if case .null = member.node.value {
        envs.append(JobSpec.Env(name: member.key, value: nil, place: member.node.place))
      } else if let value = env(member.node, memberPath) {
        envs.append(JobSpec.Env(name: member.key, value: value, place: member.node.place))
      }
    }
    return envs
  }

  private mutating func env(_ node: SpecNode, _ path: SpecPath) -> String? {
    let otherwise = "a string, or null to take it from the local environment"
    switch node.value {
    case .number(let literal): return string(node, path, expected: "it in quotes: \(quoted(literal))")
    case .bool(let flag): return string(node, path, expected: "it in quotes: \"\(flag)\"")
    case .null, .string, .list, .object: return string(node, path, expected: otherwise)
    }
  }

  mutating func sshKey(_ node: SpecNode, _ path: SpecPath) -> KeyChoice? {
    if case .string = node.value {
      return text(node, path, expected: "a registered key's id or name")
        .map { KeyChoice(registered: .idOrName($0), privateKey: nil) }
    }
    let fields = fields(node, path, known: SpecFields.sshKey)
    let name = located(fields, "name") { $0.text($1, $2, expected: "a registered key's name") }
    let id = located(fields, "id") { $0.text($1, $2, expected: "a registered key's id") }
    let privateKey = located(fields, "private_key") { $0.text($1, $2, expected: "the path of a private key") }
    if let id, name != nil {
      report(id.place, path.appending("id"), "is given beside name", expected: "one of the two")
    }
    if case .object(let members) = node.value, members.isEmpty {
      report(node.place, path, "is empty", expected: "name or id, private_key, or both")
    }
    let registered = id.map { KeyChoice.Registered.id($0.value) } ?? name.map { .name($0.value) }
    return KeyChoice(registered: registered, privateKey: privateKey?.value)
  }

  /// A login name cannot look like an option or hold what ends a name.
  mutating func sshUser(_ node: SpecNode, _ path: SpecPath) -> String? {
    let expected = "a login name such as \"ubuntu\""
    guard let user = text(node, path, expected: expected) else { return nil }
    let isPlain = user.unicodeScalars.allSatisfy {
      !$0.properties.isWhitespace && !isControl($0) && $0 != "@" && $0 != ":"
    }
    guard isPlain, !user.utf8.starts(with: "-".utf8) else {
      report(node.place, path, "is \(quoted(user))", expected: expected)
      return nil
    }
    return user
  }

  // MARK: Files and outputs

  mutating func files(_ node: SpecNode, _ path: SpecPath) -> [JobSpec.File] {
    var files: [JobSpec.File] = []
    var targets: [(path: String, place: Place)] = []
    var fieldPaths: [SpecPath] = []
    for (element, path) in elements(node, path, expected: "a list of paths or objects with source") {
      guard let file = file(element, path) else { continue }
      files.append(file)
      guard let target = target(of: file, path) else { continue }
      targets.append((target, (file.destination ?? file.source).place))
      fieldPaths.append(path)
    }
    collide(targets, fieldPaths)
    return files
  }

  private mutating func file(_ node: SpecNode, _ path: SpecPath) -> JobSpec.File? {
    if case .object = node.value {
      let fields = fields(node, path, known: SpecFields.file)
      let exclude = texts(fields, "exclude", each: "a pattern as in .gitignore").map(\.value)
      guard let (source, destination) = transfer(fields, from: "the spec's folder", to: "the workdir") else {
        return nil
      }
      return JobSpec.File(source: source, destination: destination, exclude: exclude)
    }
    let source = text(node, path, expected: "a path, or an object with source")
    return source.map { JobSpec.File(source: Located($0, at: node.place), destination: nil, exclude: []) }
  }

  /// What the file becomes below the workdir; without a destination the source must say it.
  private mutating func target(of file: JobSpec.File, _ path: SpecPath) -> String? {
    if let destination = file.destination { return SpecPaths.relative(destination.value) }
    if let escape = SpecPaths.escape(file.source.value) {
      report(file.source.place, path, "\(quoted(file.source.value)) \(escape)", expected: "a destination beside it")
      return nil
    }
    return SpecPaths.relative(file.source.value)
  }

  mutating func outputs(_ node: SpecNode, _ path: SpecPath) -> [JobSpec.Output] {
    var outputs: [JobSpec.Output] = []
    var targets: [(path: String, place: Place)] = []
    var fieldPaths: [SpecPath] = []
    for (element, path) in elements(node, path, expected: "a list of paths, globs or objects with source") {
      guard let output = output(element, path) else { continue }
      outputs.append(output)
      // Many matches of globs may go into one folder; the same glob twice may not.
      let isFolder = SpecPaths.isGlob(output.source.value) && output.destination != nil
      if isFolder { continue }
      let target = output.destination ?? output.source
      targets.append((SpecPaths.relative(target.value), target.place))
      fieldPaths.append(path)
    }
    collide(targets, fieldPaths)
    return outputs
  }

  private mutating func output(_ node: SpecNode, _ path: SpecPath) -> JobSpec.Output? {
    guard let output = writtenOutput(node, path) else { return nil }
    if let escape = SpecPaths.escape(output.source.value) {
      let expected = "a path or glob inside the workdir"
      report(output.source.place, path, "\(quoted(output.source.value)) \(escape)", expected: expected)
      return nil
    }
    return output
  }

  private mutating func writtenOutput(_ node: SpecNode, _ path: SpecPath) -> JobSpec.Output? {
    if case .object = node.value {
      let fields = fields(node, path, known: SpecFields.output)
      let nodes = located(fields, "nodes") { $0.choice($1, $2, of: OutputNodes.self) }
      return transfer(fields, from: "the workdir", to: "the spec's folder")
        .map { JobSpec.Output(source: $0.source, destination: $0.destination, nodes: nodes?.value) }
    }
    let source = text(node, path, expected: "a path, a glob, or an object with source")
    return source.map { JobSpec.Output(source: Located($0, at: node.place), destination: nil, nodes: nil) }
  }

  private mutating func transfer(
    _ fields: Fields, from origin: String, to target: String
  ) -> (source: Located<String>, destination: Located<String>?)? {
    let source = located(fields, "source") { $0.text($1, $2, expected: "a path relative to \(origin)") }
    let destination = located(fields, "destination") { $0.destination($1, $2, in: target) }
    if fields("source") == nil {
      report(fields.place, fields.path.appending("source"), "is missing", expected: "a path relative to \(origin)")
    }
    // A destination that could not be read must not pass for one that was left out.
    guard let source, destination != nil || fields("destination") == nil else { return nil }
    return (source, destination)
  }

  private mutating func destination(_ node: SpecNode, _ path: SpecPath, in folder: String) -> String? {
    let expected = "a path inside \(folder)"
    guard let destination = text(node, path, expected: expected) else { return nil }
    if let escape = SpecPaths.escape(destination) {
      report(node.place, path, "\(quoted(destination)) \(escape)", expected: expected)
      return nil
    }
    return destination
  }

  private mutating func collide(_ targets: [(path: String, place: Place)], _ fieldPaths: [SpecPath]) {
    for (index, target, first) in SpecPaths.collisions(targets) {
      let wrong = "becomes \(quoted(target)), as the entry on line \(first.line) does"
      report(targets[index].place, fieldPaths[index], wrong, expected: "destinations that differ")
    }
  }

  mutating func workdir(_ node: SpecNode, _ path: SpecPath) -> String? {
    let expected = "an absolute path, or one in the home folder such as \"~/lab\""
    guard let workdir = text(node, path, expected: expected) else { return nil }
    guard !SpecPaths.components(workdir).contains(".."),
      SpecPaths.isInHome(workdir) || !workdir.utf8.starts(with: "~".utf8)
    else {
      report(node.place, path, "is \(quoted(workdir))", expected: expected)
      return nil
    }
    return workdir
  }

  // MARK: The command

  mutating func command(_ fields: Fields) -> Located<Command>? {
    guard let (node, path) = fields("command") else {
      let expected = "a shell script, or a list of a program and its arguments"
      report(fields.place, fields.path.appending("command"), "is missing", expected: expected)
      return nil
    }
    guard case .list = node.value else {
      return text(node, path, expected: "a shell script, or a list of a program and its arguments")
        .map { Located(.script($0), at: node.place) }
    }
    return argv(node, path).map { Located(.argv($0), at: node.place) }
  }

  private mutating func argv(_ node: SpecNode, _ path: SpecPath) -> [String]? {
    let elements = elements(node, path, expected: "")
    let words = elements.compactMap { word($0.node, $0.path) }
    guard words.count == elements.count else { return nil }
    guard let program = words.first, !program.isEmpty else {
      let place = elements.first?.node.place ?? node.place
      report(place, elements.first?.path ?? path, "is empty", expected: "a program and its arguments")
      return nil
    }
    return words
  }

  private mutating func word(_ node: SpecNode, _ path: SpecPath) -> String? {
    switch node.value {
    case .number(let literal): string(node, path, expected: "it in quotes: \(quoted(literal))")
    case .bool(let flag): string(node, path, expected: "it in quotes: \"\(flag)\"")
    case .null, .string, .list, .object: string(node, path, expected: "a string")
    }
  }

  private func isNameByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "-") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
  }
}
