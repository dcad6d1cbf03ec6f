#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Which offerings a job may be run on, and in which order they are tried.
package enum Matching {
  /// Offerings that satisfy every constraint: by hourly price, then longest boot time (unknown last), then the order given.
  /// `prefer: "listed"` puts the order of `gpu_type` before the price.
  package static func rank(_ offerings: [Offering], for resources: Resources, volumes: [AttachedVolume] = []) -> Ranking
  {
    let constraints = Constraint.all(of: resources, volumes: volumes)
    var left = offerings
    var removed: [Ranking.Removal] = []
    for constraint in constraints {
      let kept = left.filter { constraint.loss($0) == nil }
      removed.append(Ranking.Removal(constraint: constraint.name, count: left.count - kept.count))
      left = kept
    }
    let nearest = left.isEmpty ? nearMisses(offerings, constraints) : []
    return Ranking(candidates: sorted(left, for: resources), removed: removed, nearest: nearest)
  }

  private static func nearMisses(_ offerings: [Offering], _ constraints: [Constraint]) -> [Ranking.NearMiss] {
    let losses = offerings.enumerated().map { position, offering in
      (position: position, offering: offering, lost: constraints.compactMap { $0.loss(offering) })
    }
    let nearest = losses.sorted {
      ($0.lost.count, $0.offering.hourlyPrice, $0.position) < ($1.lost.count, $1.offering.hourlyPrice, $1.position)
    }
    return nearest.prefix(3).map { Ranking.NearMiss(offering: $0.offering, lostBy: $0.lost.joined(separator: "; ")) }
  }

  private static func sorted(_ offerings: [Offering], for resources: Resources) -> [Offering] {
    let preference = gpuPreference(resources)
    let keyed = offerings.enumerated().map { position, offering in
      (preference(offering), offering.hourlyPrice, offering.maxBootSeconds ?? Int.max, position)
    }
    return keyed.sorted { $0 < $1 }.map { offerings[$0.3] }
  }

  /// The position of an offering's GPU in `gpu_type`, all alike unless `prefer` asks for it.
  private static func gpuPreference(_ resources: Resources) -> (Offering) -> Int {
    switch resources.prefer {
    case .price: { _ in 0 }
    case .listed:
      { offering in
        let type = offering.gpuType?.lowercased()
        return resources.gpuType.firstIndex { $0.lowercased() == type } ?? resources.gpuType.count
      }
    }
  }
}

/// One field of `resources` (or what volumes and the market demand) as a question to an offering.
private struct Constraint {
  let name: String
  /// Why the offering loses by this, in words; nil when it does not.
  let loss: (Offering) -> String?

  /// In the order of the spec's reference; availability last, so that its count tells what would match otherwise.
  static func all(of resources: Resources, volumes: [AttachedVolume]) -> [Constraint] {
    let fields: [Constraint?] = [
      anyOf("gpu_type", resources.gpuType, \.gpuType),
      anyOf("provider", resources.provider) { $0.provider },
      anyOf("region", resources.region) { $0.region },
      anyOf("deployment_type", resources.deploymentType) { $0.deploymentType },
      anyOf("interconnect", resources.interconnect, \.interconnect),
      anyOf("instance_type", resources.instanceType) { $0.instanceType },
      anyOf("offering_id", resources.offeringID) { $0.id },
      within("num_gpus", resources.numGPUs, \.numGPUs),
      within("vram_per_gpu_in_gb", resources.vramPerGPUInGB, \.vramPerGPUInGB),
      within("total_vram_in_gb", resources.totalVRAMInGB, \.totalVRAMInGB),
      within("vcpus", resources.vcpus, \.vcpus),
      within("memory_in_gb", resources.memoryInGB, \.memoryInGB),
      within("storage_in_gb", resources.storageInGB, \.storageInGB),
      atMost("max_hourly_price", resources.maxHourlyPrice, \.hourlyPrice, shown: false),
      atMost("max_price_per_gpu_hour", resources.maxPricePerGPUHour, \.pricePerGPUHour, shown: true),
      beside(volumes),
    ]
    return fields.compactMap(\.self) + [available]
  }

  private static func anyOf(
    _ name: String, _ wanted: [String], _ stated: @escaping (Offering) -> String?
  ) -> Constraint? {
    guard !wanted.isEmpty else { return nil }
    let accepted = Set(wanted.map { $0.lowercased() })
    let demand = "\(name) is \(wanted.joined(separator: " or "))"
    return Constraint(name: name) { offering in
      guard let value = stated(offering) else { return "\(demand), this does not state it" }
      return accepted.contains(value.lowercased()) ? nil : "\(demand), this is \(value)"
    }
  }

  private static func within(
    _ name: String, _ bounds: Resources.Bounds?, _ stated: @escaping (Offering) -> Int?
  ) -> Constraint? {
    guard let bounds else { return nil }
    return Constraint(name: name) { offering in
      guard let value = stated(offering) else { return "\(name) is \(bounds), this does not state it" }
      return bounds.contains(value) ? nil : "\(name) is \(bounds), this has \(value)"
    }
  }

  private static func atMost(
    _ name: String, _ cap: Decimal?, _ price: @escaping (Offering) -> Decimal, shown: Bool
  ) -> Constraint? {
    guard let cap else { return nil }
    return Constraint(name: name) { offering in
      let price = price(offering)
      guard price > cap else { return nil }
      let demand = "\(name) is \(Money.exact(cap))"
      return shown ? "\(demand), this costs \(Money.exact(price))" : demand
    }
  }

  /// A volume can be attached only in its own provider's region.
  private static func beside(_ volumes: [AttachedVolume]) -> Constraint? {
    guard !volumes.isEmpty else { return nil }
    return Constraint(name: "volumes") { offering in
      let elsewhere = volumes.first {
        $0.provider.lowercased() != offering.provider.lowercased()
          || $0.region.lowercased() != offering.region.lowercased()
      }
      return elsewhere.map {
        "volume \($0.name) is in \($0.provider) \($0.region), this is in \(offering.provider) \(offering.region)"
      }
    }
  }

  private static var available: Constraint {
    Constraint(name: "available") { $0.available ? nil : "it is not available now" }
  }
}
