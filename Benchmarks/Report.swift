import Foundation
import TestSupport

/// All figures of one run: the table in docs/benchmarks.md and the file beside it.
struct Report: Codable {
  var isQuick: Bool
  var verdicts: [Verdict] = []
  var figures: [Figure] = []

  var table: String {
    let head = [
      "| work | way | fcrun s (CPU s) | beside | s (CPU s) | times faster | goal |", "|---|---|--:|---|--:|--:|--:|",
    ]
    let alone = [
      "", "| fcrun alone | way | figure | goal |", "|---|---|--:|--:|",
    ]
    return (head + verdicts.flatMap(Self.lines) + (figures.isEmpty ? [] : alone) + figures.map(Self.line))
      .joined(separator: "\n")
  }

  static func lines(_ verdict: Verdict) -> [String] {
    verdict.others.map { other in
      "| \(verdict.work) | \(verdict.link) | \(number(verdict.seconds)) (\(number(verdict.cpu))) | \(other.name.replacing("|", with: "\\|")) "
        + "| \(number(other.seconds)) (\(number(other.cpu))) | \(number(other.ratio)) | "
        + (other.goal.map { "\(number($0))\(other.ratio < $0 ? ", missed" : "")" } ?? "") + " |"
    }
  }

  static func line(_ figure: Figure) -> String {
    "| \(figure.work) | \(figure.link) | \([number(figure.value), figure.unit].filter { !$0.isEmpty }.joined(separator: " ")) | "
      + (figure.goal.map { "\(number($0))\(figure.value > $0 ? ", missed" : "")" } ?? "") + " |"
  }

  private static func number(_ value: Double) -> String {
    String(format: abs(value) < 0.1 ? "%.3f" : abs(value) < 10 ? "%.2f" : "%.0f", value)
  }

  private static let begin = "<!-- make bench writes from here -->"
  private static let end = "<!-- to here -->"

  /// Puts the table between its two marks.
  func publish(besides folder: String) throws {
    let page = folder + "/benchmarks.md"
    let text = try String(contentsOfFile: page, encoding: .utf8)
    guard let from = text.range(of: Self.begin), let to = text.range(of: Self.end) else {
      throw Unmet("\(page) has no marks for the table")
    }
    let new = text[..<from.upperBound] + "\n\n" + table + "\n\n" + text[to.lowerBound...]
    try Data(new.utf8).write(to: URL(filePath: page))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try (encoder.encode(self) + Data("\n".utf8)).write(to: URL(filePath: folder + "/benchmarks.json"))
  }
}
