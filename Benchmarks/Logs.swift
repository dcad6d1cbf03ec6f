import Foundation
import Remote
import TestSupport

/// The job's output, from the moment it is printed.
struct Logs {
  let machine: Machine
  let folder: String
  let sizes: Sizes

  private static let links = [Link.loopback, Link(roundTrip: 0.02)]

  func contests() -> [Contest] { Self.links.prefix(1).map(throughput) }

  private func launch(_ command: String, named control: String) throws {
    let worker = try Worker.connected(to: machine, over: .loopback)
    try worker.perform(
      .launch(
        Launch(
          control: control, workdir: "~/work", environment: [], setup: nil, command: .script(command),
          maxDuration: nil, grace: 1)))
    try worker.end()
  }

  private func follow(_ control: String, _ worker: Worker, watching: (WorkerEvent.Kind) -> Void = { _ in }) throws {
    try worker.perform(
      .follow(Follow(control: control, stdout: folder + "/log", stderr: folder + "/err", mask: [])), watching: watching)
  }

  private func emptied() throws { try Program.shell("rm -f '\(folder)/log' '\(folder)/err' '\(folder)/log.times'") }

  // MARK: Throughput

  private func throughput(over link: Link) -> Contest {
    let control = "c/log"
    return Contest(
      work: "\(sizes.logMegabytes) MB of log", link: link,
      prepare: {
        try emptied()
        if !FileManager.default.fileExists(atPath: "\(machine.home)/\(control)/exit") {
          try launch(
            "yes 'a line of a log, as long as lines of logs are' | head -c \(sizes.logMegabytes * 1_000_000)",
            named: control)
          try Program.shell("while [ ! -f '\(machine.home)/\(control)/exit' ]; do sleep 0.1; done")
        }
      },
      verify: { try Program.shell("cmp '\(machine.home)/\(control)/stdout' '\(folder)/log'") },
      fcrun: {
        let worker = try Worker.connected(to: machine, over: link)
        try follow(control, worker)
        return try worker.end()
      },
      others: [
        Contender(name: "ssh cat", goal: 0.85) {
          try Program.run(machine.ssh(over: link, "cat ~/\(control)/stdout"), stdout: folder + "/log")
        }
      ])
  }

  // MARK: Latency

  func figures() throws -> [Figure] { try Self.links.flatMap(latency) }

  /// A line is a moment of the machine's clock, which is ours.
  private func latency(over link: Link) throws -> [Figure] {
    let control = "c/ticks-\(link.roundTrip)"
    try emptied()
    try launch(
      "i=0; while [ $i -lt \(sizes.ticks) ]; do date +%s%N; i=$((i+1)); sleep 0.005; done; date +%s%N", named: control)
    let worker = try Worker.connected(to: machine, over: link)
    var delays: [Double] = []
    var last = 0.0
    var position: UInt64 = 0
    try follow(control, worker) { event in
      guard case .log(let growth) = event, growth.stream == .stdout,
        let file = FileHandle(forReadingAtPath: folder + "/log")
      else { return }
      let now = Self.now()
      try? file.seek(toOffset: position)
      let text = String(decoding: (try? file.readToEnd()) ?? Data(), as: UTF8.self)
      try? file.close()
      position += UInt64(text.utf8.count)
      let moments = text.split(separator: "\n").compactMap { Double($0) }
      delays += moments.map { (now - $0) / 1e6 }
      last = moments.last ?? last
    }
    let ended = (Self.now() - last) / 1e6
    try worker.end()
    // What was printed before we were there came in at once.
    let settled = Array(delays.dropFirst(delays.count / 4))
    let half = link.roundTrip * 500
    return [
      Figure(
        work: "a printed line is here, p50, less half a round trip", link: link.name,
        value: percentile(0.5, settled) - half, unit: "ms", goal: 1),
      Figure(
        work: "a printed line is here, p99, less half a round trip", link: link.name,
        value: percentile(0.99, settled) - half, unit: "ms", goal: 5),
      Figure(
        work: "the command's end is known, less a round trip", link: link.name,
        value: ended - 2 * half, unit: "ms", goal: 50),
    ]
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) * 1e9 + Double(time.tv_nsec)
  }
}
