#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Storage that the user has: `GET /v1/spot/volumes/{id}`.
public struct Volume: WireObject {
  /// The API's own name for it, unique.
  public var id: String
  /// The name that its owner chose.
  public var name: String
  /// The membership that owns it.
  public var owner: String
  /// The cloud that it is in, such as `shadeform`.
  public var provider: String
  /// Where it is, such as `us-east-1`.
  public var region: String
  /// Size in GB.
  public var sizeGB: Int
  /// The instance that has it mounted now.
  public var mountedBy: String?
  /// Whether several instances may mount it at once.
  public var supportsMultiMount: Bool?
  /// Whether its size is settled once made.
  public var fixedSize: Bool?
  /// USD per hour, an estimate.
  public var costEstimate: Decimal?
  /// What the provider calls it.
  public var cloudAssignedID: String?
  /// When it was created, as the API wrote it.
  public var created: String?
  /// When it last changed, as the API wrote it.
  public var modified: String?

  /// A volume with every field that the API requires.
  public init(
    id: String, name: String, owner: String = "", provider: String, region: String, sizeGB: Int,
    mountedBy: String? = nil, supportsMultiMount: Bool? = nil, fixedSize: Bool? = nil, costEstimate: Decimal? = nil,
    cloudAssignedID: String? = nil, created: String? = nil, modified: String? = nil
  ) {
    self.id = id
    self.name = name
    self.owner = owner
    self.provider = provider
    self.region = region
    self.sizeGB = sizeGB
    self.mountedBy = mountedBy
    self.supportsMultiMount = supportsMultiMount
    self.fixedSize = fixedSize
    self.costEstimate = costEstimate
    self.cloudAssignedID = cloudAssignedID
    self.created = created
    self.modified = modified
  }

  /// When it was created, if that can be read.
  public var createdAt: Date? { created.flatMap { Timestamp.date(iso8601: $0) } }
}

extension Volume {
  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    id = try fields.identifier("id")
    name = try fields.string("name")
    owner = fields.optionalString("owner") ?? ""
    provider = try fields.string("provider")
    region = try fields.string("region")
    sizeGB = try fields.integer("size_gb")
    mountedBy = fields.optionalString("mounted_by").flatMap { $0.isEmpty ? nil : $0 }
    supportsMultiMount = fields.optionalBool("supports_multi_mount")
    fixedSize = fields.optionalBool("fixed_size")
    costEstimate = fields.optionalNumber("cost_estimate")
    cloudAssignedID = fields.optionalString("cloud_assigned_id")
    created = fields.optionalString("created")
    modified = fields.optionalString("modified")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("cloud_assigned_id", .optional(cloudAssignedID)), ("cost_estimate", .optional(costEstimate)),
      ("created", .optional(created)), ("fixed_size", .optional(fixedSize)), ("id", .string(id)),
      ("modified", .optional(modified)), ("mounted_by", .optional(mountedBy)), ("name", .string(name)),
      ("object", .string("spot.volume")), ("owner", .string(owner)), ("provider", .string(provider)),
      ("region", .string(region)), ("size_gb", .integer(sizeGB)),
      ("supports_multi_mount", .optional(supportsMultiMount)),
    ])
  }
}

/// A public key that the user has registered: `GET /v1/spot/ssh-keys/`.
public struct SSHKey: WireObject {
  /// The API's own name for it, unique.
  public var id: String
  /// The name that its owner chose.
  public var name: String
  /// The membership that owns it.
  public var owner: String
  /// The cloud that it is in, such as `shadeform`.
  public var provider: String
  /// What the provider calls it.
  public var providerKeyID: String
  /// The key in OpenSSH's one-line form.
  public var publicKey: String
  /// Whatever else the provider says, as received.
  public var providerData: JSONValue?
  /// When it was created, as the API wrote it.
  public var created: String?
  /// When it last changed, as the API wrote it.
  public var modified: String?

  /// A key with every field that the API requires.
  public init(
    id: String, name: String, owner: String = "", provider: String = "", providerKeyID: String = "",
    publicKey: String, providerData: JSONValue? = nil, created: String? = nil, modified: String? = nil
  ) {
    self.id = id
    self.name = name
    self.owner = owner
    self.provider = provider
    self.providerKeyID = providerKeyID
    self.publicKey = publicKey
    self.providerData = providerData
    self.created = created
    self.modified = modified
  }

  /// When it was registered, if that can be read.
  public var createdAt: Date? { created.flatMap { Timestamp.date(iso8601: $0) } }
}

extension SSHKey {
  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    id = try fields.identifier("id")
    name = try fields.string("name")
    owner = fields.optionalString("owner") ?? ""
    provider = fields.optionalString("provider") ?? ""
    providerKeyID = fields.optionalString("provider_key_id") ?? ""
    publicKey = try fields.string("public_key")
    providerData = fields["provider_data"]
    created = fields.optionalString("created")
    modified = fields.optionalString("modified")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("created", .optional(created)), ("id", .string(id)), ("modified", .optional(modified)),
      ("name", .string(name)), ("object", .string("spot.ssh_key")), ("owner", .string(owner)),
      ("provider", .string(provider)), ("provider_data", providerData), ("provider_key_id", .string(providerKeyID)),
      ("public_key", .string(publicKey)),
    ])
  }
}

/// A model that the API serves: `GET /v1/models/{model}`. Its id holds a slash.
public struct Model: WireObject {
  /// The API's own name for it, unique.
  public var id: String
  /// The name for people.
  public var displayName: String
  /// `chat`, `embedding`, `image`, `audio`, `video` or `transcribe`.
  public var modelType: String
  /// What its use costs.
  public var pricing: Pricing
  /// The cloud that it is in, such as `shadeform`.
  public var provider: String
  /// The longest context, in tokens.
  public var contextLength: Int?
  /// Unix time in seconds.
  public var created: Int?
  /// What it is, in words.
  public var description: String?
  /// The licence it is under.
  public var license: String?
  /// The page about it.
  public var link: String?
  /// Who made it.
  public var ownedBy: String?

  /// What the model costs, in USD per ``unit``.
  public struct Pricing: WireObject {
    /// The price of what goes in.
    public var input: Decimal
    /// The price of what comes out.
    public var output: Decimal
    /// What the prices are for, such as `1M tokens`.
    public var unit: String?

    /// A price for what goes in and one for what comes out.
    public init(input: Decimal, output: Decimal, unit: String? = nil) {
      self.input = input
      self.output = output
      self.unit = unit
    }
  }

  /// A model with every field that the API requires.
  public init(
    id: String, displayName: String, modelType: String, pricing: Pricing, provider: String, contextLength: Int? = nil,
    created: Int? = nil, description: String? = nil, license: String? = nil, link: String? = nil, ownedBy: String? = nil
  ) {
    self.id = id
    self.displayName = displayName
    self.modelType = modelType
    self.pricing = pricing
    self.provider = provider
    self.contextLength = contextLength
    self.created = created
    self.description = description
    self.license = license
    self.link = link
    self.ownedBy = ownedBy
  }
}

extension Model {
  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    id = try fields.identifier("id")
    displayName = try fields.string("display_name")
    modelType = try fields.string("model_type")
    pricing = try fields.object("pricing", as: Pricing.self)
    provider = try fields.string("provider")
    contextLength = fields.optionalInteger("context_length")
    created = fields.optionalInteger("created")
    description = fields.optionalString("description")
    license = fields.optionalString("license")
    link = fields.optionalString("link")
    ownedBy = fields.optionalString("owned_by")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("context_length", .optional(contextLength)), ("created", .optional(created)),
      ("description", .optional(description)), ("display_name", .string(displayName)), ("id", .string(id)),
      ("license", .optional(license)), ("link", .optional(link)), ("model_type", .string(modelType)),
      ("object", .string("model")), ("owned_by", .optional(ownedBy)), ("pricing", pricing.json),
      ("provider", .string(provider)),
    ])
  }
}

extension Model.Pricing {
  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    input = try fields.money("input")
    output = try fields.money("output")
    unit = fields.optionalString("unit")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("input", .optional(input)), ("output", .optional(output)), ("unit", .optional(unit)),
    ])
  }
}
