import Foundation
import TestSupport
import Testing

/// The documentation of the `ForwardCompute` library.
struct LibraryDocTests {
  private static let folder = Binaries.repository + "/Sources/ForwardCompute"

  @Test("The example of the library rents a machine, gives it back and proves it")
  func theExampleRuns() async throws {
    try await Bench.run { bench in
      let ended = try await bench.start(program: Binaries.folder + "/rent", []).end()
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.out.contains(" is active at 127.0.0.1, port ") && ended.out.hasSuffix(" is gone\n"), "\(ended.out)")
      let ledger = try bench.cloud.ledger()
      #expect(ledger.instances.count == 1 && ledger.live == 0, "\(ledger.text)")
    }
  }

  @Test("An answer that was lost is looked for, and never asked again")
  func theExampleAsksOnce() async throws {
    try await Bench.run(["create_reset=1"]) { bench in
      let ended = try await bench.start(program: Binaries.folder + "/rent", []).end()
      #expect(ended.code == 0, "\(ended.err)")
      let ledger = try bench.cloud.ledger()
      #expect(ledger.posts == [1] && ledger.live == 0, "\(ledger.text)")
    }
  }

  @Test("What the article shows is in the example, word by word")
  func theArticleIsTheExample() throws {
    let article = try String(contentsOfFile: Self.folder + "/ForwardCompute.docc/RentAMachine.md", encoding: .utf8)
    let example = try String(contentsOfFile: Binaries.repository + "/Examples/Rent/Rent.swift", encoding: .utf8)
    let blocks = article.matches(of: /(?s)```swift\n(.*?)```/).map { String($0.1) }
    try #require(blocks.count > 3)
    for block in blocks { #expect(Self.words(example).contains(Self.words(block)), "\(block)") }
  }

  /// Without the indentation.
  private static func words(_ text: String) -> String {
    text.split(separator: "\n").map { $0.drop { $0 == " " } }.joined(separator: "\n")
  }

  @Test("The landing page names every public type")
  func topics() throws {
    let page = try String(contentsOfFile: Self.folder + "/ForwardCompute.docc/ForwardCompute.md", encoding: .utf8)
    let sources = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".swift") }
    for source in sources {
      let text = try String(contentsOfFile: "\(Self.folder)/\(source)", encoding: .utf8)
      let types = text.matches(of: /(?m)^public (?:final )?(?:struct|enum|class|actor|protocol) (\w+)/).map { $0.1 }
      for type in types { #expect(page.contains("- ``\(type)``"), "\(type) of \(source)") }
    }
  }
}
