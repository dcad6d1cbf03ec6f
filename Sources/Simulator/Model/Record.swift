#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One instance as it is.
struct Record: Sendable {
  let id: String
  let request: SimCreateRequest
  let provider: String
  let region: String
  let hourlyPrice: Decimal
  let created: Int64
  let listedFrom: Int64
  let readableFrom: Int64
  let wordWhileBooting: String?

  var status = Status.creating
  /// What GET says instead of the status.
  var disguise: String?
  var address: SimAddress
  var addressShown = false
  var power = SimMachine.Power.off
  var keysInstalled = false
  var boots = 0
  var hostKeys = 0
  var moves = 0
  /// Goes up when everything that was planned for the instance is off.
  var life = 0

  var activeSince: Int64?
  var deleteAsked: Int64?
  var deletes = 0
  var ending: LedgerEntry.Ending?
  var ended: Int64?
  var billedBefore: Int64 = 0
  var billedSince: Int64
  /// When a GET last answered 404 although the instance lived.
  var flickeredAt: Int64?
  /// From here on GET answers 404.
  var forgotten = false

  /// What was to be seen, oldest first.
  var history: [Look] = []
  /// The newest moment that the API's cache has of it.
  var cachedAt: Int64

  enum Status: String, Sendable { case creating, restarting, active, error, deleting, deleted }

  struct Look: Sendable, Equatable {
    var at: Int64
    var status: String
    var address: SimAddress?
  }

  init(
    id: String, request: SimCreateRequest, offering: SimOffering, now: Int64, listedFrom: Int64, readableFrom: Int64,
    wordWhileBooting: String?, address: SimAddress
  ) {
    self.id = id
    self.request = request
    provider = offering.provider
    region = offering.region
    hourlyPrice = offering.hourlyPrice
    created = now
    billedSince = now
    cachedAt = now
    self.listedFrom = listedFrom
    self.readableFrom = readableFrom
    self.wordWhileBooting = wordWhileBooting
    self.address = address
  }

  var isLive: Bool { ending == nil }

  /// Keeps what is to be seen from `now` on, when it differs.
  mutating func note(at now: Int64) {
    let word = disguise ?? (status == .creating ? wordWhileBooting : nil) ?? status.rawValue
    let look = Look(at: now, status: word, address: addressShown ? address : nil)
    // What lasted no time was never to be seen; the first look stays, so that there always is one.
    if history.count > 1, history[history.count - 1].at == now { history.removeLast() }
    if let last = history.last, last.status == look.status, last.address == look.address { return }
    history.append(look)
  }

  mutating func end(_ ending: LedgerEntry.Ending, at now: Int64) {
    guard self.ending == nil else { return }
    self.ending = ending
    ended = now
    billedBefore += now - billedSince
  }

  mutating func billAgain(at now: Int64) {
    ending = nil
    ended = nil
    billedSince = now
  }

  func billed(at now: Int64) -> Int64 {
    isLive ? billedBefore + now - billedSince : billedBefore
  }

  func cost(at now: Int64) -> Decimal {
    hourlyPrice * Decimal(billed(at: now)) / Record.hour
  }

  /// Milliseconds.
  static let hour: Decimal = 3_600_000

  func entry(at now: Int64) -> LedgerEntry {
    LedgerEntry(
      id: id, name: request.name, offeringID: request.offeringID, status: status.rawValue, created: created,
      activeSince: activeSince, deleteAsked: deleteAsked, ended: ended, ending: ending,
      billedMilliseconds: billed(at: now), hourlyPrice: hourlyPrice, cost: cost(at: now), deletes: deletes)
  }

  func machine(keys: [SimKey]) -> SimMachine {
    let authorized = keys.filter { request.sshKeyID == nil || request.sshKeyID == $0.id }.map(\.publicKey)
    return SimMachine(
      id: id, power: power, address: address, authorizedKeys: keysInstalled ? authorized : [], boots: boots,
      hostKeys: hostKeys, moves: moves, envs: request.envs)
  }

  /// Puts the real address where the made-up one was, also in what was seen.
  mutating func readdress(to real: SimAddress) {
    for index in history.indices where history[index].address == address { history[index].address = real }
    address = real
  }

  /// The look that was the newest at `moment`; the first one when that is before them all.
  func look(at moment: Int64) -> Look {
    history.last { $0.at <= moment } ?? history[0]
  }
}
