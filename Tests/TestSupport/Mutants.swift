import Foundation

/// Ways to write the protocol wrong, as edits of the sources: `Tests/Mutants/mutants.txt`.
package struct Mutants: Sendable {
  package struct Mutant: Sendable {
    /// 1…, as in `isMutant(1)`.
    package var number: Int
    package var name: String
    /// What is wrong with it, in a sentence.
    package var sentence: String
    var edits: [Edit]
  }

  struct Edit: Sendable {
    var file: String
    var old: String
    var new: String
  }

  package private(set) var all: [Mutant] = []

  /// Reads the repository's own.
  /// - Throws: `CocoaError` when the file cannot be read, ``Unmet`` when it is not of the form its head describes.
  package init(repository: String) throws {
    let text = try String(contentsOfFile: repository + "/Tests/Mutants/mutants.txt", encoding: .utf8)
    for section in text.components(separatedBy: "\n== ").dropFirst() {
      all.append(try Self.mutant(section, all.count + 1))
    }
  }

  private static func mutant(_ section: String, _ number: Int) throws -> Mutant {
    let lines = section.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)
    guard lines.count == 3 else { throw Unmet("mutants.txt: no edit in \(section)") }
    let edits = try "\(lines[2])".components(separatedBy: "\n>>>>").dropLast().map(edit)
    return Mutant(number: number, name: "\(lines[0])", sentence: "\(lines[1])", edits: edits)
  }

  private static func edit(_ text: String) throws -> Edit {
    let parts = text.components(separatedBy: "\n<<<<\n")
    let sides = parts.last?.components(separatedBy: "\n====\n") ?? []
    guard parts.count == 2, sides.count == 2, let start = parts[0].range(of: "in ") else {
      throw Unmet("mutants.txt: not an edit: \(text)")
    }
    return Edit(file: "\(parts[0][start.upperBound...])", old: sides[0], new: sides[1])
  }

  /// The edited files, by path.
  /// - Throws: ``Unmet`` naming the edit that does not fit exactly once.
  package func edited(in repository: String) throws -> [String: String] {
    var files: [String: String] = [:]
    for mutant in all {
      for edit in mutant.edits {
        let text = try files[edit.file] ?? String(contentsOfFile: "\(repository)/\(edit.file)", encoding: .utf8)
        let parts = text.components(separatedBy: edit.old)
        guard parts.count == 2 else {
          throw Unmet("the mutant \(mutant.name) fits \(parts.count - 1) times into \(edit.file): \(edit.old)")
        }
        files[edit.file] = parts.joined(separator: edit.new.replacing("MUTANT", with: "isMutant(\(mutant.number))"))
      }
    }
    return files
  }
}
