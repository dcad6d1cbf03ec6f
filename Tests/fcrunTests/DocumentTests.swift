import Foundation
import TestSupport
import Testing

/// A fenced block of a page.
private struct Block: CustomStringConvertible {
  var page: String
  var line: Int
  var language: String
  var text: String

  var description: String { "\(page):\(line)" }

  /// What stands in the pages that people read, in order.
  static func all() throws -> [Block] {
    try ["README.md", "jobs/README.md", "templates/README.md"].flatMap(of) + pages("docs").flatMap(of)
      + pages("docs/decisions").flatMap(of) + pages("Sources/ForwardCompute/ForwardCompute.docc").flatMap(of)
  }

  private static func pages(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(Binaries.repository)/\(folder)").sorted()
      .filter { $0.hasSuffix(".md") }.map { "\(folder)/\($0)" }
  }

  private static func of(_ page: String) throws -> [Block] {
    let text = try String(contentsOfFile: "\(Binaries.repository)/\(page)", encoding: .utf8)
    var blocks: [Block] = []
    var open: Block?
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let fence = line.trimmingCharacters(in: .whitespaces)
      guard fence.hasPrefix("```") else {
        open?.text += line + "\n"
        continue
      }
      if let done = open { blocks.append(done) }
      open = open == nil ? Block(page: page, line: number + 1, language: String(fence.dropFirst(3)), text: "") : nil
    }
    return blocks
  }

  /// The lines that somebody would type: of a shell script all, of a help text its examples, which prose may follow after
  /// two spaces, of a transcript those after a prompt.
  var typed: String {
    if language == "sh" { return text }
    if language == "text" { return text.matches(of: /(?m)^ *(fcrun (?:\S+ ?)+)/).map { $0.1 + "\n" }.joined() }
    return text.split(separator: "\n").filter { $0.hasPrefix("$ ") }.map { $0.dropFirst(2) + "\n" }.joined()
  }

  /// Every call of fcrun in it, word by word. Variables, and what a shell would put in their place, are words, too.
  var calls: [[String]] {
    Shell.commands(in: typed).compactMap { words in
      guard let at = words.firstIndex(where: { !Self.goesBefore($0) }), words[at] == "fcrun" else { return nil }
      return Array(words[(at + 1)...])
    }
  }

  /// `sudo`, `exec` and the like, and variables for one command.
  private static func goesBefore(_ word: String) -> Bool {
    ["sudo", "exec", "time", "if", "!", "then", "do"].contains(word)
      || word.firstIndex(of: "=").map { at in
        word[..<at].allSatisfy { $0.isUppercase || $0 == "_" || $0.isNumber }
      } ?? false
  }
}

/// As much of sh(1) as documentation uses.
private enum Shell {
  /// The words of each simple command.
  static func commands(in script: String) -> [[String]] {
    var commands: [[String]] = [[]]
    var word: String?
    var quote: Character?
    var isComment = false
    var isRedirected = false
    func end() {
      if let done = word, !isRedirected { commands[commands.count - 1].append(done) }
      if word != nil { isRedirected = false }
      word = nil
    }
    for character in script.replacing("\\\n", with: " ") {
      if isComment {
        if character != "\n" { continue }
        isComment = false
      }
      if let open = quote {
        if character == open { quote = nil } else { word = (word ?? "") + String(character) }
        continue
      }
      switch character {
      case "'", "\"": (quote, word) = (character, word ?? "")
      case "#" where word == nil: isComment = true
      case " ", "\t": end()
      case "\n", ";", "|", "&", "(", ")":
        end()
        isRedirected = false
        if commands.last?.isEmpty == false { commands.append([]) }
      case ">", "<":
        if word.map({ $0.allSatisfy(\.isNumber) }) ?? false { word = nil }
        end()
        isRedirected = true
      default: word = (word ?? "") + String(character)
      }
    }
    end()
    return commands.filter { !$0.isEmpty }
  }
}

/// What the pages show is what fcrun takes.
struct DocumentTests {
  @Test("No block of a page is of a kind that no test reads")
  func everyBlockIsRead() throws {
    /// By this suite, or where it says.
    let read: [String: Set<String>?] = [
      "sh": nil, "json": nil,
      "text": ["docs/command-reference.md"],
      "yaml": ["docs/ci.md", "docs/recipes.md", "docs/job-file.md"],  // CIRecipeTests, and job files
      "ini": ["docs/reaper.md"], "xml": ["docs/reaper.md"],  // ReaperRecipeTests
      "mermaid": ["docs/states.md"],  // theDiagramInTheDocs
      "swift": ["Sources/ForwardCompute/ForwardCompute.docc/RentAMachine.md"],  // LibraryDocTests
    ]
    for block in try Block.all() where !block.language.isEmpty {
      let pages = try #require(read[block.language], "\(block): \(block.language)")
      #expect(pages?.contains(block.page) ?? true, "\(block): \(block.language)")
      if block.language == "yaml", block.page != "docs/ci.md" { #expect(block.isJob, "\(block) is no job file") }
    }
    let drawings = try Block.all().filter { $0.language.isEmpty && $0.typed.isEmpty }
    #expect(
      Set(drawings.map(\.page)) == [
        "docs/architecture.md", "docs/commands.md", "docs/job-file.md", "docs/many-machines.md", "docs/simulator.md",
      ])
    #expect(drawings.count == 6, "\(drawings)")
  }

  @Test("Every fcrun command in a page is one that the parser takes")
  func commands() async throws {
    let blocks = try Block.all()
    let calls = blocks.flatMap { block in block.calls.map { (block, $0) } }
    try #require(calls.count > 150, "\(calls.count)")
    try await Bench.offline { bench in
      for (block, words) in calls {
        let ended = try await bench.start(["parse", "--"] + words).end()
        #expect(ended.code == 0, "\(block): fcrun \(words.joined(separator: " ")): \(ended.err)")
      }
    }
  }

  @Test("Every shell script in a page is one that a shell can read")
  func scripts() async throws {
    let scripts = try Block.all().filter { $0.language == "sh" }
    try #require(scripts.count > 20)
    try await Bench.offline { bench in
      for script in scripts {
        try bench.write("script", script.text)
        let read = try await bench.start(program: "/bin/sh", ["-n", "script"]).end()
        #expect(read.code == 0, "\(script): \(read.err)")
      }
    }
  }

  @Test("Every job file in a page is valid, and every other JSON is JSON")
  func jobFiles() async throws {
    let blocks = try Block.all().filter { $0.language == "json" || ($0.language == "yaml" && $0.isJob) }
    try #require(blocks.count > 10)
    try await Bench.offline { bench in
      for source in ["src/train.py", "../shared/lib/a.py", "configs/a.json", "data/a"] { try bench.write(source, "") }
      for block in blocks where block.isJob {
        let name = "job.\(block.language)"
        try bench.write(name, block.job)
        let ended = try await bench.fcrun("validate", name, env: ["HF_TOKEN": "t", "HF_HOME": "/hf"])
        #expect(ended.code == 0, "\(block): \(ended.err)")
      }
      for block in blocks where !block.isJob && block.language == "json" {
        #expect(JSONTree(Data(block.text.utf8)).isAbsent == false, "\(block) is no JSON")
      }
    }
  }

  @Test("Every link from a page to a file leads to one")
  func links() throws {
    let pages =
      ["README.md"]
      + (try FileManager.default.subpathsOfDirectory(atPath: "\(Binaries.repository)/docs"))
      .filter { $0.hasSuffix(".md") }.map { "docs/\($0)" }
    for page in pages {
      let text = try String(contentsOfFile: "\(Binaries.repository)/\(page)", encoding: .utf8)
      let folder = URL(filePath: "\(Binaries.repository)/\(page)").deletingLastPathComponent()
      for link in text.matches(of: /\]\(([^)#: ]+)(?:#[^)]*)?\)/) {
        let target = folder.appending(path: String(link.1)).path
        #expect(FileManager.default.fileExists(atPath: target), "\(page): \(link.1)")
      }
    }
  }
}

extension Block {
  /// A job file, or some of its fields.
  fileprivate var isJob: Bool {
    if language == "json" { return text.hasPrefix("\"") || text.hasPrefix("{") && text.contains("\"command\":") }
    return text.contains(/^command:/.anchorsMatchLineEndings())
  }

  /// With what every job needs, where only some fields are shown.
  fileprivate var job: String {
    if language == "yaml" {
      return text.contains("resources:") ? text : text + "resources: {max_hourly_price: \"9.00\"}\n"
    }
    guard text.hasPrefix("\"") else { return text }
    let command = text.contains("\"command\":") ? "" : "\"command\": \"true\", "
    let resources = text.contains("\"resources\":") ? "" : "\"resources\": {\"max_hourly_price\": \"9.00\"}, "
    return "{\(command)\(resources)\(text)}"
  }
}
