import Dispatch
import Foundation
import Remote
import Synchronization
import TestSupport

/// A large file for several machines over one way out: sent once and passed on, or sent to each.
struct FanOutContest {
  let machines: [Machine]
  let folder: String
  let megabytes: Int

  private static let (control, workdir, job) = ("~/.fcrun/bench/a1", "~/wide", "bench")
  private static let rate = 12.5e6
  private static let way = Link(roundTrip: 0.02, rate: rate)
  /// What is left of the way for one of all when all of them use it.
  private var share: Link { Link(roundTrip: 0.02, rate: Self.rate / Double(machines.count)) }

  init(count: Int, folder: String, megabytes: Int) throws {
    machines = try (0..<count).map { try Machine(in: "\(folder)/wide-\($0)") }
    (self.folder, self.megabytes) = (folder, megabytes)
    try FileManager.default.createDirectory(atPath: folder + "/once", withIntermediateDirectories: true)
    try Program.shell("head -c \(megabytes << 20) /dev/urandom >'\(folder)/once/data'")
  }

  func stop() { for machine in machines { machine.stop() } }

  var contest: Contest {
    Contest(
      work: "\(megabytes) MiB to \(machines.count) machines", link: Self.way, prepare: clear, verify: arrived,
      fcrun: { try timed { try passedOn() } },
      others: [
        Contender(name: "sent to each from here") {
          try timed { try atOnce(machines) { try upload(to: $0, over: share).end() } }
        }
      ])
  }

  private func clear() throws {
    for machine in machines { try Program.shell("rm -rf '\(machine.home)/wide' '\(machine.home)/.fcrun'") }
  }

  private func arrived() throws {
    for machine in machines { try Program.shell("cmp '\(folder)/once/data' '\(machine.home)/wide/once/data'") }
  }

  // MARK: The two ways

  /// As the driver does it, script by script.
  private func passedOn() throws -> [Usage] {
    let (head, others) = (machines[0], Array(machines.dropFirst()))
    let first = try upload(to: head, over: Self.way)
    let key = try told(FanOut.mint(in: Self.control), first)
    let workers = try others.map { try Worker.connected(to: $0, over: Self.way) }
    for worker in workers { _ = try told(FanOut.letIn(key, of: Self.job, as: "1", in: Self.control), worker) }
    let peers = try others.map { machine in
      Cluster.Node(
        ip: "127.0.0.1", interface: nil, prefix: nil, sshPort: machine.port, user: machine.user,
        hostKey: try String(contentsOfFile: machine.folder + "/host.pub", encoding: .utf8)
          .split(separator: " ").prefix(2).joined(separator: " "))
    }
    let sent = try told(FanOut.send(Self.workdir, to: peers, as: "1", in: Self.control), first)
    guard sent.split(separator: "\n").count == peers.count else { throw Unmet("it was not passed on: \(sent)") }
    for worker in workers { _ = try told(FanOut.take(Self.workdir, as: "1", in: Self.control), worker) }
    for worker in [first] + workers { _ = try told(FanOut.end(of: Self.job, in: Self.control), worker) }
    let rest = try atOnce(workers) { worker in
      try worker.perform(verb)
      return try worker.end()
    }
    return [try first.end()] + rest
  }

  private var verb: Request.Verb {
    .upload(
      Upload(
        control: Self.control, workdir: Self.workdir,
        sources: [.init(source: folder + "/once", destination: "once", exclude: [], isWhole: true)]))
  }

  private func upload(to machine: Machine, over link: Link) throws -> Worker {
    let worker = try Worker.connected(to: machine, over: link)
    try worker.perform(verb)
    return worker
  }

  private func told(_ script: String, _ worker: Worker) throws -> String {
    guard case .executed(let told) = try worker.perform(.exec(Exec(command: script, timeout: 120))), told.exitCode == 0
    else { throw Unmet("a script failed") }
    return told.stdout
  }

  private func atOnce<One>(_ all: [One], _ work: (One) throws -> Usage) throws -> [Usage] {
    let results = Mutex<[Result<Usage, any Error>]>([])
    withoutActuallyEscaping(work) { work in
      nonisolated(unsafe) let (all, work) = (all, work)
      DispatchQueue.concurrentPerform(iterations: all.count) { place in
        let result = Result { try work(all[place]) }
        results.withLock { $0.append(result) }
      }
    }
    return try results.withLock { $0 }.map { try $0.get() }
  }

  /// From the first to the last; what all of them took of the processor.
  private func timed(_ work: () throws -> [Usage]) throws -> Usage {
    let start = ContinuousClock.now
    let parts = try work()
    return Usage(
      seconds: (.now - start) / .seconds(1), cpu: parts.reduce(0) { $0 + $1.cpu })
  }
}
