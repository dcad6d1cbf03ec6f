import Foundation
import TestSupport

/// How a job grows with its machines, which are worked on at the same time: flat but for the slowest is the goal.
extension CloudJobs {
  private static let counts = [1, 2, 4, 8]
  private static let rounds = 3

  func nodes() throws -> [Figure] {
    try Data(count: sizes.nodeMegabytes << 20).write(to: URL(filePath: folder + "/payload"))
    return try withCloud { environment in
      try Self.counts.flatMap { count in
        let runs = try (0..<Self.rounds).map { round in try timeline(of: count, round, environment) }
        return Self.parts(sizes.nodeMegabytes).map { name, states in
          let times = runs.map { run in run.filter { states.contains($0.state) }.reduce(0) { $0 + $1.seconds } }
          return Figure(
            work: "\(count) \(count == 1 ? "node" : "nodes"): \(name)", link: "", value: median(times), unit: "s",
            goal: nil)
        }
      }
    }
  }

  private static func parts(_ megabytes: Int) -> [(name: String, states: Set<String>)] {
    [
      (
        "from the first request to the command, less the upload",
        [
          "creating", "pricing", "booting", "connecting", "launching",
        ]
      ),
      ("\(megabytes) MiB to each", ["uploading"]),
      ("given back and proved gone", ["releasing", "proving"]),
    ]
  }

  /// The states that a job of `count` nodes passes, and how long each takes.
  private func timeline(of count: Int, _ round: Int, _ environment: [String: String]) throws -> [(
    state: String, seconds: Double
  )] {
    let name = "nodes-\(count)-\(round)"
    let job = try write(
      "nodes.json",
      #"{"name": "\#(name)", "resources": {"max_hourly_price": "90.00"}, "nodes": \#(count), "files": ["payload"], "#
        + #""command": "true", "limits": {"max_duration": "10m"}, "retry": {"attempts": 1}}"#)
    try Program.run([Binaries.fcrun, "submit", job, "--yes"], environment: environment)
    let shown = folder + "/shown"
    try Program.run([Binaries.fcrun, "show", name, "--json"], environment: environment, stdout: shown)
    let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: shown))) as? [String: Any]
    guard let steps = object?["timeline"] as? [[String: Any]] else { throw Unmet("show --json has no timeline") }
    return steps.map { ($0["state"] as? String ?? "", $0["seconds"] as? Double ?? 0) }
  }
}
