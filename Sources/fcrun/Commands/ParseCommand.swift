import ArgumentParser

/// `fcrun parse -- submit job.json`: is that a command? Does nothing; for whoever writes about fcrun.
struct ParseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "parse", abstract: "Say whether the words after -- are a command of fcrun.", shouldDisplay: false)

  @Argument(parsing: .postTerminator)
  var words: [String] = []

  func run() throws {
    do {
      _ = try Fcrun.parseAsRoot(words)
    } catch  where Fcrun.exitCode(for: error).rawValue == 0 {
      return  // help, or the version
    } catch {
      throw Failure(status: .usage, message: "fcrun \(words.joined(separator: " ")): \(Fcrun.message(for: error))")
    }
  }
}
