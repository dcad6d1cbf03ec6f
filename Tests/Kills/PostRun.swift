import Foundation
import TestSupport

/// Several jobs at once, the exchange of POST of each cut at another byte: none of them may become two machines.
struct PostRun {
  private let plan: Plan
  private let bench: Bench

  init(_ plan: Plan, _ bench: Bench) { (self.plan, self.bench) = (plan, bench) }

  func run(_ cuts: [Cut]) async throws -> Report {
    var report = Report(plan: plan)
    let ended = try await together(cuts)
    for (number, one) in ended.enumerated() {
      let place = "POST cut at \(cuts[number])"
      report.struck += one.isCut ? 1 : 0
      if one.ended.code != Errand.code { report.findings.append(Finding(.wrongCode, "\(place): \(one.ended.code)")) }
      if one.starts.count != 1 { report.findings.append(Finding(.doubled, "\(place): starts \(one.starts)")) }
    }
    let ledger = try bench.cloud.ledger()
    report.findings += ledger.findings
    if ledger.instances.count != cuts.count {
      report.findings.append(Finding(.leaked, "\(ledger.instances.count) machines for \(cuts.count) jobs"))
    }
    if !report.isClean {
      report.evidence =
        ended.map { "code \($0.ended.code)\n\($0.ended.err)" }.joined(separator: "\n") + "\n\(ledger.text)"
    }
    return report
  }

  private struct One: Sendable {
    var ended: Ended
    var isCut: Bool
    var starts: [String]
  }

  private func together(_ cuts: [Cut]) async throws -> [One] {
    try await withThrowingTaskGroup(of: (Int, One).self) { group in
      for (number, cut) in cuts.enumerated() { group.addTask { (number, try await one(number, cut)) } }
      return try await group.reduce(into: []) { $0.append($1) }.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  private func one(_ number: Int, _ cut: Cut) async throws -> One {
    let errand = Errand(counter: "\(bench.folder)/counter-\(number)")
    let spec = try errand.prepareShort(bench, named: "job-\(number).json")
    let relay = try Relay(to: bench.cloud.port, .firstPost(cut))
    defer { relay.stop() }
    let submit = try bench.start("submit", spec, env: ["FORWARD_COMPUTE_BASE_URL": "http://127.0.0.1:\(relay.port)"])
    // A request that did not arrive is waited for during the settle window of 60 s.
    let ended = try await submit.end(within: 200)
    return One(ended: ended, isCut: relay.cuts > 0, starts: errand.starts)
  }
}
