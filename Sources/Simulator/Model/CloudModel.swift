#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The truth about a simulated cloud: its instances, its faults, its ledger.
///
/// A value without clock, input or output. Time comes in as `now`, milliseconds that never go back; the same seed and the same calls give the
/// same answers. The HTTP shell and the simulation in virtual time use this one model.
package struct CloudModel: Sendable {
  /// What may be turned at any time; counts of faults that changed begin again.
  package var knobs: Knobs {
    didSet { forgetCounts(differingFrom: oldValue) }
  }
  /// The offerings as they are now; a price or availability may be changed at any time.
  package var offeringList: [SimOffering]
  /// The kinds of volumes.
  package var volumeOfferingList: [SimVolumeOffering]
  /// The account's volumes; `mountedBy` here is a mount by somebody else's instance.
  package var volumeList: [SimVolume]
  /// The account's keys.
  package var keyList: [SimKey]
  /// The models.
  package var modelList: [SimModel]
  /// Login name that instances state.
  package var sshUser: String

  var random: SplitMix64
  /// Every instance ever made, in order.
  var records: [Record] = []
  /// Where an id is in ``records``. Only looked up, never walked: its order is not the same in two processes.
  var places: [String: Int] = [:]
  var agenda = Agenda()
  var counts: [Knobs.Key: Int] = [:]
  /// Instances that have come back from their deletion.
  package internal(set) var returned: Set<String> = []
  /// How often each fault has struck.
  package private(set) var struck: [Knobs.Key: Int] = [:]
  /// POSTs for each name, in order of the first.
  var posts: [PostCount] = []
  /// Addresses that were freed, the last one last.
  var freedAddresses: [SimAddress] = []
  var addressesGiven = 0
  /// The latest `now`.
  package internal(set) var clock: Int64 = 0

  /// POSTs seen for one name, whatever became of them.
  package struct PostCount: Sendable, Equatable {
    /// The name of the POSTs.
    package var name: String
    /// How many.
    package var count: Int
  }

  /// A cloud with nothing rented.
  package init(
    seed: UInt64, knobs: Knobs = Knobs(), offerings: [SimOffering] = Catalogue.offerings,
    volumeOfferings: [SimVolumeOffering] = Catalogue.volumeOfferings, volumes: [SimVolume] = Catalogue.volumes,
    keys: [SimKey] = [], models: [SimModel] = Catalogue.models, sshUser: String = "ubuntu"
  ) {
    random = SplitMix64(seed: seed)
    self.knobs = knobs
    offeringList = offerings
    volumeOfferingList = volumeOfferings
    volumeList = volumes
    keyList = keys
    modelList = models
    self.sshUser = sshUser
  }

  // MARK: Time

  /// When the cloud next changes by itself; nil: never.
  package var nextChange: Int64? {
    guard let spent = whenBalanceIsSpent else { return agenda.first }
    return agenda.first.map { min($0, spent) } ?? spent
  }

  /// Lets everything happen that is due until `now`, each thing at its own moment.
  package mutating func advance(to now: Int64) {
    while let next = nextChange, next <= now {
      clock = max(clock, next)
      if let due = agenda.popFirst(until: next) {
        happen(due.event)
      } else {
        takeEverythingAway()
      }
    }
    clock = max(clock, now)
  }

  // MARK: Faults

  /// Whether this occasion of a fault is hit; counts the occasion.
  mutating func hits(_ key: Knobs.Key, _ fault: Fault) -> Bool {
    guard fault.percent > 0 else { return false }
    let index = counts[key, default: 0]
    counts[key] = index + 1
    guard fault.hits(index, random: &random) else { return false }
    struck[key, default: 0] += 1
    return true
  }

  private mutating func forgetCounts(differingFrom old: Knobs) {
    for key in old.faultsDiffering(from: knobs) { counts[key] = nil }
  }

  // MARK: Reading the truth

  /// What every instance cost until now, in order of creation.
  package func ledger() -> [LedgerEntry] {
    records.map { $0.entry(at: clock) }
  }

  /// Instances that are billed now.
  package var billed: [LedgerEntry] {
    ledger().filter { $0.ending == nil }
  }

  /// Every instance that is billed now, in order of creation; `listedFrom`: when a list shows it at the earliest.
  package var living: [(id: String, name: String, listedFrom: Int64)] {
    records.lazy.filter(\.isLive).map { ($0.id, $0.request.name, $0.listedFrom) }
  }

  /// POSTs for each name, in order of the first.
  package var postCounts: [PostCount] { posts }

  /// What should run for each instance now, in order of creation. The shell makes it so with real machines.
  package var machines: [SimMachine] {
    records.map { $0.machine(keys: keyList) }
  }

  /// How many instances were ever made.
  var machineCount: Int { records.count }

  /// One of ``machines``, by its place.
  func machine(at index: Int) -> SimMachine { records[index].machine(keys: keyList) }

  /// One of ``machines``.
  package func machine(_ id: String) -> SimMachine? {
    places[id].map { records[$0].machine(keys: keyList) }
  }

  /// Gives an instance the address it really has; the model's own are made up.
  package mutating func setAddress(of id: String, to address: SimAddress) {
    guard let place = places[id] else { return }
    records[place].readdress(to: address)
  }
}

/// Where a machine listens.
package struct SimAddress: Sendable, Equatable {
  /// IPv4.
  package var ip: String
  /// TCP port of sshd.
  package var port: Int

  /// An address.
  package init(ip: String, port: Int) {
    self.ip = ip
    self.port = port
  }
}

/// What should run for one instance.
package struct SimMachine: Sendable, Equatable {
  /// The instance.
  package var id: String
  /// `absent`: nothing of it may be left. `off`: no process, disk kept. `on`: sshd answers.
  package var power: Power
  /// Where sshd listens.
  package var address: SimAddress
  /// The registered public keys that sshd takes now.
  package var authorizedKeys: [String]
  /// Goes up with each boot; processes do not outlive one.
  package var boots: Int
  /// Goes up with each change of the host key.
  package var hostKeys: Int
  /// Goes up with each change of the address.
  package var moves: Int
  /// The environment of the POST.
  package var envs: [SimEnvironmentVariable]

  /// Whether a machine is there.
  package enum Power: Sendable, Equatable {
    case absent, off, on
  }
}

/// What is going to happen, the next thing last.
struct Agenda: Sendable {
  struct Entry: Sendable {
    var at: Int64
    var number: UInt64
    var event: CloudEvent
  }

  private var entries: [Entry] = []
  private var count: UInt64 = 0

  var first: Int64? { entries.last?.at }

  mutating func add(_ event: CloudEvent, at: Int64) {
    count += 1
    // Entries of one moment happen in the order they were added.
    var place = entries.count
    while place > 0, entries[place - 1].at <= at { place -= 1 }
    entries.insert(Entry(at: at, number: count, event: event), at: place)
  }

  mutating func popFirst(until now: Int64) -> Entry? {
    guard let last = entries.last, last.at <= now else { return nil }
    return entries.popLast()
  }
}

/// What happens by itself. `instance` is a place in the model's records; `life` says which of its lives was meant.
enum CloudEvent: Sendable {
  case execute(SimCreateRequest)
  case instance(Int, life: Int, InstanceEvent)
}

enum InstanceEvent: Sendable {
  case boot, bootFails, showAddress, startSSHD, installKeys
  case fail, preempt, restart, restarted, flap, flapEnds, move, changeHostKey
  case finishDelete, forget, comeBack
}
