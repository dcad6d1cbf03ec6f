import ArgumentParser
import ForwardCompute
import Jobs
import Remote
import Runner
import Simulator
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

/// The job file and what the command line lays over it.
struct SpecOptions: ParsableArguments {
  @Argument(help: "The job file, JSON or YAML.", completion: Completions.specs)
  var spec: String

  @OptionGroup var layers: LayerOptions
  @OptionGroup var sweep: SweepOptions

  /// Everything that can be known without network; all errors at once.
  /// - Throws: ``SpecProblems``, or ``Failure`` when a file cannot be read.
  func work() throws -> (work: PlannedWork, source: SpecSource) {
    let source = try SpecSource.read(spec)
    return (try source.work(try layers.layers(), sweep: try sweep.source()), source)
  }
}

/// What makes many jobs of one spec.
struct SweepOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Run the job once for each index: 0-15, 0-10:2 or 1,3,7; %N for how many at once.", valueName: "indices"))
  var array: String?

  @Option(
    help: ArgumentHelp(
      "Run the job once for each line of a table: names in the first line, tabs between values.",
      valueName: "file.tsv"))
  var tasks: String?

  func validate() throws {
    guard array == nil || tasks == nil else { throw ValidationError("--array is given beside --tasks; expected one") }
  }

  /// - Throws: ``Failure`` when the table cannot be read.
  func source() throws -> SweepSource? {
    if let array { return .array(array) }
    return try tasks.map { .table(bytes: try LocalText.read($0, what: "a table of tasks"), file: $0) }
  }
}

/// What the command line lays over a job.
struct LayerOptions: ParsableArguments {
  @Option(
    name: .customLong("env"),
    help: ArgumentHelp(
      "Set a variable of the command's environment; K alone takes the value from the local one.", valueName: "K=V"))
  var env: [String] = []

  @Option(
    name: .customLong("env-file"),
    help: ArgumentHelp("Set the variables of a file of NAME=VALUE lines.", valueName: "FILE"))
  var envFile: [String] = []

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Set a field of the job file, as in resources.num_gpus=8.", valueName: "path=value"))
  var set: [String] = []

  @Option(
    help: ArgumentHelp("Fill in what the job leaves out from this profile of the config file.", valueName: "NAME"))
  var profile: String?

  /// - Throws: ``SpecProblems``, or ``Failure`` when a file cannot be read.
  func layers() throws -> SpecLayers {
    let options = try env.enumerated().map { number, text in
      let (name, value) = try Self.pair(text, expected: "K=V, or K to take it from the local environment")
      return SpecLayers.Variable(name: name, value: value, option: number + 1)
    }
    return SpecLayers(
      defaults: try Configuration.layers(profile: profile), set: try set.map(Self.assignment),
      envs: try fromFiles() + options)
  }

  private func fromFiles() throws -> [SpecLayers.Variable] {
    try envFile.flatMap { shown in
      let bytes = try LocalText.read(shown, what: "a file of NAME=VALUE lines")
      return try EnvFile.parse(bytes: bytes, file: shown).get()
    }
  }

  private static func assignment(_ text: String) throws -> (path: String, value: String) {
    let expected = "path=value, as in resources.num_gpus=8"
    let (path, value) = try pair(text, expected: expected)
    guard let value else { throw ValidationError("--set \(text): expected \(expected)") }
    return (path, value)
  }

  private static func pair(_ text: String, expected: String) throws -> (name: String, value: String?) {
    guard let equals = text.firstIndex(of: "=") else {
      guard !text.isEmpty else { throw ValidationError("an empty value; expected \(expected)") }
      return (text, nil)
    }
    guard equals != text.startIndex else { throw ValidationError("\(text): expected \(expected)") }
    return (String(text[..<equals]), String(text[text.index(after: equals)...]))
  }
}

/// The user's config file: `FCRUN_CONFIG`, or `fcrun/config.json` in the folder for such files (XDG base directories).
enum Configuration {
  /// - Throws: ``SpecProblems`` when it is wrong or has no such profile; ``Failure`` when a named one cannot be read.
  static func layers(profile: String?) throws -> [SpecNode] {
    guard let path = try path() else {
      return try ConfigFile.empty.layers(profile: profile, shown: standard ?? "the config file").get()
    }
    let bytes = try LocalText.read(path, what: "a config file in FCRUN_CONFIG")
    let secrets = [Context.environment("FORWARD_COMPUTE_API_KEY")].compactMap { $0 }
    return try ConfigFile.read(SpecNode.parse(bytes: bytes, file: path), secrets: secrets).get()
      .layers(profile: profile, shown: path).get()
  }

  /// nil where there is none; one that `FCRUN_CONFIG` names has to be there.
  private static func path() throws -> String? {
    if let named = Context.environment("FCRUN_CONFIG") { return named }
    return standard.flatMap { FileManager.default.fileExists(atPath: $0) ? $0 : nil }
  }

  private static var standard: String? {
    if let folder = Context.environment("XDG_CONFIG_HOME") { return folder + "/fcrun/config.json" }
    return Context.environment("HOME").map { $0 + "/.config/fcrun/config.json" }
  }
}

/// What a person wrote and named on the command line.
enum LocalText {
  /// - Throws: ``Failure`` 64 when `path` cannot be read.
  static func read(_ shown: String, what: String) throws -> [UInt8] {
    guard let bytes = FileManager.default.contents(atPath: absolute(shown)) else {
      throw Failure(
        status: .usage, message: "\(shown): cannot be read: \(obstacle(to: absolute(shown)))",
        next: "give the path of \(what)")
    }
    return Array(bytes)
  }

  static func absolute(_ path: String) -> String {
    path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
  }

  private static func obstacle(to path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return String(cString: strerror(errno)) }
    close(descriptor)
    return "it is a folder"
  }
}

/// A spec before it is judged, and where its paths start.
struct SpecSource {
  /// As the user named it.
  var shown: String
  /// Absolute; its folder is where relative paths start.
  var path: String
  var parsed: SpecNode.Parsed
  /// As it is kept beside the job's logs.
  var bytes: [UInt8]

  /// - Throws: ``Failure`` 64 when the file cannot be read.
  static func read(_ shown: String) throws -> SpecSource {
    let bytes = try LocalText.read(shown, what: "a job file")
    return SpecSource(
      shown: shown, path: LocalText.absolute(shown), parsed: SpecNode.parse(bytes: bytes, file: shown), bytes: bytes)
  }

  /// Everything that can be known without network; all errors at once.
  /// - Throws: ``SpecProblems``
  func work(_ layers: SpecLayers, sweep: SweepSource?) throws -> PlannedWork {
    let work = try PlannedWork.make(
      parsed, layers, file: path, sweep: sweep, environment: Context.environmentEvenEmpty
    ).get()
    switch work {
    case .job(let plan): try plan.requirePlaces()
    case .sweep(let sweep): for task in sweep.tasks { try task.requirePlaces() }
    }
    return work
  }
}

extension JobPlan {
  /// Every source exists and outputs have where to go; nothing is spent before that is known.
  fileprivate func requirePlaces() throws {
    let missing = files.filter { !FileManager.default.fileExists(atPath: $0.source) }
      .map { $0.problem("\($0.source) does not exist; expected a file or folder of that name") }
    let problems = missing + outputProblems
    if !problems.isEmpty { throw SpecProblems(problems) }
  }
}

/// Where the job is to run: the account's cloud, or a simulator on this machine.
struct Cloud: Sendable {
  let account: Account
  let client: any ForwardComputeAPI
  /// The simulator's own key, registered there.
  var privateKey: String?

  static func remote() throws -> Cloud {
    let baseURL = Context.environment("FORWARD_COMPUTE_BASE_URL") ?? Context.defaultBaseURL
    let apiKey = Context.environment("FORWARD_COMPUTE_API_KEY")
    return Cloud(
      account: Account(baseURL: baseURL, apiKey: apiKey, isLocal: false), client: try Context.client(baseURL, apiKey))
  }

  static func local(home: String) async throws -> Cloud {
    let address = try await LocalCloud.address(home: home)
    return Cloud(
      account: Account(baseURL: address.baseURL, apiKey: address.token, isLocal: true),
      client: try Context.client(address.baseURL, address.token), privateKey: address.privateKey)
  }

  static func of(_ job: JobRecord, home: String) async throws -> Cloud {
    job.arrangement.isLocal ? try await local(home: home) : try remote()
  }
}

extension Account {
  /// Known before anything is asked over the network.
  /// - Throws: ``Failure`` 78.
  func requireKey() throws {
    guard apiKey == nil else { return }
    throw Failure(
      status: .notConfigured, message: "no API key is set", next: "set FORWARD_COMPUTE_API_KEY, or submit --local")
  }
}

/// What a plan meets in the cloud: offerings in order, volumes, the key.
struct Prepared {
  /// Of the job, or of a sweep's first task: what all tasks have in common.
  var plan: JobPlan
  var sweep: SweepPlan?
  var ranking: Ranking
  var volumes: [AttachedVolume]
  var blame = Blame.none

  /// Reads what is offered; nothing is created.
  /// - Throws: ``SpecProblems`` for volumes that cannot be attached, `APIError`.
  static func make(_ work: PlannedWork, on cloud: Cloud, _ installation: Installation?) async throws -> Prepared {
    let plan = work.first
    async let offered = cloud.client.computeOfferings()
    let volumes = plan.volumes.isEmpty ? [] : try await cloud.client.volumes().map(AttachedVolume.init)
    let attached = try plan.resolve(volumes: volumes).get()
    var ranking = Matching.rank(try await offered.map(Offering.init), for: plan.resources, volumes: attached)
    let blame = try? installation?.store.blame(account: cloud.account.fingerprint, at: LiveClock().now())
    ranking.candidates = (blame ?? .none).ordered(ranking.candidates)
    return Prepared(
      plan: plan, sweep: work.sweep, ranking: ranking, volumes: attached, blame: blame ?? .none)
  }

  /// US dollars that all of it can cost at most.
  var costCeiling: Decimal? {
    sweep.map { $0.costCeiling(over: ranking.candidates) } ?? plan.costCeiling(over: ranking.candidates)
  }

  /// - Throws: ``Failure`` 69 with what removed the offerings and the nearest misses.
  func requireCandidates() throws {
    guard ranking.candidates.isEmpty else { return }
    throw Failure(
      status: .noCapacity, message: "no offering fits \(sweep?.name ?? plan.name)\n" + PlanText.whyNothing(ranking),
      next: "widen resources, or look at: fcrun offerings --available")
  }

  /// The record of a new job; the store does not have it yet.
  func record(on cloud: Cloud, owner: String, at now: Moment) async throws -> JobRecord {
    let keys = try await cloud.client.sshKeys()
    let pair = try KeyChoosing.choose(among: keys, plan, cloud)
    try KeyChoosing.requireUsable(pair.key)
    let context = JobContext(id: RandomName.make(16), owner: owner, plan: plan)
    let arrangement = Arrangement(
      baseURL: cloud.account.baseURL, isLocal: cloud.account.isLocal, accountFingerprint: cloud.account.fingerprint,
      accountOwner: pair.key.owner, sshKeyID: pair.key.id, key: pair.privateKey, candidates: ranking.candidates,
      volumeIDs: volumes.map(\.id))
    return JobRecord(
      context: context, arrangement: arrangement, state: JobState(), epoch: 0, createdAt: now, updatedAt: now)
  }
}

private enum KeyChoosing {
  /// An RSA key needs a libssh2 that can sign with SHA-2: known before a machine is rented.
  static func requireUsable(_ key: SSHKey) throws {
    guard key.publicKey.hasPrefix("ssh-rsa"), let version = WorkerVersion.ask(try Executable.worker()) else { return }
    let numbers = version.split(separator: ".").compactMap { Int($0.prefix { $0.isNumber }) }
    guard numbers.lexicographicallyPrecedes([1, 11]) else { return }
    throw Failure(
      status: .notConfigured,
      message:
        "\(key.name) (\(key.id)) is an RSA key, and libssh2 \(version) cannot sign with RSA as sshd asks for today",
      next: "register an ed25519 key, or install libssh2 1.11 or newer")
  }

  static func choose(
    among keys: [SSHKey], _ plan: JobPlan, _ cloud: Cloud
  ) throws -> (key: SSHKey, privateKey: Arrangement.PrivateKey) {
    let ring = KeyRing { name in
      name == "FCRUN_SSH_KEY" ? cloud.privateKey ?? Context.environment(name) : Context.environment(name)
    }
    do {
      return try ring.choose(among: keys, plan.sshKey)
    } catch {
      throw Failure(status: .notConfigured, message: "\(error)")
    }
  }
}

extension PlannedWork {
  var sweep: SweepPlan? { if case .sweep(let sweep) = self { sweep } else { nil } }

  /// What would be sent to each machine, checked as far as it can be without one.
  func scan(shown: String) throws -> UploadTree {
    switch self {
    case .job(let plan): try plan.scan(shown: shown)
    case .sweep(let sweep): try sweep.scan(shown: shown)
    }
  }
}
