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

/// `fcrun doctor`: would a submit work here?
struct DoctorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Check API, key, SSH worker, clock, disk and state folder.",
    discussion: """
        fcrun doctor
        fcrun doctor --json
      """)

  @OptionGroup var output: OutputOptions

  private struct Finding {
    var what: String
    var isGood: Bool
    var words: String
  }

  func run() async throws {
    var findings = [state(), disk(), clock(), worker()]
    findings += await cloud()
    try show(findings)
    if findings.contains(where: { !$0.isGood }) { StandardStream.leave(ExitStatus.notConfigured.rawValue) }
  }

  private func show(_ findings: [Finding]) throws {
    if output.json {
      let data = findings.map { finding in
        JSONValue.object(of: [
          ("check", .string(finding.what)), ("ok", .bool(finding.isGood)), ("message", .string(finding.words)),
        ])
      }
      return try Output.json(.object(of: [("data", .array(data))]))
    }
    try Output.table(
      header: [Column(title: "CHECK"), Column(title: "OK"), Column(title: "FOUND", room: .wraps)],
      rows: findings.map { [$0.what, $0.isGood ? "yes" : "NO", $0.words] })
  }

  private func state() -> Finding {
    do {
      let installation = try Installation.open()
      let open = try installation.store.jobs(unfinishedOnly: true)
      let idle = open.filter { !$0.isFinished && !installation.isDriven($0.id) }.count
      let unknown = installation.unknownFolders
      guard unknown.isEmpty else {
        return Finding(
          what: "state", isGood: false,
          words: "the database does not know \(unknown.count) of the jobs in \(installation.home)/jobs; try: fcrun reap"
        )
      }
      let words =
        idle == 0
        ? installation.home : "\(installation.home); \(Counted.text(idle, "job")) to go on with: fcrun resume --all"
      return Finding(what: "state", isGood: idle == 0, words: words)
    } catch {
      return Finding(what: "state", isGood: false, words: (error as? Failure)?.message ?? "\(error)")
    }
  }

  private func disk() -> Finding {
    guard let home = try? Installation.folder() else {
      return Finding(what: "disk", isGood: false, words: "no state folder")
    }
    var status = statvfs()
    guard statvfs(home, &status) == 0 else {
      return Finding(what: "disk", isGood: false, words: "\(home) cannot be measured")
    }
    let free = Int(status.f_bavail) * Int(status.f_frsize)
    return Finding(what: "disk", isGood: free > 100 << 20, words: "\(Bytes.text(free)) free at \(home)")
  }

  /// Deadlines in machines' names are wall clock: one that is years off would have them reaped at once, or never.
  private func clock() -> Finding {
    let now = LiveClock().now()
    let isPlausible = (1_735_689_600_000..<4_102_444_800_000).contains(now.milliseconds)
    return Finding(what: "clock", isGood: isPlausible, words: Time.text(now) + (isPlausible ? "" : "; set the clock"))
  }

  private func worker() -> Finding {
    do {
      let path = try Executable.worker()
      return Finding(
        what: "ssh worker", isGood: true, words: "\(path), libssh2 \(WorkerVersion.ask(path) ?? "unknown")")
    } catch {
      return Finding(what: "ssh worker", isGood: false, words: (error as? Failure)?.message ?? "\(error)")
    }
  }

  private func cloud() async -> [Finding] {
    do {
      let cloud = try Cloud.remote()
      let before = Date()
      let offerings = try await cloud.client.computeOfferings()
      let took = Int(Date().timeIntervalSince(before) * 1000)
      let api = Finding(
        what: "api", isGood: true,
        words: "\(cloud.account.baseURL): \(Counted.text(offerings.count, "offering")) in \(took) ms")
      return [api] + (await keys(cloud))
    } catch {
      return [Finding(what: "api", isGood: false, words: "\(error)")]
    }
  }

  private func keys(_ cloud: Cloud) async -> [Finding] {
    do {
      let keys = try await cloud.client.sshKeys()
      let account = Finding(what: "account", isGood: true, words: "\(Counted.text(keys.count, "SSH key")) registered")
      do {
        let pair = try KeyRing(environment: Context.environment).choose(among: keys, nil)
        return [
          account,
          Finding(
            what: "ssh key", isGood: true, words: "\(pair.key.name) (\(pair.key.id)) by \(pair.privateKey.inWords)"),
        ]
      } catch {
        return [account, Finding(what: "ssh key", isGood: false, words: "\(error)")]
      }
    } catch {
      return [Finding(what: "account", isGood: false, words: "\(error)")]
    }
  }
}

extension Arrangement.PrivateKey {
  fileprivate var inWords: String {
    switch self {
    case .file(let path): path
    case .agent: "the agent"
    }
  }
}

/// The worker's word about the libssh2 it runs with.
enum WorkerVersion {
  static func ask(_ path: String) -> String? {
    guard let pipe = popen("'\(path)' --version", "r") else { return nil }
    defer { pclose(pipe) }
    var buffer = [CChar](repeating: 0, count: 256)
    guard fgets(&buffer, 256, pipe) != nil else { return nil }
    return String(decoding: buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// `fcrun ui`: not yet (rulings 21).
struct UICommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ui", abstract: "Not in this version.", shouldDisplay: false)

  func run() async throws {
    throw Failure(
      status: .usage, message: "this version has no dashboard", next: "fcrun ps, fcrun show JOB, fcrun logs -f JOB")
  }
}
