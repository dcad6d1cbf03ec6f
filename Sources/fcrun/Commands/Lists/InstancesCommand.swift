import ArgumentParser
import ForwardCompute

/// `fcrun instances`: the machines of the account, whoever made them.
struct InstancesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "instances", abstract: "The machines of your account, whoever made them.",
    discussion: "  fcrun instances",
    subcommands: [List.self, Show.self], defaultSubcommand: List.self)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the instances, from the API's cache.",
      discussion: "  fcrun instances list --json")

    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Listing<Instance>.of(.instances).print(output, header: Self.header, row: Self.row)
    }

    private static let header = [
      Column(title: "ID"), Column(title: "NAME", room: .cut), Column(title: "STATUS"),
      Column(title: "ADDRESS", expendable: 1),
      Column(title: "REGION", expendable: 2), Column(title: "PROVIDER", expendable: 3),
      Column(title: "CREATED", expendable: 4),
    ]

    private static func row(_ instance: Instance) -> [String] {
      [
        instance.id, instance.name, instance.status.rawValue, address(instance), Cell.text(instance.region),
        Cell.text(instance.provider), Cell.text(instance.created),
      ]
    }

    private static func address(_ instance: Instance) -> String {
      guard let ip = instance.ip, !ip.isEmpty else { return Cell.unknown }
      let host = ip.contains(":") ? "[\(ip)]" : ip
      return instance.sshPort == 22 ? host : "\(host):\(instance.sshPort)"
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show one instance, fresh from its provider.",
      discussion: "  fcrun instances show INSTANCE --cached")

    @Argument(help: "The instance's id.") var id: String
    @Flag(help: "Show what the API has in its cache instead of asking the provider.") var cached = false
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Showing.print(
        .instance(id, refresh: !cached), called: "instance \(id)", output, next: "fcrun instances list")
    }
  }
}
