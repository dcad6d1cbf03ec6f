import Jobs
import TestSupport
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension Offering {
  /// One A100 of shadeform in us-east-1 with everything stated, but for what is named.
  static func fixture(
    _ id: String = "off_1", price: String = "2.00", perGPU: String? = nil, gpu: String? = "A100", count: Int? = 1,
    provider: String = "shadeform", region: String = "us-east-1", type: String = "A100x1", deployment: String = "vm",
    available: Bool = true, maxBootSeconds: Int? = 300, interconnect: String? = "NVLink", vram: Int? = 80,
    vcpus: Int? = 24, memory: Int? = 192, storage: Int? = 250
  ) -> Offering {
    Offering(
      id: id, instanceType: type, provider: provider, region: region, deploymentType: deployment, available: available,
      hourlyPrice: Money.parse(price) ?? 0, pricePerGPUHour: Money.parse(perGPU ?? price) ?? 0, minBootSeconds: 60,
      maxBootSeconds: maxBootSeconds, gpuType: gpu, interconnect: interconnect, numGPUs: count, vramPerGPUInGB: vram,
      totalVRAMInGB: vram.flatMap { vram in count.map { vram * $0 } }, vcpus: vcpus, memoryInGB: memory,
      storageInGB: storage)
  }
}

@Suite struct MatchingTests {
  private func resources(_ members: String) throws -> Resources {
    try #require(try spec("{\"command\": \"true\", \"resources\": {\(members)}}").resources).value
  }

  private func ids(_ offerings: [Offering], _ members: String) throws -> [String] {
    Matching.rank(offerings, for: try resources(members)).candidates.map(\.id)
  }

  @Test(arguments: [
    ("\"gpu_type\": \"a100\"", true), ("\"gpu_type\": [\"H100\", \"A100\"]", true), ("\"gpu_type\": \"A10\"", false),
    ("\"provider\": \"SHADEFORM\"", true), ("\"provider\": \"nebius\"", false), ("\"region\": \"US-east-1\"", true),
    ("\"region\": [\"eu\", \"us\"]", false), ("\"deployment_type\": \"VM\"", true),
    ("\"deployment_type\": \"container\"", false),
    ("\"interconnect\": \"nvlink\"", true), ("\"interconnect\": \"pcie\"", false),
    ("\"instance_type\": \"a100X1\"", true),
    ("\"instance_type\": \"A100x8\"", false), ("\"offering_id\": \"OFF_1\"", true),
    ("\"offering_id\": \"off_2\"", false),
    ("\"num_gpus\": 1", true), ("\"num_gpus\": 2", false), ("\"num_gpus\": \"1..\"", true),
    ("\"num_gpus\": \"..1\"", true),
    ("\"num_gpus\": \"2..4\"", false), ("\"num_gpus\": \"..0\"", false), ("\"vram_per_gpu_in_gb\": 80", true),
    ("\"vram_per_gpu_in_gb\": 40", true), ("\"vram_per_gpu_in_gb\": 81", false),
    ("\"total_vram_in_gb\": \"80..80\"", true),
    ("\"total_vram_in_gb\": \"..79\"", false), ("\"vcpus\": 24", true), ("\"vcpus\": 25", false),
    ("\"memory_in_gb\": 192", true),
    ("\"memory_in_gb\": \"..191\"", false), ("\"storage_in_gb\": 250", true), ("\"storage_in_gb\": 251", false),
    ("\"max_hourly_price\": \"2.00\"", true), ("\"max_hourly_price\": \"2\"", true),
    ("\"max_hourly_price\": \"1.9999999999\"", false),
    ("\"max_price_per_gpu_hour\": \"2.0\"", true), ("\"max_price_per_gpu_hour\": \"1.99\"", false),
  ])
  func eachConstraintMeansWhatTheReferenceSays(members: String, matches: Bool) throws {
    #expect(try ids([.fixture()], members) == (matches ? ["off_1"] : []))
  }

  @Test func allConstraintsHoldTogether() throws {
    let offerings: [Offering] = [
      .fixture("a", gpu: "H100"), .fixture("b", count: 8), .fixture("c", region: "eu"), .fixture("d"),
    ]
    #expect(try ids(offerings, "\"gpu_type\": \"A100\", \"num_gpus\": 1, \"region\": \"us-east-1\"") == ["d"])
  }

  @Test func thePriceOfAGPUIsItsOwnField() throws {
    let offerings: [Offering] = [
      .fixture("eight", price: "16.00", perGPU: "2.00", count: 8), .fixture("one", price: "2.50"),
    ]
    #expect(try ids(offerings, "\"max_price_per_gpu_hour\": \"2.10\"") == ["eight"])
    #expect(try ids(offerings, "\"max_hourly_price\": \"2.60\"") == ["one"])
  }

  @Test func whatIsNotAvailableDoesNotMatchAndSaysSo() throws {
    let ranking = Matching.rank([.fixture(available: false)], for: try resources("\"gpu_type\": \"A100\""))
    #expect(ranking.candidates.isEmpty)
    #expect(ranking.removed.map(\.constraint) == ["gpu_type", "available"])
    #expect(ranking.removed.map(\.count) == [0, 1])
    #expect(ranking.nearest.map(\.description) == ["A100x1 us-east-1 at $2.00/h: it is not available now"])
  }

  @Test(arguments: [
    ("\"gpu_type\": \"A100\"", "gpu_type is A100, this does not state it"),
    ("\"interconnect\": [\"NVLink\", \"PCIe\"]", "interconnect is NVLink or PCIe, this does not state it"),
    ("\"num_gpus\": 1", "num_gpus is 1, this does not state it"),
    ("\"vram_per_gpu_in_gb\": 40", "vram_per_gpu_in_gb is 40.., this does not state it"),
    ("\"total_vram_in_gb\": \"..64\"", "total_vram_in_gb is ..64, this does not state it"),
    ("\"vcpus\": \"4..8\"", "vcpus is 4..8, this does not state it"),
    ("\"memory_in_gb\": 1", "memory_in_gb is 1.., this does not state it"),
    ("\"storage_in_gb\": 1", "storage_in_gb is 1.., this does not state it"),
  ])
  func whatIsNotStatedDoesNotMatchAndSaysSo(members: String, lostBy: String) throws {
    let mystery = Offering.fixture(
      gpu: nil, count: nil, type: "community", interconnect: nil, vram: nil, vcpus: nil, memory: nil, storage: nil)
    let ranking = Matching.rank([mystery], for: try resources(members))
    #expect(ranking.candidates.isEmpty)
    #expect(ranking.nearest.map(\.description) == ["community us-east-1 at $2.00/h: \(lostBy)"])
  }

  @Test func theCheapestComesFirstThenTheQuickestThenTheFirst() throws {
    let offerings: [Offering] = [
      .fixture("unknown", price: "2.0", maxBootSeconds: nil), .fixture("slow", price: "2.00", maxBootSeconds: 300),
      .fixture("quick", price: "2", maxBootSeconds: 60), .fixture("slow again", maxBootSeconds: 300),
      .fixture("dear", price: "10.00", maxBootSeconds: 1), .fixture("cheap", price: "0.30", maxBootSeconds: 900),
    ]
    #expect(
      try ids(offerings, "\"gpu_type\": \"A100\"") == ["cheap", "quick", "slow", "slow again", "unknown", "dear"])
  }

  @Test func pricesAreComparedAsDecimals() throws {
    let offerings: [Offering] = [
      .fixture("a", price: "0.30000000000000000001"), .fixture("b", price: "0.3"),
      .fixture("c", price: "0.30000000000000000002"),
    ]
    #expect(try ids(offerings, "\"max_hourly_price\": \"0.30000000000000000001\"") == ["b", "a"])
  }

  @Test func aListOfTypesIsAnOrderOnlyWhenPreferSaysSo() throws {
    let offerings: [Offering] = [
      .fixture("a", price: "1.00"), .fixture("h", price: "3.00", gpu: "h100"),
      .fixture("h2", price: "2.00", gpu: "H100"),
    ]
    #expect(try ids(offerings, "\"gpu_type\": [\"H100\", \"A100\"]") == ["a", "h2", "h"])
    #expect(try ids(offerings, "\"gpu_type\": [\"H100\", \"A100\"], \"prefer\": \"price\"") == ["a", "h2", "h"])
    #expect(try ids(offerings, "\"gpu_type\": [\"H100\", \"A100\"], \"prefer\": \"listed\"") == ["h2", "h", "a"])
  }

  @Test func eachConstraintCountsWhatItAloneRemoves() throws {
    let offerings: [Offering] = [
      .fixture(gpu: "H100", region: "eu"), .fixture(region: "eu"), .fixture(price: "9"),
      .fixture(price: "9", region: "eu"),
      .fixture(available: false),
    ]
    let ranking = Matching.rank(
      offerings, for: try resources("\"max_hourly_price\": \"3\", \"region\": \"us-east-1\", \"gpu_type\": \"A100\""))
    #expect(ranking.removed.map(\.constraint) == ["gpu_type", "region", "max_hourly_price", "available"])
    #expect(ranking.removed.map(\.count) == [1, 3, 2, 1])
  }

  @Test func theNearestMissesLostFewestConstraintsThenAreCheapest() throws {
    let offerings: [Offering] = [
      .fixture("a", price: "24.12", gpu: "A100", count: 8), .fixture("b", price: "18.92", gpu: "H100", count: 8),
      .fixture("c", price: "1.99", gpu: "H100", count: 1),
      .fixture("d", price: "30", gpu: "A100", count: 8, available: false),
      .fixture("e", price: "22.5", gpu: "A100", count: 8),
    ]
    let ranking = Matching.rank(
      offerings, for: try resources("\"gpu_type\": \"A100\", \"num_gpus\": 8, \"max_hourly_price\": \"20\""))
    #expect(
      ranking.nearest.map(\.description) == [
        "H100x8 us-east-1 at $18.92/h: gpu_type is A100, this is H100",
        "A100x8 us-east-1 at $22.50/h: max_hourly_price is 20.00",
        "A100x8 us-east-1 at $24.12/h: max_hourly_price is 20.00",
      ])
  }

  @Test func whenSomethingMatchesThereAreNoMisses() throws {
    let ranking = Matching.rank(
      [.fixture("a"), .fixture("b", price: "9")], for: try resources("\"max_hourly_price\": \"3\""))
    #expect(ranking.candidates.map(\.id) == ["a"])
    #expect(ranking.nearest.isEmpty)
    #expect(Matching.rank([], for: try resources("\"vcpus\": 1")).nearest.isEmpty)
  }

  /// What the API says goes to a terminal; an escape sequence in it must not.
  @Test(.faults(51, 122)) func noControlCharacterOfTheAPIReachesASentence() throws {
    let hostile = Offering.fixture(gpu: "\u{1B}[2J", region: "a\nb")
    let ranking = Matching.rank([hostile], for: try resources("\"gpu_type\": \"A100\", \"region\": \"us\""))
    let text = try #require(ranking.nearest.first).description
    #expect(!text.unicodeScalars.contains { $0.value < 0x20 })
    #expect(text.contains("region is us, this is a\\u{a}b"))
  }

  @Test func severalLossesAreAllNamed() throws {
    let ranking = Matching.rank(
      [.fixture(price: "9", region: "eu", available: false)],
      for: try resources("\"region\": \"us\", \"max_hourly_price\": \"3\", \"max_price_per_gpu_hour\": \"2\""))
    #expect(
      ranking.nearest.map(\.lostBy) == [
        "region is us, this is eu; max_hourly_price is 3.00; max_price_per_gpu_hour is 2.00, this costs 9.00; it is not available now"
      ])
  }

  @Test func aVolumePinsProviderAndRegion() throws {
    let volume = AttachedVolume(
      id: "v", name: "data", provider: "Nebius", region: "EU-north-1", supportsMultiMount: false)
    let offerings: [Offering] = [
      .fixture("a"), .fixture("b", provider: "nebius"), .fixture("c", provider: "nebius", region: "eu-north-1"),
    ]
    let ranking = Matching.rank(offerings, for: try resources("\"gpu_type\": \"A100\""), volumes: [volume])
    #expect(ranking.candidates.map(\.id) == ["c"])
    #expect(ranking.removed.map(\.constraint) == ["gpu_type", "volumes", "available"])
    let none = Matching.rank([offerings[1]], for: try resources("\"gpu_type\": \"A100\""), volumes: [volume])
    #expect(none.nearest.map(\.lostBy) == ["volume data is in Nebius EU-north-1, this is in nebius us-east-1"])
  }

  @Test(arguments: 0..<50)
  func rankingAnyMarketKeepsItsPromises(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let offerings = (0..<60).map { index in
      Offering.fixture(
        "\(index)", price: "\(Int.random(in: 0...4, using: &generator)).\(Int.random(in: 0...3, using: &generator))",
        gpu: ["A100", "h100", nil].randomElement(using: &generator) ?? nil,
        count: Int.random(in: 1...3, using: &generator),
        available: Bool.random(using: &generator),
        maxBootSeconds: [nil, 60, 300].randomElement(using: &generator) ?? nil)
    }
    let wanted = try resources(
      "\"gpu_type\": [\"H100\", \"A100\"], \"num_gpus\": \"2..\", \"max_hourly_price\": \"3.2\"")
    let ranking = Matching.rank(offerings, for: wanted)
    #expect(ranking.removed.allSatisfy { $0.count + ranking.candidates.count <= offerings.count })
    #expect(
      ranking.candidates.allSatisfy {
        $0.available && $0.gpuType != nil && $0.numGPUs ?? 0 >= 2 && $0.hourlyPrice <= wanted.maxHourlyPrice ?? 0
      })
    for (one, next) in zip(ranking.candidates, ranking.candidates.dropFirst()) {
      let keys = [one, next].map { ($0.hourlyPrice, $0.maxBootSeconds ?? .max, Int($0.id) ?? 0) }
      #expect(keys[0] < keys[1])
    }
  }
}
