import ArgumentParser
import ForwardCompute

/// `fcrun volumes`: the user's own storage.
struct VolumesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volumes", abstract: "Your volumes.", discussion: "  fcrun volumes",
    subcommands: [List.self, Show.self], defaultSubcommand: List.self)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List your volumes.", discussion: "  fcrun volumes list --json")

    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Listing<Volume>.of(.volumes).print(output, header: Self.header, row: Self.row)
    }

    private static let header = [
      Column(title: "ID"), Column(title: "NAME", room: .cut), Column(title: "GB", alignment: .right),
      Column(title: "REGION", expendable: 1),
      Column(title: "PROVIDER", expendable: 2), Column(title: "$/H", alignment: .right, expendable: 4),
      Column(title: "MULTI-MOUNT", expendable: 3), Column(title: "MOUNTED BY"),
    ]

    private static func row(_ volume: Volume) -> [String] {
      [
        volume.id, volume.name, "\(volume.sizeGB)", volume.region, volume.provider,
        Cell.money(volume.costEstimate), Cell.claim(volume.supportsMultiMount),
        Cell.text(volume.mountedBy),
      ]
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show one volume.", discussion: "  fcrun volumes show VOLUME")

    @Argument(help: "The volume's id.") var id: String
    @Flag(help: "Show what the API has in its cache instead of asking the provider.") var cached = false
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Showing.print(
        .volume(id, refresh: !cached), called: "volume \(id)", output, next: "fcrun volumes list")
    }
  }
}
