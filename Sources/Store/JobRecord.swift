import Jobs

/// A job as the store holds it.
package struct JobRecord: Sendable, Equatable {
  package var context: JobContext
  package var arrangement: Arrangement
  package var state: JobState
  /// The sweep it is a task of.
  package var sweep: String?
  /// Raised by every process that takes the job over; a write with an older one is refused.
  package var epoch: Int
  package var createdAt: Moment
  package var updatedAt: Moment

  package init(
    context: JobContext, arrangement: Arrangement, state: JobState, sweep: String? = nil, epoch: Int, createdAt: Moment,
    updatedAt: Moment
  ) {
    self.context = context
    self.arrangement = arrangement
    self.state = state
    self.sweep = sweep
    self.epoch = epoch
    self.createdAt = createdAt
    self.updatedAt = updatedAt
  }

  package var id: String { context.id }
  package var name: String { context.plan.name }
}

/// What was settled once at submit besides the plan: which account, which key. No secret in it.
package struct Arrangement: Codable, Sendable, Equatable {
  package var baseURL: String
  /// The cloud is a simulator of this installation, found by its `sim.json` instead of by `baseURL`.
  package var isLocal: Bool
  /// Hash of base URL and API key: the account by which absence may be concluded.
  package var accountFingerprint: String
  /// `owner` of the account's keys, where the API said it: survives a rotated key.
  package var accountOwner: String?
  package var sshKeyID: String?
  package var key: PrivateKey
  /// Offerings in the plan's order, for the first attempt.
  package var candidates: [Offering]
  package var volumeIDs: [String]
  /// What `submit --id` named the job: no other job or sweep of this installation has it.
  package var submitID: String?
  /// Bytes of the job's files, as they were when it was submitted.
  package var uploadBytes: Int?
  /// nil: ``FanOutPolicy/auto``. Of the submit, so that whoever goes on does the same, and clears away what it leaves.
  package var fanOut: FanOutPolicy?

  /// Where the private half of the registered key is: never the key itself.
  package enum PrivateKey: Codable, Sendable, Equatable {
    case file(path: String)
    /// The public key in base64, as in a `.pub` file.
    case agent(publicKey: String)
  }

  package init(
    baseURL: String, isLocal: Bool, accountFingerprint: String, accountOwner: String?, sshKeyID: String?,
    key: PrivateKey, candidates: [Offering], volumeIDs: [String]
  ) {
    self.baseURL = baseURL
    self.isLocal = isLocal
    self.accountFingerprint = accountFingerprint
    self.accountOwner = accountOwner
    self.sshKeyID = sshKeyID
    self.key = key
    self.candidates = candidates
    self.volumeIDs = volumeIDs
  }
}

/// Whether the first of several nodes passes the job's files on to the others.
package enum FanOutPolicy: String, Codable, Sendable {
  /// Where it is likely to be faster.
  case auto
  case always, never
}

/// One line of a job's journal: what happened, and where it led.
package struct JournalEntry: Sendable, Equatable {
  package var at: Moment
  package var epoch: Int
  package var event: String
  package var phase: String
}

/// A name under which a POST was sent, and until when a machine may still appear under it.
package struct WatchedName: Sendable, Equatable {
  package var name: String
  package var job: String
  package var accountFingerprint: String
  package var until: Moment

  package init(name: String, job: String, accountFingerprint: String, until: Moment) {
    self.name = name
    self.job = job
    self.accountFingerprint = accountFingerprint
    self.until = until
  }
}
