#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What the simulated cloud has for rent. Optional parts are left out of the answers, as the API may.
package struct SimOffering: Sendable, Equatable {
  /// `spot_coff_…`.
  package var id: String
  /// Whether it can be rented now.
  package var available: Bool
  /// `vm`, `container` or `baremetal`.
  package var deploymentType: String
  /// USD per hour for the whole instance.
  package var hourlyPrice: Decimal
  /// USD per hour and GPU, as shown.
  package var pricePerGPUHour: Decimal
  /// For example `A100x8`.
  package var instanceType: String
  /// Who hosts it.
  package var provider: String
  /// Where.
  package var region: String
  /// Where, for people.
  package var regionDisplayName: String?
  /// The boot time that the catalogue claims, in seconds. How long a boot really takes is a knob.
  package var bootSeconds: ClosedRange<Int>?
  /// The hardware, when stated.
  package var hardware: Hardware?
  /// How many instances may live at once; nil: any number.
  package var capacity: Int?

  /// What the API calls `configuration`.
  package struct Hardware: Sendable, Equatable {
    /// For example `H100`.
    package var gpuType: String?
    /// For example `NVLink`.
    package var interconnect: String?
    /// Main memory in GB.
    package var memoryInGB: Int?
    /// Number of GPUs.
    package var numGPUs: Int?
    /// Disk in GB.
    package var storageInGB: Int?
    /// Memory of all GPUs in GB.
    package var totalVRAMInGB: Int?
    /// Virtual CPUs.
    package var vcpus: Int?
    /// Memory of one GPU in GB.
    package var vramPerGPUInGB: Int?

    /// Hardware with everything stated.
    package init(
      gpuType: String?, interconnect: String? = nil, memoryInGB: Int?, numGPUs: Int?, storageInGB: Int?,
      totalVRAMInGB: Int?, vcpus: Int?, vramPerGPUInGB: Int?
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

  /// An offering with everything stated.
  package init(
    id: String, available: Bool = true, deploymentType: String = "vm", hourlyPrice: Decimal, pricePerGPUHour: Decimal,
    instanceType: String, provider: String, region: String, regionDisplayName: String? = nil,
    bootSeconds: ClosedRange<Int>? = nil, hardware: Hardware? = nil, capacity: Int? = nil
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
    self.bootSeconds = bootSeconds
    self.hardware = hardware
    self.capacity = capacity
  }
}

/// A kind of volume the cloud has.
package struct SimVolumeOffering: Sendable, Equatable {
  /// `spot_voff_…`.
  package var id: String
  /// USD per GB and hour.
  package var pricePerGBPerHour: Decimal
  /// Who hosts it.
  package var provider: String
  /// Where.
  package var region: String
  /// Whether the size is fixed after creation.
  package var fixedSize: Bool?
  /// Whether several instances may mount it at once.
  package var supportsMultiMount: Bool?

  /// A kind of volume with everything stated.
  package init(
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

/// A volume of the account.
package struct SimVolume: Sendable, Equatable {
  /// `spot_vol_…`.
  package var id: String
  /// Its name.
  package var name: String
  /// Who hosts it.
  package var provider: String
  /// Where.
  package var region: String
  /// Size in GB.
  package var sizeGB: Int
  /// USD per hour.
  package var costEstimate: Decimal?
  /// Whether several instances may mount it at once.
  package var supportsMultiMount: Bool
  /// The instance that mounts it now.
  package var mountedBy: String?

  /// A volume with everything stated.
  package init(
    id: String, name: String, provider: String, region: String, sizeGB: Int, costEstimate: Decimal? = nil,
    supportsMultiMount: Bool = false, mountedBy: String? = nil
  ) {
    self.id = id
    self.name = name
    self.provider = provider
    self.region = region
    self.sizeGB = sizeGB
    self.costEstimate = costEstimate
    self.supportsMultiMount = supportsMultiMount
    self.mountedBy = mountedBy
  }
}

/// A public key registered with the account.
package struct SimKey: Sendable, Equatable {
  /// `spot_sshk_…`.
  package var id: String
  /// Its name.
  package var name: String
  /// The line of a `.pub` file.
  package var publicKey: String

  /// A key with everything stated.
  package init(id: String, name: String, publicKey: String) {
    self.id = id
    self.name = name
    self.publicKey = publicKey
  }
}

/// A model that the API lists.
package struct SimModel: Sendable, Equatable {
  /// With a slash in it, as real ones have.
  package var id: String
  /// For people.
  package var displayName: String
  /// `chat`, `embedding`, `image`, `audio`, `video` or `transcribe`.
  package var modelType: String
  /// Who serves it.
  package var provider: String
  /// Who owns it.
  package var ownedBy: String?
  /// USD per unit of input.
  package var inputPrice: Decimal
  /// USD per unit of output.
  package var outputPrice: Decimal
  /// Tokens of context.
  package var contextLength: Int?

  /// A model with everything stated.
  package init(
    id: String, displayName: String, modelType: String = "chat", provider: String, ownedBy: String? = nil,
    inputPrice: Decimal, outputPrice: Decimal, contextLength: Int? = nil
  ) {
    self.id = id
    self.displayName = displayName
    self.modelType = modelType
    self.provider = provider
    self.ownedBy = ownedBy
    self.inputPrice = inputPrice
    self.outputPrice = outputPrice
    self.contextLength = contextLength
  }
}

/// The default catalogue: several GPU types, counts, providers and regions, with the gaps that real catalogues have.
package enum Catalogue {
  /// Twelve offerings; two cannot be rented, one states no hardware, one no boot time.
  package static let offerings: [SimOffering] = [
    gpu("a10x1000001", "A10", 1, 24, "0.75", "lambda", "us-west-1", "US West (California)", 30...120, cpus: 30),
    gpu("l4x10000001", "L4", 1, 24, "0.5", "shadeform", "europe-west4", "Europe West (Netherlands)", 40...90, cpus: 8),
    gpu("rtx4090x001", "RTX4090", 1, 24, "0.44", "hyperstack", "ca-east-1", "Canada East (Montreal)", nil, cpus: 16),
    gpu("a100x100001", "A100", 1, 80, "1.99", "shadeform", "us-east-1", "US East (Virginia)", 60...300, cpus: 24),
    gpu("a100x200001", "A100", 2, 80, "3.98", "hyperstack", "ca-east-1", "Canada East (Montreal)", 60...240, cpus: 48),
    gpu("a100x800001", "A100", 8, 80, "24.12", "shadeform", "us-east-1", "US East (Virginia)", 60...300, cpus: 96),
    gpu("h100x100001", "H100", 1, 80, "2.49", "nebius", "eu-north-1", "EU North (Finland)", 90...180, cpus: 20),
    gpu("h100x100002", "H100", 1, 80, "2.29", "lambda", "us-west-1", nil, 60...180, cpus: 26, available: false),
    gpu("h100x800001", "H100", 8, 80, "18.92", "nebius", "eu-north-1", "EU North (Finland)", 120...420, cpus: 160),
    gpu("h200x800001", "H200", 8, 141, "25.6", "nebius", "eu-north-1", nil, 300...900, cpus: 160, available: false),
    gpu(
      "b200x800001", "B200", 8, 180, "39.2", "shadeform", "us-east-1", "US East (Virginia)", 600...1800, cpus: 192,
      deploymentType: "baremetal"),
    SimOffering(
      id: "spot_coff_mystery0001", deploymentType: "container", hourlyPrice: money("0.19"),
      pricePerGPUHour: money("0.19"), instanceType: "community", provider: "vast", region: "unknown",
      bootSeconds: 10...60),
  ]

  /// Two kinds of volumes.
  package static let volumeOfferings: [SimVolumeOffering] = [
    SimVolumeOffering(
      id: "spot_voff_useast00001", pricePerGBPerHour: money("0.00008"), provider: "shadeform", region: "us-east-1",
      fixedSize: true, supportsMultiMount: false),
    SimVolumeOffering(
      id: "spot_voff_eunorth0001", pricePerGBPerHour: money("0.0001"), provider: "nebius", region: "eu-north-1",
      supportsMultiMount: true),
  ]

  /// Two volumes: one that one instance at a time may mount, one for several.
  package static let volumes: [SimVolume] = [
    SimVolume(
      id: "spot_vol_datasets00001", name: "datasets", provider: "shadeform", region: "us-east-1", sizeGB: 500,
      costEstimate: money("0.04")),
    SimVolume(
      id: "spot_vol_shared0000001", name: "shared", provider: "nebius", region: "eu-north-1", sizeGB: 1000,
      costEstimate: money("0.1"), supportsMultiMount: true),
  ]

  /// Three models.
  package static let models: [SimModel] = [
    SimModel(
      id: "meta-llama/llama-3.3-70b-instruct-turbo", displayName: "Llama 3.3 70B Instruct Turbo", provider: "together",
      ownedBy: "meta", inputPrice: money("0.88"), outputPrice: money("0.88"), contextLength: 131_072),
    SimModel(
      id: "openai/whisper-large-v3", displayName: "Whisper Large v3", modelType: "transcribe", provider: "groq",
      ownedBy: "openai", inputPrice: money("0.111"), outputPrice: 0),
    SimModel(
      id: "baai/bge-m3", displayName: "BGE M3", modelType: "embedding", provider: "deepinfra",
      inputPrice: money("0.01"), outputPrice: 0, contextLength: 8192),
  ]

  private static func gpu(
    _ id: String, _ type: String, _ count: Int, _ vram: Int, _ price: String, _ provider: String, _ region: String,
    _ regionName: String?, _ boot: ClosedRange<Int>?, cpus: Int, available: Bool = true, deploymentType: String = "vm"
  ) -> SimOffering {
    SimOffering(
      id: "spot_coff_\(id)", available: available, deploymentType: deploymentType, hourlyPrice: money(price),
      pricePerGPUHour: money(price) / Decimal(count), instanceType: "\(type)x\(count)", provider: provider,
      region: region, regionDisplayName: regionName, bootSeconds: boot,
      hardware: SimOffering.Hardware(
        gpuType: type, interconnect: count > 1 ? "NVLink" : nil, memoryInGB: cpus * 8, numGPUs: count,
        storageInGB: 250 * count, totalVRAMInGB: vram * count, vcpus: cpus, vramPerGPUInGB: vram))
  }

  /// A decimal literal of this file; a wrong one is a mistake of ours.
  private static func money(_ digits: String) -> Decimal {
    guard let amount = Decimal(string: digits) else { preconditionFailure("`\(digits)` is no decimal number") }
    return amount
  }
}
