#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// What the API says an instance is doing. A status that we do not know is carried verbatim: it is never an end.
public struct InstanceStatus: RawRepresentable, Sendable, Hashable, Codable, CustomStringConvertible {
  /// The word on the wire.
  public var rawValue: String

  /// Any status, known or not.
  public init(rawValue: String) {
    self.rawValue = rawValue
  }

  /// `creating`
  public static let creating = InstanceStatus(rawValue: "creating")
  /// `restarting`
  public static let restarting = InstanceStatus(rawValue: "restarting")
  /// `active`
  public static let active = InstanceStatus(rawValue: "active")
  /// `error`
  public static let error = InstanceStatus(rawValue: "error")
  /// `deleting`
  public static let deleting = InstanceStatus(rawValue: "deleting")
  /// `deleted`
  public static let deleted = InstanceStatus(rawValue: "deleted")
  /// The ones that the API documents.
  public static let known: [InstanceStatus] = [.creating, .restarting, .active, .error, .deleting, .deleted]

  /// For messages.
  public var description: String { rawValue }
}

/// One environment variable of an instance.
public struct EnvironmentVariable: WireObject {
  /// The name that its owner chose.
  public var name: String
  /// What the variable is set to.
  public var value: String

  /// Sets `name` to `value`.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    name = try fields.identifier("name")
    value = try fields.string("value")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [("name", .string(name)), ("value", .string(value))])
  }
}

/// A rented machine: `GET /v1/spot/instances/{id}`.
public struct Instance: WireObject {
  /// The API's own name for it, unique.
  public var id: String
  /// The name that its owner chose.
  public var name: String
  /// What it is doing.
  public var status: InstanceStatus
  /// The membership that owns it.
  public var owner: String
  /// The cloud that it is in, such as `shadeform`.
  public var provider: String
  /// Where it is, such as `us-east-1`.
  public var region: String
  /// Where sshd listens.
  public var sshPort: Int
  /// Who to log in as.
  public var sshUser: String?
  /// The registered key that opens it.
  public var sshKeyID: String?
  /// Absent until the instance is active.
  public var ip: String?
  /// The volumes attached to it.
  public var volumeIDs: [String]?
  /// Its environment variables.
  public var envs: [EnvironmentVariable]?
  /// As the API wrote it; ``createdAt`` is the moment.
  public var created: String?
  /// As the API wrote it; ``modifiedAt`` is the moment.
  public var modified: String?

  /// An instance with every field that the API requires.
  public init(
    id: String, name: String, status: InstanceStatus, owner: String = "", provider: String = "", region: String = "",
    sshPort: Int = 22, sshUser: String? = nil, sshKeyID: String? = nil, ip: String? = nil, volumeIDs: [String]? = nil,
    envs: [EnvironmentVariable]? = nil, created: String? = nil, modified: String? = nil
  ) {
    self.id = id
    self.name = name
    self.status = status
    self.owner = owner
    self.provider = provider
    self.region = region
    self.sshPort = sshPort
    self.sshUser = sshUser
    self.sshKeyID = sshKeyID
    self.ip = ip
    self.volumeIDs = volumeIDs
    self.envs = envs
    self.created = created
    self.modified = modified
  }

  /// When it was created, if that can be read.
  public var createdAt: Date? { created.flatMap { Timestamp.date(iso8601: $0) } }
  /// When it last changed, if that can be read.
  public var modifiedAt: Date? { modified.flatMap { Timestamp.date(iso8601: $0) } }
}

extension Instance {
  /// Id, name and status must be there, they decide what happens to a machine; of the rest a missing one is survived.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    id = try fields.identifier("id")
    name = try fields.string("name")
    status = InstanceStatus(rawValue: try fields.string("status"))
    owner = fields.optionalString("owner") ?? ""
    provider = fields.optionalString("provider") ?? ""
    region = fields.optionalString("region") ?? ""
    sshPort = fields.optionalInteger("ssh_port") ?? 22
    sshUser = fields.optionalString("ssh_user")
    sshKeyID = fields.optionalString("ssh_key_id")
    ip = fields.optionalString("ip")
    volumeIDs = fields.optionalStrings("volume_ids")
    envs = fields.optionalObjects("envs", as: EnvironmentVariable.self)
    created = fields.optionalString("created")
    modified = fields.optionalString("modified")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("created", .optional(created)), ("envs", .optional(envs)), ("id", .string(id)), ("ip", .optional(ip)),
      ("modified", .optional(modified)), ("name", .string(name)), ("object", .string("spot.instance")),
      ("owner", .string(owner)), ("provider", .string(provider)), ("region", .string(region)),
      ("ssh_key_id", .optional(sshKeyID)), ("ssh_port", .integer(sshPort)), ("ssh_user", .optional(sshUser)),
      ("status", .string(status.rawValue)), ("volume_ids", .optional(volumeIDs)),
    ])
  }
}

/// What `POST /v1/spot/instances/` is asked for.
public struct CreateInstance: WireObject {
  /// The name that its owner chose.
  public var name: String
  /// Which offering to rent.
  public var offeringID: String
  /// The registered key that opens it.
  public var sshKeyID: String?
  /// The volumes attached to it.
  public var volumeIDs: [String]?
  /// Its environment variables.
  public var envs: [EnvironmentVariable]?

  /// A machine of the offering, under a name that is ours to choose.
  public init(
    name: String, offeringID: String, sshKeyID: String? = nil, volumeIDs: [String]? = nil,
    envs: [EnvironmentVariable]? = nil
  ) {
    self.name = name
    self.offeringID = offeringID
    self.sshKeyID = sshKeyID
    self.volumeIDs = volumeIDs
    self.envs = envs
  }

  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    name = try fields.string("name")
    offeringID = try fields.identifier("offering_id")
    sshKeyID = fields.optionalString("ssh_key_id")
    volumeIDs = fields.optionalStrings("volume_ids")
    envs = fields.optionalObjects("envs", as: EnvironmentVariable.self)
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("envs", .optional(envs)), ("name", .string(name)), ("offering_id", .string(offeringID)),
      ("ssh_key_id", .optional(sshKeyID)), ("volume_ids", .optional(volumeIDs)),
    ])
  }
}
