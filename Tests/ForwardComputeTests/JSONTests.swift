import ForwardCompute
import Foundation
import TestSupport
import Testing

@Suite struct JSONTests {
  private func parse(_ text: String) throws -> JSONValue {
    try JSONValue(parsing: text.utf8)
  }

  @Test func keepsLiteralsAndTheOrderOfFields() throws {
    let text = #"{"z":1.50,"a":[true,false,null,-0.0,8e-05],"é":"\\ \" \n"}"#
    #expect(try parse(text).text() == text)
    #expect(try parse(" \r\n\t[ ] ").text() == "[]")
  }

  @Test func readsEscapesAndSurrogatePairs() throws {
    #expect(try parse(#""A\u0041\/\b\f\r\t\ud83d\ude00é""#) == .string("AA/\u{8}\u{C}\r\t😀é"))
  }

  @Test(
    .faults(25),
    arguments: [
      "", " ", "{", "[", "\"", "{\"a\"", "{\"a\":", "{\"a\":1", "[1", "[1,", "[1,]", "{\"a\":1,}", "{,}", "nul", "tru",
      "NaN", "Infinity", "-Infinity", "-", "01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1 2", "[] []", "'a'", "{a:1}",
      "\"\u{1}\"", "\"\\x\"", "\"\\u12\"", "\"\\u+123\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"",
      "\"\\udc00\"", "\"\\ud800x\"", "{\"a\":1,\"a\":2}", "<html></html>", "\u{FEFF}",
    ])
  func refusesWhatIsNotADocument(text: String) {
    #expect(throws: JSONProblem.self) { try self.parse(text) }
  }

  @Test(.faults(25)) func refusesBytesThatAreNotUTF8() {
    #expect(throws: JSONProblem.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    #expect(throws: JSONProblem.self) { try JSONValue(parsing: [0x22, 0xED, 0xA0, 0x80, 0x22]) }
  }

  @Test("The elements of a list one by one are those of the whole, and what is no list is left where it is")
  func elementsOneByOne() throws {
    for text in [
      #"{"data": [{"id": "a", "data": [1]}, 2, [], {}], "has_more": false, "x": {"data": [3]}}"#, #"{"data": []}"#,
      #"{"data": {"data": [1]}}"#, "[1, 2]", #"{"x": [1]}"#,
    ] {
      var taken: [JSONValue] = []
      let rest = try JSONValue(parsing: Array(text.utf8)) { taken.append($0) }
      let whole = try parse(text)
      if case .array(let elements)? = whole["data"] {
        #expect(taken == elements)
        #expect(rest["data"] == .array([]))
        #expect(rest["has_more"] == whole["has_more"] && rest["x"] == whole["x"])
      } else {
        #expect(taken.isEmpty && rest == whole)
      }
    }
    #expect(throws: JSONProblem.self) { try JSONValue(parsing: Array(#"{"data": [1, 2"#.utf8)) { _ in } }
  }

  @Test(.faults(25)) func refusesNestingBeyondItsLimitInsteadOfOverflowingTheStack() throws {
    #expect(throws: JSONProblem.self) { try self.parse(String(repeating: "[", count: 1_000_000)) }
    #expect(throws: JSONProblem.self) { try self.parse(String(repeating: "{\"a\":", count: 100_000)) }
    let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    #expect(throws: Never.self) { try self.parse(deepest) }
  }

  @Test(.faults(51, 122)) func escapesWhatCouldMoveACursor() throws {
    let value = JSONValue.string("\u{1B}[31m\u{7F}\u{9B}\u{202E}\u{E0001}é😀")
    #expect(value.text() == #""\u001b[31m\u007f\u009b\u202e\udb40\udc01é😀""#)
    #expect(try parse(value.text()) == value)
  }

  @Test func indentsByTwoSpaces() throws {
    #expect(
      try parse(#"{"a":[1,{}],"b":[]}"#).text(pretty: true) == "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}")
  }

  /// Ten thousand documents with bytes changed, cut out and doubled: each is read or refused, none traps.
  @Test(.faults(25)) func survivesDamagedDocuments() {
    var random = SplitMix(seed: 20_261_123)
    let whole = Array(
      #"{"data":[{"id":"a\ud83d\ude00","hourly_price":"24.12","n":-1.5e-3,"t":[true,null,{"x":[]}]}],"object":"list"}"#
        .utf8)
    var readable = 0
    for _ in 0..<10_000 {
      var bytes = whole
      for _ in 0...random.below(3) {
        let place = random.below(bytes.count)
        switch random.below(3) {
        case 0: bytes[place] = UInt8(random.below(256))
        case 1: bytes.removeSubrange(place..<min(place + random.below(8), bytes.count))
        default: bytes.insert(contentsOf: bytes[place...].prefix(random.below(8)), at: place)
        }
        if bytes.isEmpty { bytes = [0] }
      }
      if let value = try? JSONValue(parsing: bytes) {
        readable += 1
        #expect((try? JSONValue(parsing: value.text().utf8)) == value)
      }
    }
    #expect(readable > 0 && readable < 10_000)
  }

  @Test func passesThroughCodersUnharmed() throws {
    let value = try parse(#"{"a":[true,null,"x",7,1.25],"b":{"c":"24.10"}}"#)
    #expect(try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(value)) == value)
  }
}

/// Numbers from a seed: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators".
struct SplitMix {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func below(_ limit: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((z ^ (z >> 31)) % UInt64(max(limit, 1)))
  }
}
