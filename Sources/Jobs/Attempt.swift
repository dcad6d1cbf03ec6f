/// One try at one offering, with the machines it asked for: created all or none.
package struct Attempt: Codable, Hashable, Sendable {
  /// 1… over the whole job; part of every name, so that a name is posted once, ever (rulings 1).
  package var number: Int
  /// As last read: the price is checked again once the machines exist.
  package var offering: Offering
  package var machines: [Machine]
  /// When the first POST was about to leave. Boot and budget count from here.
  package var sentAt: Moment
  /// No POST of this attempt has left later, as far as is known: settling counts from here.
  package var postedAt: Moment?
  package var launchedAt: Moment?
  /// When the end of the command was known, or asked for: what `output_grace` counts from.
  package var endedAt: Moment?
  /// Since when no node could be reached over SSH; nil while all can.
  package var unreachableSince: Moment?
  package var deleteAskedAt: Moment?
  /// What was answered to a POST whose outcome is not known.
  package var postTrouble: String?

  /// Every instance id that was ever seen under one of our names.
  package var instanceIDs: [String] { machines.flatMap { $0.instances.map(\.id) } }

  /// A POST may have been executed.
  package var mayExist: Bool {
    machines.contains { machine in
      switch machine.post {
      case .unknown, .unlikely, .made: true
      case .unsent, .rejected, .absent: !machine.instances.isEmpty
      }
    }
  }

  /// True once nothing of this attempt can be alive: each name is proved gone, was refused, or never appeared.
  package var isGone: Bool { machines.allSatisfy(\.isGone) }
}

/// A machine of ours: one node's place in an attempt, asked for under one name.
package struct Machine: Codable, Hashable, Sendable {
  /// Rank, 0…
  package var node: Int
  /// Chosen and durable before the POST; the only mark by which the machine can be found again.
  package var name: String
  package var post: Post
  /// The adopted instance first. More than one when the cloud made several for one POST, and at a release, when one of an
  /// earlier attempt has shown that was given up as never made.
  package var instances: [MadeInstance]
  package var address: Address?
  /// Pinned on the first connection, `ssh-ed25519 AAAA…`.
  package var hostKey: String?
  /// Reads in a row that say that this machine is not coming, or not coming back.
  package var strikes: Int
  package var end: CommandEnd?
  /// The API said that it restarts while the command was running there.
  package var hasRestarted: Bool?
  /// Why nothing more is expected of it although the others go on; nil while it is ours to work with.
  package var lost: String?

  package init(node: Int, name: String) {
    self.node = node
    self.name = name
    post = .unsent
    instances = []
    strikes = 0
  }

  package var id: String? { instances.first?.id }

  package var isGone: Bool {
    switch post {
    case .unsent, .rejected, .absent: instances.allSatisfy(\.isProvedGone)
    case .made: !instances.isEmpty && instances.allSatisfy(\.isProvedGone)
    case .unknown, .unlikely: false
    }
  }
}

/// What is known of the one POST that asks for a machine.
package enum Post: Codable, Hashable, Sendable {
  /// No byte has left.
  case unsent
  /// It may have left and may have been executed: looked for by name, never posted again.
  case unknown
  /// Answered 4xx `provider_error`: two trusted lists without the name settle it (rulings 5).
  case unlikely(unseenSince: Moment?)
  case made
  /// Refused for good: nothing was made.
  case rejected
  /// Looked for until the settle window had passed, in lists that could be trusted, and not there.
  case absent
}

/// An instance that carries one of our names, and how far the proof of its end is.
package struct MadeInstance: Codable, Hashable, Sendable {
  package var id: String
  /// When a list showed it first; nil when the answer to the POST named it.
  package var seenAt: Moment?
  /// Since when it costs, as near as is known and not later; nil: since the attempt's first POST.
  package var since: Moment?
  /// GET has answered 2xx for this id: only then is a 404 news (rulings 6).
  package var wasRead: Bool
  /// First of the reads in a row that said it is gone.
  package var goneSince: Moment?
  /// One of those reads was a 404, so absence from a trusted list is needed too.
  package var goneByAbsence: Bool
  package var isProvedGone: Bool

  package init(id: String, seenAt: Moment? = nil, since: Moment? = nil) {
    self.id = id
    self.seenAt = seenAt
    self.since = since
    wasRead = false
    goneByAbsence = false
    isProvedGone = false
  }
}

/// Where sshd of a machine listens, as the API says.
package struct Address: Codable, Hashable, Sendable {
  package var host: String
  package var port: Int
  /// nil when the API does not say.
  package var user: String?

  package init(host: String, port: Int, user: String?) {
    self.host = host
    self.port = port
    self.user = user
  }
}

/// The supervisor's exit record of one node.
package struct CommandEnd: Codable, Hashable, Sendable {
  package enum Phase: String, Codable, Sendable { case setup, command }
  package enum Reason: String, Codable, Sendable { case exited, timedOut, stopped }
  /// 128 + n for signal n.
  package var code: Int
  package var phase: Phase
  package var reason: Reason
  /// Why it ended, where the machine shows that; nil: a failure of its own.
  package var trouble: MachineTrouble?

  package init(code: Int, phase: Phase, reason: Reason, trouble: MachineTrouble? = nil) {
    self.code = code
    self.phase = phase
    self.reason = reason
    self.trouble = trouble
  }
}

/// What a machine shows of an end that was not the command's own doing.
package struct MachineTrouble: Codable, Hashable, Sendable {
  package enum Kind: String, Codable, Sendable {
    case outOfMemory = "out_of_memory"
    case gpuFault = "gpu_fault"
  }
  package var kind: Kind
  /// As the machine says it.
  package var evidence: String

  package init(kind: Kind, evidence: String) {
    self.kind = kind
    self.evidence = evidence
  }

  package var sentence: String {
    switch kind {
    case .outOfMemory: "out of memory (\(evidence))"
    case .gpuFault: "a GPU failed (\(evidence))"
    }
  }
}

/// An attempt that is over and whose machines are proved gone.
package struct PastAttempt: Codable, Hashable, Sendable {
  package var number: Int
  package var offering: Offering
  package var names: [String]
  package var instanceIDs: [String]
  package var sentAt: Moment
  package var releasedAt: Moment
  package var outcome: Outcome
  /// When each of its machines cost; nil in records of older versions.
  package var billed: [BilledSpan]?

  package init(_ attempt: Attempt, outcome: Outcome, releasedAt: Moment) {
    number = attempt.number
    offering = attempt.offering
    names = attempt.machines.map(\.name)
    instanceIDs = attempt.instanceIDs
    sentAt = attempt.sentAt
    billed = attempt.billed(until: releasedAt)
    self.releasedAt = releasedAt
    self.outcome = outcome
  }
}
