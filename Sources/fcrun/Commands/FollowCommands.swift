import ArgumentParser
import ForwardCompute
import Jobs
import Remote
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// `fcrun resume`: drive a job on from wherever it was left.
struct ResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Drive a job on after a crash, a reboot or an unproved release.",
    discussion: "With one job its output is printed from where printing stopped; with --all only what happens.")

  @Argument(help: "Id, the beginning of one, or a name.")
  var job: String?

  @Flag(help: "Every job that is not finished and that nobody drives.")
  var all = false

  @Flag(help: "Print NDJSON events on stdout; with --all one JSON document.")
  var json = false

  @Flag(help: "End the process that drives the job, for one that hangs or is stopped, and drive the job here.")
  var takeOver = false

  /// A detached driver: what the job prints waits for whoever attaches.
  @Flag(help: .hidden)
  var unheard = false

  /// Waits until the process that has started this one has let go of the job.
  @Flag(help: .hidden)
  var inherits = false

  func validate() throws {
    guard all != (job != nil) else { throw ValidationError("expected a job, or --all") }
    guard !all || !takeOver else { throw ValidationError("--take-over is for one job") }
  }

  func run() async throws {
    let installation = try Installation.openAndLook()
    if let job { return try await one(try installation.job(job), installation) }
    try await everything(installation)
  }

  private func one(_ record: JobRecord, _ installation: Installation) async throws {
    let form: Console.Form = unheard ? .told : json ? .json : .text
    if record.isFinished { await Self.leave(record, installation, form) }
    let signals = SignalInbox()
    if unheard || json {
      signals.open(leavingBehind: record)
    } else {
      signals.open(leavingBehind: record, in: installation)
    }
    if inherits { await waitForInheritance(of: record.id, installation) }
    let cloud = try await Cloud.of(record, home: installation.home)
    var drive = Drive(installation: installation, form: form)
    drive.takesOver = takeOver
    let verdict = try await drive.run(record.id, on: cloud, signals: signals)
    StandardStream.leave(verdict.exitCode)
  }

  private func waitForInheritance(of id: String, _ installation: Installation) async {
    for _ in 0..<2000 where installation.isDriven(id) { try? await Task.sleep(for: .milliseconds(20)) }
  }

  /// Over, but perhaps not heard to its end: the process that drove it may have been killed before it had printed all, or
  /// was one that prints nothing.
  static func leave(
    _ record: JobRecord, _ installation: Installation, _ form: Console.Form, _ printer: LogPrinter? = nil
  ) async -> Never {
    let console = Console(form, folder: installation.folder(of: record.id), printer: printer)
    await console.finish(Verdict(record: record, signal: nil), at: LiveClock().now(), within: nil)
    StandardStream.leave(record.exitCode)
  }

  /// One after the other would let the last one bill until the first is done: all at once.
  private func everything(_ installation: Installation) async throws {
    installation.warnAboutUnknownFolders()
    let jobs = try installation.store.jobs(unfinishedOnly: true)
      .filter { !$0.isFinished && !installation.isDriven($0.id) }
    let ended = await withTaskGroup(of: (String, Int32).self) { group in
      for record in jobs {
        let signals = SignalInbox()
        signals.open(leavingBehind: record)
        group.addTask { (record.id, await Self.quietly(record, installation, signals)) }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    if let cloud = try? Cloud.remote() {
      await LateMachines(installation: installation, cloud: cloud).giveBack(within: .seconds(20))
    }
    if json {
      let data = ended.map { JSONValue.object(of: [("job", .string($0)), ("exit_code", .integer(Int($1)))]) }
      try Output.json(.object(of: [("data", .array(data))]))
    }
    StandardStream.leave(Self.worst(ended.map(\.1)))
  }

  private static func quietly(
    _ record: JobRecord, _ installation: Installation, _ signals: SignalInbox
  ) async -> Int32 {
    do {
      let cloud = try await Cloud.of(record, home: installation.home)
      var drive = Drive(installation: installation, form: .told)
      // One look for all jobs of this process comes at the end.
      drive.watches = false
      return try await drive.run(record.id, on: cloud, signals: signals).exitCode
    } catch {
      Report.warn("\(record.id): \(error)")
      return ExitStatus.stillBilling.rawValue
    }
  }

  /// 75 wins; then the first code that is not 0.
  static func worst(_ codes: [Int32]) -> Int32 {
    codes.contains(ExitStatus.stillBilling.rawValue)
      ? ExitStatus.stillBilling.rawValue : codes.first { $0 != 0 } ?? 0
  }
}

/// `fcrun attach`: follow a job to its end, as if submitted here.
struct AttachCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach", abstract: "Follow a job to its end and exit with its code; drives it if nobody does.",
    discussion: "Ctrl-C leaves the job running where another process drives it.")

  @Argument(help: "Id, the beginning of one, or a name.")
  var job: String

  @Flag(help: "Print NDJSON events on stdout: the job's output from its beginning, and last how it ended.")
  var json = false

  func run() async throws {
    let installation = try Installation.openAndLook()
    let record = try installation.job(job)
    let form: Console.Form = json ? .json : .text
    let printer = Console.printer(form, installation.folder(of: record.id))
    let last =
      record.isOver ? record : try await Watch(installation: installation, printer: printer).untilOver(record.id)
    if last.isFinished { await ResumeCommand.leave(last, installation, form, printer) }
    let signals = SignalInbox()
    if json { signals.open(leavingBehind: last) } else { signals.open(leavingBehind: last, in: installation) }
    var drive = Drive(installation: installation, form: form)
    drive.printer = printer
    let cloud = try await Cloud.of(last, home: installation.home)
    StandardStream.leave(try await drive.run(last.id, on: cloud, signals: signals).exitCode)
  }
}

/// `fcrun wait`: until jobs are finished.
struct WaitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait", abstract: "Wait for jobs; exits with the job's code, with several 0 only if all succeeded.")

  @Argument(help: "Ids, beginnings of ids, or names.")
  var jobs: [String]

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openAndLook()
    // All names first: one that means no job is not to be found out after hours.
    let ids = try jobs.map { try installation.job($0).id }
    var ended: [JobRecord] = []
    for id in ids { ended.append(try await Watch(installation: installation, printer: nil).untilOver(id)) }
    if output.json { try Output.json(.object(of: [("data", .array(ended.map(Self.json)))])) }
    StandardStream.leave(ResumeCommand.worst(ended.map(\.exitCode)))
  }

  private static func json(_ record: JobRecord) -> JSONValue {
    .object(of: [
      ("job", .string(record.id)), ("name", .string(record.name)), ("state", .string(record.state.word)),
      ("outcome", (record.state.outcome?.word).map(JSONValue.string) ?? .null),
      ("exit_code", .integer(Int(record.exitCode))),
    ])
  }
}

/// `fcrun fetch`: outputs again, while the machine lives.
struct FetchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fetch", abstract: "Fetch a job's outputs now, while its machine lives.")

  @Argument(help: "Id, the beginning of one, or a name.")
  var job: String

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openAndLook()
    let record = try installation.job(job)
    guard let attempt = record.state.attempt, attempt.machines.allSatisfy({ $0.hostKey != nil }) else {
      throw Failure(status: .usage, message: "\(record.id) has no machine to fetch from: it is \(record.state.word)")
    }
    let cloud = try await Cloud.of(record, home: installation.home)
    let form: Console.Form = output.json ? .quiet : .text
    let drive = Drive(installation: installation, form: form)
    let console = Console(form, folder: installation.folder(of: record.id))
    let world = try drive.world(cloud, console, SignalInbox(), Passphrases(for: record.arrangement.key))
    switch await world.fetch(attempt, for: record) {
    case .collected(let missing):
      if output.json { try Output.json(Self.json(record, missing)) }
      if missing.isEmpty {
        if !output.json { console.say("outputs are in \(record.context.plan.root)") }
        return await console.drain()
      }
      throw Failure(status: .failed, message: "these outputs are not there: \(missing.joined(separator: ", "))")
    case let event:
      throw Failure(
        status: .machineLost, message: "the outputs could not be fetched: \(event.trouble ?? event.word)")
    }
  }

  private static func json(_ record: JobRecord, _ missing: [String]) -> JSONValue {
    .object(of: [
      ("job", .string(record.id)), ("root", .string(record.context.plan.root)),
      ("missing", .array(missing.map(JSONValue.string))),
    ])
  }
}

/// `fcrun ssh`: a shell on the job's machine.
struct SSHCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ssh", abstract: "Open a shell, or run a command, on a job's machine with the system's ssh.")

  @Argument(help: "Id, the beginning of one, or a name.")
  var job: String

  @Option(help: "Rank of the node.")
  var node = 0

  @Argument(parsing: .postTerminator, help: "A command instead of a shell.")
  var command: [String] = []

  func run() async throws {
    let installation = try Installation.openAndLook()
    let record = try installation.job(job)
    guard let machine = record.state.attempt?.machines.first(where: { $0.node == node }),
      let address = machine.address, let hostKey = machine.hostKey
    else {
      throw Failure(status: .usage, message: "\(record.id) has no machine to log in to: it is \(record.state.word)")
    }
    let knownHosts = try pin(hostKey, address, installation.folder(of: record.id))
    let link = record.link(to: machine)
    hand(over: arguments(link, knownHosts) + (command.isEmpty ? [] : ["--"] + command))
  }

  /// The pinned key in a file of ours: the user's own known_hosts is neither read nor written.
  private func pin(_ hostKey: String, _ address: Address, _ folder: String) throws -> String {
    let path = folder + "/known_hosts"
    let line = "[\(address.host)]:\(address.port) \(hostKey)\n\(address.host) \(hostKey)\n"
    guard
      FileManager.default.createFile(atPath: path, contents: Data(line.utf8), attributes: [.posixPermissions: 0o600])
    else { throw Failure(status: .failed, message: "\(path) cannot be written") }
    return path
  }

  private func arguments(_ link: Link, _ knownHosts: String) -> [String] {
    let key: [String] =
      switch link.key {
      case .file(let path): ["-i", path, "-o", "IdentitiesOnly=yes"]
      case .agent: []
      }
    return [
      "ssh", "-p", "\(link.port)", "-l", link.users[0], "-o", "UserKnownHostsFile=\(knownHosts)",
      "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes",
    ] + key + [link.host]
  }

  private func hand(over arguments: [String]) -> Never {
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    execvp("ssh", &words)
    _ = StandardStream.write("fcrun: ssh cannot be started: \(String(cString: strerror(errno)))\n", to: STDERR_FILENO)
    StandardStream.leave(ExitStatus.failed.rawValue)
  }
}
