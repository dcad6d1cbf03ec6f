#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A kind of machine that can be rented now, as the API's `GET /v1/spot/compute/offerings` describes it.
///
/// Money is US dollars, sizes are GB, times are seconds. What the API leaves out is nil, never a guess.
package struct Offering: Codable, Sendable, Hashable {
  package var id: String
  package var instanceType: String
  package var provider: String
  package var region: String
  package var regionDisplayName: String?
  package var deploymentType: String
  package var available: Bool
  package var hourlyPrice: Decimal
  package var pricePerGPUHour: Decimal
  package var minBootSeconds: Int?
  package var maxBootSeconds: Int?
  package var gpuType: String?
  package var interconnect: String?
  package var numGPUs: Int?
  package var vramPerGPUInGB: Int?
  package var totalVRAMInGB: Int?
  package var vcpus: Int?
  package var memoryInGB: Int?
  package var storageInGB: Int?

  package init(
    id: String, instanceType: String, provider: String, region: String, regionDisplayName: String? = nil,
    deploymentType: String, available: Bool, hourlyPrice: Decimal, pricePerGPUHour: Decimal,
    minBootSeconds: Int? = nil, maxBootSeconds: Int? = nil, gpuType: String? = nil, interconnect: String? = nil,
    numGPUs: Int? = nil, vramPerGPUInGB: Int? = nil, totalVRAMInGB: Int? = nil, vcpus: Int? = nil,
    memoryInGB: Int? = nil, storageInGB: Int? = nil
  ) {
    self.id = id
    self.instanceType = instanceType
    self.provider = provider
    self.region = region
    self.regionDisplayName = regionDisplayName
    self.deploymentType = deploymentType
    self.available = available
    self.hourlyPrice = hourlyPrice
    self.pricePerGPUHour = pricePerGPUHour
    self.minBootSeconds = minBootSeconds
    self.maxBootSeconds = maxBootSeconds
    self.gpuType = gpuType
    self.interconnect = interconnect
    self.numGPUs = numGPUs
    self.vramPerGPUInGB = vramPerGPUInGB
    self.totalVRAMInGB = totalVRAMInGB
    self.vcpus = vcpus
    self.memoryInGB = memoryInGB
    self.storageInGB = storageInGB
  }

  /// `A100x8 us-east-1 at $24.12/h`: enough to know it again in a sentence.
  package var inWords: String {
    "\(clipped(machineInWords)) \(clipped(region)) at $\(Money.exact(hourlyPrice))/h"
  }

  private var machineInWords: String {
    guard let gpuType else { return instanceType }
    return numGPUs.map { "\(gpuType)x\($0)" } ?? gpuType
  }
}

/// An existing volume that a job wants: it can only be attached where it is.
package struct AttachedVolume: Codable, Sendable, Equatable {
  package var id: String
  package var name: String
  package var provider: String
  package var region: String
  /// Id of the instance that has mounted it now.
  package var mountedBy: String?
  package var supportsMultiMount: Bool

  package init(
    id: String, name: String, provider: String, region: String, mountedBy: String? = nil, supportsMultiMount: Bool
  ) {
    self.id = id
    self.name = name
    self.provider = provider
    self.region = region
    self.mountedBy = mountedBy
    self.supportsMultiMount = supportsMultiMount
  }
}
