import TestSupport

/// What is done to one job. Follows from a seed and a number, and is written and read as one line of text.
package struct Plan: Sendable, Equatable {
  package var strike: Strike
  /// What the processes that resume the job die of, one after the other; the last one lives.
  package var resumes: [Blow] = []
  /// `resume --all`, or `resume ID`.
  package var resumesAll = false
  /// Machines of the job.
  package var nodes = 1
}

/// What happens to the first process, or to its connections.
package enum Strike: Sendable, Equatable {
  case blow(Blow)
  /// The exchange of POST, cut at one place for each of several jobs.
  case post([Cut])
  /// The connections to the machine, cut one after the other.
  case ssh([Cut])
}

/// What a process dies of, or what fails in it.
package enum Blow: Sendable, Equatable {
  /// A place in Sources/fcrun/Failpoints.swift.
  case failpoint(String)
  /// Seconds after its start.
  case time(Double)
  /// SIGKILL at the `nth` call of some thread.
  case kill(Site)
  /// That call fails instead.
  case fail(Site, with: String)
}

/// A system call of a program: the `nth` of its kind in whichever thread comes to it first.
///
/// Threads of a pool are alike, and strace(1) counts for each thread. So the sites of a program are all N up to the
/// highest count that any of its threads reaches in a run without faults.
package struct Site: Sendable, Equatable, Hashable {
  package enum Program: String, Sendable { case fcrun, worker }

  package var program: Program
  package var call: String
  package var nth: Int

  package init(program: Program, call: String, nth: Int) {
    (self.program, self.call, self.nth) = (program, call, nth)
  }

  /// What makes bytes durable, or sends them: every number of these few is tried, of the others a sample.
  package static let calls = [
    "write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg", "fsync", "fdatasync", "rename", "renameat",
    "renameat2", "ftruncate", "unlink", "unlinkat", "mkdir", "mkdirat", "link", "linkat",
  ]
  package static let few = 48

  /// Most of what fcrun itself gives write(2) are wake-ups of SwiftNIO's loops. An eventfd fails neither with EIO nor with ENOSPC
  /// (eventfd(2)), and a loop whose wake-up failed is never woken again: SwiftNIO believes it to be under way.
  var canFail: Bool { program != .fcrun || call != "write" }
}

// MARK: - Kinds

package enum Kind: String, CaseIterable, Sendable {
  case failpoint, time, syscall, error, post, ssh

  /// The kind of run `number`: each in its share, none late.
  package static func of(_ number: Int) -> Kind { order[number % order.count] }

  /// How many runs before `number` are of its kind.
  package static func ordinal(_ number: Int) -> Int {
    let kind = of(number)
    let share = order.count { $0 == kind }
    return number / order.count * share + order[..<(number % order.count)].count { $0 == kind }
  }

  private static let order: [Kind] = [
    .post, .failpoint, .syscall, .time, .ssh, .error, .failpoint, .syscall, .time, .error,
    .syscall, .ssh, .error, .syscall, .post, .failpoint, .error, .time, .syscall, .error,
  ]
}

extension Plan {
  package var kind: Kind {
    switch strike {
    case .post: .post
    case .ssh: .ssh
    case .blow(.failpoint): .failpoint
    case .blow(.time): .time
    case .blow(.kill): .syscall
    case .blow(.fail): .error
    }
  }
}

// MARK: - From a seed

/// Sizes of a run without faults: what there is to cut and to kill.
package struct Terrain: Sendable {
  /// Bytes of the exchange of POST.
  package var post = (there: 500, back: 600)
  /// Bytes of the connection to the machine.
  package var ssh = (there: 300_000, back: 600_000)
  package var seconds = 4.0
  /// Empty where nothing can be traced.
  package var sites: [Site] = []
  package var hasFailpoints = false
  /// Jobs beside each other in a run of kind `post`, and connections cut in one of kind `ssh`.
  package var cutsOfPost = 16
  package var cutsOfSSH = 10
  /// Of a job that has several.
  package var mostNodes = 8

  package init() {}
}

extension Plan {
  /// Run `number` of `seed`; nil where it cannot be made on this computer.
  package init?(seed: UInt64, number: Int, on terrain: Terrain) {
    self.init(seed: seed, Kind.of(number), Kind.ordinal(number), number, on: terrain)
  }

  /// The `ordinal`-th of its kind.
  package init?(seed: UInt64, _ kind: Kind, _ ordinal: Int, _ number: Int, on terrain: Terrain) {
    var random = Random(seed &* 1_000_003 &+ UInt64(number))
    guard let strike = Strike(kind, ordinal, seed, on: terrain, &random) else { return nil }
    self.init(strike: strike)
    resumesAll = random.below(2) == 0
    guard case .blow = strike else { return }
    for _ in 0..<[0, 0, 1, 1, 2][random.below(5)] {
      resumes.append(random.blow(within: terrain.seconds, hasFailpoints: terrain.hasFailpoints))
    }
    if random.below(4) == 0 { nodes = 2 + random.below(terrain.mostNodes - 1) }
  }
}

extension Strike {
  fileprivate init?(_ kind: Kind, _ ordinal: Int, _ seed: UInt64, on terrain: Terrain, _ random: inout Random) {
    switch kind {
    case .failpoint where terrain.hasFailpoints:
      self = .blow(.failpoint(Order(of: Blow.places.count, seed)[ordinal].in(Blow.places)))
    case .failpoint, .time: self = .blow(.time(random.unit() * terrain.seconds))
    case .syscall:
      guard let site = Site.choose(ordinal, seed, terrain.sites) else { return nil }
      self = .blow(.kill(site))
    case .error:
      guard let site = Site.choose(ordinal / 2, seed, terrain.sites.filter(\.canFail)) else { return nil }
      self = .blow(.fail(site, with: ["ENOSPC", "EIO"][ordinal % 2]))
    case .post: self = .post(Self.cuts(ofPost: ordinal, seed, terrain))
    case .ssh: self = .ssh(Self.cuts(ofSSH: terrain, &random))
    }
  }

  /// Every byte of request and answer has its turn, in an order that is spread out from the beginning.
  private static func cuts(ofPost ordinal: Int, _ seed: UInt64, _ terrain: Terrain) -> [Cut] {
    let order = Order(of: terrain.post.there + terrain.post.back, seed)
    return (0..<terrain.cutsOfPost).map { index in
      let turn = ordinal * terrain.cutsOfPost + index
      let place = order[turn]
      // RST and an orderly end take turns, and change places in the second round.
      let resets = (place + turn / order.count) % 2 == 0
      return place < terrain.post.there
        ? Cut(.there, after: place, resets: resets) : Cut(.back, after: place - terrain.post.there, resets: resets)
    }
  }

  /// Half of them early, where keys and requests are exchanged; the others anywhere.
  ///
  /// In an order in which each is met: a connection that is made again carries the upload only until it is done, and the
  /// outputs, which come last, whenever they were cut.
  private static func cuts(ofSSH terrain: Terrain, _ random: inout Random) -> [Cut] {
    let cuts = (0..<terrain.cutsOfSSH).map { _ in
      let way: Cut.Way = random.below(2) == 0 ? .there : .back
      let size = way == .there ? terrain.ssh.there : terrain.ssh.back
      let end = random.below(2) == 0 ? min(size, early) : size
      return Cut(way, after: random.below(end), resets: random.below(2) == 0)
    }
    return cuts.sorted { ($0.stage, $0.after) < ($1.stage, $1.after) }
  }

  fileprivate static let early = 6000
}

extension Cut {
  /// When its bytes pass: before anything is asked for, with the files, or after them.
  fileprivate var stage: Int {
    switch way {
    case .there: after < Strike.early ? 0 : 1
    case .back: after < 2000 ? 0 : 2
    }
  }
}

extension Site {
  /// First every site of the few, then the others without a repetition, then from the beginning.
  fileprivate static func choose(_ ordinal: Int, _ seed: UInt64, _ sites: [Site]) -> Site? {
    guard !sites.isEmpty else { return nil }
    let isOfFew = Dictionary(grouping: sites) { "\($0.program) \($0.call)" }.mapValues { $0.count <= Site.few }
    let few = sites.filter { isOfFew["\($0.program) \($0.call)"] == true }
    let many = sites.filter { isOfFew["\($0.program) \($0.call)"] != true }
    let turn = ordinal % sites.count
    if turn < few.count { return few[Order(of: few.count, seed)[turn]] }
    return many[Order(of: many.count, seed)[turn - few.count]]
  }
}

extension Blow {
  /// Each place of Sources/fcrun/Failpoints.swift that the way of a job without faults passes.
  package static let places: [String] = {
    let states = [
      "creating", "pricing", "booting", "connecting", "uploading", "launching", "running", "collecting", "releasing",
      "proving", "finished",
    ]
    let calls = ["post", "instance", "instances", "delete", "connect", "upload", "launch", "follow", "collect"]
    return (states.map { "commit:\($0)" } + calls + ["offering"]).flatMap { ["before-\($0)", "after-\($0)"] }
      + ["before-instance:2", "after-instance:3", "after-instances:2"]
  }()
}

// MARK: - Randomness

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct Random {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// 0 where there is nothing below.
  mutating func below(_ end: Int) -> Int { end > 0 ? Int(next() % UInt64(end)) : 0 }

  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func blow(within seconds: Double, hasFailpoints: Bool) -> Blow {
    hasFailpoints && below(2) == 0
      ? .failpoint(Blow.places[below(Blow.places.count)]) : .time((unit() * seconds * 100).rounded() / 100)
  }
}

/// The numbers 0..<count in an order that is spread out from its beginning; after the last the first again.
struct Order {
  let count: Int
  private let stride: Int
  private let start: Int

  init(of count: Int, _ seed: UInt64) {
    self.count = count
    // Near the golden ratio, and without a common divisor: every number is met once.
    var stride = max(1, Int(Double(count) * 0.618_033_988_75))
    while Self.divisor(stride, count) > 1 { stride += 1 }
    self.stride = stride
    start = count > 0 ? Int(seed % UInt64(count)) : 0
  }

  subscript(_ turn: Int) -> Int { (start + turn % count * stride) % count }

  private static func divisor(_ left: Int, _ right: Int) -> Int { right == 0 ? left : divisor(right, left % right) }
}

extension Int {
  fileprivate func `in`<Element>(_ list: [Element]) -> Element { list[self] }
}
