import Foundation
import TestSupport

// What is looked at when a run is over.

extension Bench {
  /// The ids of all jobs.
  func jobs() async throws -> [String] {
    try await fcrun("ps", "-a", "-q").out.split(separator: "\n").map(String.init)
  }

  /// Processes that work below this bench's folder, besides its cloud.
  var processes: [pid_t] { Processes.working(below: folder).filter { $0 != cloud.process.pid } }

  /// Files of the state folder, and what processes wrote, that hold `text`.
  func files(holding text: String) -> [String] {
    let children = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let paths =
      (FileManager.default.subpaths(atPath: home) ?? []).map { "state/\($0)" }
      + children.filter { $0.hasPrefix("child-") }
    return paths.filter {
      FileManager.default.contents(atPath: "\(folder)/\($0)")?.firstRange(of: Data(text.utf8)) != nil
    }
  }
}

extension Ledger {
  /// What is wrong with what was rented, whoever asked for it.
  var findings: [Finding] {
    var findings: [Finding] = []
    if live != 0 { findings.append(Finding(.leaked, "\(live) machines live at the end")) }
    if posts.contains(where: { $0 > 1 }) { findings.append(Finding(.leaked, "a name was asked for twice: \(posts)")) }
    for (job, machines) in Dictionary(grouping: instances, by: \.job) where machines.contains(where: machines.overlap) {
      findings.append(Finding(.leaked, "two machines of the job \(job) at one time"))
    }
    return findings
  }
}

extension JSONTree {
  /// The job in a machine's name: `fcr-<owner>-<job>-a1-n0-…`.
  fileprivate var job: String { word(2) }

  /// Another node of the same attempt.
  fileprivate func isBeside(_ other: JSONTree) -> Bool { word(3) == other.word(3) && word(4) != other.word(4) }

  private func word(_ place: Int) -> String {
    self["name"].text.map { String($0.split(separator: "-").dropFirst(place).first ?? "") } ?? ""
  }
}

extension [JSONTree] {
  /// Whether another one was there when `machine` was made, that is not beside it in one attempt. Times are RFC 3339 of one length, which
  /// sort as text.
  fileprivate func overlap(_ machine: JSONTree) -> Bool {
    let made = machine["created"].text ?? ""
    return contains { other in
      other["id"].text != machine["id"].text && !other.isBeside(machine) && (other["created"].text ?? "") <= made
        && made < (other["ended"].text ?? "~")
    }
  }
}
