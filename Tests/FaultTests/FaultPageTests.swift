import Foundation
import TestSupport
import Testing

/// The registry of faults against the tests that name them.
@Suite struct FaultPageTests {
  @Test func theFaultsAreNumberedFromOneTo130() {
    #expect(NumberedFault.all.map(\.number) == Array(1...130))
  }

  @Test func everyFaultHasATestOrIsOutOfScope() throws {
    let named = Set(try MarkedTest.all().flatMap(\.faults))
    let bare = NumberedFault.all.filter { $0.outOfScope == nil && !named.contains($0.number) }
    #expect(bare.isEmpty, "without a test and without a reason: \(bare.map { "\($0.number) \($0.event)" })")
    let both = NumberedFault.all.filter { $0.outOfScope != nil && named.contains($0.number) }
    #expect(both.isEmpty, "out of scope, but there is a test: \(both.map(\.number))")
  }

  @Test func thePageInTheDocsIsTheOneThatTheRegistryWrites() throws {
    let path = Binaries.repository + "/docs/faults.md"
    let page = FaultPage.text(try MarkedTest.all())
    if ProcessInfo.processInfo.environment["FCRUN_UPDATE_DOCS"] != nil {
      try Data(page.utf8).write(to: URL(filePath: path))
    }
    #expect(
      FileManager.default.contents(atPath: path) == Data(page.utf8),
      "docs/faults.md is stale; write it anew with: FCRUN_UPDATE_DOCS=1 swift test --filter thePageInTheDocs")
  }

  static let judged = ProcessInfo.processInfo.environment["FCRUN_FAULT_LEDGER_JUDGED"]

  /// The last step of `make test`: it fails when any test failed, so that a test in the ledger is one that passed.
  @Test(.enabled(if: judged != nil, "FCRUN_FAULT_LEDGER_JUDGED names no ledger of a run"))
  func everyFaultHasATestThatRan() throws {
    let text = try String(contentsOfFile: try #require(Self.judged), encoding: .utf8)
    let shown = FaultLedger.numbers(in: text)
    for fault in NumberedFault.all where fault.outOfScope == nil && !shown.contains(fault.number) {
      Issue.record("fault \(fault.number) (\(fault.event)): no test of it ran")
    }
  }
}

/// A test, or a suite, of the sources that names faults.
struct MarkedTest {
  var faults: [Int]
  var name: String
  /// From the root of the repository.
  var file: String

  /// In the order of files and lines.
  static func all() throws -> [MarkedTest] {
    let root = Binaries.repository + "/Tests"
    let files = try FileManager.default.subpathsOfDirectory(atPath: root).filter {
      $0.hasSuffix(".swift") && !$0.hasPrefix("TestSupport/")
    }
    return try files.sorted().flatMap { file in
      marks(in: try String(contentsOfFile: root + "/" + file, encoding: .utf8), of: "Tests/" + file)
    }
  }

  private static func marks(in text: String, of file: String) -> [MarkedTest] {
    text.matches(of: /\.faults\(\s*([0-9,\s]+)\)/).compactMap { mark in
      guard let declared = text[mark.range.upperBound...].firstMatch(of: /\b(?:func|struct|class|enum) (\w+)/) else {
        return nil
      }
      let faults = mark.output.1.split { !$0.isNumber }.compactMap { Int($0) }
      return MarkedTest(faults: faults, name: String(declared.output.1), file: file)
    }
  }
}

/// docs/faults.md.
enum FaultPage {
  static func text(_ tests: [MarkedTest]) -> String {
    """
    # What can go wrong

    The \(NumberedFault.all.count) faults that fcrun is built against, what it does about each, and the tests that show it.
    Written from `Tests/TestSupport/Faults.swift` and the tests by a test (`FCRUN_UPDATE_DOCS=1 swift test --filter thePageInTheDocs`).
    `make test` fails when a fault has no test that ran and passed, and is not out of scope with a reason.

    \(NumberedFault.sections.map { section($0, tests) }.joined(separator: "\n"))
    """
  }

  private static func section(_ section: NumberedFault.Section, _ tests: [MarkedTest]) -> String {
    """
    ## \(section.title)

    | # | what happens | what fcrun does | shown by |
    |---|---|---|---|
    \(section.faults.map { row($0, tests.filter(names($0))) }.joined(separator: "\n"))

    """
  }

  private static func names(_ fault: NumberedFault) -> (MarkedTest) -> Bool { { $0.faults.contains(fault.number) } }

  private static func row(_ fault: NumberedFault, _ tests: [MarkedTest]) -> String {
    let shown = tests.map { "[\($0.name)](../\($0.file))" }.joined(separator: "<br>")
    let reason = fault.outOfScope.map { "out of scope: \($0)" }
    return "| \(fault.number) | \(fault.event) | \(fault.promise) | \(reason ?? shown) |"
  }
}

/// What comes from others is pinned.
@Suite struct DependencyTests {
  private struct Resolved: Decodable {
    struct Pin: Decodable {
      struct State: Decodable { var revision: String }
      var identity: String
      var location: String
      var state: State
    }
    var pins: [Pin]
  }

  @Test(.faults(126)) func everyDependencyIsPinnedToACommitFromOverTLS() throws {
    let data = try Data(contentsOf: URL(filePath: Binaries.repository + "/Package.resolved"))
    let pins = try JSONDecoder().decode(Resolved.self, from: data).pins
    for pin in pins {
      #expect(pin.state.revision.wholeMatch(of: /[0-9a-f]{40}/) != nil, "\(pin.identity)")
      #expect(pin.location.hasPrefix("https://"), "\(pin.identity)")
    }
    let manifest = try String(contentsOfFile: Binaries.repository + "/Package.swift", encoding: .utf8)
    let wanted = manifest.matches(of: /package\(url: "([^"]+)"/).map { String($0.output.1) }
    #expect(!wanted.isEmpty && Set(wanted).isSubset(of: Set(pins.map(\.location))))
  }
}
