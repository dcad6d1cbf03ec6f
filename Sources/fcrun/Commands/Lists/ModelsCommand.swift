import ArgumentParser
import ForwardCompute

/// `fcrun models`: what the API's inference side serves.
struct ModelsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models", abstract: "The models that the API serves.", discussion: "  fcrun models",
    subcommands: [List.self, Show.self], defaultSubcommand: List.self)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the models.", discussion: "  fcrun models list --json")

    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Listing<Model>.of(.models).print(output, header: Self.header, row: Self.row)
    }

    private static let header = [
      Column(title: "ID"), Column(title: "TYPE"), Column(title: "IN $", alignment: .right),
      Column(title: "OUT $", alignment: .right), Column(title: "PER", expendable: 2),
      Column(title: "CONTEXT", alignment: .right, expendable: 3), Column(title: "PROVIDER", expendable: 1),
    ]

    private static func row(_ model: Model) -> [String] {
      [
        model.id, model.modelType, Cell.money(model.pricing.input), Cell.money(model.pricing.output),
        Cell.text(model.pricing.unit),
        Cell.number(model.contextLength), model.provider,
      ]
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show one model.", discussion: "  fcrun models show MODEL")

    @Argument(help: "The model's id, slash and all.") var id: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Showing.print(.model(id), called: "model \(id)", output, next: "fcrun models list")
    }
  }
}
