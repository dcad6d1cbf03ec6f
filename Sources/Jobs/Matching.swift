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
    let judged = offerings.indices.map { position in
      Judged(
        position: position, hourlyPrice: offerings[position].hourlyPrice,
        lost: constraints.indices.filter { !constraints[$0].accepts(offerings[position]) })
    }
    let matching = judged.filter(\.lost.isEmpty).map { offerings[$0.position] }
    return Ranking(
      candidates: sorted(matching, for: resources),
      removed: removals(judged, constraints),
      nearest: matching.isEmpty ? nearest(judged, constraints, in: offerings) : [])
  }

  /// An offering by its position, and the indices of the constraints that it does not satisfy.
  private struct Judged {
    var position: Int
    var hourlyPrice: Decimal
    var lost: [Int]
  }

  /// Each constraint on all offerings: who widens one wants to know which other ones still stand in the way.
  private static func removals(_ judged: [Judged], _ constraints: [Constraint]) -> [Ranking.Removal] {
    var counts = constraints.map { _ in 0 }
    for lost in judged.flatMap(\.lost) { counts[lost] += 1 }
    return zip(constraints, counts).map { Ranking.Removal(constraint: $0.name, count: $1) }
  }

  private static func nearest(
    _ judged: [Judged], _ constraints: [Constraint], in offerings: [Offering]
  ) -> [Ranking.NearMiss] {
    let nearest = judged.sorted {
      ($0.lost.count, $0.hourlyPrice, $0.position) < ($1.lost.count, $1.hourlyPrice, $1.position)
    }
    return nearest.prefix(3).map { miss in
      let offering = offerings[miss.position]
      let reasons = miss.lost.map { constraints[$0].loss(offering) }
      return Ranking.NearMiss(offering: offering, lostBy: reasons.joined(separator: "; "))
    }
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
  let accepts: (Offering) -> Bool
  /// Why an offering that is not accepted loses, in words.
  let loss: (Offering) -> String

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
    return Constraint(
      name: name,
      accepts: { offering in stated(offering).map { accepted.contains($0.lowercased()) } ?? false },
      loss: {
        "\(name) is \(wanted.map(clipped).joined(separator: " or ")), \(stated($0).map { "this is \(clipped($0))" } ?? unstated)"
      })
  }

  private static func within(
    _ name: String, _ bounds: Resources.Bounds?, _ stated: @escaping (Offering) -> Int?
  ) -> Constraint? {
    guard let bounds else { return nil }
    return Constraint(
      name: name,
      accepts: { offering in stated(offering).map(bounds.contains) ?? false },
      loss: { "\(name) is \(bounds), \(stated($0).map { "this has \($0)" } ?? unstated)" })
  }

  private static let unstated = "this does not state it"

  /// `shown`: whether the price stands in the sentence; the hourly one is already in what an offering is called.
  private static func atMost(
    _ name: String, _ cap: Decimal?, _ price: @escaping (Offering) -> Decimal, shown: Bool
  ) -> Constraint? {
    guard let cap else { return nil }
    return Constraint(
      name: name,
      accepts: { price($0) <= cap },
      loss: { "\(name) is \(Money.exact(cap))" + (shown ? ", this costs \(Money.exact(price($0)))" : "") })
  }

  /// A volume can be attached only in its own provider's region.
  private static func beside(_ volumes: [AttachedVolume]) -> Constraint? {
    guard let first = volumes.first else { return nil }
    return Constraint(
      name: "volumes",
      accepts: { offering in volumes.allSatisfy { $0.isBeside(offering) } },
      loss: { offering in
        let volume = volumes.first { !$0.isBeside(offering) } ?? first
        let (there, here) = ("\(volume.provider) \(volume.region)", "\(offering.provider) \(offering.region)")
        return "volume \(clipped(volume.name)) is in \(clipped(there)), this is in \(clipped(here))"
      })
  }

  private static var available: Constraint {
    Constraint(name: "available", accepts: \.available, loss: { _ in "it is not available now" })
  }
}

extension AttachedVolume {
  fileprivate func isBeside(_ offering: Offering) -> Bool {
    provider.lowercased() == offering.provider.lowercased() && region.lowercased() == offering.region.lowercased()
  }
}
