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

/// The spec and what the command line lays over it.
struct SpecOptions: ParsableArguments {
  @Argument(help: "The job's spec, a JSON file.")
  var spec: String

  @Option(
    name: .customLong("env"), help: ArgumentHelp("Set a variable of the command's environment.", valueName: "K=V"))
  var env: [String] = []

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Set a field of the spec, as in resources.num_gpus=8.", valueName: "path=value"))
  var set: [String] = []

  @Option(
    help: ArgumentHelp(
      "Run the spec once for each index: 0-15, 0-10:2 or 1,3,7; %N for how many at once.", valueName: "indices"))
  var array: String?

  @Option(
    help: ArgumentHelp(
      "Run the spec once for each line of a table: names in the first line, tabs between values.", valueName: "file.tsv"
    ))
  var tasks: String?

  func validate() throws {
    guard array == nil || tasks == nil else { throw ValidationError("--array is given beside --tasks; expected one") }
  }

  private static func obstacle(to path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return String(cString: strerror(errno)) }
    close(descriptor)
    return "it is a folder"
  }

  /// Everything that can be known without network; all errors at once.
  /// - Throws: ``SpecProblems``, or ``Failure`` when a file cannot be read.
  func work() throws -> PlannedWork {
    let (path, bytes) = try Self.read(spec, "give the path of a job's spec")
    let work = try PlannedWork.make(
      bytes: bytes, shown: spec, file: path, set: try set.map(Self.pair), env: try env.map(Self.pair),
      sweep: try sweepSource(), environment: Context.environmentEvenEmpty
    ).get()
    switch work {
    case .job(let plan): try plan.requireSources()
    case .sweep(let sweep): for task in sweep.tasks { try task.requireSources() }
    }
    return work
  }

  private func sweepSource() throws -> SweepSource? {
    if let array { return .array(array) }
    return try tasks.map { .table(bytes: try Self.read($0, "give the path of a table").bytes, file: $0) }
  }

  private static func read(_ file: String, _ next: String) throws -> (path: String, bytes: [UInt8]) {
    let path = file.hasPrefix("/") ? file : FileManager.default.currentDirectoryPath + "/" + file
    guard let bytes = FileManager.default.contents(atPath: path) else {
      throw Failure(status: .usage, message: "\(file): cannot be read: \(obstacle(to: path))", next: next)
    }
    return (path, Array(bytes))
  }

  private static func pair(_ text: String) throws -> (String, String) {
    guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
      throw ValidationError("\(text): expected NAME=VALUE")
    }
    return (String(text[..<equals]), String(text[text.index(after: equals)...]))
  }
}

extension JobPlan {
  /// Every source exists and can be sent; nothing is spent before that is known.
  fileprivate func requireSources() throws {
    let problems = files.filter { !FileManager.default.fileExists(atPath: $0.source) }
      .map { $0.problem("\($0.source) does not exist; expected a file or folder beside the spec") }
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

  /// Reads what is offered; nothing is created.
  /// - Throws: ``SpecProblems`` for volumes that cannot be attached, `APIError`.
  static func make(_ work: PlannedWork, on cloud: Cloud) async throws -> Prepared {
    let plan = work.first
    async let offered = cloud.client.computeOfferings()
    let volumes = plan.volumes.isEmpty ? [] : try await cloud.client.volumes().map(AttachedVolume.init)
    let attached = try plan.resolve(volumes: volumes).get()
    let ranking = Matching.rank(try await offered.map(Offering.init), for: plan.resources, volumes: attached)
    return Prepared(plan: plan, sweep: work.sweep, ranking: ranking, volumes: attached)
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
  func scan() throws -> UploadTree {
    switch self {
    case .job(let plan): try plan.scan()
    case .sweep(let sweep): try sweep.scan()
    }
  }
}
