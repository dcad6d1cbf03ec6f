import ArgumentParser

/// The command line: every verb is a file below `Commands`.
@main
struct Fcrun: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fcrun",
    abstract: "Runs jobs on rented GPU machines, and gives the machines back.",
    version: Version.text,
    subcommands: [
      SubmitCommand.self,
      RunCommand.self,
      PlanCommand.self,
      ValidateCommand.self,
      InitCommand.self,
      SchemaCommand.self,
      PsCommand.self,
      ShowCommand.self,
      ResultsCommand.self,
      CostCommand.self,
      LogsCommand.self,
      TopCommand.self,
      AttachCommand.self,
      WaitCommand.self,
      CancelCommand.self,
      ResumeCommand.self,
      ReapCommand.self,
      FetchCommand.self,
      CopyCommand.self,
      SSHCommand.self,
      PortCommand.self,
      DoctorCommand.self,
      CompletionCommand.self,
      ManualCommand.self,
      ParseCommand.self,
      SimCommand.self,
      UICommand.self,
      OfferingsCommand.self,
      VolumeOfferingsCommand.self,
      VolumesCommand.self,
      InstancesCommand.self,
      KeysCommand.self,
      ModelsCommand.self,
    ]
  )

  static func main() async {
    do {
      try StandardStream.requireAll()
      var command = try await asyncParseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      WorkflowCommands.ofThisProcess?.goOn()
    } catch {
      Report.exit(error)
    }
  }
}

/// Which fcrun this is.
enum Version {
  static let text = "0.1.0"
}
