import ArgumentParser
import ForwardCompute
import Simulator

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// `fcrun sim`: a cloud on this computer, which speaks the API on loopback and boots one private sshd for each instance.
struct SimCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sim",
    abstract: "Run a simulated cloud on this computer.",
    usage: "fcrun sim [<options>]",
    discussion: """
      Prints the variables that point fcrun at it, then runs until it is interrupted.
      Knobs make it unfriendly.

        fcrun sim
        fcrun sim --boot-time 1..3 --knob preempt=true --knob list_lag_seconds=30
      """)

  @Option(help: "Port of 127.0.0.1; 0 takes any free one.")
  var port = 0

  @Option(help: "Seconds an instance takes to boot, or a range such as 1..3.")
  var bootTime: String?

  @Option(
    name: .customLong("knob"), help: "A knob as name=value, the value in JSON; may be repeated. See docs/simulator.md.")
  var turned: [String] = []

  @Option(
    name: .customLong("key"), help: "A public key (.pub) to register; may be repeated. Default: a pair of its own.")
  var publicKeys: [String] = []

  @Option(help: "Folder for its keys and machines. Default: $FCRUN_HOME/sim.")
  var state: String?

  @Option(help: "Seconds without an instance and without a request after which it ends by itself.")
  var idleExit: Double?

  @Option(help: "The API key it asks for. Default: a random one.")
  var token: String?

  @Option(help: "Seed of everything that is random in it. Default: another one each time.")
  var seed: UInt64?

  @Option(
    help: ArgumentHelp(
      "What machines stand on: one address with a port each, an address each, or network namespaces (as root).",
      valueName: "loopback|addresses|netns"))
  var hosts = HostKind.loopback

  @Flag(help: "Print one JSON document instead of lines for a shell.")
  var json = false

  func run() async throws {
    let json = json
    let options = SimulatorOptions(
      state: state ?? SimCommand.defaultState, port: port, token: token, knobs: try knobs(), publicKeys: publicKeys,
      idleExit: idleExit.map { .seconds($0) }, seed: seed, hosts: hosts)
    try await SimulatorServer.run(
      options: options, report: { SimCommand.write("fcrun sim: \($0)\n", to: 2) },
      onReady: { SimCommand.write(json ? SimCommand.document($0) : SimCommand.exports(for: $0), to: 1) })
  }

  /// Three lines for a shell to evaluate; without the third when the keys were given.
  private static func exports(for address: SimulatorAddress) -> String {
    let key = address.privateKey.map { "export FCRUN_SSH_KEY=\(quoted($0))\n" } ?? ""
    return "export FORWARD_COMPUTE_BASE_URL=\(address.baseURL)\n"
      + "export FORWARD_COMPUTE_API_KEY=\(quoted(address.token))\n" + key
  }

  private static func document(_ address: SimulatorAddress) -> String {
    let object = JSONValue.object(of: [
      ("base_url", .string(address.baseURL)), ("api_key", .string(address.token)),
      ("ssh_key", address.privateKey.map(JSONValue.string) ?? .null),
    ])
    return object.text(pretty: true) + "\n"
  }

  private func knobs() throws -> Knobs {
    do {
      var knobs = Knobs()
      if let bootTime { knobs = try knobs.turned(argument: "boot_seconds=\(try SimCommand.span(bootTime))") }
      for argument in turned { knobs = try knobs.turned(argument: argument) }
      return knobs
    } catch let refused as Knobs.Refused {
      throw ValidationError(refused.description)
    }
  }

  /// `3` or `1..3` as JSON.
  private static func span(_ text: String) throws -> String {
    let ends = text.components(separatedBy: "..").compactMap { Double($0) }
    switch ends.count {
    case 1 where !text.contains(".."): return "\(ends[0])"
    case 2: return "[\(ends[0]),\(ends[1])]"
    default: throw ValidationError("--boot-time \(text): expected seconds, for example 2, or a range, for example 1..3")
    }
  }

  private static var defaultState: String {
    let environment = ProcessInfo.processInfo.environment
    let home = environment["HOME"] ?? "."
    let root = environment["FCRUN_HOME"] ?? (environment["XDG_STATE_HOME"] ?? "\(home)/.local/state") + "/fcrun"
    return root + "/sim"
  }

  private static func quoted(_ text: String) -> String {
    "'" + text.replacing("'", with: #"'\''"#) + "'"
  }

  /// Straight to the descriptor: whoever waits for the lines gets them now, and a closed one is no reason to end.
  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { systemWrite(descriptor, $0.baseAddress, $0.count) }
  }
}

extension HostKind: ExpressibleByArgument {}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
