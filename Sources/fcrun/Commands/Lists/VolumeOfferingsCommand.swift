import ArgumentParser
import ForwardCompute

/// `fcrun volume-offerings`: the storage that can be rented.
struct VolumeOfferingsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volume-offerings", abstract: "The storage that can be rented, cheapest first.",
    discussion: "  fcrun volume-offerings",
    subcommands: [List.self, Show.self], defaultSubcommand: List.self)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the volume offerings, cheapest first.",
      discussion: "  fcrun volume-offerings list --json")

    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Listing<VolumeOffering>.of(.volumeOfferings).sorted(by: \.pricePerGBPerHour)
        .print(output, header: Self.header, row: Self.row)
    }

    private static let header = [
      Column(title: "ID"), Column(title: "$/GB-H", alignment: .right), Column(title: "REGION"),
      Column(title: "PROVIDER"), Column(title: "FIXED SIZE", expendable: 2),
      Column(title: "MULTI-MOUNT", expendable: 1),
    ]

    private static func row(_ offering: VolumeOffering) -> [String] {
      [
        offering.id, "\(offering.pricePerGBPerHour)", offering.region, offering.provider,
        Cell.claim(offering.fixedSize), Cell.claim(offering.supportsMultiMount),
      ]
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show one volume offering.", discussion: "  fcrun volume-offerings show OFFERING")

    @Argument(help: "The volume offering's id.") var id: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Showing.print(
        .volumeOffering(id), called: "volume offering \(id)", output, next: "fcrun volume-offerings list")
    }
  }
}
