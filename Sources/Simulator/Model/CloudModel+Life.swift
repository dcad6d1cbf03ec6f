#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

// What happens to instances by themselves, each at its own moment.

extension CloudModel {
  /// Makes an instance now and plans its life.
  mutating func make(_ request: SimCreateRequest, of offering: SimOffering) -> Int {
    let place = records.count
    let record = Record(
      id: "spot_inst_" + random.letters(12), request: request, offering: offering, now: clock,
      listedFrom: clock + knobs.listLagSeconds.draw(&random),
      readableFrom: clock + knobs.newNotFoundSeconds.draw(&random),
      wordWhileBooting: hits(.unknownStatus, knobs.unknownStatus) ? knobs.unknownStatusWord : nil,
      address: takeAddress())
    records.append(record)
    places[record.id] = place
    planBoot(of: place)
    records[place].note(at: clock)
    return place
  }

  private mutating func planBoot(of place: Int) {
    let after = knobs.bootSeconds.draw(&random)
    if hits(.bootStuck, knobs.bootStuck) { return }
    plan(hits(.bootError, knobs.bootError) ? .bootFails : .boot, for: place, after: after)
  }

  private mutating func takeAddress() -> SimAddress {
    if knobs.reuseAddress, let freed = freedAddresses.popLast() { return freed }
    addressesGiven += 1
    // Addresses of the documentation network 198.18.0.0/15 (RFC 2544).
    return SimAddress(ip: "198.18.\(addressesGiven / 250 % 256).\(addressesGiven % 250 + 1)", port: 22)
  }

  mutating func plan(_ event: InstanceEvent, for place: Int, after: Int64) {
    agenda.add(.instance(place, life: records[place].life, event), at: clock + after)
  }

  mutating func happen(_ event: CloudEvent) {
    switch event {
    case .execute(let request): execute(request)
    case .instance(let place, let life, let event):
      guard records[place].life == life else { return }
      happen(event, to: place)
      records[place].note(at: clock)
    }
  }

  private mutating func happen(_ event: InstanceEvent, to place: Int) {
    switch event {
    case .boot: becomeActive(place)
    case .bootFails: records[place].status = .error
    case .showAddress: records[place].addressShown = true
    case .startSSHD: startSSHD(place)
    case .installKeys: records[place].keysInstalled = true
    case .fail: fail(place)
    case .preempt: takeAway(place)
    case .restart: beginRestart(place)
    case .restarted: endRestart(place)
    case .flap: records[place].disguise = Record.Status.creating.rawValue
    case .flapEnds: records[place].disguise = nil
    case .move: move(place)
    case .changeHostKey: records[place].hostKeys += 1
    case .finishDelete: finishDelete(place)
    case .forget: records[place].forgotten = true
    case .comeBack: comeBack(place)
    }
  }

  private mutating func becomeActive(_ place: Int) {
    records[place].status = .active
    records[place].activeSince = records[place].activeSince ?? clock
    plan(.showAddress, for: place, after: knobs.ipLateSeconds.draw(&random))
    plan(.startSSHD, for: place, after: knobs.sshdLateSeconds.draw(&random))
    planMishaps(of: place)
  }

  private mutating func planMishaps(of place: Int) {
    if hits(.activeError, knobs.activeError) { plan(.fail, for: place, after: knobs.activeErrorSeconds.draw(&random)) }
    if hits(.preempt, knobs.preempt) { plan(.preempt, for: place, after: knobs.preemptSeconds.draw(&random)) }
    if hits(.restart, knobs.restart) { plan(.restart, for: place, after: knobs.restartSeconds.draw(&random)) }
    if hits(.moveAddress, knobs.moveAddress) {
      plan(.move, for: place, after: knobs.moveAddressSeconds.draw(&random))
    }
    if hits(.changeHostKey, knobs.changeHostKey) {
      plan(.changeHostKey, for: place, after: knobs.changeHostKeySeconds.draw(&random))
    }
    if hits(.flap, knobs.flap) {
      let begin = knobs.flapSeconds.draw(&random)
      plan(.flap, for: place, after: begin)
      plan(.flapEnds, for: place, after: begin + knobs.flapSeconds.draw(&random))
    }
  }

  private mutating func startSSHD(_ place: Int) {
    records[place].power = .on
    records[place].boots += 1
    guard !records[place].keysInstalled else { return }
    plan(.installKeys, for: place, after: knobs.keyLateSeconds.draw(&random))
  }

  private mutating func fail(_ place: Int) {
    records[place].status = .error
    records[place].disguise = nil
    records[place].power = .off
    records[place].life += 1
  }

  /// Pre-emption: the machine is gone and not billed any more, whatever the API says.
  private mutating func takeAway(_ place: Int) {
    guard records[place].isLive else { return }
    goAway(place, .preempted)
    switch knobs.preemptStatus {
    case "error": records[place].status = .error
    case "active": records[place].status = .active
    case "gone": become(deleted: place, forgotten: true)
    default: become(deleted: place, forgotten: false)  // `deleted`, and every word that is none of the others
    }
    records[place].note(at: clock)
  }

  private mutating func become(deleted place: Int, forgotten: Bool) {
    records[place].status = .deleted
    records[place].addressShown = false
    records[place].forgotten = forgotten
    guard !forgotten, let visible = knobs.deletedVisibleSeconds else { return }
    plan(.forget, for: place, after: visible.draw(&random))
  }

  private mutating func goAway(_ place: Int, _ ending: LedgerEntry.Ending) {
    if records[place].isLive { freedAddresses.append(records[place].address) }
    records[place].end(ending, at: clock)
    records[place].power = .absent
    records[place].disguise = nil
    records[place].life += 1
  }

  mutating func beginRestart(_ place: Int) {
    records[place].status = .restarting
    records[place].power = .off
    plan(.restarted, for: place, after: knobs.restartTakesSeconds.draw(&random))
  }

  private mutating func endRestart(_ place: Int) {
    guard records[place].status == .restarting else { return }
    records[place].status = .active
    plan(.startSSHD, for: place, after: knobs.sshdLateSeconds.draw(&random))
  }

  private mutating func move(_ place: Int) {
    records[place].moves += 1
    records[place].address = takeAddress()
  }

  /// The first step of a deletion: the machine dies now, the status stays `deleting` for a while.
  mutating func beginDelete(_ place: Int) {
    records[place].life += 1
    records[place].status = .deleting
    records[place].disguise = nil
    records[place].power = .absent
    records[place].note(at: clock)
    if hits(.deleteStuck, knobs.deleteStuck) { return }
    plan(.finishDelete, for: place, after: knobs.deleteSeconds.draw(&random))
  }

  /// Lets every deletion that was stuck come to its end now.
  package mutating func finishStuckDeletions(now: Int64) {
    advance(to: now)
    for place in records.indices where records[place].status == .deleting { plan(.finishDelete, for: place, after: 0) }
    advance(to: now)
  }

  private mutating func finishDelete(_ place: Int) {
    guard records[place].status == .deleting else { return }
    goAway(place, .deleted)
    become(deleted: place, forgotten: false)
    if hits(.deletedReturns, knobs.deletedReturns) {
      plan(.comeBack, for: place, after: knobs.deletedReturnsSeconds.draw(&random))
    }
  }

  private mutating func comeBack(_ place: Int) {
    returned.insert(records[place].id)
    // Somebody else may have its old address by now.
    records[place].address = takeAddress()
    records[place].life += 1
    records[place].forgotten = false
    records[place].billAgain(at: clock)
    records[place].keysInstalled = false
    becomeActive(place)
  }

  // MARK: What people do from outside

  /// Something that may be done to an instance from outside.
  package enum Incident: String, Sendable, CaseIterable {
    /// It is taken away, as a provider does.
    case preempt
    /// Processes gone; disk, address and host key kept.
    case reboot
    /// It gets another address; processes live on.
    case move
    /// It answers with another host key; processes live on.
    case changeHostKey = "change-host-key"
  }

  /// Lets an incident happen now. False when there is no such live instance, or it is not in a state for it.
  @discardableResult
  package mutating func happen(_ incident: Incident, to id: String, now: Int64) -> Bool {
    advance(to: now)
    guard let place = places[id], records[place].isLive else { return false }
    guard incident == .preempt || records[place].status == .active else { return false }
    switch incident {
    case .preempt: takeAway(place)
    case .reboot: beginRestart(place)
    case .move: move(place)
    case .changeHostKey: records[place].hostKeys += 1
    }
    records[place].note(at: clock)
    return true
  }

  /// Takes an instance away now. False when there is no such live instance.
  @discardableResult
  package mutating func preempt(_ id: String, now: Int64) -> Bool { happen(.preempt, to: id, now: now) }

  /// Reboots an instance now. False when there is none that is active.
  @discardableResult
  package mutating func reboot(_ id: String, now: Int64) -> Bool { happen(.reboot, to: id, now: now) }

  /// Says that an instance's machine could not be made to run: it goes to `error`.
  package mutating func machineFailed(_ id: String, now: Int64) {
    advance(to: now)
    guard let place = places[id], records[place].isLive else { return }
    fail(place)
    records[place].note(at: clock)
  }

  // MARK: Balance

  /// USD of all instances until now.
  package var spent: Decimal {
    records.reduce(0) { $0 + $1.cost(at: clock) }
  }

  var balance: Decimal? { knobs.balance.flatMap { Decimal(string: $0) } }

  /// The moment the balance is gone at the present rate; nil without one or when nothing is billed.
  var whenBalanceIsSpent: Int64? {
    guard knobs.balance != nil, let balance else { return nil }
    let rate = records.reduce(Decimal(0)) { $1.isLive ? $0 + $1.hourlyPrice : $0 }
    guard rate > 0 else { return nil }
    let left = (balance - spent) * Record.hour / rate
    guard left > 0 else { return clock }
    // Rounded up by a millisecond, so that nothing is left when the moment comes.
    return clock + wholeMilliseconds(left) + 1
  }

  mutating func takeEverythingAway() {
    for place in records.indices { takeAway(place) }
  }
}

/// The part of a Decimal before the point; centuries when that is no Int64.
private func wholeMilliseconds(_ value: Decimal) -> Int64 {
  Int64("\(value)".prefix { $0 != "." }) ?? Int64(1) << 52
}
