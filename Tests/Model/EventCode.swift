import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// An event in a word: its kind, and what the world answered.
struct EventCode: Hashable {
  enum Kind: UInt64 {
    case tick, crash, leave, restart, interrupt, cancel, deadline, chosen, posted, listed, unchangedPrice, higherPrice,
      observed, reached, uploaded, launched, succeeded, lost, stopped, collected, deleted, salvaged, verified

    var comesFromOutside: Bool { [.restart, .interrupt, .cancel, .deadline].contains(self) }
  }

  var bits: UInt64

  init(_ kind: Kind, answers: UInt32 = 0, list: ShownList = .unreadable) {
    bits = kind.rawValue | UInt64(answers) << 8 | UInt64(list.bits) << 40
  }

  var kind: Kind { Kind(rawValue: bits & 255)! }
  var list: ShownList { ShownList(bits: UInt32(bits >> 40)) }

  func answer(_ index: Int) -> Int { Int(bits >> UInt64(8 + 3 * index) & 7) }
}

/// What a list shows: for each instance of the world whether it is there, and as what.
struct ShownList: Equatable {
  enum Place: UInt32 { case absent, alive, deleted }

  var bits: UInt32

  static let unreadable = ShownList(bits: 0)
  static let empty = ShownList(bits: 1 << 16)

  var isReadable: Bool { bits >> 16 == 1 }

  subscript(instance: Int) -> Place {
    get { Place(rawValue: bits >> UInt32(2 * instance) & 3)! }
    set { bits = bits & ~(3 << UInt32(2 * instance)) | newValue.rawValue << UInt32(2 * instance) }
  }
}

/// Answers to one request, as three bits.
enum Posted {
  static let (unasked, waiting, notSent, rejected, unknown, unlikely, made) = (0, 1, 2, 3, 4, 5, 6)
}

enum Seen: Int { case active, creating, deleting, deleted, notFound, unknown }

enum Asked: Int { case accepted, notFound, refused, unknown }

extension ClientTable {
  /// The event in the reducer's own words.
  func event(_ code: EventCode, _ facts: Facts) -> Event {
    switch code.kind {
    case .tick, .crash, .leave: preconditionFailure("not an event")
    case .restart: .restarted
    case .interrupt: .interrupted(.interrupt)
    case .cancel: .cancelRequested
    case .deadline: .deadline(facts.state.deadline(in: context)!.what, trouble: nil)
    case .chosen: .chosen(Self.offering)
    case .posted: .posted(facts.adopted.indices.map { posted(code.answer($0), facts.firstName + $0) })
    case .listed: .listed(listing(code.list, facts.state.attempt!, nil))
    case .unchangedPrice: .priced(Self.offering)
    case .higherPrice: .priced(higher)
    case .observed: .observed(facts.adopted.indices.map { observation(Seen(rawValue: code.answer($0))!) })
    case .reached: .reached(facts.adopted.map { _ in Contact(hostKey: "k", user: "u") })
    case .uploaded: .uploaded
    case .launched: .launched
    case .succeeded: .ended(ends(.ended(CommandEnd(code: 0, phase: .command, reason: .exited)), facts))
    case .lost: .ended([NodeEnd(node: 0, how: .lost("lost"))])
    case .stopped: .stopped(ends(.ended(CommandEnd(code: 143, phase: .command, reason: .stopped)), facts))
    case .collected: .collected(missing: [])
    case .deleted: .deleted(facts.unproved.enumerated().map { deleted($1.instance, code.answer($0)) })
    case .salvaged: .salvaged
    case .verified: verified(code, facts)
    }
  }

  private var higher: Offering {
    var offering = Self.offering
    offering.hourlyPrice = 3
    return offering
  }

  private func ends(_ how: NodeEnd.How, _ facts: Facts) -> [NodeEnd] {
    facts.adopted.indices.map { NodeEnd(node: $0, how: how) }
  }

  private func posted(_ answer: Int, _ name: Int) -> PostAnswer {
    switch answer {
    case Posted.notSent: .notSent("refused")
    case Posted.rejected: .rejected(.noCapacity("none"))
    case Posted.unknown: .unknown("lost")
    case Posted.unlikely: .unlikely("provider_error")
    case Posted.made...: .made(id: "i\(name * Bounds.copies + answer - Posted.made)")
    default: .untouched
    }
  }

  private func observation(_ seen: Seen) -> Observation {
    switch seen {
    case .active: .active(Address(host: "h", port: 22, user: "u"))
    case .creating: .notYet(status: "creating")
    case .deleting: .ending(status: "deleting")
    case .deleted: .ending(status: "deleted")
    case .notFound: .notFound
    case .unknown: .unknown("no answer")
    }
  }

  private func deleted(_ instance: Int, _ answer: Int) -> DeleteAnswer {
    let how: DeleteAnswer.How =
      switch Asked(rawValue: answer & 3)! {
      case .accepted: .accepted
      case .notFound: .notFound
      case .refused: .refused("not now")
      case .unknown: .unknown("no answer")
      }
    return DeleteAnswer(id: "i\(instance)", how: how, wasRead: answer & 4 != 0)
  }

  private func verified(_ code: EventCode, _ facts: Facts) -> Event {
    let reads = facts.unproved.enumerated().map { place, one in
      InstanceRead(id: "i\(one.instance)", how: read(Seen(rawValue: code.answer(place))!))
    }
    return .verified(reads, listing(code.list, facts.state.attempt!, reads))
  }

  private func read(_ seen: Seen) -> InstanceRead.How {
    switch seen {
    case .active: .present(status: "active")
    case .creating: .present(status: "creating")
    case .deleting: .present(status: "deleting")
    case .deleted: .deleted
    case .notFound: .notFound
    case .unknown: .unknown("no answer")
    }
  }

  /// Believed by the shipping rule; the oldest of a name first.
  private func listing(_ list: ShownList, _ attempt: Attempt, _ reads: [InstanceRead]?) -> Listing {
    guard list.isReadable else { return .unreadable("no answer") }
    let listed = (0..<(bounds.names * Bounds.copies)).filter { list[$0] != .absent }.map { instance in
      Listing.Listed(
        id: "i\(instance)", name: names[instance / Bounds.copies] ?? "", isDeleted: list[instance] == .deleted)
    }
    return .shown(listed, expecting: attempt, after: reads)
  }
}
