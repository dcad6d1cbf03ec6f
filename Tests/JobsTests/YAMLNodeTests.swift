import Jobs
import Testing

/// Specs in YAML: what its words mean, and that everything wrong has a place and a sentence.
@Suite struct YAMLNodeTests {
  private func parse(_ text: String) -> SpecNode.Parsed { YAMLNode.parse(text, file: "a.yaml") }

  /// The problems of a document, and none that the decoder has.
  private func told(_ text: String) -> [String] { parse(text).problems.map(\.description) }

  private func problems(_ text: String) -> [String] {
    switch SpecDecoder.decode(text, file: "job.yaml") {
    case .success: []
    case .failure(let wrong): wrong.problems.map(\.description)
    }
  }

  /// The value of `x` in `x: TEXT`.
  private func value(_ text: String) -> SpecNode.Value? { parse("x: \(text)\n").node?["x"]?.value }

  @Test func theSameSpecInBothNotationsIsTheSame() throws {
    let text = """
      # Everything that people write.
      name: a
      resources:
        gpu_type: [A100]
        prefer: listed
        num_gpus: 4..8
        max_hourly_price: "3.10"
      nodes: 2
      volumes:
      - v
      envs: {A: "1", B: null}
      secrets: [S]
      ssh_key: {name: k, private_key: ~/k}
      ssh_user: root
      files:
        - src
        - source: /x
          destination: y
          exclude: ["*.o"]
      workdir: ~/w
      setup: "true"
      command: [a, b]
      outputs:
        - out/*.csv
        - source: c
          destination: d
      limits:
        max_duration: 1h30m
        max_cost: '4.00'
        boot_timeout: 90
        output_grace: 5s
      retry:
        on: ["exit:3", preempted]
        attempts: 2
      teardown: on_success
      matrix: {lr: [1, "2", true]}
      max_parallel: 3
      checkpoint: {source: c, every: 5m}
      notify: [{on: end, webhook: "https://a"}]
      engine: ray
      """
    let node = try #require(YAMLNode.parse(text, file: "job.json").node)
    let same = try #require(JSONNode.parse(JSONNodePropertyTests.everything, file: "job.json").node)
    #expect(unplaced(node) == unplaced(same))
    #expect(problems(text).isEmpty)
  }

  @Test func JSONIsYAML() throws {
    let text = JSONNodePropertyTests.everything
    #expect(YAMLNode.parse(text, file: "f").node.map(unplaced) == JSONNode.parse(text, file: "f").node.map(unplaced))
  }

  @Test(arguments: [
    ("true", SpecNode.Value.bool(true)), ("False", .bool(false)), ("null", .null), ("~", .null), ("", .null),
    ("8", .number("8")), ("-1.50", .number("-1.50")), ("1e3", .number("1e3")),
    ("on", .string("on")), ("no", .string("no")), ("Yes", .string("Yes")), ("y", .string("y")),
    ("2024-05-01", .string("2024-05-01")), ("12:30", .string("12:30")), ("1_000", .string("1_000")),
    ("4..8", .string("4..8")), ("\"8\"", .string("8")), ("'true'", .string("true")), ("!!str 8", .string("8")),
    ("a # comment", .string("a")), ("a#b", .string("a#b")), ("'it''s'", .string("it's")),
    ("\"\\u00fc\\n\"", .string("ü\n")), ("2 * 3 ** 4", .string("2 * 3 ** 4")), ("'*'", .string("*")),
    ("\"**/*.csv\"", .string("**/*.csv")), ("|\n  a\n   *b\n", .string("a\n *b\n")),
    (">-\n  a\n  b\n", .string("a b")), ("grüße 🚀", .string("grüße 🚀")),
  ])
  func aScalarMeansWhatItLooksLike(text: String, value: SpecNode.Value) {
    #expect(self.value(text) == value)
    #expect(told("x: \(text)\n").isEmpty)
  }

  @Test(arguments: ["007", "+1", ".5", "1.", "0x1F", "0o17", ".inf", "-.INF", ".NaN", "-01.5"])
  func aNumberThatReadersDisagreeAboutIsRefused(text: String) {
    #expect(
      told("x: \(text)") == [
        "a.yaml:1:4: x: is \(text), which readers of YAML take for different values; expected it in quotes, or as a number such as 8 or 0.5"
      ])
  }

  @Test func moneyWithoutQuotesIsToldAsInJSON() {
    #expect(
      problems("command: x\nresources:\n  max_hourly_price: 24.50\n") == [
        "job.yaml:3:21: resources.max_hourly_price: is a number; expected money in quotes: \"24.50\""
      ])
  }

  @Test func onIsAName() throws {
    let spec = try SpecDecoder.decode(
      "command: x\nresources: {vcpus: 1}\nretry:\n  on: [preempted]\n", file: "a.yml"
    ).get()
    #expect(spec.retry.on?.value == [.preempted])
  }

  @Test func allProblemsComeAtOnceAndInTheOrderOfTheFile() {
    let text = """
      comand: "true"
      resources:
        gpu_typ: A100
        max_hourly_price: 3.5
      nodes: 0
      nodes: 1
      limits: {max_duration: 5 min}
      envs:
        A: 007
        "A": x
        B: y
        B: z
      """
    #expect(
      problems(text)
        == [
          "job.yaml:1:1: comand: unknown field; did you mean \"command\"?",
          "job.yaml:1:1: command: is missing; expected a shell script, or a list of a program and its arguments",
          "job.yaml:3:3: resources.gpu_typ: unknown field; did you mean \"gpu_type\"?",
          "job.yaml:4:21: resources.max_hourly_price: is a number; expected money in quotes: \"3.5\"",
          "job.yaml:5:8: nodes: is 0; expected a whole number from 1 to 10000",
          "job.yaml:6:1: nodes: is given twice, first on line 5; expected each name once",
          "job.yaml:7:24: limits.max_duration: is the string \"5 min\"; expected a duration such as \"90s\", \"15m\", \"6h\" or \"1d\", or whole seconds as a number",
          "job.yaml:9:6: envs.A: is 007, which readers of YAML take for different values; expected it in quotes, or as a number such as 8 or 0.5",
          "job.yaml:10:3: envs.A: is given twice, first on line 9; expected each name once",
          "job.yaml:12:3: envs.B: is given twice, first on line 11; expected each name once",
        ])
  }

  @Test(arguments: [
    ("", "1:1: spec: the document is empty; expected an object"),
    ("# nothing\n", "1:1: spec: the document is empty; expected an object"),
    ("a: 1\n---\nb: 2\n", "2:1: spec: a second document; expected one job in a file"),
    ("a:\n\tb: 1\n", "2:1: spec: a tab where the indentation is; expected spaces"),
    ("a: \"b\n", "1:4: spec: a string that is never closed; expected a closing quote"),
    ("a: @b\n", "1:4: spec: \"@\" where a value begins; expected text that begins with it in quotes"),
    (
      "a: b: c\n",
      "1:5: spec: a second colon, or a line that is indented wrongly; expected name: value, with text that holds a colon in quotes"
    ),
    ("a: [1, 2\n", "2:1: spec: a list that goes on without a comma; expected , or ] (in what begins on line 1)"),
    (
      "a: *b\n", "1:4: a: \"*b\" is an alias of nothing above (\"&b\"); expected text that begins with a star in quotes"
    ),
    (
      "- *.csv\n",
      "1:3: [0]: \"*.csv\" is an alias of nothing above (\"&.csv\"); expected text that begins with a star in quotes"
    ),
    (
      "a: &a [*a]\n",
      "1:8: a[0]: \"*a\" is an alias of nothing above (\"&a\"); expected text that begins with a star in quotes"
    ),
    ("? [a]\n: 1\n", "1:3: spec: a name that is an alias, a list or an object; expected plain text"),
    ("a: !!int 8\n", "1:4: a: has the tag !!int; expected no tag, and text in quotes"),
    ("a: !x {}\n", "1:4: a: has the tag !x; expected no tag, and text in quotes"),
    ("a: b\u{7}\n", "1:5: spec: the control character \\u{7}; expected text, or an escape in double quotes"),
    ("<<: 3\n", "1:5: <<: merges the number 3; expected an alias of an object, or a list of such"),
    ("a: {b: 1, c: 2, b: 3}\n", "1:17: a.b: is given twice, first on line 1; expected each name once"),
    ("b: b\na: b\n'b': 1\n", "3:1: b: is given twice, first on line 1; expected each name once"),
    ("b: 1\nb: 2\nb: 3\n", "1:1: spec: the name \"b\" is given twice; expected each name once"),
  ])
  func whatIsWrongHasAPlaceAndASentence(text: String, problem: String) {
    #expect(told(text) == ["a.yaml:" + problem])
  }

  @Test func aByteOrderMarkAndWindowsLinesAreNoHarm() {
    let parsed = parse("\u{FEFF}a: 1\r\nb: {c: 007}\r\n")
    #expect(parsed.problems.map(\.place) == [Place(file: "a.yaml", line: 2, column: 8)])
    #expect(parsed.node?["a"]?.value == .number("1"))
  }

  @Test func bytesThatAreNotTextHaveAPlace() {
    let parsed = YAMLNode.parse(bytes: Array("a: 1\nb: ".utf8) + [0xFF], file: "a.yaml")
    #expect(parsed.problems.map(\.place) == [Place(file: "a.yaml", line: 2, column: 4)])
    #expect(YAMLNode.parse(String(repeating: "#", count: 1 << 20 + 1), file: "a.yaml").node == nil)
  }

  // MARK: Aliases

  @Test func aliasesAndMergeKeysAreWrittenOut() throws {
    let text = """
      a: &base {x: 1, y: 2}
      b: &more {y: 3, z: 4}
      c: *base
      d:
        <<: [*base, *more]
        x: 9
      e: &word text
      f: [*word, *word]
      """
    let node = try #require(parse(text).node)
    #expect(node["c"].map(unplaced) == node["a"].map(unplaced))
    #expect(node["c"]?.place == Place(file: "a.yaml", line: 3, column: 4))
    #expect(
      node["d"].map(unplaced) == .object(["x": .number("9"), "y": .number("2"), "z": .number("4")]))
    #expect(node["f"].map(unplaced) == .list([.string("text"), .string("text")]))
    #expect(parse(text).problems.isEmpty)
  }

  @Test func anAnchorMeansTheLatestOfItsName() {
    #expect(parse("a: &n 1\nb: *n\nc: &n 2\nd: *n\n").node?["d"]?.value == .number("2"))
    #expect(parse("a: &n 1\nb: *n\nc: &n 2\nd: *n\n").node?["b"]?.value == .number("1"))
  }

  @Test func aBombOfAliasesIsRefusedAtOnce() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...40 {
      let inner = repeatElement("*a\(level - 1)", count: 10).joined(separator: ", ")
      text += "a\(level): &a\(level) [\(inner)]\n"
    }
    let start = ContinuousClock.now
    let told = told(text)
    #expect(told.count == 1)
    #expect(told[0].contains("more than 10000 values with all aliases written out; expected fewer"))
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  @Test func aLargeFileOfOneNameIsAnsweredAtOnce() {
    let start = ContinuousClock.now
    #expect(told(String(repeating: "a: 1\n", count: 100_000)).count == 1)
    #expect(ContinuousClock.now - start < .seconds(30))
  }

  @Test func nestingHasALimitAlsoThroughAliases() {
    let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
    #expect(told("a: \(deep)").first?.hasSuffix("is nested more than 64 deep; expected fewer levels") == true)
    let half = String(repeating: "[", count: 40) + "%" + String(repeating: "]", count: 40)
    let text = "a: &a \(half.replacing("%", with: "1"))\nb: \(half.replacing("%", with: "*a"))\n"
    #expect(told(text).first?.hasSuffix("is nested more than 64 deep; expected fewer levels") == true)
    let endless = told(String(repeating: "[", count: 100_000))
    #expect(endless.first?.contains("is nested more than 64 deep; expected fewer levels") == true)
  }

  /// Either a spec, or problems that all have a place and a sentence, for any damage to a good file.
  @Test(arguments: 1...12)
  func damageIsAlwaysAnswered(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let whole = Array("a: &x {b: [1, 'c'], d: |\n  e\n }\nf: *x\n<<: *x\ng:\n  - h: \"i\"\n    j: k\n".utf8)
    let tokens = [
      "*x", "&x ", "\t", "- ", ": ", "? ", "\"", "'", "|", "{", "]", "\n", "---\n", "!!str ", "\u{F0000}", "f: ",
    ]
    for _ in 0..<60 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let position = Int.random(in: 0..<bytes.count, using: &generator)
        if Bool.random(using: &generator) {
          bytes.insert(contentsOf: Array((tokens.randomElement(using: &generator) ?? "").utf8), at: position)
        } else {
          bytes.remove(at: position)
        }
      }
      let parsed = YAMLNode.parse(bytes: bytes, file: "a.yaml")
      #expect(parsed.node != nil || !parsed.problems.isEmpty)
      #expect(parsed.problems.allSatisfy { $0.line > 0 && $0.column > 0 && !$0.message.isEmpty })
    }
  }
}

/// A value without places.
indirect enum Unplaced: Equatable {
  case null, bool(Bool), number(String), string(String), list([Unplaced]), object([String: Unplaced])
}

func unplaced(_ node: SpecNode) -> Unplaced {
  switch node.value {
  case .null: .null
  case .bool(let flag): .bool(flag)
  case .number(let literal): .number(literal)
  case .string(let text): .string(text)
  case .list(let elements): .list(elements.map(unplaced))
  case .object(let members): .object(members.reduce(into: [:]) { $0[$1.key] = unplaced($1.node) })
  }
}
