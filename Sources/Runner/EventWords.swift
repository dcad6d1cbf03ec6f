import Jobs

extension Event {
  /// One line for the journal and for `--json`: the fact, never a secret.
  package var word: String {
    switch self {
    case .restarted: "picked up by a process"
    case .chosen(let offering): "chosen \(offering.id)"
    case .posted(let answers): "posted: " + answers.map(\.word).joined(separator: ", ")
    case .listed(let listing): listing.word
    case .priced(let offering): offering.map { "priced at \($0.hourlyPrice)" } ?? "price not readable"
    case .observed(let observations): "observed: " + observations.map(\.word).joined(separator: ", ")
    case .reached: "connected"
    case .uploaded: "uploaded"
    case .launched: "launched"
    case .ended(let ends), .stopped(let ends): "ended: " + ends.map(\.word).joined(separator: ", ")
    case .collected(let missing):
      missing.isEmpty ? "collected" : "collected, missing \(missing.joined(separator: ", "))"
    case .cleared: "cleared"
    case .handedOver(let heir): "machine handed over to \(heir)"
    case .unwanted: "no task waits for the machine"
    case .unreachable(let why, _): "unreachable: \(why)"
    case .deleted(let answers): "delete: " + answers.map { "\($0.id) \($0.how)" }.joined(separator: ", ")
    case .salvaged: "salvaged"
    case .verified(let reads, let listing):
      "verified: " + (reads.map { "\($0.id) \($0.how)" } + [listing.word]).joined(separator: ", ")
    case .failed(let outcome): outcome.sentence
    case .deadline(let what, _): "deadline: \(what)"
    case .cancelRequested: "cancel requested"
    case .interrupted(let signal): signal.name
    }
  }

  /// Not the answer to an effect: it says nothing about how often that was tried.
  var comesFromOutside: Bool {
    switch self {
    case .restarted, .deadline, .cancelRequested, .interrupted: true
    case .chosen, .posted, .listed, .priced, .observed, .reached, .uploaded, .launched, .ended, .stopped, .collected,
      .cleared, .handedOver, .unwanted, .unreachable, .deleted, .salvaged, .verified, .failed:
      false
    }
  }

  /// What is being waited for: no trouble yet, but the reason when the time is up.
  var delay: String? {
    guard case .observed(let observations) = self else { return nil }
    return observations.lazy.compactMap { if case .notYet(let status) = $0 { "its status is \(status)" } else { nil } }
      .first
  }

  /// What a person should hear when nothing came of an effect.
  package var trouble: String? {
    switch self {
    case .unreachable(let why, _): why
    case .listed(.unreadable(let why)): "the list of instances is not readable: \(why)"
    case .observed(let observations):
      observations.lazy.compactMap { if case .unknown(let why) = $0 { why } else { nil } }.first
    case .deleted(let answers): answers.lazy.compactMap(\.trouble).first
    case .posted(let answers): answers.lazy.compactMap { if case .notSent(let why) = $0 { why } else { nil } }.first
    case .verified(let reads, _):
      reads.lazy.compactMap { if case .unknown(let why) = $0.how { why } else { nil } }.first
    case .restarted, .chosen, .listed, .priced, .reached, .uploaded, .launched, .ended, .stopped, .collected,
      .cleared, .handedOver, .unwanted, .salvaged, .failed, .deadline, .cancelRequested, .interrupted:
      nil
    }
  }
}

extension PostAnswer {
  fileprivate var word: String {
    switch self {
    case .made(let id): id
    case .notSent(let why): "not sent (\(why))"
    case .rejected(let outcome): "rejected (\(outcome.sentence))"
    case .unknown(let why), .unlikely(let why): "unknown (\(why))"
    case .untouched: "as before"
    }
  }
}

extension Listing {
  fileprivate var word: String {
    switch self {
    case .trusted(let listed): "list of \(listed.count)"
    case .unreadable(let why): "list unreadable (\(why))"
    }
  }
}

extension Observation {
  fileprivate var word: String {
    switch self {
    case .active(let address): "active at \(address.host):\(address.port)"
    case .notYet(let status), .ending(let status): status
    case .notFound: "not found"
    case .unknown(let why): "unknown (\(why))"
    }
  }
}

extension NodeEnd {
  fileprivate var word: String {
    switch how {
    case .ended(let end):
      "node \(node) \(end.phase.rawValue) \(end.reason.rawValue) \(end.code)"
        + (end.trouble.map { ": \($0.sentence)" } ?? "")
    case .lost(let why): "node \(node) lost (\(why))"
    case .rebooted(let why): "node \(node) rebooted (\(why))"
    case .preempted(let why): "node \(node) preempted (\(why))"
    }
  }
}

extension DeleteAnswer {
  fileprivate var trouble: String? {
    switch how {
    case .accepted, .notFound: nil
    case .refused(let why), .unknown(let why): "deleting \(id): \(why)"
    }
  }
}
