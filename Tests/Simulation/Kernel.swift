import Jobs
import Runner
import Simulator
import Store

/// One world in virtual time: the clock, the cloud, the machines and the state folder of one seed, and what is known to
/// have gone wrong in it.
///
/// Safe: of all the tasks of a seed exactly one runs at a time, see ``Turns``.
final class Kernel: @unchecked Sendable {
  private(set) var now = Moment(milliseconds: 1_800_000_000_000)
  var random: SplitMix64
  var cloud: CloudModel
  var hosts: [String: SimulatedHost] = [:]
  let disk: Disk
  let turns = Turns()
  static let mostCalls = 200_000
  /// Port calls of all processes.
  var calls = 0
  var crashes = 0
  var trace: Trace
  /// What the job's files on this computer hold.
  var files = LocalFiles()
  var witness = Witness()
  var user = User()
  /// In a hundred verbs, how many lose their connection, and how many fail on the machine itself.
  var lossPercent = 0.0
  var remoteFailurePercent = 0.0
  var deadGPUPercent = 0.0
  var silentGPUPercent = 0.0
  /// What happens by itself, soonest first.
  private var later: [(at: Moment, what: () -> Void)] = []

  init(seed: UInt64, disk: Disk, isTraced: Bool) {
    random = SplitMix64(seed: seed ^ 0x5EED)
    self.disk = disk
    trace = Trace(isKept: isTraced)
    cloud = CloudModel(
      seed: seed, keys: [SimKey(id: "key-1", name: "test", publicKey: "ssh-ed25519 AAAA test")])
  }

  func fraction() -> Double { Double(random.next() >> 11) * 0x1p-53 }

  func between(_ low: Int64, _ high: Int64) -> Int64 { low + Int64(fraction() * Double(high - low + 1)) }

  func note(_ line: @autoclosure () -> String) {
    guard trace.isKept else { return }
    let line = line()
    trace.note(line, at: now)
  }

  // MARK: - Time

  /// Lets everything happen that is due until `moment`, each thing at its own time.
  func advance(to moment: Moment) {
    while let next = later.first, next.at <= moment {
      later.removeFirst()
      move(to: next.at)
      next.what()
    }
    move(to: moment)
  }

  private func move(to moment: Moment) {
    now = max(now, moment)
    cloud.advance(to: now.milliseconds)
  }

  func after(_ duration: Duration, _ what: @escaping () -> Void) {
    let at = now + duration
    let place = later.firstIndex { $0.at > at } ?? later.endIndex
    later.insert((at, what), at: place)
  }

  /// When something next happens by itself, in the cloud or on a machine.
  var nextChange: Moment? {
    let inCloud = cloud.nextChange.map { Moment(milliseconds: $0) + .milliseconds(1) }
    guard let first = later.first?.at else { return inCloud }
    return inCloud.map { min($0, first) } ?? first
  }

  /// Nothing goes wrong at all.
  var isFriendly = false
  /// Lists leave out what lives, or a refusal hides what was made: two lists without the name are enough then (rulings 5).
  var listsLie = false
  /// Reads say 404 for what lives, and lists leave it out: both together are a proof, and no client could know better
  /// (docs/guarantees.md, "A cloud that lies for long").
  var deceives = false
  /// A second process has begun while the first one still lived.
  var isTakenOver = false
  /// No process' clock differs from the truth.
  var clocksAgree = true

  // MARK: - The end of all faults

  private(set) var isHealed = false

  func heal() {
    isHealed = true
    cloud.knobs = Knobs()
    (lossPercent, remoteFailurePercent, deadGPUPercent, silentGPUPercent) = (0, 0, 0, 0)
    (disk.failurePercent, disk.fullFrom) = (0, nil)
    user = User()
    cloud.finishStuckDeletions(now: now.milliseconds)
  }

  func host(_ id: String) -> SimulatedHost {
    if let host = hosts[id] { return host }
    let host = SimulatedHost()
    hosts[id] = host
    return host
  }
}

/// What happened, line by line where somebody will read it, and as one number where two runs are compared.
package struct Trace {
  let isKept: Bool
  package private(set) var lines: [String] = []

  init(isKept: Bool) { self.isKept = isKept }

  mutating func note(_ line: String, at now: Moment) {
    let time = now.milliseconds - 1_800_000_000_000
    let whole = "\(time / 1000).\(String(1000 + time % 1000).dropFirst())"
    lines.append("\(String(repeating: " ", count: max(0, 12 - whole.count)))\(whole)  \(line)")
  }

  /// FNV-1a over all lines: equal for equal traces in every process.
  package var hash: UInt64 {
    lines.reduce(0xcbf2_9ce4_8422_2325) { hash, line in
      line.utf8.reduce(hash) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 } &* 0x100_0000_01b3
    }
  }
}
