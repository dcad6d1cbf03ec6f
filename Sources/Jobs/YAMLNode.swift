import Yams

/// YAML 1.2 as the same nodes that ``JSONNode`` makes of JSON.
///
/// libyaml finds the structure (through Yams); what a plain word means, names given twice, aliases and merge keys are decided here:
///
/// - `true`, `false`, `null`, `~` and numbers that JSON could hold mean themselves; anything else is text. So `on`, `no` and
///   `2024-05-01` are text, and `007` or `0x1F`, which readers of YAML take for different values, are refused.
/// - Aliases are put in by this reader, never by libyaml, so that each has a place and all of them together a limit.
///   To that end a document's stars are exchanged for a character that it does not hold, and put back into every text.
package struct YAMLNode {
  /// Values of one document when its aliases are written out.
  package static let mostValues = 10_000

  package static func parse(_ text: String, file: String) -> SpecNode.Parsed {
    guard text.utf8.count <= JSONNode.largest else { return JSONNode.tooLarge(text.utf8.count, file: file) }
    var parser = YAMLNode(text, file: file)
    return parser.document()
  }

  /// Parses bytes as they come from a file; a byte that is not UTF-8 is a problem with a place.
  package static func parse(bytes: [UInt8], file: String) -> SpecNode.Parsed {
    guard bytes.count <= JSONNode.largest else { return JSONNode.tooLarge(bytes.count, file: file) }
    if let text = String(validating: bytes, as: UTF8.self) { return parse(text, file: file) }
    return JSONNode.notUTF8(bytes, file: file)
  }

  private struct Broken: Error {}

  /// Something that aliases can name, as it was read.
  private struct Anchored {
    var node: SpecNode
    var values: Int
    var height: Int
  }

  private let source: YAMLSource
  private let file: String
  private var path = SpecPath()
  private var problems: [SpecProblem] = []
  private var anchors: [String: Anchored] = [:]
  private var values = 0

  private init(_ text: String, file: String) {
    source = YAMLSource(text)
    self.file = file
  }

  private mutating func document() -> SpecNode.Parsed {
    do throws(Broken) {
      try refuseControlCharacters()
      return SpecNode.Parsed(node: try root(), problems: problems)
    } catch {
      return SpecNode.Parsed(node: nil, problems: problems)
    }
  }

  private mutating func root() throws(Broken) -> SpecNode {
    let composed: YAMLSource.Composed
    switch source.compose() {
    case .success(let success): composed = success
    case .failure(let error): throw broken(at: place(error.spot), error.sentence)
    }
    guard let root = composed.root else {
      throw broken(at: Place(file: file, line: 1, column: 1), "the document is empty; expected an object")
    }
    return try withExtendedLifetime(composed.parser) { () throws(Broken) in try value(root, composed, depth: 1) }
  }

  // MARK: Values

  private mutating func value(
    _ node: Yams.Node, _ composed: YAMLSource.Composed, depth: Int
  ) throws(Broken) -> SpecNode {
    let place = place(node.mark)
    guard depth <= JSONNode.deepest else { throw tooDeep(at: place) }
    if let alias = alias(node) { return try aliased(alias, at: place, depth: depth) }
    let before = values
    try count(1, at: place)
    let read = SpecNode(try content(node, composed, at: place, depth: depth), at: place)
    if let anchor = node.anchor?.rawValue {
      anchors[anchor] = Anchored(node: read, values: values - before, height: read.height)
    }
    return read
  }

  private mutating func content(
    _ node: Yams.Node, _ composed: YAMLSource.Composed, at place: Place, depth: Int
  ) throws(Broken) -> SpecNode.Value {
    switch node {
    case .scalar(let scalar): return plain(scalar, at: place)
    case .sequence(let sequence):
      refuseTag(sequence.tag.rawValue, except: ["", "!", "tag:yaml.org,2002:seq"], at: place)
      return .list(try elements(sequence, composed, depth: depth))
    case .mapping(let mapping):
      refuseTag(mapping.tag.rawValue, except: ["", "!", "tag:yaml.org,2002:map"], at: place)
      return .object(try members(mapping, composed, depth: depth))
    case .alias: throw broken(at: place, "an alias that cannot be read; expected the value itself")
    }
  }

  private mutating func elements(
    _ sequence: Yams.Node.Sequence, _ composed: YAMLSource.Composed, depth: Int
  ) throws(Broken) -> [SpecNode] {
    let outer = path
    defer { path = outer }
    var elements: [SpecNode] = []
    for node in sequence {
      path = outer.appending(elements.count)
      elements.append(try value(node, composed, depth: depth + 1))
    }
    return elements
  }

  private mutating func members(
    _ mapping: Yams.Node.Mapping, _ composed: YAMLSource.Composed, depth: Int
  ) throws(Broken) -> [SpecNode.Member] {
    let outer = path
    defer { path = outer }
    var members: [SpecNode.Member] = []
    var merged: [SpecNode.Member] = []
    for (key, node) in mapping {
      path = outer
      guard let name = name(key, composed) else { continue }
      path = outer.appending(name)
      let read = try value(node, composed, depth: depth + 1)
      if name == "<<", key.scalar?.style == .plain {
        merged += merging(read)
      } else {
        members.append(SpecNode.Member(key: name, keyPlace: place(key.mark), node: read))
      }
    }
    // What the mapping says itself wins; of several merged ones the first.
    for member in merged where !members.contains(where: { $0.key == member.key }) { members.append(member) }
    return members
  }

  /// A name of a mapping; nil, and reported, for what cannot be one or is given twice.
  private mutating func name(_ key: Yams.Node, _ composed: YAMLSource.Composed) -> String? {
    let place = place(key.mark)
    guard let scalar = key.scalar, alias(key) == nil else {
      report(at: place, "a name that is an alias, a list or an object; expected plain text")
      return nil
    }
    if let repeated = composed.repeated.first(where: { self.place($0.second) == place }) {
      let message = "is given twice, first on line \(repeated.first.line); expected each name once"
      report(at: place, in: path.appending(repeated.key), message)
      return nil
    }
    let name = source.restored(scalar.string)
    if name.isEmpty, scalar.style == .plain {
      report(at: place, "a value without a name; expected a name before the colon")
    }
    return name
  }

  private mutating func merging(_ node: SpecNode) -> [SpecNode.Member] {
    switch node.value {
    case .object(let members): return members
    case .list(let nodes): return nodes.flatMap { merging($0) }
    case .null, .bool, .number, .string:
      report(at: node.place, "merges \(node.inWords); expected an alias of an object, or a list of such")
      return []
    }
  }

  // MARK: Scalars

  private mutating func plain(_ scalar: Yams.Node.Scalar, at place: Place) -> SpecNode.Value {
    let text = source.restored(scalar.string)
    let tag = scalar.tag.rawValue
    guard tag.isEmpty, scalar.style == .plain else {
      refuseTag(tag, except: ["", "!", "tag:yaml.org,2002:str"], at: place)
      return .string(text)
    }
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .bool(true)
    case "false", "False", "FALSE": return .bool(false)
    default: break
    }
    if NumberLiteral(text) != nil { return .number(text) }
    if YAMLSource.isDoubtfulNumber(text) {
      report(
        at: place,
        "is \(clipped(text)), which readers of YAML take for different values; expected it in quotes, or as a number such as 8 or 0.5"
      )
    }
    return .string(text)
  }

  private mutating func refuseTag(_ tag: String, except known: [String], at place: Place) {
    guard !known.contains(tag) else { return }
    let standard = "tag:yaml.org,2002:"
    let shown = tag.hasPrefix(standard) ? "!!" + tag.dropFirst(standard.count) : tag
    report(at: place, "has the tag \(clipped(shown)); expected no tag, and text in quotes")
  }

  // MARK: Aliases

  /// What stands behind the star of a plain scalar that begins with one; only an alias can.
  private func alias(_ node: Yams.Node) -> String? {
    guard let scalar = node.scalar, scalar.style == .plain, scalar.string.unicodeScalars.first == source.star else {
      return nil
    }
    return source.restored(String(scalar.string.unicodeScalars.dropFirst()))
  }

  private mutating func aliased(_ name: String, at place: Place, depth: Int) throws(Broken) -> SpecNode {
    guard let anchored = anchors[name] else {
      let star = quoted("*" + name)
      report(
        at: place,
        "\(star) is an alias of nothing above (\"&\(clipped(name))\"); expected text that begins with a star in quotes")
      return SpecNode(.string("*" + name), at: place)
    }
    try count(anchored.values, at: place)
    guard depth + anchored.height - 1 <= JSONNode.deepest else { throw tooDeep(at: place) }
    return SpecNode(anchored.node.value, at: place)
  }

  private mutating func count(_ more: Int, at place: Place) throws(Broken) {
    values += more
    guard values <= Self.mostValues else {
      throw broken(
        at: place, "there are more than \(Self.mostValues) values with all aliases written out; expected fewer")
    }
  }

  // MARK: Places and problems

  private func place(_ mark: Mark?) -> Place { place(YAMLSource.Spot(mark)) }

  private func place(_ spot: YAMLSource.Spot) -> Place { Place(file: file, line: spot.line, column: spot.column) }

  private mutating func refuseControlCharacters() throws(Broken) {
    guard let (spot, scalar) = source.firstControlCharacter else { return }
    let message = "the control character \(clipped(String(scalar))); expected text, or an escape in double quotes"
    throw broken(at: place(spot), message)
  }

  private mutating func report(at place: Place, in path: SpecPath? = nil, _ message: String) {
    problems.append(SpecProblem(at: place, path: (path ?? self.path).description, message: message))
  }

  private mutating func broken(at place: Place, _ message: String) -> Broken {
    report(at: place, message)
    return Broken()
  }

  private mutating func tooDeep(at place: Place) -> Broken {
    broken(at: place, "is nested more than \(JSONNode.deepest) deep; expected fewer levels")
  }
}

extension SpecNode {
  /// Levels, 1 for a value that holds no others.
  fileprivate var height: Int {
    switch value {
    case .null, .bool, .number, .string: 1
    case .list(let nodes): 1 + (nodes.map(\.height).max() ?? 0)
    case .object(let members): 1 + (members.map(\.node.height).max() ?? 0)
    }
  }
}
