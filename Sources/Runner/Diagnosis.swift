// Why a command failed: its own failure, or the machine's. Asked once, when its end is known; what cannot be found out is
// the command's own failure.

import Jobs
import Remote
import Store

extension World {
  /// The same event, with the reason of each end where cloud and machine show one.
  func diagnosed(_ event: Event, of attempt: Attempt, for job: JobRecord) async -> Event {
    guard case .ended(let ends) = event, ends.contains(where: \.isOfItself) else { return event }
    return .ended(
      await each(ends) { end in
        guard case .ended(let record) = end.how, end.isOfItself else { return end }
        let machine = attempt.machines[end.node]
        if let taken = await takenAway(machine, before: record, in: attempt) {
          return NodeEnd(node: end.node, how: taken)
        }
        return NodeEnd(node: end.node, how: .ended(await diagnosed(record, machine, in: attempt, for: job)))
      })
  }

  /// A host that goes down ends its processes by a signal: then the cloud knows more.
  private func takenAway(_ machine: Machine, before record: CommandEnd, in attempt: Attempt) async -> NodeEnd.How? {
    guard record.code > 128 else { return nil }
    var alone = attempt
    alone.machines = [machine]
    switch await observe(alone).first {
    case .ending(let status) where status != "error": return .preempted("the machine has the status \(status)")
    case .notYet(let status) where status == "restarting": return .rebooted("the machine has the status \(status)")
    case .ending, .notYet, .active, .notFound, .unknown, nil: return nil
    }
  }

  /// How a node went that nobody reaches any more, as far as the cloud says.
  func wayOfGoing(_ machine: Machine, _ why: String, in attempt: Attempt) async -> NodeEnd.How {
    var alone = attempt
    alone.machines = [machine]
    let name = "node \(machine.node) (\(machine.id ?? machine.name))"
    switch await observe(alone).first {
    case .ending(let status) where status != "error":
      return .preempted("\(name) was taken away: its status is \(status)")
    case .notFound where machine.instances.first?.wasRead == true:
      return .preempted("\(name) was taken away: the API does not find it any more")
    case .notYet(let status) where status == "restarting": return .rebooted("\(name) restarts")
    case .ending, .notYet, .active, .notFound, .unknown, nil: return .lost("\(name) is lost: \(why)")
    }
  }

  private func diagnosed(_ record: CommandEnd, _ machine: Machine, in attempt: Attempt, for job: JobRecord) async
    -> CommandEnd
  {
    let question = Exec(command: Script.diagnosis(control: job.control(of: attempt)), timeout: 25)
    let answer = await hosts.perform(.exec(question), on: job.link(to: machine), watching: { _ in })
    guard case .executed(let told) = answer, told.exitCode == 0 else { return record }
    var record = record
    record.trouble = MachineTrouble(
      signs: told.stdout, code: record.code, hasGPUs: (attempt.offering.numGPUs ?? 0) > 0)
    return record
  }

  // MARK: Before anything is sent

  /// Why a machine is not what its offering promises; nil where it is, or where that cannot be known.
  func shortcoming(of attempt: Attempt, for job: JobRecord) async -> String? {
    guard let promised = attempt.offering.numGPUs, promised > 0 else { return nil }
    let question = Exec(command: Script.gpus, timeout: 45)
    let answers = await each(attempt.machines) { machine in
      (machine, await hosts.perform(.exec(question), on: job.link(to: machine), watching: { _ in }))
    }
    for (machine, answer) in answers {
      guard case .executed(let told) = answer, told.exitCode == 0 else { continue }
      if let wrong = GPUCheck.wrong(told.stdout, promised) { return "\(machine.id ?? machine.name): \(wrong)" }
    }
    return nil
  }
}

/// What ``Script/gpus`` answers, against what was promised.
package enum GPUCheck {
  /// nil when nothing is wrong, and for an answer that says nothing: a machine without nvidia-smi may be fine.
  package static func wrong(_ answer: String, _ promised: Int) -> String? {
    guard let last = answer.split(separator: "\n").last else { return nil }
    let (word, told) = firstWord(last)
    if word == "dead" { return "the GPU driver does not work (nvidia-smi: \(told.prefix(200)))" }
    let (number, said) = firstWord(told)
    guard word == "gpus", let found = Int(number), found < promised else { return nil }
    let words = "it has \(Counted.text(found, "GPU")), the offering promises \(promised)"
    return said.isEmpty ? words : words + " (nvidia-smi: \(said.prefix(200)))"
  }

  private static func firstWord(_ text: Substring) -> (Substring, rest: Substring) {
    let words = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    return (words[0], words.count > 1 ? words[1] : "")
  }
}

extension NodeEnd {
  /// A failure that nobody asked for.
  fileprivate var isOfItself: Bool {
    if case .ended(let end) = how { end.code != 0 && end.reason == .exited } else { false }
  }
}

extension MachineTrouble {
  /// From the lines of ``Script/diagnosis(control:)``. That somebody on the host was killed for memory says something only
  /// about a command that was killed.
  package init?(signs text: String, code: Int, hasGPUs: Bool) {
    let lines = text.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 1).map(String.init) }
    func evidence(_ sign: String) -> String? {
      lines.first { $0.count == 2 && $0[0] == sign }.map { String($0[1].prefix(200)) }
    }
    if hasGPUs, let fault = evidence("gpu") {
      self.init(kind: .gpuFault, evidence: fault)
    } else if let kill = evidence("oom") ?? (code == 137 ? evidence("hostoom") : nil) {
      self.init(kind: .outOfMemory, evidence: kill)
    } else {
      return nil
    }
  }
}
