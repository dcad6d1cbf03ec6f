import ArgumentParser
import Jobs

/// `fcrun schema`: what a job file may hold, for editors.
struct SchemaCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schema", abstract: "Print the JSON Schema (2020-12) of the job file, for editors.",
    discussion: """
        fcrun schema > fcrun.schema.json

      and in the first line of a job file in YAML:

        # yaml-language-server: $schema=fcrun.schema.json
      """)

  /// It is JSON anyway; taken so that every command has it.
  @Flag(help: .hidden)
  var json = false

  func run() throws {
    try Output.print(SpecSchema.document.json() + "\n")
  }
}
