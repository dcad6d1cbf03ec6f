#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Which offerings will do. An empty list and nil do not constrain.
package struct Resources: Codable, Sendable, Equatable {
  /// Any of these, compared without case; with `prefer` = listed also the order of preference.
  package var gpuType: [String] = []
  package var prefer = Preference.price
  package var provider: [String] = []
  package var region: [String] = []
  package var deploymentType: [String] = []
  package var interconnect: [String] = []
  package var instanceType: [String] = []
  package var offeringID: [String] = []
  package var numGPUs: Bounds?
  package var vramPerGPUInGB: Bounds?
  package var totalVRAMInGB: Bounds?
  package var vcpus: Bounds?
  package var memoryInGB: Bounds?
  package var storageInGB: Bounds?
  /// US dollars for one machine and hour.
  package var maxHourlyPrice: Decimal?
  package var maxPricePerGPUHour: Decimal?

  package init() {}

  package enum Preference: String, Codable, Sendable, CaseIterable {
    case price
    /// The order in which `gpu_type` lists the types, then price.
    case listed
  }

  /// Both ends belong to it; nil is open. A lone number is `n...n` for `num_gpus` and `n...` for every other field.
  package struct Bounds: Codable, Sendable, Equatable, CustomStringConvertible {
    package var min: Int?
    package var max: Int?

    package init(min: Int?, max: Int?) {
      self.min = min
      self.max = max
    }

    package func contains(_ value: Int) -> Bool {
      value >= (min ?? value) && value <= (max ?? value)
    }

    /// `8`, `4..8`, `40..` or `..64`.
    package var description: String {
      if let min, min == max { return "\(min)" }
      return (min.map { "\($0)" } ?? "") + ".." + (max.map { "\($0)" } ?? "")
    }
  }
}
