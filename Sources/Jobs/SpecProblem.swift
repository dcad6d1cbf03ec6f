/// Where something was written: a file, or `--set` and `--env` for the command line.
///
/// Lines and columns count from 1, columns in Unicode scalars. For `--set` and `--env` the line is the number of that option
/// on the command line and the column a place in its argument.
package struct Place: Codable, Sendable, Hashable {
  package var file: String
  package var line: Int
  package var column: Int

  package init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }

  /// Whether it is an option of the command line, `--set` or one of `run`.
  var isOption: Bool { file.hasPrefix("--") }
}

/// One thing that is wrong with a spec, said so that a person can repair it.
package struct SpecProblem: Codable, Sendable, Hashable, CustomStringConvertible {
  package var file: String
  package var line: Int
  package var column: Int
  /// The field, as `limits.max_duration` or `files[1].source`; `spec` is the document itself.
  package var path: String
  /// What was wrong; what was expected.
  package var message: String

  package init(file: String, line: Int, column: Int, path: String, message: String) {
    self.file = file
    self.line = line
    self.column = column
    self.path = path
    self.message = message
  }

  package init(at place: Place, path: String, message: String) {
    self.init(file: place.file, line: place.line, column: place.column, path: path, message: message)
  }

  package var place: Place { Place(file: file, line: line, column: column) }

  /// `FILE:LINE:COLUMN: field.path: what was wrong; what was expected`
  package var description: String { "\(file):\(line):\(column): \(path): \(message)" }
}

/// Everything that is wrong with a spec, in the order of the file. Never empty.
package struct SpecProblems: Error, Sendable, Equatable, CustomStringConvertible {
  package var problems: [SpecProblem]

  /// Sorts by place: those of files, the file first that has the first problem, then those of options, `--set` and `--env` last.
  package init(_ problems: [SpecProblem]) {
    precondition(!problems.isEmpty, "a spec without problems is not an error")
    let files = problems.reduce(into: [String]()) { if !$0.contains($1.file) { $0.append($1.file) } }
    let ranks = Dictionary(uniqueKeysWithValues: files.enumerated().map { ($1, (Self.rank($1), $0)) })
    let keyed = problems.enumerated().map { index, problem in
      let rank = ranks[problem.file] ?? (0, 0)
      return (rank.0, rank.1, problem.line, problem.column, index)
    }
    self.problems = keyed.sorted { $0 < $1 }.map { problems[$0.4] }
  }

  /// One problem on each line.
  package var description: String { problems.map(\.description).joined(separator: "\n") }

  private static func rank(_ file: String) -> Int {
    switch file {
    case SpecOverrides.setOption: 2
    case SpecOverrides.envOption: 3
    default: Place(file: file, line: 1, column: 1).isOption ? 1 : 0
    }
  }
}
