#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

// `resources` and the values only it has: words or lists of them, ranges, prices.

extension SpecReader {
  mutating func resources(_ node: SpecNode, _ path: SpecPath) -> Resources {
    let fields = fields(node, path, known: SpecFields.resources)
    var resources = Resources()
    words(fields, into: &resources)
    sizes(fields, into: &resources)
    resources.maxHourlyPrice = located(fields, "max_hourly_price") { $0.price($1, $2) }?.value
    resources.maxPricePerGPUHour = located(fields, "max_price_per_gpu_hour") { $0.price($1, $2) }?.value
    contradictions(fields, resources)
    return resources
  }

  private mutating func words(_ fields: Fields, into resources: inout Resources) {
    resources.gpuType = words(fields, "gpu_type")
    resources.prefer =
      located(fields, "prefer") { $0.choice($1, $2, of: Resources.Preference.self) }?.value ?? .price
    resources.provider = words(fields, "provider")
    resources.region = words(fields, "region")
    resources.deploymentType = words(fields, "deployment_type")
    resources.interconnect = words(fields, "interconnect")
    resources.instanceType = words(fields, "instance_type")
    resources.offeringID = words(fields, "offering_id")
  }

  private mutating func sizes(_ fields: Fields, into resources: inout Resources) {
    resources.numGPUs = bounds(fields, "num_gpus", exactly: true)
    resources.vramPerGPUInGB = bounds(fields, "vram_per_gpu_in_gb")
    resources.totalVRAMInGB = bounds(fields, "total_vram_in_gb")
    resources.vcpus = bounds(fields, "vcpus")
    resources.memoryInGB = bounds(fields, "memory_in_gb")
    resources.storageInGB = bounds(fields, "storage_in_gb")
  }

  private mutating func contradictions(_ fields: Fields, _ resources: Resources) {
    if let (node, path) = fields("prefer"), resources.prefer == .listed, fields("gpu_type") == nil {
      report(node.place, path, "is \"listed\" without a gpu_type", expected: "a list of gpu_type to prefer by")
    }
    if let (node, path) = fields("num_gpus"), resources.numGPUs?.max == 0, !resources.gpuType.isEmpty {
      report(node.place, path, "is 0 beside a gpu_type", expected: "at least 1, or no gpu_type")
    }
    if let (node, path) = fields("total_vram_in_gb"), let most = resources.totalVRAMInGB?.max {
      let least = resources.leastTotalVRAMInGB
      guard most < least else { return }
      let wrong = "is at most \(most), which num_gpus and vram_per_gpu_in_gb exceed"
      report(node.place, path, wrong, expected: "room for \(least)")
    }
  }

  /// One word or a list of them; empty when the field is absent.
  private mutating func words(_ fields: Fields, _ name: String) -> [String] {
    guard let (node, path) = fields(name) else { return [] }
    if case .list(let nodes) = node.value {
      if nodes.isEmpty {
        report(node.place, path, "is an empty list, which nothing matches", expected: "at least one value")
      }
      return elements(node, path, expected: "").compactMap { text($0.node, $0.path, expected: "a string") }
    }
    return text(node, path, expected: "a string or a list of strings").map { [$0] } ?? []
  }

  private mutating func bounds(_ fields: Fields, _ name: String, exactly: Bool = false) -> Resources.Bounds? {
    guard let (node, path) = fields(name) else { return nil }
    let expected = "a whole number or a range such as \"4..8\", \"40..\" or \"..64\""
    switch node.value {
    case .number:
      guard let number = integer(node, path, atLeast: exactly ? 0 : 1) else { return nil }
      return Resources.Bounds(min: number, max: exactly ? number : nil)
    case .string(let text):
      return range(text, node.place, path, expected: expected)
    case .null, .bool, .list, .object:
      report(node.place, path, "is \(node.inWords)", expected: expected)
      return nil
    }
  }

  private mutating func range(
    _ text: String, _ place: Place, _ path: SpecPath, expected: String
  ) -> Resources.Bounds? {
    guard let bounds = Resources.Bounds(range: text) else {
      let hint = text.utf8.allSatisfy(isDigit) && !text.isEmpty ? " (a number stands without quotes)" : ""
      report(place, path, "is \(quoted(text))", expected: expected + hint)
      return nil
    }
    if let min = bounds.min, let max = bounds.max, min > max {
      report(
        place, path, "is \(quoted(text)), which is empty", expected: "the smaller number first: \"\(max)..\(min)\"")
      return nil
    }
    return bounds
  }

  /// US dollars above zero, written as a string: a JSON number would pass through binary fractions in most tools.
  mutating func price(_ node: SpecNode, _ path: SpecPath) -> Decimal? {
    let expected = "a decimal string in US dollars such as \"2.50\""
    guard let text = node.asText else {
      if case .number(let literal) = node.value {
        report(node.place, path, "is a number", expected: "money in quotes: \(quoted(literal))")
      } else {
        report(node.place, path, "is \(node.inWords)", expected: expected)
      }
      return nil
    }
    guard let amount = Money.parse(text) else {
      report(node.place, path, "is \(quoted(text))", expected: expected)
      return nil
    }
    guard amount > 0 else {
      report(node.place, path, "is \(text), which nothing costs", expected: "more than zero")
      return nil
    }
    return amount
  }
}

extension Resources {
  /// What the other two fields of GPU memory demand together.
  fileprivate var leastTotalVRAMInGB: Int {
    let (least, overflow) = (vramPerGPUInGB?.min ?? 0).multipliedReportingOverflow(by: max(1, numGPUs?.min ?? 1))
    return overflow ? .max : least
  }
}

extension Resources.Bounds {
  /// `4..8`, `40..` or `..64`; nil for anything else, `..` included.
  package init?(range text: String) {
    let bytes = Array(text.utf8)
    let start = bytes.prefix(while: isDigit)
    let end = bytes.dropFirst(start.count + 2)
    let dots = bytes.dropFirst(start.count).prefix(2)
    guard dots.elementsEqual("..".utf8), end.allSatisfy(isDigit), !(start.isEmpty && end.isEmpty) else { return nil }
    guard start.count <= 9, end.count <= 9 else { return nil }
    self.init(min: Int(String(decoding: start, as: UTF8.self)), max: Int(String(decoding: end, as: UTF8.self)))
  }
}
