#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The model with a real clock and, unless it has no place for them, real machines.
actor Cloud {
  private var model: CloudModel
  /// One for each instance, in the model's order.
  private var machines: [Placed] = []
  private var orders: UInt64 = 0
  private var placesTaken = 0
  private let places: MachinePlaces?
  private let start: ContinuousClock.Instant
  let epoch: Int64
  private var timer: Task<Void, Never>?
  private var requests: [JSON] = []
  private var lastUse: ContinuousClock.Instant

  /// Where machines live and with what they are made.
  struct MachinePlaces: Sendable {
    var folder: String
    var openSSH: OpenSSH
    var ground: Ground
    var report: @Sendable (String) -> Void
  }

  private struct Placed {
    var machine: Machine
    /// The model's count of moves that the machine's port belongs to.
    var moves: Int
    /// What it was last told to be.
    var told: SimMachine?
  }

  /// Requests that are remembered.
  private static let longestLog = 10_000

  init(_ model: CloudModel, places: MachinePlaces?) {
    self.model = model
    self.places = places
    start = .now
    lastUse = .now
    epoch = Int64((Date().timeIntervalSince1970 * 1000).rounded())
  }

  private var now: Int64 {
    let passed = start.duration(to: .now).components
    return passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000
  }

  private var wire: Wire {
    Wire(nullsForAbsent: model.knobs.nullsForAbsent, unknownFields: model.knobs.unknownFields, epoch: epoch)
  }

  // MARK: Calls

  func perform(_ call: Call, body: [UInt8]) async -> Outgoing {
    lastUse = .now
    await catchUp()
    let outgoing = answer(call, body)
    await catchUp()
    await settle(after: call)
    return outgoing
  }

  private func answer(_ call: Call, _ body: [UInt8]) -> Outgoing {
    let (now, wire) = (now, wire)
    switch call {
    case .listComputeOfferings:
      return wire.outgoing(model.offerings(now: now)) {
        wire.list($0.map { wire.offering($0) }, url: "/v1/spot/compute/offerings")
      }
    case .computeOffering(let id):
      return wire.outgoing(model.offering(id, now: now)) {
        wire.wrapped(wire.offering($0), kind: "compute_offering")
      }
    case .listVolumeOfferings:
      return wire.outgoing(model.volumeOfferings(now: now)) {
        wire.list($0.map { wire.volumeOffering($0) }, url: "/v1/spot/volumes/offerings")
      }
    case .volumeOffering(let id):
      return wire.outgoing(model.volumeOffering(id, now: now)) {
        wire.wrapped(wire.volumeOffering($0), kind: "volume_offering")
      }
    case .listInstances:
      return wire.outgoing(model.instances(now: now)) {
        wire.list($0.map { wire.instance($0) }, url: "/v1/spot/instances")
      }
    case .instance(let id, let refresh):
      return wire.outgoing(model.instance(id, refresh: refresh, now: now)) { wire.instance($0) }
    case .createInstance: return create(body)
    case .deleteInstance(let id):
      return wire.outgoing(model.delete(id, now: now)) { _ in model.knobs.deleteStatus == 204 ? nil : [:] }
    case .listVolumes:
      return wire.outgoing(model.volumes(now: now)) {
        wire.list($0.map { wire.volume($0) }, url: "/v1/spot/volumes")
      }
    case .volume(let id, let refresh):
      return wire.outgoing(model.volume(id, refresh: refresh, now: now)) { wire.volume($0) }
    case .listSSHKeys:
      return wire.outgoing(model.sshKeys(now: now)) { wire.list($0.map { wire.key($0) }, url: "/v1/spot/ssh-keys") }
    case .listModels:
      return wire.outgoing(model.models(now: now)) { wire.list($0.map { wire.model($0) }, url: nil) }
    case .model(let id):
      return wire.outgoing(model.model(id, now: now)) { wire.model($0) }
    }
  }

  private func create(_ body: [UInt8]) -> Outgoing {
    do {
      let request = try SimCreateRequest(body: body)
      return wire.outgoing(model.create(request, now: now)) { wire.creation($0) }
    } catch {
      return Outgoing(delivery: .whole(wire.page(error)))
    }
  }

  /// A refusal of the shell itself, in the dress that the knobs say.
  func refuse(_ refusal: Refusal) -> Outgoing {
    lastUse = .now
    var refusal = refusal
    refusal.html = model.knobs.htmlErrors
    return Outgoing(delivery: .whole(wire.page(refusal)))
  }

  /// What a status says has to be true of the real machine: `deleted` means that no process is left, `active` that sshd answers (or is
  /// late because a knob says so).
  private func settle(after call: Call) async {
    switch call {
    case .listInstances:
      for placed in machines { await placed.machine.settled() }
    case .instance(let id, _):
      await machines.first { $0.machine.marker.id == id }?.machine.settled()
    case .listComputeOfferings, .listVolumeOfferings, .listVolumes, .listSSHKeys, .listModels, .computeOffering,
      .volumeOffering, .model, .volume, .createInstance, .deleteInstance:
      break
    }
  }

  // MARK: Keeping up

  /// Lets the model happen until now, makes the machines what it says, and wakes up when it next changes.
  private func catchUp() async {
    model.advance(to: now)
    if let places {
      for index in 0..<model.machineCount { await place(index, in: places) }
    }
    timer?.cancel()
    guard let next = model.nextChange else { return }
    let moment = start + .milliseconds(next)
    timer = Task { [weak self] in
      guard (try? await Task.sleep(until: moment, clock: .continuous)) != nil else { return }
      await self?.catchUp()
    }
  }

  /// Makes one machine what the model says now; a new or moved one gets a port of its own first.
  private func place(_ index: Int, in places: MachinePlaces) async {
    do {
      let wanted = model.machine(at: index)
      if index == machines.count {
        let port = try takePlace(for: wanted, places)
        machines.append(
          Placed(machine: makeMachine(model.machine(at: index), port: port, in: places), moves: wanted.moves))
      } else if machines[index].moves != wanted.moves {
        machines[index].moves = wanted.moves
        let port = try takePlace(for: wanted, places)
        return await tell(index, port)
      }
    } catch {
      places.report("\(error)")
    }
    await tell(index, nil)
  }

  private func tell(_ index: Int, _ port: Port?) async {
    guard index < machines.count else { return }
    let wanted = model.machine(at: index)
    guard machines[index].told != wanted || port != nil else { return }
    machines[index].told = wanted
    orders += 1
    await machines[index].machine.become(wanted, order: orders, port: port)
  }

  private func takePlace(for machine: SimMachine, _ places: MachinePlaces) throws(SimulatorFailure) -> Port? {
    placesTaken += 1
    let (address, port) = try places.ground.place(placesTaken, again: machine.address)
    model.setAddress(of: machine.id, to: address)
    return port
  }

  private func makeMachine(_ machine: SimMachine, port: Port?, in places: MachinePlaces) -> Machine {
    Machine(
      machine, folder: "\(places.folder)/\(machine.id)", port: port, openSSH: places.openSSH, ground: places.ground,
      onFailure: { [weak self] id, failure in await self?.machineFailed(id, failure) })
  }

  private func machineFailed(_ id: String, _ failure: SimulatorFailure) {
    places?.report(failure.description)
    model.machineFailed(id, now: now)
  }

  // MARK: Control

  func ledger() async -> JSON {
    await catchUp()
    return wire.ledger(model)
  }

  func knobs() -> Knobs { model.knobs }

  func turn(_ object: JSON) async throws(Knobs.Refused) -> JSON {
    model.knobs = try model.knobs.turned(object)
    await catchUp()
    return try model.knobs.json()
  }

  func happen(_ incident: CloudModel.Incident, to id: String) async -> Bool {
    let done = model.happen(incident, to: id, now: now)
    await catchUp()
    return done
  }

  /// What can happen to the cable of a machine.
  enum CableIncident: String {
    case unplug, plug, isolate
  }

  /// False where there is no such machine, or no cable.
  func happen(_ incident: CableIncident, to id: String) async -> Bool {
    guard case .namespaces(let namespaces)? = places?.ground,
      let machine = model.machines.first(where: { $0.id == id && $0.power == .on })
    else { return false }
    return switch incident {
    case .unplug: await namespaces.setCable(of: machine.address.ip, isIn: false)
    case .plug: await namespaces.setCable(of: machine.address.ip, isIn: true)
    case .isolate: await namespaces.isolate(machine.address.ip)
    }
  }

  func log(_ method: String, _ target: String, _ outgoing: Outgoing) {
    requests.append([
      "time": .string(wire.timestamp(now)), "method": .string(method), "path": .string(target),
      "status": .string(outgoing.summary), "after_ms": .number(outgoing.after),
    ])
    if requests.count > Cloud.longestLog { requests.removeFirst(requests.count - Cloud.longestLog) }
  }

  func requestLog() -> JSON { .array(requests) }

  /// How long nobody has asked for anything, when nothing is rented; nil while something is.
  func idleTime() async -> Duration? {
    await catchUp()
    return model.billed.isEmpty ? lastUse.duration(to: .now) : nil
  }

  /// Kills every machine. The ledger is what it was.
  func stop() async {
    timer?.cancel()
    for (placed, wanted) in zip(machines, model.machines) {
      var gone = wanted
      gone.power = .absent
      await placed.machine.become(gone, order: .max, port: nil)
    }
    for placed in machines { await placed.machine.settled() }
    await places?.ground.close()
  }
}
