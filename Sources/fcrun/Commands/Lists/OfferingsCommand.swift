import ArgumentParser
import ForwardCompute

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `fcrun offerings`: the machines that can be rented.
struct OfferingsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "offerings", abstract: "The machines that can be rented, cheapest first.",
    discussion: "  fcrun offerings --gpu-type A100 --available",
    subcommands: [List.self, Show.self], defaultSubcommand: List.self)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "List the offerings, cheapest first.",
      usage: "fcrun offerings list [<options>]", discussion: "  fcrun offerings list --num-gpus 4..8 --json")

    @OptionGroup var filter: OfferingFilter
    @OptionGroup var output: OutputOptions

    func run() async throws {
      var listing = try await Listing<ComputeOffering>.of(.computeOfferings)
      if !filter.isEmpty { listing = listing.filtered(filter.holds) }
      try listing.sorted(by: OfferingRank.init).print(output, header: Self.header, row: Self.row)
    }
  }

  struct Show: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "show", abstract: "Show one offering.", discussion: "  fcrun offerings show spot_coff_a100x100001")

    @Argument(help: "The offering's id.", completion: Completions.offerings) var id: String
    @OptionGroup var output: OutputOptions

    func run() async throws {
      try await Showing.print(.computeOffering(id), called: "offering \(id)", output, next: "fcrun offerings list")
    }
  }
}

extension OfferingsCommand.List {
  fileprivate static let header = [
    Column(title: "ID"), Column(title: "GPU"), Column(title: "VRAM", alignment: .right, expendable: 2),
    Column(title: "$/H", alignment: .right), Column(title: "$/GPU-H", alignment: .right, expendable: 3),
    Column(title: "REGION"), Column(title: "PROVIDER", expendable: 1), Column(title: "TYPE", expendable: 5),
    Column(title: "BOOT", alignment: .right, expendable: 4), Column(title: "FREE"),
  ]

  fileprivate static func row(_ offering: ComputeOffering) -> [String] {
    [
      offering.id, gpu(offering), offering.configuration?.vramPerGPUInGB.map { "\($0)G" } ?? Cell.unknown,
      Cell.money(offering.hourlyPrice), Cell.money(offering.pricePerGPUHour), offering.region, offering.provider,
      offering.deploymentType, boot(offering.bootTime), Cell.claim(offering.available),
    ]
  }

  private static func gpu(_ offering: ComputeOffering) -> String {
    guard let type = offering.configuration?.gpuType else { return offering.instanceType }
    return offering.configuration?.numGPUs.map { "\($0)x \(type)" } ?? type
  }

  private static func boot(_ time: ComputeOffering.BootTime?) -> String {
    switch (time?.minSeconds, time?.maxSeconds) {
    case (let least?, let most?): "\(least)-\(most)s"
    case (nil, let most?): "<\(most)s"
    case (let least?, nil): ">\(least)s"
    case (nil, nil): Cell.unknown
    }
  }
}

/// The order of offerings: price, then the longest boot time.
private struct OfferingRank: Comparable {
  var price: Decimal
  var boot: Int

  init(_ offering: ComputeOffering) {
    price = offering.hourlyPrice
    boot = offering.bootTime?.maxSeconds ?? .max
  }

  static func < (left: Self, right: Self) -> Bool {
    (left.price, left.boot) < (right.price, right.boot)
  }
}

/// What an offering must state to be listed; words are compared without case.
struct OfferingFilter: ParsableArguments {
  @Option(help: "A type of GPU, such as A100; may be repeated.") var gpuType: [String] = []
  @Option(help: "How many GPUs: 8, 4..8, 4.. or ..8.", transform: CountRange.init) var numGpus: CountRange?
  @Option(help: "The most USD per hour, such as 24.50.", transform: OfferingFilter.price)
  var maxHourlyPrice: Decimal?
  @Option(help: "A region; may be repeated.") var region: [String] = []
  @Option(help: "A provider; may be repeated.") var provider: [String] = []
  @Flag(help: "Only what is free now.") var available = false

  var isEmpty: Bool {
    gpuType.isEmpty && numGpus == nil && maxHourlyPrice == nil && region.isEmpty && provider.isEmpty && !available
  }

  func holds(_ offering: ComputeOffering) -> Bool {
    Self.names(gpuType, offering.configuration?.gpuType) && Self.names(region, offering.region)
      && Self.names(provider, offering.provider) && (!available || offering.available)
      && maxHourlyPrice.map { offering.hourlyPrice <= $0 } ?? true
      && numGpus.map { $0.contains(offering.configuration?.numGPUs) } ?? true
  }

  /// True when nothing is asked for, or `value` is among it.
  private static func names(_ wanted: [String], _ value: String?) -> Bool {
    wanted.isEmpty || wanted.contains { $0.lowercased() == value?.lowercased() }
  }

  private static func price(_ text: String) throws -> Decimal {
    guard let price = Money.plain(text) else { throw ValidationError("expected an amount in USD such as 24.50") }
    return price
  }
}

/// A count, exactly or between two ends.
struct CountRange {
  var least: Int
  var most: Int

  init(_ text: String) throws {
    let ends = text.components(between: "..")
    guard ends.count <= 2, ends.contains(where: { !$0.isEmpty }), let least = Self.end(ends[0], missing: 0),
      let most = Self.end(ends[ends.count - 1], missing: .max), least <= most
    else { throw ValidationError("expected a count such as 8, or a range such as 4..8, 4.. or ..8") }
    self.least = least
    self.most = most
  }

  func contains(_ count: Int?) -> Bool {
    count.map { (least...most).contains($0) } ?? false
  }

  private static func end(_ text: String, missing: Int) -> Int? {
    if text.isEmpty { return missing }
    return Int(text).flatMap { $0 < 0 ? nil : $0 }
  }
}

extension String {
  fileprivate func components(between separator: String) -> [String] {
    split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
  }
}
