import ArgumentParser

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `fcrun manual`: man pages and the reference in docs/, written from the parser itself.
struct ManualCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "manual", abstract: "Write man pages, or the command reference.", shouldDisplay: false)

  @Option(help: "Folder for one man page for each command.")
  var man: String?

  @Flag(help: "Print the reference in Markdown.")
  var markdown = false

  func run() throws {
    let manual = try Manual.ofFcrun()
    if let man { try write(manual, into: man) }
    if markdown { try Output.print(manual.markdown) }
  }

  private func write(_ manual: Manual, into folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for (name, page) in manual.pages { try Data(page.utf8).write(to: URL(filePath: "\(folder)/\(name).1")) }
  }
}
