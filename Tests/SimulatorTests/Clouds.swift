import Foundation
import Testing

@testable import Simulator

/// A cloud in virtual time, and the clock that drives it.
struct VirtualCloud {
  static let a10 = "spot_coff_a10x1000001"

  var model: CloudModel
  var now: Int64 = 0

  /// A friendly cloud whose boots take exactly one second and deletions 100 ms, with these knobs turned.
  init(seed: UInt64 = 1, offerings: [SimOffering] = Catalogue.offerings, turn: (inout Knobs) -> Void = { _ in }) {
    var knobs = Knobs()
    knobs.bootSeconds = .seconds(1)
    turn(&knobs)
    let key = SimKey(id: "spot_sshk_1", name: "mine", publicKey: "ssh-ed25519 AAAA mine")
    model = CloudModel(seed: seed, knobs: knobs, offerings: offerings, keys: [key])
  }

  mutating func pass(_ seconds: Double) {
    now += Int64((seconds * 1000).rounded())
    model.advance(to: now)
  }

  mutating func create(_ name: String = "job", offering: String = a10, volumes: [String] = []) -> Answer<SimCreation> {
    model.create(name: name, offeringID: offering, volumeIDs: volumes, now: now)
  }

  /// An instance that is there, whatever the client was told.
  mutating func make(_ name: String = "job") throws -> String {
    _ = create(name)
    return try #require(model.ledger().last?.id)
  }

  mutating func active(_ name: String = "job") throws -> String {
    let id = try make(name)
    pass(1)
    return id
  }

  mutating func read(_ id: String, refresh: Bool = true) -> SimInstance? {
    model.instance(id, refresh: refresh, now: now).value
  }

  mutating func status(_ id: String, refresh: Bool = true) -> String? { read(id, refresh: refresh)?.status }

  mutating func list() -> [SimInstance]? { model.instances(now: now).value }

  mutating func delete(_ id: String) -> Answer<SimDeletion> { model.delete(id, now: now) }

  var entry: LedgerEntry? { model.ledger().last }
}

extension Answer {
  var isReset: Bool { if case .reset = seen { true } else { false } }
  var isSilent: Bool { if case .silence = seen { true } else { false } }
  var isCut: Bool { if case .cut = seen { true } else { false } }
  var status: Int? {
    switch seen {
    case .value(_, let status), .cut(_, let status): status
    case .refused(let refusal): refusal.status
    case .unreadable: 200
    case .reset, .silence: nil
    }
  }
}

func money(_ digits: String) -> Decimal { Decimal(string: digits) ?? .nan }
