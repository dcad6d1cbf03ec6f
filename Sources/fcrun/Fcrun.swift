import ArgumentParser

/// The command line: every verb is a file below `Commands`.
@main
struct Fcrun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fcrun",
    abstract: "Runs jobs on rented GPU machines, and gives the machines back.",
    version: Version.text,
    subcommands: [
      OfferingsCommand.self, VolumeOfferingsCommand.self, VolumesCommand.self, InstancesCommand.self,
      KeysCommand.self, ModelsCommand.self,
    ]
  )

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      Report.exit(error)
    }
  }
}

/// Which fcrun this is.
enum Version {
  static let text = "0.1.0"
}
