import Jobs
import TestSupport
import Testing

/// What must hold for every document, tried on many from a seed.
@Suite struct JSONNodePropertyTests {
  @Test(arguments: 0..<20)
  func whatIsWrittenIsReadBack(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<50 {
      let value = arbitraryValue(depth: 5, &generator)
      let text = written(value, &generator)
      let parsed = JSONNode.parse(text, file: "a.json")
      #expect(parsed.problems.isEmpty, "\(text)")
      #expect(parsed.node.map { unplaced($0) } == value, "\(text)")
    }
  }

  @Test(.faults(129), arguments: 0..<20)
  func noBytesCrashTheDecoder(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<200 {
      let bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      expectAnswer(bytes)
    }
  }

  @Test(.faults(129), arguments: 0..<20)
  func noDamageToASpecCrashesTheDecoder(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<200 {
      var bytes = Array(Self.everything.utf8)
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        damage(&bytes, &generator)
      }
      expectAnswer(bytes)
    }
  }

  /// Either a spec, or problems that all have a place and a sentence.
  private func expectAnswer(_ bytes: [UInt8]) {
    switch SpecDecoder.decode(bytes: bytes, file: "job.json") {
    case .success(let spec): _ = JobPlan.make(spec: spec, file: "/a/job.json") { _ in nil }
    case .failure(let wrong):
      #expect(wrong.problems.allSatisfy { $0.line > 0 && $0.column > 0 && !$0.message.isEmpty && !$0.path.isEmpty })
      #expect(!wrong.description.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
    }
  }

  private func damage(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
    let tokens = ["{", "}", "[", "]", ",", ":", "\"", "null", "0", "-1", "\\u0000", "..", "/", "\u{FEFF}", "//"]
    guard let position = bytes.indices.randomElement(using: &generator) else { return }
    switch Int.random(in: 0...3, using: &generator) {
    case 0: bytes.remove(at: position)
    case 1: bytes[position] = UInt8.random(in: 0...255, using: &generator)
    case 2: bytes.insert(contentsOf: Array((tokens.randomElement(using: &generator) ?? "").utf8), at: position)
    default: bytes.removeSubrange(position..<min(bytes.count, position + 20))
    }
  }

  static let everything = """
    {"name": "a", "resources": {"gpu_type": ["A100"], "prefer": "listed", "num_gpus": "4..8", "max_hourly_price": "3.10"},
    "nodes": 2, "volumes": ["v"], "envs": {"A": "1", "B": null}, "secrets": ["S"], "ssh_key": {"name": "k", "private_key": "~/k"},
    "ssh_user": "root", "files": ["src", {"source": "/x", "destination": "y", "exclude": ["*.o"]}], "workdir": "~/w",
    "setup": "true", "command": ["a", "b"], "outputs": ["out/*.csv", {"source": "c", "destination": "d"}],
    "limits": {"max_duration": "1h30m", "max_cost": "4.00", "boot_timeout": 90, "output_grace": "5s"},
    "retry": {"on": ["exit:3", "preempted"], "attempts": 2}, "teardown": "on_success", "matrix": {"lr": [1, "2", true]},
    "max_parallel": 3, "checkpoint": {"source": "c", "every": "5m"}, "notify": [{"on": "end", "webhook": "https://a"}], "engine": "ray"}
    """

  // MARK: Arbitrary documents

  /// A value without places.
  private indirect enum Shape: Equatable {
    case null, bool(Bool), number(String), string(String), list([Shape]), object([String: Shape])
  }

  private func arbitraryValue(depth: Int, _ generator: inout SeededGenerator) -> Shape {
    switch Int.random(in: 0...(depth > 0 ? 5 : 3), using: &generator) {
    case 0: return .null
    case 1: return .bool(Bool.random(using: &generator))
    case 2: return .number(arbitraryNumber(&generator))
    case 3: return .string(arbitraryText(&generator))
    case 4:
      return .list(
        (0..<Int.random(in: 0...4, using: &generator)).map { _ in arbitraryValue(depth: depth - 1, &generator) })
    default:
      var members: [String: Shape] = [:]
      for _ in 0..<Int.random(in: 0...4, using: &generator) {
        members[arbitraryText(&generator)] = arbitraryValue(depth: depth - 1, &generator)
      }
      return .object(members)
    }
  }

  private func arbitraryNumber(_ generator: inout SeededGenerator) -> String {
    let whole = String(Int.random(in: -1_000_000...1_000_000, using: &generator))
    let fraction = Bool.random(using: &generator) ? ".\(Int.random(in: 0...999, using: &generator))" : ""
    let power = Bool.random(using: &generator) ? "e\(Int.random(in: -20...20, using: &generator))" : ""
    return whole + fraction + power
  }

  private func arbitraryText(_ generator: inout SeededGenerator) -> String {
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...8, using: &generator) {
      let limit: UInt32 = Bool.random(using: &generator) ? 0x7F : 0x10FFFF
      text.append(Unicode.Scalar(UInt32.random(in: 0...limit, using: &generator)) ?? "x")
    }
    return String(text)
  }

  private func written(_ shape: Shape, _ generator: inout SeededGenerator) -> String {
    let space = ["", " ", "\n", "\t \r\n"].randomElement(using: &generator) ?? ""
    switch shape {
    case .null: return space + "null"
    case .bool(let flag): return space + "\(flag)"
    case .number(let literal): return space + literal + space
    case .string(let text): return space + written(text, &generator)
    case .list(let elements):
      return space + "[" + elements.map { written($0, &generator) }.joined(separator: ",") + space + "]"
    case .object(let members):
      let pairs = members.map { written($0.key, &generator) + space + ":" + written($0.value, &generator) }
      return "{" + space + pairs.joined(separator: space + ",") + "}" + space
    }
  }

  private func written(_ text: String, _ generator: inout SeededGenerator) -> String {
    var literal = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": literal += "\\\""
      case "\\": literal += "\\\\"
      default:
        let isEscaped = scalar.value < 0x20 || Int.random(in: 0...3, using: &generator) == 0
        literal += isEscaped ? escaped(scalar) : String(scalar)
      }
    }
    return literal + "\""
  }

  private func escaped(_ scalar: Unicode.Scalar) -> String {
    String(scalar).utf16.map { unit in
      let digits = String(unit, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }.joined()
  }

  private func unplaced(_ node: SpecNode) -> Shape {
    switch node.value {
    case .null: .null
    case .bool(let flag): .bool(flag)
    case .number(let literal): .number(literal)
    case .string(let text): .string(text)
    case .list(let elements): .list(elements.map(unplaced))
    case .object(let members): .object(members.reduce(into: [:]) { $0[$1.key] = unplaced($1.node) })
    }
  }
}
