import Foundation
import Jobs
import Testing

/// `docs/job-file.md` names every field, and its examples are what the decoder takes.
@Suite struct JobFileReferenceTests {
  private let path: String
  private let text: String

  init() throws {
    let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    path = root + "/docs/job-file.md"
    text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
  }

  /// What stands between the markers is written from the schema; the rest of the page is for people to write.
  @Test func theTablesInTheReferenceAreThoseOfTheSchema() throws {
    let tables =
      [("spec", SpecSchema.spec, true)]
      + [
        ("resources", SpecSchema.resources), ("engine", SpecSchema.engine), ("limits", SpecSchema.limits),
        ("retry", SpecSchema.retry),
      ].map {
        ($0, $1, false)
      }
    var page = text
    for (name, fields, isLinked) in tables {
      let (start, end) = ("<!-- the fields of \(name) -->\n", "<!-- until here -->\n")
      let from = try #require(page.range(of: start)).upperBound
      let to = try #require(page.range(of: end, range: from..<page.endIndex)).lowerBound
      page.replaceSubrange(from..<to, with: SpecSchema.table(fields, isLinked: isLinked))
    }
    if ProcessInfo.processInfo.environment["FCRUN_UPDATE_DOCS"] != nil {
      try Data(page.utf8).write(to: URL(fileURLWithPath: path))
    }
    #expect(
      page == String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self),
      "docs/job-file.md is stale; write it anew with: FCRUN_UPDATE_DOCS=1 swift test --filter theTablesInTheReference")
  }

  @Test func everyLinkOfTheTableHasAHeading() {
    let headings = text.split(separator: "\n").filter { $0.hasPrefix("#") }.map {
      $0.drop { $0 == "#" || $0 == " " }.lowercased().replacing(" ", with: "-")
    }
    for row in SpecSchema.table(SpecSchema.spec, isLinked: true).split(separator: "\n").dropFirst(2) {
      let link = row.split(separator: "(#")[1].prefix { $0 != ")" }
      #expect(headings.contains(String(link)), "\(link)")
    }
  }

  @Test func theConfigFileOfThePageIsOne() throws {
    let example = try #require(blocks("json").first { $0.contains("\"profiles\"") })
    let config = try ConfigFile.read(JSONNode.parse(example, file: "config.json"), secrets: []).get()
    for profile in ["cheap", "big"] {
      let layers = SpecLayers(defaults: try config.layers(profile: profile, shown: "config.json").get())
      _ = try SpecDecoder.decode(bytes: Array("command: x\n".utf8), file: "job.yaml", layers).get()
    }
  }

  @Test func everyExampleDecodes() throws {
    let examples = blocks("json").filter { !$0.contains("\"profiles\"") }
    #expect(examples.count >= 12)
    for example in examples {
      let isWhole = example.hasPrefix("{")
      let command = example.contains("\"command\"") ? "" : ", \"command\": \"true\""
      let resources = example.contains("\"resources\"") ? "" : ", \"resources\": {\"vcpus\": 1}"
      _ = try spec(isWhole ? example : "{\(example)\(command)\(resources)}")
    }
  }

  @Test func everyExampleInYAMLDecodes() throws {
    let examples = blocks("yaml")
    #expect(examples.count >= 2)
    for example in examples {
      let rest = example.contains("resources:") ? "" : "resources: {vcpus: 1}\n"
      _ = try SpecDecoder.decode(example + rest, file: "job.yaml").get()
    }
  }

  @Test func theEnvFileOfThePageIsOne() throws {
    let example = try #require(blocks("sh").first { $0.hasPrefix("# A comment") })
    let variables = try EnvFile.parse(bytes: Array(example.utf8), file: ".env").get()
    #expect(variables.map(\.name) == ["EPOCHS", "NAME", "TEXT", "NOTE", "HF_HOME"])
    #expect(variables.map(\.value).last == .some(nil))
  }

  @Test func theShownProblemsAreThoseThatAreTold() {
    let text =
      "{\n  \"comand\": \"true\",\n  \"resources\": {\"gpu_type\": \"A100\", \"max_hourly_price\": 3.5},\n\n  \"nodes\": 0\n}"
    let shown = blocks("").first { $0.contains("comand") }?.split(separator: "\n").map(String.init) ?? []
    #expect(problems(in: text) == shown)
  }

  /// The contents of the fenced blocks of one language.
  private func blocks(_ language: String) -> [String] {
    let parts = text.split(separator: "```", omittingEmptySubsequences: false)
    return parts.enumerated().filter { $0.offset % 2 == 1 }.compactMap { _, block in
      guard block.hasPrefix(language + "\n") else { return nil }
      return String(block.dropFirst(language.count + 1))
    }
  }
}
