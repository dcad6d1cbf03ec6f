import Foundation
import TestSupport

/// One job of the shipped programs that is killed, hurt or cut on its way, and resumed until it is over.
package final class KillRun {
  private let plan: Plan
  private let bench: Bench
  private let errand: Errand
  private let tracing: Tracing
  private var report: Report
  /// What each process printed, in order; nil for one that prints nothing of the job.
  private var printed: [Data?] = []
  private var said: [String] = []

  private init(_ plan: Plan, _ bench: Bench) throws {
    (self.plan, self.bench) = (plan, bench)
    errand = Errand(counter: bench.counter)
    tracing = Tracing(bench)
    report = Report(plan: plan)
  }

  /// Does to one job what `plan` says, on a cloud of its own, and looks at what is left.
  package static func perform(_ plan: Plan, load: Bench.Load) async -> Report {
    let start = ContinuousClock.now
    var report = Report(plan: plan)
    do {
      try await Bench.run(bootTime: "0.1", load: load) { bench in
        report = try await KillRun(plan, bench).run()
      }
    } catch {
      report.findings.append(Finding(.hung, "\(error)"))
    }
    report.seconds = (ContinuousClock.now - start) / .seconds(1)
    return report
  }

  private func run() async throws -> Report {
    do {
      switch plan.strike {
      case .blow(let blow): try await runBlow(blow)
      case .ssh(let cuts): try await runCutSSH(cuts)
      case .post(let cuts): return try await PostRun(plan, bench).run(cuts)
      }
    } catch {
      find(.hung, "\(error)")
    }
    if !report.isClean { report.evidence = await evidence() }
    return report
  }

  private func find(_ wrong: Finding.Wrong, _ text: String) { report.findings.append(Finding(wrong, text)) }

  private func evidence() async -> String {
    let ledger = (try? bench.cloud.ledger().text) ?? "no ledger"
    let shown = (try? await bench.show().description) ?? "no job"
    return said.joined(separator: "\n") + "\nledger: \(ledger)\njob: \(shown)"
  }
}

// MARK: - The ways of a run

extension KillRun {
  private func runBlow(_ blow: Blow) async throws {
    let spec = try errand.prepare(bench, nodes: plan.nodes)
    let submit = try await drive(["submit", spec], blow, prints: true)
    // Killed before the job was durable: nothing exists, and the same command may be given again.
    if try await bench.jobs().isEmpty { return try await again(spec, after: submit) }
    for next in plan.resumes {
      guard try await !isFinished() else { break }
      try await drive(try await resumption(), next, prints: !plan.resumesAll)
    }
    try await finish()
    try await check(allowsFailure: isError(blow))
  }

  private func again(_ spec: String, after submit: Ended) async throws {
    let instances = try bench.cloud.ledger().instances
    if !instances.isEmpty { find(.leaked, "there is no job, and a machine: \(instances)") }
    if submit.code == 0 { find(.wrongCode, "0 without a job") }
    printed = []
    try await drive(["submit", spec], nil, prints: true)
    try await finish()
    try await check(allowsFailure: false)
  }

  private func runCutSSH(_ cuts: [Cut]) async throws {
    let spec = try errand.prepare(bench)
    let machine = try Relay(to: nil, .inOrder(cuts))
    let api = try Relay(to: bench.cloud.port, .firstPost(nil), ssh: machine)
    defer { for relay in [machine, api] { relay.stop() } }
    let base = ["FORWARD_COMPUTE_BASE_URL": "http://127.0.0.1:\(api.port)"]
    let ended = try await drive(["submit", spec], nil, prints: true, env: base)
    report.struck = machine.cuts
    if ended.code != Errand.code { find(.wrongCode, "submit ended with \(ended.code)") }
    if ended.stdout != Errand.stdout { find(.lostBytes, "printed \(ended.stdout.count) bytes of another text") }
    try await check(allowsFailure: false)
  }

  /// Drives the job to its end: what is not proved is tried again, as a person would.
  private func finish() async throws {
    for _ in 0..<3 {
      let ended = try await drive(try await resumption(), nil, prints: !plan.resumesAll)
      if ended.code != 75 { break }
    }
    let last = try await drive(["resume", try await bench.job()], nil, prints: true)
    let shown = try await bench.show()
    if shown["exit_code"].int != Int(last.code) || shown["state"].text != "finished" {
      find(.wrongCode, "resume ended with \(last.code), and the job is \(shown["state"]) with \(shown["exit_code"])")
    }
  }

  private func resumption() async throws -> [String] {
    plan.resumesAll ? ["resume", "--all"] : ["resume", try await bench.job()]
  }

  private func isFinished() async throws -> Bool { try await bench.show()["state"].text == "finished" }

  private func isError(_ blow: Blow) -> Bool { if case .fail = blow { true } else { false } }
}

// MARK: - One process

extension KillRun {
  /// The settle window is 60 s; a job without a fault takes four.
  private static let patience = 200.0

  /// Runs fcrun to its end, or to the end that `blow` makes.
  @discardableResult
  private func drive(
    _ arguments: [String], _ blow: Blow?, prints: Bool, env: [String: String] = [:]
  ) async throws -> Ended {
    // Several nodes pass the files on: more places to be killed at.
    let wide = plan.nodes > 1 ? ["FCRUN_FAN_OUT": "always"] : [:]
    let env = Errand.environment.merging(wide) { $1 }.merging(env) { $1 }
    let child = try tracing.start(arguments, blow, env: env)
    if case .time(let seconds) = blow { await kill(child, after: seconds) }
    let ended = try await child.end(within: Self.patience)
    if blow.map({ tracing.hasStruck($0, ended) }) == true { report.struck += 1 }
    said.append("$ fcrun \(arguments.joined(separator: " ")) [\(blow?.description ?? "")]: \(ended.code)\n\(ended.err)")
    printed.append(prints ? ended.stdout : nil)
    if !prints, !ended.stdout.isEmpty { find(.lostBytes, "resume --all printed output of the job") }
    return ended
  }

  private func kill(_ child: ChildProcess, after seconds: Double) async {
    let end = ContinuousClock.now + .seconds(seconds)
    while child.isRunning, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(5)) }
    await child.destroy()
  }
}

// MARK: - What is left

extension KillRun {
  private func check(allowsFailure: Bool) async throws {
    let shown = try await bench.show()
    let code = shown["exit_code"].int.map { Int32($0) } ?? -1
    // A full disk here may cost the result, and is then said; it never makes a success.
    let isRefused = allowsFailure && code == 125 && shown["outcome"].text == "error"
    if code != Errand.code, !isRefused { find(.wrongCode, "the job ended with \(code)") }
    try checkMachines(attempts: shown["past_attempts"].items.count)
    checkStarts(mayBeNone: isRefused)
    try await checkLogs(shown, isWhole: !isRefused)
    if !allowsFailure { checkPrinted() }
    checkOutputs(mayBeMissing: allowsFailure)
    checkSecrets()
    await checkProcesses()
  }

  private func checkMachines(attempts: Int) throws {
    let ledger = try bench.cloud.ledger()
    report.findings += ledger.findings
    if ledger.instances.count > attempts * plan.nodes {
      find(.leaked, "\(ledger.instances.count) machines in \(attempts) attempts")
    }
  }

  private func checkStarts(mayBeNone: Bool) {
    let starts = errand.starts
    if Set(starts).count != starts.count { find(.doubled, "started in the attempts \(starts)") }
    let ofFirst = starts.filter { !$0.contains("/") }
    if ofFirst.count != 1, !(mayBeNone && starts.isEmpty) { find(.doubled, "started \(ofFirst.count) times") }
    if starts.count != plan.nodes, !mayBeNone { find(.doubled, "started on \(starts.count) of \(plan.nodes) nodes") }
  }

  private func checkLogs(_ shown: JSONTree, isWhole: Bool) async throws {
    guard let id = shown["id"].text, let attempt = errand.starts.lazy.compactMap({ Int($0) }).last else { return }
    for (name, whole) in [("stdout", Errand.stdout), ("stderr", Errand.stderr)] {
      let log = try await bench.log(name, job: id, attempt: attempt)
      if isWhole ? log != whole : !whole.starts(with: log) {
        find(.lostBytes, "\(name).log has \(log.count) bytes of \(whole.count), or others")
      }
    }
    // The first node may have ended them before their time.
    for node in 1..<plan.nodes {
      let log = try await bench.log("stderr", job: id, attempt: attempt, node: node)
      if !Errand.stderrOfOthers.starts(with: log) { find(.lostBytes, "the log of node \(node) has other bytes") }
    }
  }

  /// Each process goes on at, or a little before, the place where the one before it was killed; nothing is left out.
  private func checkPrinted() {
    var covered = 0
    for piece in printed.compactMap({ $0 }) where !piece.isEmpty {
      guard let place = Errand.stdout.place(of: piece, atMost: covered) else {
        return find(.lostBytes, "printed \(piece.count) bytes that are not the text from \(covered) on")
      }
      covered = max(covered, place + piece.count)
    }
    if covered != Errand.stdout.count { find(.lostBytes, "printed \(covered) of \(Errand.stdout.count) bytes") }
  }

  private func checkOutputs(mayBeMissing: Bool) {
    let output = bench.read("out/twice")
    if output == nil ? !mayBeMissing : output != Errand.output {
      find(.lostBytes, "the output has \(output.map { "\($0.count)" } ?? "no") bytes, or others")
    }
    for node in 1..<plan.nodes
    where bench.read("node-\(node)/out/twice").map({ !Errand.output.starts(with: $0) }) ?? false {
      find(.lostBytes, "the output of node \(node) has other bytes")
    }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: bench.work)) ?? []
    let known = Set(["payload", "out", "job.json"] + (1..<plan.nodes).map { "node-\($0)" })
    let strange = Set(names).subtracting(known).filter { !$0.hasPrefix(".fcrun-partial") }
    if !strange.isEmpty { find(.lostBytes, "left beside the outputs: \(strange)") }
  }

  private func checkSecrets() {
    for secret in [Errand.canary, bench.cloud.token] {
      let holders = bench.files(holding: secret)
      if !holders.isEmpty { find(.secret, "in \(holders)") }
    }
    for text in said where text.contains(Errand.canary) { find(.secret, "in what was said: \(text)") }
  }

  private func checkProcesses() async {
    let left = try? await eventually("nothing runs any more", within: 8) { bench.processes.isEmpty ? true : nil }
    if left == nil { find(.leftRunning, "\(bench.processes.map { Processes.commandLine(of: $0) })") }
  }
}

extension Data {
  /// Where `piece` is, at the latest place up to `limit`.
  fileprivate func place(of piece: Data, atMost limit: Int) -> Int? {
    guard piece.count <= count else { return nil }
    return stride(from: Swift.min(limit, count - piece.count), through: 0, by: -1)
      .first { self[$0..<($0 + piece.count)] == piece }
  }
}
