#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a client gets for one call, and when.
package struct Answer<Value: Sendable & Equatable>: Sendable, Equatable {
  /// What the client sees.
  package var seen: Seen
  /// Milliseconds from the call until the client sees it.
  package var after: Int64
  /// Whether the cloud did what was asked. The truth, which the client is not told.
  package var executed: Bool

  /// What a client sees of a call.
  package enum Seen: Sendable, Equatable {
    /// A whole answer of success with this HTTP status.
    case value(Value, status: Int)
    /// A whole answer of failure.
    case refused(Refusal)
    /// The connection is reset before a byte of the answer.
    case reset
    /// Headers of success and half a body, then the connection ends.
    case cut(Value, status: Int)
    /// Status 200 and a body that is not what the document says.
    case unreadable
    /// Nothing, until the client gives up.
    case silence
  }

  /// The value, when the client was given one.
  package var value: Value? {
    guard case .value(let value, _) = seen else { return nil }
    return value
  }

  /// The refusal, when the client was given one.
  package var refusal: Refusal? {
    guard case .refused(let refusal) = seen else { return nil }
    return refusal
  }
}

/// An error answer as the API's document has it.
package struct Refusal: Sendable, Equatable {
  /// HTTP status.
  package var status: Int
  /// One of the nine error types of the document.
  package var type: String
  /// For people.
  package var message: String
  /// The field that a validation error is about.
  package var field: String?
  /// The `Retry-After` header, verbatim.
  package var retryAfter: String?
  /// The body is a gateway's page of HTML instead of the document's JSON.
  package var html: Bool

  /// A refusal with everything stated.
  package init(
    status: Int, type: String, message: String, field: String? = nil, retryAfter: String? = nil, html: Bool = false
  ) {
    self.status = status
    self.type = type
    self.message = message
    self.field = field
    self.retryAfter = retryAfter
    self.html = html
  }
}

/// The body of a POST that creates an instance.
package struct SimCreateRequest: Sendable, Equatable {
  /// Any text the client likes; the API does not say that it is unique.
  package var name: String
  /// Which offering.
  package var offeringID: String
  /// Which registered key is installed; nil: all of them.
  package var sshKeyID: String?
  /// Volumes to attach.
  package var volumeIDs: [String]
  /// Environment of the instance, in order.
  package var envs: [SimEnvironmentVariable]

  /// A request with everything stated.
  package init(
    name: String, offeringID: String, sshKeyID: String? = nil, volumeIDs: [String] = [],
    envs: [SimEnvironmentVariable] = []
  ) {
    self.name = name
    self.offeringID = offeringID
    self.sshKeyID = sshKeyID
    self.volumeIDs = volumeIDs
    self.envs = envs
  }
}

/// One variable of an instance's environment.
package struct SimEnvironmentVariable: Sendable, Equatable {
  /// Its name.
  package var name: String
  /// Its value.
  package var value: String

  /// A variable.
  package init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// What a successful POST says.
package enum SimCreation: Sendable, Equatable {
  /// 201 and the instance.
  case full(SimInstance)
  /// 200 and its id.
  case id(String)
  /// 200 and nothing.
  case empty

  /// The id, when the answer has one.
  package var id: String? {
    switch self {
    case .full(let instance): instance.id
    case .id(let id): id
    case .empty: nil
    }
  }
}

/// A successful DELETE says nothing.
package struct SimDeletion: Sendable, Equatable {
  /// Nothing to say.
  package init() {}
}

/// An instance as one answer of the API shows it, which may not be how it is.
package struct SimInstance: Sendable, Equatable {
  /// `spot_inst_…`.
  package var id: String
  /// The name of the POST.
  package var name: String
  /// The status shown; may be one that the document does not have.
  package var status: String
  /// Shown once the instance is active.
  package var ip: String?
  /// 22 until the address is known.
  package var sshPort: Int
  /// Login name.
  package var sshUser: String?
  /// Who hosts it.
  package var provider: String
  /// Where.
  package var region: String
  /// The key of the POST.
  package var sshKeyID: String?
  /// The volumes of the POST.
  package var volumeIDs: [String]
  /// The environment of the POST; nil: left out.
  package var envs: [SimEnvironmentVariable]?
  /// Milliseconds of the model's time.
  package var created: Int64
  /// Milliseconds of the model's time.
  package var modified: Int64
}

/// What one instance cost and how it ended. The truth.
package struct LedgerEntry: Sendable, Equatable {
  /// `spot_inst_…`.
  package var id: String
  /// The name of the POST.
  package var name: String
  /// The offering of the POST.
  package var offeringID: String
  /// True status, one of the document's six.
  package var status: String
  /// When it was made. Milliseconds of the model's time, as all moments here.
  package var created: Int64
  /// When it first was active.
  package var activeSince: Int64?
  /// When DELETE first was executed.
  package var deleteAsked: Int64?
  /// When billing ended; nil while it is billed.
  package var ended: Int64?
  /// What ended it; nil while it is billed.
  package var ending: Ending?
  /// Milliseconds billed so far.
  package var billedMilliseconds: Int64
  /// USD per hour.
  package var hourlyPrice: Decimal
  /// USD so far, not rounded.
  package var cost: Decimal
  /// Times DELETE was asked for this id, refused ones too.
  package var deletes: Int

  /// What ends an instance.
  package enum Ending: String, Sendable, Equatable {
    case deleted, preempted
  }
}
