#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// What the API says an instance is doing. A status that we do not know is carried verbatim: it is never an end.
public struct InstanceStatus: RawRepresentable, Sendable, Hashable, Codable, CustomStringConvertible {
  public var rawValue: String

  /// Any status, known or not.
  public init(rawValue: String) {
    self.rawValue = rawValue
  }

  public static let creating = InstanceStatus(rawValue: "creating")
  public static let restarting = InstanceStatus(rawValue: "restarting")
  public static let active = InstanceStatus(rawValue: "active")
  public static let error = InstanceStatus(rawValue: "error")
  public static let deleting = InstanceStatus(rawValue: "deleting")
  public static let deleted = InstanceStatus(rawValue: "deleted")
  /// The ones that the API documents.
  public static let known: [InstanceStatus] = [.creating, .restarting, .active, .error, .deleting, .deleted]

  public var description: String { rawValue }
}

/// One environment variable of an instance.
public struct EnvironmentVariable: WireObject {
  public var name: String
  public var value: String

  /// Sets `name` to `value`.
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }

  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    name = try fields.identifier("name")
    value = try fields.string("value")
  }

  public var json: JSONValue {
    .object(of: [("name", .string(name)), ("value", .string(value))])
  }
}

/// A rented machine: `GET /v1/spot/instances/{id}`.
public struct Instance: WireObject {
  public var id: String
  public var name: String
  public var status: InstanceStatus
  public var owner: String
  public var provider: String
  public var region: String
  public var sshPort: Int
  public var sshUser: String?
  public var sshKeyID: String?
  /// Absent until the instance is active.
  public var ip: String?
  public var volumeIDs: [String]?
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
  public var name: String
  public var offeringID: String
  public var sshKeyID: String?
  public var volumeIDs: [String]?
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

  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    name = try fields.string("name")
    offeringID = try fields.identifier("offering_id")
    sshKeyID = fields.optionalString("ssh_key_id")
    volumeIDs = fields.optionalStrings("volume_ids")
    envs = fields.optionalObjects("envs", as: EnvironmentVariable.self)
  }

  public var json: JSONValue {
    .object(of: [
      ("envs", .optional(envs)), ("name", .string(name)), ("offering_id", .string(offeringID)),
      ("ssh_key_id", .optional(sshKeyID)), ("volume_ids", .optional(volumeIDs)),
    ])
  }
}
