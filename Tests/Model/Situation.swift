/// One state of everything, packed: equal exactly when nothing that follows could tell them apart.
struct Situation: Equatable {
  /// Names 0 and 1, and the counters.
  var low: UInt64 = 0
  /// Names 2 and 3.
  var high: UInt64 = 0
  /// The driver's state, by its number in the ``ClientTable``.
  var driver: UInt32 = 0
  var driving = Doing()
  /// The reaper's, while one runs: 0 is none.
  var reaper: UInt32 = 0
  var reaping = Doing()

  static let none = UInt32.max

  subscript(name: Int) -> Name {
    get { Name(bits: (name < 2 ? low : high) >> shift(name) & Self.nameMask) }
    set {
      if name < 2 {
        low = low & ~(Self.nameMask << shift(name)) | newValue.bits << shift(name)
      } else {
        high = high & ~(Self.nameMask << shift(name)) | newValue.bits << shift(name)
      }
    }
  }

  var crashes: Int {
    get { Int(low >> 62) }
    set { low = low & ~(3 << 62) | UInt64(newValue) << 62 }
  }

  var wasAskedToEnd: Bool {
    get { high >> 62 & 1 == 1 }
    set { high = high & ~(1 << 62) | (newValue ? 1 << 62 : 0) }
  }

  var hasExecutedTwice: Bool {
    get { high >> 63 == 1 }
    set { high = high & ~(1 << 63) | (newValue ? 1 << 63 : 0) }
  }

  var hash: UInt64 {
    var hash = low &* 0x9E37_79B9_7F4A_7C15
    hash = (hash ^ hash >> 29 ^ high) &* 0xBF58_476D_1CE4_E5B9
    hash = (hash ^ hash >> 32 ^ (UInt64(driver) << 32 | UInt64(driving.bits))) &* 0x94D0_49BB_1331_11EB
    hash = (hash ^ hash >> 29 ^ (UInt64(reaper) << 32 | UInt64(reaping.bits))) &* 0x9E37_79B9_7F4A_7C15
    return hash ^ hash >> 31
  }

  private static let nameMask: UInt64 = 1 << 31 - 1
  private func shift(_ name: Int) -> UInt64 { name % 2 == 0 ? 0 : 31 }
}

/// What the world holds under one name.
struct Name: Equatable {
  var bits: UInt64

  private func field(_ at: Int, _ width: Int) -> Int { Int(bits >> UInt64(at) & (1 << UInt64(width) - 1)) }

  private mutating func set(_ at: Int, _ width: Int, _ value: Int) {
    let mask: UInt64 = (1 << UInt64(width) - 1) << UInt64(at)
    bits = bits & ~mask | UInt64(value) << UInt64(at)
  }

  /// POSTs that have left, ever; 2 stands for more.
  var posts: Int {
    get { field(0, 2) }
    set { set(0, 2, newValue) }
  }

  /// Ticks since the name was last put under watch, plus 1; 0: never.
  var watchAge: Int {
    get { field(2, 4) }
    set { set(2, 4, min(newValue, 15)) }
  }

  func flight(_ index: Int) -> Flight { Flight(bits: field(6 + 5 * index, 5)) }
  mutating func set(_ index: Int, _ flight: Flight) { set(6 + 5 * index, 5, flight.bits) }

  func instance(_ index: Int) -> ModelInstance { ModelInstance(bits: field(16 + 7 * index, 7)) }
  mutating func set(_ index: Int, _ instance: ModelInstance) { set(16 + 7 * index, 7, instance.bits) }

  var wasExecutedTwice: Bool {
    get { field(30, 1) == 1 }
    set { set(30, 1, newValue ? 1 : 0) }
  }

  var hasFlights: Bool { flight(0).isThere || flight(1).isThere }
  var living: Int { (instance(0).isAlive ? 1 : 0) + (instance(1).isAlive ? 1 : 0) }
  var freeInstance: Int? { instance(0).life == .none ? 0 : instance(1).life == .none ? 1 : nil }
  var freeFlight: Int? { !flight(0).isThere ? 0 : !flight(1).isThere ? 1 : nil }
}

/// A POST on its way, or in the cloud's queue.
struct Flight: Equatable {
  var bits: Int

  static let none = Flight(bits: 0)
  static let justSent = Flight(bits: 1 | 16)

  var isThere: Bool { bits & 15 != 0 }
  var age: Int { bits & 15 - 1 }
  /// Somebody waits for its answer.
  var isAwaited: Bool { bits & 16 != 0 }
  var unawaited: Flight { Flight(bits: bits & 15) }
  var older: Flight { Flight(bits: bits + 1) }
}

/// A machine of the cloud.
struct ModelInstance: Equatable {
  enum Life: Int { case none, live, deleting, deleted, gone }

  var bits: Int

  init(bits: Int) { self.bits = bits }
  init(_ life: Life, isKnown: Bool = false) { bits = life.rawValue | (isKnown ? 32 : 0) }

  var life: Life { Life(rawValue: bits & 7)! }
  /// Ticks since it was made, as far as the lag goes.
  var age: Int { bits >> 3 & 3 }
  /// A committed state of the client has named it.
  var isKnown: Bool { bits & 32 != 0 }
  /// It is billed.
  var isAlive: Bool { life == .live || life == .deleting }

  /// A GET has shown it while lists need not yet: from then on every GET knows it (rulings 6).
  var isShown: Bool { bits & 64 != 0 }

  func older(_ lag: Int) -> ModelInstance {
    guard isAlive, age < lag else { return self }
    return age + 1 < lag ? ModelInstance(bits: bits + 8) : ModelInstance(bits: (bits & 63) + 8)
  }

  func shown(_ lag: Int) -> ModelInstance { isAlive && age < lag ? ModelInstance(bits: bits | 64) : self }
  var known: ModelInstance { ModelInstance(bits: bits | 32) }

  func becoming(_ life: Life) -> ModelInstance {
    let whileAlive = life == .deleting ? bits & (64 | 24) : 0
    return ModelInstance(bits: bits & 32 | whileAlive | life.rawValue)
  }
}

/// Where a process is in what it does: lost when it dies.
struct Doing: Equatable {
  enum Mode: UInt32 { case down, up, ended }

  var bits: UInt32 = 0

  var mode: Mode {
    get { Mode(rawValue: bits & 3)! }
    set { bits = bits & ~3 | newValue.rawValue }
  }

  /// It was told to end by a signal.
  var isSignalled: Bool {
    get { bits & 4 != 0 }
    set { bits = bits & ~4 | (newValue ? 4 : 0) }
  }

  /// Answers of the present effect so far.
  var step: Int {
    get { Int(bits >> 3 & 7) }
    set { bits = bits & ~(7 << 3) | UInt32(newValue) << 3 }
  }

  /// Those answers, three bits each.
  var answers: UInt32 {
    get { bits >> 6 }
    set { bits = bits & 63 | newValue << 6 }
  }

  var isBetweenEffects: Bool { bits >> 3 == 0 }

  func answer(_ index: Int) -> Int { Int(answers >> UInt32(3 * index) & 7) }

  mutating func answer(_ index: Int, _ answer: Int) {
    answers = answers & ~(7 << UInt32(3 * index)) | UInt32(answer) << UInt32(3 * index)
  }

  mutating func beginNext() { bits &= 7 }
}
