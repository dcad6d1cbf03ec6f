#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

// The twelve documented operations and delete. Each lets the cloud catch up with `now` first.

extension CloudModel {
  /// GET /v1/spot/compute/offerings
  package mutating func offerings(now: Int64) -> Answer<[SimOffering]> {
    read(now) { $0.offeringList }
  }

  /// GET /v1/spot/compute/offerings/{id}
  package mutating func offering(_ id: String, now: Int64) -> Answer<SimOffering> {
    find("compute offering", id, now) { $0.offeringList.first { $0.id == id } }
  }

  /// GET /v1/spot/volumes/offerings
  package mutating func volumeOfferings(now: Int64) -> Answer<[SimVolumeOffering]> {
    read(now) { $0.volumeOfferingList }
  }

  /// GET /v1/spot/volumes/offerings/{id}
  package mutating func volumeOffering(_ id: String, now: Int64) -> Answer<SimVolumeOffering> {
    find("volume offering", id, now) { $0.volumeOfferingList.first { $0.id == id } }
  }

  /// GET /v1/spot/volumes/
  package mutating func volumes(now: Int64) -> Answer<[SimVolume]> {
    read(now, asking: .account) { model in model.volumeList.map { model.mounted($0) } }
  }

  /// GET /v1/spot/volumes/{id}
  package mutating func volume(_ id: String, refresh: Bool = false, now: Int64) -> Answer<SimVolume> {
    find("volume", id, now, asking: .single) { model in
      model.volumeList.first { $0.id == id }.map { model.mounted($0) }
    }
  }

  /// GET /v1/spot/ssh-keys/
  package mutating func sshKeys(now: Int64) -> Answer<[SimKey]> {
    read(now, asking: .account) { $0.keyList }
  }

  /// GET /v1/models/
  package mutating func models(now: Int64) -> Answer<[SimModel]> {
    read(now, asking: .account) { $0.modelList }
  }

  /// GET /v1/models/{model}
  package mutating func model(_ id: String, now: Int64) -> Answer<SimModel> {
    find("Model", id, now, asking: .account) { $0.modelList.first { $0.id == id } }
  }

  /// GET /v1/spot/instances/ — from the cache, with what the knobs say about lists.
  package mutating func instances(now: Int64) -> Answer<[SimInstance]> {
    var answer = read(now, asking: .account) { $0.listed() }
    if case .value = answer.seen, hits(.listUnreadable, knobs.listUnreadable) { answer.seen = .unreadable }
    return answer
  }

  /// GET /v1/spot/instances/{id}
  package mutating func instance(_ id: String, refresh: Bool = false, now: Int64) -> Answer<SimInstance> {
    find("instance", id, now, asking: .single) { $0.look(for: id, refresh: refresh) }
  }
}

// MARK: - Creating

extension CloudModel {
  /// POST /v1/spot/instances/
  package mutating func create(_ request: SimCreateRequest, now: Int64) -> Answer<SimCreation> {
    advance(to: now)
    count(request.name)
    let latency = knobs.latencySeconds.draw(&random)
    if let refusal = gate(.account) ?? limited(.createsLimited, knobs.createsLimited) ?? objection(to: request) {
      return Answer(seen: .refused(dressed(refusal)), after: latency, executed: false)
    }
    if let unexecuted = unexecutedCreate(request) {
      return Answer(seen: unexecuted, after: latency, executed: false)
    }
    return executedCreate(request, latency: latency)
  }

  /// POST with the fields one by one.
  package mutating func create(
    name: String, offeringID: String, sshKeyID: String? = nil, volumeIDs: [String] = [],
    envs: [SimEnvironmentVariable] = [], now: Int64
  ) -> Answer<SimCreation> {
    create(
      SimCreateRequest(name: name, offeringID: offeringID, sshKeyID: sshKeyID, volumeIDs: volumeIDs, envs: envs),
      now: now)
  }

  private mutating func count(_ name: String) {
    if let place = posts.firstIndex(where: { $0.name == name }) {
      posts[place].count += 1
    } else {
      posts.append(PostCount(name: name, count: 1))
    }
  }

  private mutating func unexecutedCreate(_ request: SimCreateRequest) -> Answer<SimCreation>.Seen? {
    if hits(.createQueued, knobs.createQueued) {
      agenda.add(.execute(request), at: clock + knobs.createQueuedSeconds.draw(&random))
      return queuedAnswer
    }
    if hits(.createLost, knobs.createLost) { return .reset }
    if hits(.createRefused, knobs.createRefused) { return .refused(dressed(createFailure)) }
    if hits(.createSilent, knobs.createSilent) { return .silence }
    return nil
  }

  private var queuedAnswer: Answer<SimCreation>.Seen {
    switch knobs.createQueuedAnswer {
    case "failure": .refused(dressed(createFailure))
    case "silence": .silence
    default: .reset  // `reset`, and every word that is none of the others
    }
  }

  private var createFailure: Refusal {
    Refusal(
      status: knobs.createFailsStatus, type: knobs.createFailsType, message: "The instance could not be created.")
  }

  private mutating func executedCreate(_ request: SimCreateRequest, latency: Int64) -> Answer<SimCreation> {
    guard let place = execute(request) else {
      preconditionFailure("a request without objections names an offering")
    }
    let late = hits(.createLate, knobs.createLate) ? knobs.createLateSeconds.draw(&random) : 0
    return Answer(seen: seenAfterCreating(place), after: latency + late, executed: true)
  }

  /// Makes the instance, or two; nil when the offering is gone since the request was taken.
  @discardableResult
  mutating func execute(_ request: SimCreateRequest) -> Int? {
    guard let index = offeringList.firstIndex(where: { $0.id == request.offeringID }) else { return nil }
    if hits(.priceChange, knobs.priceChange), let factor = Decimal(string: knobs.priceChangeFactor) {
      offeringList[index].hourlyPrice *= factor
      offeringList[index].pricePerGPUHour *= factor
    }
    let place = make(request, of: offeringList[index])
    if hits(.createTwice, knobs.createTwice) { _ = make(request, of: offeringList[index]) }
    return place
  }

  private mutating func seenAfterCreating(_ place: Int) -> Answer<SimCreation>.Seen {
    let id = records[place].id
    let created = SimCreation.full(show(records[place], as: records[place].look(at: clock)))
    if hits(.createReset, knobs.createReset) { return .reset }
    if hits(.createFails, knobs.createFails) { return .refused(dressed(createFailure)) }
    if hits(.createCut, knobs.createCut) { return .cut(created, status: 201) }
    if hits(.createWithoutID, knobs.createWithoutID) { return .value(.empty, status: 200) }
    return knobs.createAnswer == "id" ? .value(.id(id), status: 200) : .value(created, status: 201)
  }
}

// MARK: - What a POST can be refused for

extension CloudModel {
  private mutating func objection(to request: SimCreateRequest) -> Refusal? {
    if let wrong = wrongField(of: request) { return wrong }
    guard let offering = offeringList.first(where: { $0.id == request.offeringID }) else {
      return .invalid("offering_id", "Unknown compute offering '\(request.offeringID)'.")
    }
    return wrongMoment(for: offering) ?? wrongVolume(of: request, for: offering)
  }

  private func wrongField(of request: SimCreateRequest) -> Refusal? {
    if request.name.isEmpty { return .invalid("name", "The name must not be empty.") }
    if knobs.uniqueNames, records.contains(where: { $0.isLive && $0.request.name == request.name }) {
      return .invalid("name", "An instance named '\(request.name)' exists.")
    }
    if let key = request.sshKeyID, !keyList.contains(where: { $0.id == key }) {
      return .invalid("ssh_key_id", "Unknown SSH key '\(key)'.")
    }
    if let bad = request.envs.first(where: { !CloudModel.isVariableName($0.name) }) {
      return .invalid("envs", "'\(bad.name)' is not the name of an environment variable.")
    }
    return nil
  }

  /// POSIX.1-2024, XBD 8.1: letters, digits and underscore, no digit first.
  private static func isVariableName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
      byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
  }

  private mutating func wrongMoment(for offering: SimOffering) -> Refusal? {
    guard offering.available else {
      return .invalid("offering_id", "Compute offering '\(offering.id)' is not available.")
    }
    if isFull(offering) || isOutOfCapacity(offering) {
      return Refusal(
        status: knobs.outOfCapacityStatus, type: knobs.outOfCapacityType,
        message: "No capacity for \(offering.instanceType) in \(offering.region).")
    }
    let broke = balance.map { $0 - spent <= 0 } ?? false
    guard broke || hits(.insufficientBalance, knobs.insufficientBalance) else { return nil }
    return Refusal(
      status: knobs.insufficientBalanceStatus, type: "insufficient_balance", message: "The balance is too low.")
  }

  private func isFull(_ offering: SimOffering) -> Bool {
    guard let capacity = offering.capacity else { return false }
    return records.count { $0.isLive && $0.request.offeringID == offering.id } >= capacity
  }

  private mutating func isOutOfCapacity(_ offering: SimOffering) -> Bool {
    let concerned = knobs.outOfCapacityOfferings.isEmpty || knobs.outOfCapacityOfferings.contains(offering.id)
    return concerned && hits(.outOfCapacity, knobs.outOfCapacity)
  }

  private func wrongVolume(of request: SimCreateRequest, for offering: SimOffering) -> Refusal? {
    for id in request.volumeIDs {
      guard let volume = volumeList.first(where: { $0.id == id }).map({ mounted($0) }) else {
        return .invalid("volume_ids", "Unknown volume '\(id)'.")
      }
      guard volume.provider == offering.provider, volume.region == offering.region else {
        return .invalid("volume_ids", "Volume '\(id)' is in \(volume.provider) \(volume.region).")
      }
      if let other = volume.mountedBy, !volume.supportsMultiMount {
        return .invalid("volume_ids", "Volume '\(id)' is mounted by '\(other)'.")
      }
    }
    return nil
  }

  /// The volume with the live instance that mounts it.
  private func mounted(_ volume: SimVolume) -> SimVolume {
    var volume = volume
    let holder = records.first { $0.isLive && $0.request.volumeIDs.contains(volume.id) }
    volume.mountedBy = holder?.id ?? volume.mountedBy
    return volume
  }
}

// MARK: - Deleting

extension CloudModel {
  /// DELETE /v1/spot/instances/{id}
  package mutating func delete(_ id: String, now: Int64) -> Answer<SimDeletion> {
    advance(to: now)
    let latency = knobs.latencySeconds.draw(&random)
    if let place = places[id] { records[place].deletes += 1 }
    let (seen, executed) = deletion(id)
    return Answer(seen: seen, after: latency, executed: executed)
  }

  private mutating func deletion(_ id: String) -> (Answer<SimDeletion>.Seen, executed: Bool) {
    if let refusal = gate(.single) ?? limited(.deletesLimited, knobs.deletesLimited) {
      return (.refused(dressed(refusal)), false)
    }
    if hits(.deletesLost, knobs.deletesLost) { return (.reset, false) }
    guard let place = places[id], isReadable(place) else {
      return (.refused(dressed(.notFound("instance", id))), false)
    }
    if let refusal = refusalOfDeleting(place) { return (.refused(dressed(refusal)), false) }
    if hits(.deleteForgotten, knobs.deleteForgotten) { return (accepted, false) }
    executeDelete(place)
    if hits(.deleteReset, knobs.deleteReset) { return (.reset, true) }
    if hits(.deleteFails, knobs.deleteFails) { return (.refused(dressed(failure)), true) }
    return (accepted, true)
  }

  private var accepted: Answer<SimDeletion>.Seen { .value(SimDeletion(), status: knobs.deleteStatus) }

  private mutating func refusalOfDeleting(_ place: Int) -> Refusal? {
    if knobs.deleteRefusedWhileCreating, records[place].status == .creating {
      return Refusal(status: 400, type: "validation_error", message: "The instance is still being created.")
    }
    guard hits(.deleteRefused, knobs.deleteRefused) else { return nil }
    return Refusal(status: 500, type: "provider_error", message: "The provider could not delete it, try again later.")
  }

  private mutating func executeDelete(_ place: Int) {
    records[place].deleteAsked = records[place].deleteAsked ?? clock
    switch records[place].status {
    case .creating, .restarting, .active, .error: beginDelete(place)
    case .deleting, .deleted: break  // asked twice is as good as once
    }
  }
}

// MARK: - What a read sees

extension CloudModel {
  private mutating func look(for id: String, refresh: Bool) -> SimInstance? {
    guard let place = places[id], isReadable(place), !flickers(place) else { return nil }
    guard refresh else {
      return show(records[place], as: records[place].look(at: cacheMoment(of: place)))
    }
    if hits(.refreshStale, knobs.refreshStale), records[place].history.count > 1 {
      return show(records[place], as: records[place].history[records[place].history.count - 2])
    }
    records[place].cachedAt = clock
    return show(records[place], as: records[place].look(at: clock))
  }

  private mutating func flickers(_ place: Int) -> Bool {
    let isSoon = records[place].flickeredAt.map { clock - $0 < 120_000 } ?? false
    guard records[place].isLive, !isSoon, hits(.readsFlicker, knobs.readsFlicker) else { return false }
    records[place].flickeredAt = clock
    return true
  }

  private func isReadable(_ place: Int) -> Bool {
    records[place].readableFrom <= clock && !records[place].forgotten
  }

  private mutating func cacheMoment(of place: Int) -> Int64 {
    max(records[place].cachedAt, clock - knobs.cacheLagSeconds.draw(&random))
  }

  private mutating func listed() -> [SimInstance] {
    if hits(.listEmpty, knobs.listEmpty) { return [] }
    return records.indices.compactMap { listed($0) }
  }

  private mutating func listed(_ place: Int) -> SimInstance? {
    guard records[place].listedFrom <= clock, !records[place].forgotten else { return nil }
    let look = records[place].look(at: cacheMoment(of: place))
    if look.status == Record.Status.deleted.rawValue, !knobs.deletedInList { return nil }
    if records[place].isLive, hits(.listDrops, knobs.listDrops) { return nil }
    return show(records[place], as: look)
  }

  private func show(_ record: Record, as look: Record.Look) -> SimInstance {
    SimInstance(
      id: record.id, name: record.request.name, status: look.status, ip: look.address?.ip,
      sshPort: look.address?.port ?? 22, sshUser: knobs.sshUserAbsent ? nil : sshUser, provider: record.provider,
      region: record.region, sshKeyID: record.request.sshKeyID, volumeIDs: record.request.volumeIDs,
      envs: knobs.envsAbsent ? nil : record.request.envs, created: record.created, modified: look.at)
  }
}

// MARK: - Faults that every operation can have

extension CloudModel {
  /// What an operation needs: nothing, a key, or a key with rights on one resource (only those document a 403).
  private enum Asking { case anybody, account, single }

  private mutating func gate(_ asking: Asking) -> Refusal? {
    if let outage = knobs.outageSeconds, (outage.low..<outage.high).contains(clock) { return failure }
    switch asking {
    case .anybody: return nil
    case .account: return knobs.keyRevoked ? .unauthenticated : nil
    case .single: return knobs.keyRevoked ? .unauthenticated : knobs.forbidden ? .forbidden : nil
    }
  }

  private mutating func limited(_ key: Knobs.Key, _ fault: Fault) -> Refusal? {
    guard hits(key, fault) else { return nil }
    return Refusal(
      status: 429, type: "server_error", message: "Too many requests.", retryAfter: knobs.retryAfter)
  }

  private var failure: Refusal {
    Refusal(status: knobs.failsStatus, type: "server_error", message: "Something went wrong.")
  }

  private func dressed(_ refusal: Refusal) -> Refusal {
    var refusal = refusal
    refusal.html = knobs.htmlErrors
    return refusal
  }

  private mutating func read<Value>(
    _ now: Int64, asking: Asking = .anybody, _ value: (inout CloudModel) -> Value
  ) -> Answer<Value> {
    readOrRefuse(now, asking: asking) { .success(value(&$0)) }
  }

  private mutating func find<Value>(
    _ kind: String, _ id: String, _ now: Int64, asking: Asking = .anybody, _ value: (inout CloudModel) -> Value?
  ) -> Answer<Value> {
    readOrRefuse(now, asking: asking) { value(&$0).map { .success($0) } ?? .failure(.notFound(kind, id)) }
  }

  private mutating func readOrRefuse<Value>(
    _ now: Int64, asking: Asking, _ value: (inout CloudModel) -> Result<Value, Refusal>
  ) -> Answer<Value> {
    advance(to: now)
    let latency = knobs.latencySeconds.draw(&random)
    if let refusal = gate(asking) ?? limited(.readsLimited, knobs.readsLimited) {
      return Answer(seen: .refused(dressed(refusal)), after: latency, executed: false)
    }
    if hits(.readsFail, knobs.readsFail) {
      return Answer(seen: .refused(dressed(failure)), after: latency, executed: false)
    }
    if hits(.readsReset, knobs.readsReset) { return Answer(seen: .reset, after: latency, executed: false) }
    switch value(&self) {
    case .failure(let refusal): return Answer(seen: .refused(dressed(refusal)), after: latency, executed: false)
    case .success(let value):
      let cut = hits(.readsCut, knobs.readsCut)
      return Answer(
        seen: cut ? .cut(value, status: 200) : .value(value, status: 200), after: latency, executed: true)
    }
  }
}

extension Refusal: Error {
  static func invalid(_ field: String, _ message: String) -> Refusal {
    Refusal(status: 400, type: "validation_error", message: message, field: field)
  }

  static func notFound(_ kind: String, _ id: String) -> Refusal {
    let what = kind.prefix(1).uppercased() + kind.dropFirst()
    return Refusal(status: 404, type: "not_found", message: "\(what) not found")
  }

  static let unauthenticated = Refusal(
    status: 401, type: "authentication_error", message: "Authentication required.")
  static let forbidden = Refusal(status: 403, type: "forbidden", message: "Insufficient permissions.")
}
