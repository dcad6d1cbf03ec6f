import Foundation
import Kills
import TestSupport
import Testing

/// A sample of `make torture-real`: kill -9, errors of system calls and cut connections, and nothing to be seen of them
/// in the end.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct KillTests {
  /// Few on a person's computer, more where nobody waits. Each time others, unless FCRUN_KILL_SEED says which.
  static let count = ProcessInfo.processInfo.environment["CI"]?.isEmpty == false ? 50 : 10
  static let seed =
    ProcessInfo.processInfo.environment["FCRUN_KILL_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...1_000_000)

  /// Measured once for all.
  static let terrain = Task {
    var terrain = try await Terrain.survey()
    (terrain.cutsOfPost, terrain.cutsOfSSH, terrain.mostNodes) = (4, 4, 4)
    return terrain
  }

  @Test("Killed, hurt or cut, and resumed: the job ends as if nothing had happened", arguments: 0..<count)
  func endsAsIfNothingHadHappened(_ number: Int) async throws {
    let terrain = try await Self.terrain.value
    // Left out only where nothing can be traced, which is said on stderr.
    guard let plan = Plan(seed: Self.seed, number: number, on: terrain) else { return }
    let report = await KillRun.perform(plan, load: plan.kind == .post ? .waiting : .working)
    #expect(
      report.isClean,
      "seed \(Self.seed), run \(number): torture real --plan '\(plan)'\n\(report.findings)\n\(report.evidence)")
  }

  @Test(
    "Killed where the intent, the id and the end become durable, and in resume after resume",
    .faults(1, 4, 8, 12, 13, 14),
    arguments: [
      "failpoint:before-commit:creating by id", "failpoint:after-post by all",
      "failpoint:before-commit:finished by id",
      "failpoint:after-commit:booting then failpoint:after-launch failpoint:after-delete by all",
      "failpoint:after-post then failpoint:before-launch failpoint:after-collect by id on 3",
    ])
  func killedAtANamedPlace(_ plan: String) async throws { try await struckAndClean(plan) }

  @Test(
    "The answer to POST, and the connection to the machine, cut at many bytes", .faults(17, 20, 70),
    arguments: [
      "post:back/0/reset,back/9/end,back/200/reset,back/470/end by id",
      "ssh:there/1100/reset,back/1500/end,there/150000/end,back/300000/reset by id",
    ])
  func cutAtManyBytes(_ plan: String) async throws { try await struckAndClean(plan) }

  @Test(
    "The worker is killed in the upload and in the outputs", .enabled(if: Tracing.isAllowed, "no strace"),
    .faults(7, 11, 15), arguments: ["kill:worker:sendto:20 by id", "kill:worker:renameat:1 by all"])
  func workerKilledInATransfer(_ plan: String) async throws { try await struckAndClean(plan) }

  private func struckAndClean(_ text: String) async throws {
    let report = await KillRun.perform(try Plan(text), load: .working)
    #expect(report.isClean, "\(report.findings)\n\(report.evidence)")
    #expect(report.struck > 0)
  }

  @Test("A plan is written and read as it was")
  func plansAreText() throws {
    var terrain = Terrain()
    terrain.hasFailpoints = true
    terrain.sites = [Site(program: .fcrun, call: "write", nth: 3), Site(program: .worker, call: "fsync", nth: 1)]
    for number in 0..<200 {
      let plan = try #require(Plan(seed: 5, number: number, on: terrain))
      #expect(try Plan("\(plan)") == plan)
    }
  }

  @Test("Every byte of the exchange of POST and every site of a system call has its turn in a thousand runs")
  func everyPlaceHasItsTurn() throws {
    var terrain = Terrain()
    let wakeUps = (1...5).map { Site(program: .fcrun, call: "write", nth: $0) }
    terrain.sites =
      wakeUps
      + [("write", 65), ("fsync", 9)].flatMap { call, count in
        (1...count).map { Site(program: .worker, call: call, nth: $0) }
      }
    var (killed, failed, cut) = (Set<String>(), Set<String>(), Set<String>())
    for number in 0..<1000 {
      switch try #require(Plan(seed: 9, number: number, on: terrain)).strike {
      case .blow(.kill(let site)): killed.insert("\(site)")
      case .blow(.fail(let site, _)): failed.insert("\(site)")
      case .post(let cuts): cut.formUnion(cuts.map { "\($0.way)/\($0.after)" })
      case .blow(.time), .blow(.failpoint), .ssh: break
      }
    }
    let all = Set(terrain.sites.map { "\($0)" })
    #expect(killed == all)
    #expect(failed == all.subtracting(wakeUps.map { "\($0)" }))
    #expect(cut.count == terrain.post.there + terrain.post.back)
  }
}
