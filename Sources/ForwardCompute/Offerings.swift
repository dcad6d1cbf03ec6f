#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A kind of machine that can be rented, with its price: `GET /v1/spot/compute/offerings`.
public struct ComputeOffering: WireObject {
  /// The API's own name for it, unique.
  public var id: String
  /// Whether one can be had now.
  public var available: Bool
  /// `vm`, `container` or `baremetal`.
  public var deploymentType: String
  /// USD per hour for the whole instance.
  public var hourlyPrice: Decimal
  /// USD per GPU and hour.
  public var pricePerGPUHour: Decimal
  /// The provider's name of the kind, such as `A100x8`.
  public var instanceType: String
  /// The cloud that it is in, such as `shadeform`.
  public var provider: String
  /// Where it is, such as `us-east-1`.
  public var region: String
  /// The region for people.
  public var regionDisplayName: String?
  /// How long it takes to become active.
  public var bootTime: BootTime?
  /// What is inside.
  public var configuration: Configuration?

  /// How long a machine takes until it is active, in seconds.
  public struct BootTime: WireObject {
    /// The shortest, in seconds.
    public var minSeconds: Int?
    /// The longest, in seconds.
    public var maxSeconds: Int?

    /// An estimate; either end may be unknown.
    public init(minSeconds: Int? = nil, maxSeconds: Int? = nil) {
      self.minSeconds = minSeconds
      self.maxSeconds = maxSeconds
    }
  }

  /// What is inside the machine; the API promises none of it.
  public struct Configuration: WireObject {
    /// Such as `A100`.
    public var gpuType: String?
    /// Such as `NVLink`.
    public var interconnect: String?
    /// Main memory in GB.
    public var memoryInGB: Int?
    /// How many GPUs.
    public var numGPUs: Int?
    /// Local storage in GB.
    public var storageInGB: Int?
    /// Memory of all GPUs together, in GB.
    public var totalVRAMInGB: Int?
    /// How many virtual CPUs.
    public var vcpus: Int?
    /// Memory of each GPU, in GB.
    public var vramPerGPUInGB: Int?

    /// A configuration of which any part may be unknown.
    public init(
      gpuType: String? = nil, interconnect: String? = nil, memoryInGB: Int? = nil, numGPUs: Int? = nil,
      storageInGB: Int? = nil, totalVRAMInGB: Int? = nil, vcpus: Int? = nil, vramPerGPUInGB: Int? = nil
    ) {
      self.gpuType = gpuType
      self.interconnect = interconnect
      self.memoryInGB = memoryInGB
      self.numGPUs = numGPUs
      self.storageInGB = storageInGB
      self.totalVRAMInGB = totalVRAMInGB
      self.vcpus = vcpus
      self.vramPerGPUInGB = vramPerGPUInGB
    }
  }

  /// An offering with every field that the API requires.
  public init(
    id: String, available: Bool, deploymentType: String, hourlyPrice: Decimal, pricePerGPUHour: Decimal,
    instanceType: String, provider: String, region: String, regionDisplayName: String? = nil,
    bootTime: BootTime? = nil, configuration: Configuration? = nil
  ) {
    self.id = id
    self.available = available
    self.deploymentType = deploymentType
    self.hourlyPrice = hourlyPrice
    self.pricePerGPUHour = pricePerGPUHour
    self.instanceType = instanceType
    self.provider = provider
    self.region = region
    self.regionDisplayName = regionDisplayName
    self.bootTime = bootTime
    self.configuration = configuration
  }
}

extension ComputeOffering {
  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    id = try fields.identifier("id")
    available = try fields.bool("available")
    deploymentType = try fields.string("deployment_type")
    hourlyPrice = try fields.money("hourly_price")
    pricePerGPUHour = try fields.money("price_per_gpu_hour")
    instanceType = try fields.string("instance_type")
    provider = try fields.string("provider")
    region = try fields.string("region")
    regionDisplayName = fields.optionalString("region_display_name")
    bootTime = fields.optionalObject("boot_time", as: BootTime.self)
    configuration = fields.optionalObject("configuration", as: Configuration.self)
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("available", .bool(available)), ("boot_time", bootTime?.json), ("configuration", configuration?.json),
      ("deployment_type", .string(deploymentType)), ("hourly_price", .money(hourlyPrice)), ("id", .string(id)),
      ("instance_type", .string(instanceType)), ("price_per_gpu_hour", .money(pricePerGPUHour)),
      ("provider", .string(provider)), ("region", .string(region)),
      ("region_display_name", .optional(regionDisplayName)),
    ])
  }
}

extension ComputeOffering.BootTime {
  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    minSeconds = fields.optionalInteger("min_seconds")
    maxSeconds = fields.optionalInteger("max_seconds")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [("max_seconds", .optional(maxSeconds)), ("min_seconds", .optional(minSeconds))])
  }
}

extension ComputeOffering.Configuration {
  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    gpuType = fields.optionalString("gpu_type")
    interconnect = fields.optionalString("interconnect")
    memoryInGB = fields.optionalInteger("memory_in_gb")
    numGPUs = fields.optionalInteger("num_gpus")
    storageInGB = fields.optionalInteger("storage_in_gb")
    totalVRAMInGB = fields.optionalInteger("total_vram_in_gb")
    vcpus = fields.optionalInteger("vcpus")
    vramPerGPUInGB = fields.optionalInteger("vram_per_gpu_in_gb")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("gpu_type", .optional(gpuType)), ("interconnect", .optional(interconnect)),
      ("memory_in_gb", .optional(memoryInGB)), ("num_gpus", .optional(numGPUs)),
      ("storage_in_gb", .optional(storageInGB)), ("total_vram_in_gb", .optional(totalVRAMInGB)),
      ("vcpus", .optional(vcpus)), ("vram_per_gpu_in_gb", .optional(vramPerGPUInGB)),
    ])
  }
}

/// A kind of volume that can be rented: `GET /v1/spot/volumes/offerings`.
public struct VolumeOffering: WireObject {
  /// The API's own name for it, unique.
  public var id: String
  /// USD per GB and hour.
  public var pricePerGBPerHour: Decimal
  /// The cloud that it is in, such as `shadeform`.
  public var provider: String
  /// Where it is, such as `us-east-1`.
  public var region: String
  /// Whether its size is settled once made.
  public var fixedSize: Bool?
  /// Whether several instances may mount it at once.
  public var supportsMultiMount: Bool?

  /// An offering with every field that the API requires.
  public init(
    id: String, pricePerGBPerHour: Decimal, provider: String, region: String, fixedSize: Bool? = nil,
    supportsMultiMount: Bool? = nil
  ) {
    self.id = id
    self.pricePerGBPerHour = pricePerGBPerHour
    self.provider = provider
    self.region = region
    self.fixedSize = fixedSize
    self.supportsMultiMount = supportsMultiMount
  }
}

extension VolumeOffering {
  /// Reads the object; throws which required field was wrong.
  public init(json: JSONValue) throws(WireProblem) {
    let fields = try WireFields(json)
    id = try fields.identifier("id")
    pricePerGBPerHour = try fields.money("price_per_gb_per_hour")
    provider = try fields.string("provider")
    region = try fields.string("region")
    fixedSize = fields.optionalBool("fixed_size")
    supportsMultiMount = fields.optionalBool("supports_multi_mount")
  }

  /// The object as the API would write it.
  public var json: JSONValue {
    .object(of: [
      ("fixed_size", .optional(fixedSize)), ("id", .string(id)), ("price_per_gb_per_hour", .money(pricePerGBPerHour)),
      ("provider", .string(provider)), ("region", .string(region)),
      ("supports_multi_mount", .optional(supportsMultiMount)),
    ])
  }
}
