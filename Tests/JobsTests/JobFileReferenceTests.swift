import Jobs
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `docs/job-file.md` names every field, and its examples are what the decoder takes.
@Suite struct JobFileReferenceTests {
  private let text: String

  init() throws {
    let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()
    text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: root + "/docs/job-file.md")), as: UTF8.self)
  }

  @Test func everyFieldIsInTheReference() {
    let fields =
      SpecFields.spec + SpecFields.resources + SpecFields.limits + SpecFields.file + SpecFields.sshKey + [
        "on", "attempts",
      ]
    for field in fields { #expect(text.contains("`\(field)`") || text.contains("\"\(field)\""), "\(field)") }
  }

  @Test func everyExampleDecodes() throws {
    let examples = blocks("json")
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
