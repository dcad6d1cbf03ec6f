/// The patterns of one ignore file, with the meaning gitignore(5) gives them, relative to the folder that holds the file.
package struct IgnoreRules: Sendable {
  package enum Verdict: Sendable, Equatable { case ignored, kept }

  private struct Rule: Sendable {
    var pattern: [UInt8]
    var verdict: Verdict
    var foldersOnly: Bool
    /// Matched against the whole path below the folder, otherwise against the last component.
    var isAnchored: Bool
  }

  private var rules: [Rule] = []

  package init(lines: some Sequence<[UInt8]>) {
    rules = lines.compactMap(Self.rule)
  }

  /// The content of a `.gitignore`.
  package init(_ text: [UInt8]) {
    let text = text.starts(with: [0xEF, 0xBB, 0xBF]) ? text[3...] : text[...]
    self.init(lines: text.split(separator: 0x0A).map { Array($0.last == 0x0D ? $0.dropLast() : $0) })
  }

  /// What the last rule that matches says; nil when none does.
  /// - Parameter path: components below the folder of these rules.
  package func verdict(for path: ArraySlice<[UInt8]>, isFolder: Bool) -> Verdict? {
    guard let name = path.last else { return nil }
    let whole = Path.joined(path)
    return rules.last { rule in
      (isFolder || !rule.foldersOnly) && Wildcard.matches(rule.pattern[...], (rule.isAnchored ? whole : name)[...])
    }?.verdict
  }

  private static func rule(_ line: [UInt8]) -> Rule? {
    var line = withoutTrailingBlanks(line)
    guard !line.isEmpty, line.first != UInt8(ascii: "#") else { return nil }
    var rule = Rule(pattern: [], verdict: .ignored, foldersOnly: false, isAnchored: false)
    if line.first == UInt8(ascii: "!") {
      rule.verdict = .kept
      line.removeFirst()
    }
    if line.last == Path.slash {
      rule.foldersOnly = true
      line.removeLast()
    }
    rule.isAnchored = line.contains(Path.slash)
    if line.first == Path.slash { line.removeFirst() }
    guard !line.isEmpty else { return nil }
    rule.pattern = line
    return rule
  }

  /// Blanks at the end do not count, unless the last is escaped.
  private static func withoutTrailingBlanks(_ line: [UInt8]) -> [UInt8] {
    var end = line.count
    while end > 0, line[end - 1] == 0x20 {
      let backslashes = line[..<(end - 1)].reversed().prefix { $0 == UInt8(ascii: "\\") }.count
      if backslashes % 2 == 1 { break }
      end -= 1
    }
    return Array(line[..<end])
  }
}

/// Git's wildmatch with WM_PATHNAME: `*` and `?` stop at slashes, `**` does not.
enum Wildcard {
  private static let star = UInt8(ascii: "*")
  private static let backslash = UInt8(ascii: "\\")

  static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
    var pattern = pattern
    var text = text
    var previous = Path.slash
    while let head = pattern.first {
      defer { previous = head }
      switch head {
      case star:
        let stars = pattern.prefix { $0 == star }
        let after = pattern.dropFirst(stars.count)
        let opens = previous == Path.slash
        if stars.count == 2, opens, after.isEmpty { return true }
        if stars.count == 2, opens, after.first == Path.slash {
          return matchesAnyDepth(after.dropFirst(), text)
        }
        return matchesStar(after, text)
      case UInt8(ascii: "?"):
        guard let byte = text.first, byte != Path.slash else { return false }
        (pattern, text) = (pattern.dropFirst(), text.dropFirst(characterLength(byte)))
      case UInt8(ascii: "["):
        guard let byte = text.first, byte != Path.slash,
          let (isMember, rest) = bracket(pattern.dropFirst(), byte)
        else { return false }
        guard isMember else { return false }
        (pattern, text) = (rest, text.dropFirst())
      default:
        if head == backslash { pattern = pattern.dropFirst() }
        guard let literal = pattern.first, literal == text.first else { return false }
        (pattern, text) = (pattern.dropFirst(), text.dropFirst())
      }
    }
    return text.isEmpty
  }

  /// `**/`: the rest at this place or after any slash.
  private static func matchesAnyDepth(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
    var text = text
    while true {
      if matches(pattern, text) { return true }
      guard let slash = text.firstIndex(of: Path.slash) else { return false }
      text = text[(slash + 1)...]
    }
  }

  private static func matchesStar(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
    var text = text
    while true {
      if matches(pattern, text) { return true }
      guard let byte = text.first, byte != Path.slash else { return false }
      text = text.dropFirst()
    }
  }

  /// Bytes of the UTF-8 character that begins with `byte`, so that `?` is one character to a person.
  private static func characterLength(_ byte: UInt8) -> Int {
    byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
  }

  /// - Returns: whether `byte` is a member, and the pattern after `]`; nil when there is no `]`.
  private static func bracket(_ set: ArraySlice<UInt8>, _ byte: UInt8) -> (Bool, ArraySlice<UInt8>)? {
    var set = set
    let isNegated = set.first == UInt8(ascii: "!") || set.first == UInt8(ascii: "^")
    if isNegated { set = set.dropFirst() }
    var isMember = false
    var isFirst = true
    while let head = set.first, head != UInt8(ascii: "]") || isFirst {
      isFirst = false
      if head == UInt8(ascii: "["), set.dropFirst().first == UInt8(ascii: ":"), let (name, rest) = className(set) {
        if isInClass(byte, name) { isMember = true }
        set = rest
        continue
      }
      guard let low = literal(&set) else { return nil }
      var high = low
      if set.first == UInt8(ascii: "-"), let next = set.dropFirst().first, next != UInt8(ascii: "]") {
        set = set.dropFirst()
        guard let end = literal(&set) else { return nil }
        high = end
      }
      if low <= byte, byte <= high { isMember = true }
    }
    guard set.first == UInt8(ascii: "]") else { return nil }
    return (isMember != isNegated, set.dropFirst())
  }

  private static func literal(_ set: inout ArraySlice<UInt8>) -> UInt8? {
    if set.first == backslash { set = set.dropFirst() }
    return set.popFirst()
  }

  /// `[:alpha:]`
  private static func className(_ set: ArraySlice<UInt8>) -> (String, ArraySlice<UInt8>)? {
    let name = set.dropFirst(2).prefix { (0x61...0x7A).contains($0) }
    let rest = set[name.endIndex...]
    guard rest.starts(with: ":]".utf8) else { return nil }
    return (String(decoding: name, as: UTF8.self), rest.dropFirst(2))
  }

  private static func isInClass(_ byte: UInt8, _ name: String) -> Bool {
    let isDigit = (0x30...0x39).contains(byte)
    let isUpper = (0x41...0x5A).contains(byte)
    let isLower = (0x61...0x7A).contains(byte)
    return switch name {
    case "alnum": isDigit || isUpper || isLower
    case "alpha": isUpper || isLower
    case "blank": byte == 0x20 || byte == 0x09
    case "cntrl": byte < 0x20 || byte == 0x7F
    case "digit": isDigit
    case "graph": (0x21...0x7E).contains(byte)
    case "lower": isLower
    case "print": (0x20...0x7E).contains(byte)
    case "punct": (0x21...0x7E).contains(byte) && !(isDigit || isUpper || isLower)
    case "space": byte == 0x20 || (0x09...0x0D).contains(byte)
    case "upper": isUpper
    case "xdigit": isDigit || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    default: false
    }
  }
}
