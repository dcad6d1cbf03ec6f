import Jobs
import Testing

/// Files of `NAME=VALUE` lines, and which of several layers wins.
@Suite struct EnvFileTests {
  private func variables(_ text: String) throws -> [String: String?] {
    try EnvFile.parse(bytes: Array(text.utf8), file: ".env").get().reduce(into: [:]) { $0[$1.name] = .some($1.value) }
  }

  private func problems(_ text: String) -> [String] {
    switch EnvFile.parse(bytes: Array(text.utf8), file: ".env") {
    case .success: []
    case .failure(let wrong): wrong.problems.map(\.description)
    }
  }

  @Test(arguments: [
    ("A=1", "1"), ("export A=1", "1"), ("  A = 1  ", "1"), ("A=", ""), ("A=''", ""), ("A=a b # c", "a b"),
    ("A=a#b", "a#b"), ("A= # c", ""), ("A='a # $b ${c} \\n'", "a # $b ${c} \\n"),
    ("A=\"a\\n\\t\\\"b\\\" \\$c \\q\"", "a\n\t\"b\" $c \\q"), ("A='one\ntwo'", "one\ntwo"),
    ("A=\"one\r\ntwo\"", "one\ntwo"),
    ("A=x=y", "x=y"), ("A=pa$word$", "pa$word$"), ("A=\"b\" # c", "b"), ("A=grüße", "grüße"), ("\u{FEFF}A=1", "1"),
    ("A=1\r\n", "1"), ("A=0\nA=1", "1"), ("# A=0\n\nA=1\n\n", "1"), ("A=C:\\dir", "C:\\dir"),
  ])
  func aLineIsANameAndAValue(text: String, value: String) throws {
    #expect(try variables(text) == ["A": value])
  }

  @Test func aNameAloneIsTakenFromTheLocalEnvironment() throws {
    #expect(try variables("A\nexport B # c\nC=") == ["A": nil, "B": nil, "C": ""])
  }

  @Test func allMistakesOfAFileHaveALine() {
    let text = "1A=x\nB x\n\nC='never\n"
    #expect(
      problems(text) == [
        ".env:1:1: env: \"1A\" cannot be a variable's name; expected NAME=VALUE, or a comment with #",
        ".env:2:3: B: \"x\" after the name; expected =",
        ".env:4:3: C: a value that is never closed; expected a closing '",
      ])
    #expect(
      problems("A=${HOME}/x\nB=\"${C}\"\nD=\"e\"f\nE=1\n") == [
        ".env:1:3: A: ${…} is not replaced by a value here; expected the value itself, or single quotes around it",
        ".env:2:4: B: ${…} is not replaced by a value here; expected the value itself, or single quotes around it",
        ".env:3:6: D: \"f\" after the closing quote; expected the end of the line",
      ])
    #expect(EnvFile.parse(bytes: [65, 61, 0xFF], file: ".env").failure?.problems.first?.column == 3)
  }

  /// config file < spec < `--set` < `--env-file` < `--env`, each later one over earlier ones of its kind.
  @Test func theNearestLayerWins() throws {
    let text = "command: x\nresources: {vcpus: 1}\nenvs: {B: spec, C: spec, D: spec, E: spec}\n"
    let defaults = try #require(
      JSONNode.parse("{\"envs\": {\"A\": \"config\", \"B\": \"config\"}, \"nodes\": 2}", file: "config.json").node)
    let file = try EnvFile.parse(bytes: Array("D=file\nE=file\n".utf8), file: ".env").get()
    let layers = SpecLayers(
      defaults: [defaults], set: [("envs.C", "set"), ("envs.D", "set")],
      envs: file + [SpecLayers.Variable(name: "E", value: "option", option: 1)])
    let spec = try SpecDecoder.decode(bytes: Array(text.utf8), file: "job.yaml", layers).get()
    let values = Dictionary(uniqueKeysWithValues: spec.envs.map { ($0.name, $0.value) })
    #expect(values == ["A": "config", "B": "spec", "C": "set", "D": "file", "E": "option"])
    #expect(spec.nodes?.value == 2)
  }

  @Test func whatIsMissingLocallyIsToldWhereItWasAskedFor() throws {
    let parsed = YAMLNode.parse("command: x\nresources: {vcpus: 1}\n", file: "job.yaml")
    let file = try EnvFile.parse(bytes: Array("A\n".utf8), file: ".env").get()
    let layers = SpecLayers(envs: file + [SpecLayers.Variable(name: "B", value: nil, option: 2)])
    let planned = JobPlan.make(parsed, layers, file: "/a/job.yaml") { _ in nil }
    #expect(
      planned.failure?.problems.map(\.description) == [
        ".env:1:1: envs.A: is not set in the local environment; expected A exported, or a value here",
        "--env:2:1: envs.B: is not set in the local environment; expected B exported, or a value here",
      ])
  }

  @Test func problemsOfSeveralFilesStayTogether() {
    let defaults = JSONNode.parse("{\"nodes\": 0, \"envs\": {\"1\": \"x\"}}", file: "config.json").node
    let wrong = SpecDecoder.decode(
      bytes: Array("command: x\nresources: {vcpus: 0}\nretry: 1\n".utf8), file: "job.yaml",
      SpecLayers(defaults: defaults.map { [$0] } ?? [], set: [("teardown", "x")]))
    #expect(
      wrong.failure?.problems.map(\.file) == ["job.yaml", "job.yaml", "config.json", "config.json", "--set"])
  }
}

extension Result {
  fileprivate var failure: Failure? {
    guard case .failure(let failure) = self else { return nil }
    return failure
  }
}
