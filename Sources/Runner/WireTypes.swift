import ForwardCompute
import Jobs

// The API's wire types in Jobs' words: the only place where the two meet.

extension Jobs.Offering {
  package init(_ wire: ComputeOffering) {
    let configuration = wire.configuration
    self.init(
      id: wire.id, instanceType: wire.instanceType, provider: wire.provider, region: wire.region,
      regionDisplayName: wire.regionDisplayName, deploymentType: wire.deploymentType, available: wire.available,
      hourlyPrice: wire.hourlyPrice, pricePerGPUHour: wire.pricePerGPUHour,
      minBootSeconds: wire.bootTime?.minSeconds, maxBootSeconds: wire.bootTime?.maxSeconds,
      gpuType: configuration?.gpuType, interconnect: configuration?.interconnect, numGPUs: configuration?.numGPUs,
      vramPerGPUInGB: configuration?.vramPerGPUInGB, totalVRAMInGB: configuration?.totalVRAMInGB,
      vcpus: configuration?.vcpus, memoryInGB: configuration?.memoryInGB, storageInGB: configuration?.storageInGB)
  }
}

extension AttachedVolume {
  package init(_ wire: Volume) {
    self.init(
      id: wire.id, name: wire.name, provider: wire.provider, region: wire.region, mountedBy: wire.mountedBy,
      supportsMultiMount: wire.supportsMultiMount ?? false)
  }
}
