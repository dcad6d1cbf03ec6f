import Jobs
import TestSupport
import Testing

@Suite struct JSONNodeTests {
  private func parse(_ text: String) -> SpecNode.Parsed { JSONNode.parse(text, file: "a.json") }

  private func problems(_ text: String) -> [String] { parse(text).problems.map(\.description) }

  @Test func everyValueAndKeyKnowsItsPlace() throws {
    let node = try #require(parse("{\n  \"a\": [1, true],\n\t\"é\": \"x\"\n}").node)
    guard case .object(let members) = node.value else { throw Unexpected() }
    #expect(node.place == Place(file: "a.json", line: 1, column: 1))
    #expect(members.map(\.keyPlace) == [place(2, 3), place(3, 2)])
    #expect(members.map(\.node.place) == [place(2, 8), place(3, 7)])
    guard case .list(let elements) = members[0].node.value else { throw Unexpected() }
    #expect(elements.map(\.place) == [place(2, 9), place(2, 12)])
  }

  @Test(arguments: ["\n", "\r\n", "\r"])
  func everyKindOfLineBreakIsOne(lineBreak: String) {
    let node = parse("[\(lineBreak)\(lineBreak)  1]").node
    #expect(node?.value == .list([SpecNode(.number("1"), at: place(3, 3))]))
  }

  @Test func columnsCountCharactersAndNotBytes() {
    #expect(
      problems("[\"äöü😀\", x]") == [
        "a.json:1:10: [1]: the bare word \"x\"; expected a string in double quotes, true, false or null"
      ])
  }

  @Test(arguments: ["0", "-0", "8", "-12.50", "1e3", "1E+3", "0.1e-2", "123456789012345678901234567890.10"])
  func numbersKeepTheirLiteral(literal: String) {
    #expect(parse(literal).node?.value == .number(literal))
  }

  @Test(arguments: ["01", "-", "1.", ".5", "+1", "1e", "1e+", "1.2.3", "--1", "1-2", "0x10", "NaN", "-Infinity"])
  func whatIsNoNumberIsSaid(literal: String) {
    let parsed = parse("[\(literal)]")
    #expect(parsed.node == nil)
    #expect(parsed.problems.count == 1)
    #expect(parsed.problems.first?.column ?? 0 >= 2)
  }

  @Test(arguments: [
    (#""a\"b\\c\/d\b\f\n\r\t""#, "a\"b\\c/d\u{8}\u{C}\n\r\t"),
    (#""\u00e9\u20AC""#, "é€"),
    (#""\ud83d\ude00""#, "😀"),
    (#""\u0000""#, "\0"),
    ("\"e\u{301}\u{2028}\"", "e\u{301}\u{2028}"),
    // The combining mark joins the quote to one Character; the parser must not be fooled by it.
    ("\"\u{301}\"", "\u{301}"),
  ])
  func stringsMeanWhatTheySay(literal: String, meant: String) {
    #expect(parse(literal).problems.isEmpty)
    #expect(parse(literal).node?.value == .string(meant))
  }

  @Test(arguments: [
    ("", "a.json:1:1: spec: the document ends here; expected a value"),
    ("  ", "a.json:1:3: spec: the document ends here; expected a value"),
    ("{", "a.json:1:2: spec: the document ends here where a field's name should be; expected a name in double quotes"),
    ("{\"a\"", "a.json:1:5: a: the document ends here after the name \"a\"; expected a colon"),
    ("{\"a\" 1}", "a.json:1:6: a: \"1\" after the name \"a\"; expected a colon"),
    (
      "{\"a\":\n}",
      "a.json:2:1: a: \"}\" where a value should be; expected an object, a list, a string, a number, true, false or null"
    ),
    ("{a: 1}", "a.json:1:2: spec: \"a\" where a field's name should be; expected a name in double quotes"),
    ("{\"a\": 1 \"b\": 2}", "a.json:1:9: spec: \"\"\" after a value; expected a comma or }"),
    ("[1 2]", "a.json:1:4: spec: \"2\" after a value; expected a comma or ]"),
    ("[1", "a.json:1:3: spec: the document ends here after a value; expected a comma or ]"),
    (
      "{\"a\": [1, ?]}",
      "a.json:1:11: a[1]: \"?\" where a value should be; expected an object, a list, a string, a number, true, false or null"
    ),
    ("{} {}", "a.json:1:4: spec: \"{\" after the end of the document; expected nothing more"),
    ("'a'", "a.json:1:1: spec: a string in single quotes; expected double quotes"),
    ("True", "a.json:1:1: spec: the bare word \"True\"; expected a string in double quotes, true, false or null"),
    ("\"a", "a.json:1:1: spec: a string that is never closed; expected a closing quote"),
    (
      "[\"a\n\"]",
      "a.json:1:2: [0]: a string that is not closed on its line; expected a closing quote, and \\n for a line break"
    ),
    ("\"\\u12", "a.json:1:2: spec: an incomplete \\u escape; expected four hexadecimal digits"),
    ("\"\\u12g4\"", "a.json:1:2: spec: an incomplete \\u escape; expected four hexadecimal digits"),
    ("\"\\", "a.json:1:3: spec: the document ends in a string; expected a closing quote"),
  ])
  func aBrokenStructureEndsTheDocument(text: String, problem: String) {
    #expect(parse(text).node == nil)
    #expect(problems(text) == [problem])
  }

  @Test(arguments: [
    ("{\"a\": 1,\n \"a\": 2}", ["a.json:2:2: a: is given twice, first on line 1; expected each name once"]),
    ("[1,\n]", ["a.json:1:3: spec: a comma before ]; expected no comma after the last value"]),
    (
      "{\"a\": [1,],}",
      [
        "a.json:1:9: a: a comma before ]; expected no comma after the last value",
        "a.json:1:11: spec: a comma before }; expected no comma after the last value",
      ]
    ),
    (
      "// x\n[1] # y",
      [
        "a.json:1:1: spec: a comment; expected none, JSON has no comments",
        "a.json:2:5: spec: a comment; expected none, JSON has no comments",
      ]
    ),
    ("[ /* 1,\n2 */ 3]", ["a.json:1:3: spec: a comment; expected none, JSON has no comments"]),
    ("\u{FEFF}[]", ["a.json:1:1: spec: a byte order mark; expected plain UTF-8 (save the file without BOM)"]),
    ("[\"\\ud800\"]", ["a.json:1:3: [0]: half of a surrogate pair; expected both halves, or the character itself"]),
    ("[\"\\udc00x\"]", ["a.json:1:3: [0]: half of a surrogate pair; expected both halves, or the character itself"]),
    (
      "[\"\\ud800\\u0041\"]",
      ["a.json:1:3: [0]: half of a surrogate pair; expected both halves, or the character itself"]
    ),
    (
      "[\"a\u{1}\tb\"]",
      [
        "a.json:1:4: [0]: a control character in a string; expected it as \\u0001",
        "a.json:1:5: [0]: a control character in a string; expected it as \\u0009",
      ]
    ),
    ("[\"\\x41\"]", ["a.json:1:3: [0]: \"\\x\" is not an escape of JSON; expected \\\\ for a backslash"]),
  ])
  func whatCanBeSteppedOverIsReportedAndParsingGoesOn(text: String, expected: [String]) {
    #expect(parse(text).node != nil)
    #expect(problems(text) == expected)
  }

  @Test func ofTwoEqualKeysTheFirstCounts() {
    #expect(parse("{\"a\": 1, \"a\": 2}").node?["a"]?.value == .number("1"))
  }

  @Test(.faults(129)) func nestingIsBounded() {
    let allowed = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    #expect(parse(allowed).problems.isEmpty)
    let tooDeep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
    #expect(parse(tooDeep).problems.map(\.column) == [65])
    #expect(parse(tooDeep).problems.first?.message == "is nested more than 64 deep; expected fewer levels")
    #expect(parse(String(repeating: "{\"a\":", count: 200_000)).problems.count == 1)
  }

  @Test(.faults(129)) func sizeIsBounded() {
    let fits = "\"" + String(repeating: "a", count: JSONNode.largest - 2) + "\""
    #expect(parse(fits).problems.isEmpty)
    #expect(problems(fits + " ") == ["a.json:1:1: spec: has 1048577 bytes; expected at most 1048576 (1 MiB)"])
    let bytes = [UInt8](repeating: 0x20, count: JSONNode.largest + 1)
    #expect(JSONNode.parse(bytes: bytes, file: "a.json").problems.count == 1)
  }

  @Test func bytesThatAreNotUTF8HaveAPlace() {
    let parsed = JSONNode.parse(bytes: Array("[\n \"é".utf8) + [0xFF] + Array("\"]".utf8), file: "a.json")
    #expect(parsed.node == nil)
    #expect(
      parsed.problems.map(\.description) == [
        "a.json:2:4: spec: a byte that is not UTF-8 (or U+FFFD before it); expected UTF-8 text"
      ])
    #expect(JSONNode.parse(bytes: Array("[\"é\"]".utf8), file: "a.json").problems.isEmpty)
  }

  @Test(.faults(122)) func aMessageNeverCarriesControlCharactersOrEndlessText() {
    let text = problems("{\"\u{1B}[31m" + String(repeating: "x", count: 5000) + "\" 1}").joined()
    #expect(!text.unicodeScalars.contains { $0.value < 0x20 })
    #expect(text.count < 400)
  }

  private func place(_ line: Int, _ column: Int) -> Place { Place(file: "a.json", line: line, column: column) }

  private struct Unexpected: Error {}
}
