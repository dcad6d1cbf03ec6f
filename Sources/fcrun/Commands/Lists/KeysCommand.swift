import ArgumentParser
import ForwardCompute

/// `fcrun keys`: the SSH keys that the user has registered. The API cannot show a single one.
struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Your registered SSH keys.", discussion: "  fcrun keys", subcommands: [List.self],
    defaultSubcommand: List.self)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List your registered SSH keys.", discussion: "  fcrun keys list --json")

    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Listing<SSHKey>.of(.sshKeys).print(output, header: Self.header, row: Self.row)
    }

    private static let header = [
      Column(title: "ID"), Column(title: "NAME", room: .cut), Column(title: "KIND"),
      Column(title: "COMMENT", expendable: 2),
      Column(title: "PROVIDER", expendable: 1),
    ]

    private static func row(_ key: SSHKey) -> [String] {
      // "ssh-ed25519 AAAA… comment"
      let parts = key.publicKey.split(separator: " ", maxSplits: 2).map { String($0) }
      return [
        key.id, key.name, Cell.text(parts.first), Cell.text(parts.count > 2 ? parts[2] : nil), Cell.text(key.provider),
      ]
    }
  }
}
