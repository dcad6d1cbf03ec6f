import ForwardCompute
import Jobs
import Remote

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A plan as people and programs read it.
enum PlanText {
  /// Ranked candidates, the order of fallback, what is sent, and what the run can cost at most.
  static func table(_ prepared: Prepared, _ upload: UploadTree) throws {
    try Output.table(header: header, rows: prepared.ranking.candidates.prefix(10).enumerated().map(row))
    try Output.print(notes(prepared, upload).map { $0 + "\n" }.joined())
  }

  private static let header = [
    Column(title: "#", alignment: .right), Column(title: "OFFERING"), Column(title: "GPU"),
    Column(title: "$/H", alignment: .right), Column(title: "$/GPU-H", alignment: .right),
    Column(title: "REGION"), Column(title: "PROVIDER", expendable: 1),
    Column(title: "BOOT", alignment: .right, expendable: 2),
  ]

  private static func row(_ place: Int, _ offering: Offering) -> [String] {
    [
      "\(place + 1)", offering.id, gpu(offering), Jobs.Money.exact(offering.hourlyPrice),
      Jobs.Money.exact(offering.pricePerGPUHour), offering.region, offering.provider, boot(offering),
    ]
  }

  static func gpu(_ offering: Offering) -> String {
    guard let type = offering.gpuType else { return offering.instanceType }
    return offering.numGPUs.map { "\($0)x \(type)" } ?? type
  }

  private static func boot(_ offering: Offering) -> String {
    switch (offering.minBootSeconds, offering.maxBootSeconds) {
    case (let min?, let max?): "\(Durations.format(min))..\(Durations.format(max))"
    case (nil, let max?): "..\(Durations.format(max))"
    case (let min?, nil): "\(Durations.format(min)).."
    case (nil, nil): "unknown"
    }
  }

  private static func notes(_ prepared: Prepared, _ upload: UploadTree) -> [String] {
    let (plan, count) = (prepared.plan, prepared.ranking.candidates.count)
    let ceiling = prepared.costCeiling.map { "$" + Jobs.Money.formatUp($0) }
    return [
      count > 10 ? "… and \(count - 10) more" : nil,
      tasks(prepared).map { "tasks: " + $0 },
      "fallback: in this order, at most \(Counted.text(plan.retry.attempts, "attempt"))\(prepared.sweep == nil ? "" : " for each task")",
      failed(prepared),
      "upload: \(Counted.text(upload.fileCount, "file")), \(Bytes.text(upload.totalBytes))",
      prepared.volumes.isEmpty
        ? nil
        : "volumes: " + prepared.volumes.map { "\($0.name) in \($0.provider) \($0.region)" }.joined(separator: ", "),
      "ceiling of the whole \(prepared.sweep == nil ? "run" : "sweep"): "
        + (ceiling ?? "none (set limits.max_cost or limits.max_duration)"),
    ].compactMap { $0 }
  }

  private static func tasks(_ prepared: Prepared) -> String? {
    if let sweep = prepared.sweep { return "\(sweep.tasks.count), at most \(sweep.maxParallel) at once" }
    guard let fleet = prepared.plan.fleet else { return nil }
    let atOnce = fleet.maxParallel.map { ", at most \($0) at once" } ?? ""
    return "\(fleet.tasks.count), on one cluster of \(Counted.text(prepared.plan.nodes, "machine"))\(atOnce)"
  }

  private static func failed(_ prepared: Prepared) -> String? {
    let blamed = prepared.ranking.candidates.filter(prepared.blame.isHeavy)
    return blamed.isEmpty ? nil : "last, because they failed lately: " + blamed.map(\.id).joined(separator: ", ")
  }

  /// For each constraint what it removed, then the nearest misses.
  static func whyNothing(_ ranking: Ranking) -> String {
    let removed = ranking.removed.filter { $0.count > 0 }.map { "  \($0.constraint) removed \($0.count)" }
    let nearest = ranking.nearest.map { "  \($0)" }
    let near = nearest.isEmpty ? [] : ["nearest:"] + nearest
    return (removed + near).joined(separator: "\n")
  }

  /// Version 1 of `plan --json`.
  static func json(_ prepared: Prepared, _ upload: UploadTree) -> JSONValue {
    let plan = prepared.plan
    return .object(of: [
      ("version", .integer(1)), ("name", .string(prepared.sweep?.name ?? plan.name)),
      ("tasks", (prepared.sweep?.tasks.count ?? plan.fleet?.tasks.count).map(JSONValue.integer)),
      ("max_parallel", (prepared.sweep?.maxParallel ?? plan.fleet?.maxParallel).map(JSONValue.integer)),
      ("nodes", .integer(plan.nodes)),
      ("attempts", .integer(plan.retry.attempts)),
      ("candidates", .array(prepared.ranking.candidates.map { json($0, plan, prepared.blame) })),
      ("removed", .array(prepared.ranking.removed.map(json))),
      ("nearest", .array(prepared.ranking.nearest.map(json))),
      ("upload", .object(of: [("files", .integer(upload.fileCount)), ("bytes", .integer(upload.totalBytes))])),
      ("volumes", .array(prepared.volumes.map(json))),
      (
        "cost_ceiling",
        prepared.costCeiling.map { .string(Jobs.Money.formatUp($0)) } ?? .null
      ),
    ])
  }

  private static func json(_ offering: Offering, _ plan: JobPlan, _ blame: Blame) -> JSONValue {
    .object(of: [
      ("offering_id", .string(offering.id)), ("instance_type", .string(offering.instanceType)),
      ("gpu_type", offering.gpuType.map(JSONValue.string)), ("num_gpus", offering.numGPUs.map(JSONValue.integer)),
      ("hourly_price", .string(Jobs.Money.exact(offering.hourlyPrice))),
      ("price_per_gpu_hour", .string(Jobs.Money.exact(offering.pricePerGPUHour))),
      ("provider", .string(offering.provider)), ("region", .string(offering.region)),
      (
        "boot_time",
        .object(of: [
          ("min_seconds", offering.minBootSeconds.map(JSONValue.integer)),
          ("max_seconds", offering.maxBootSeconds.map(JSONValue.integer)),
        ])
      ),
      ("boot_timeout", .integer(plan.bootTimeout(for: offering))),
      ("failed_lately", .bool(blame.isHeavy(on: offering))),
    ])
  }

  private static func json(_ removal: Ranking.Removal) -> JSONValue {
    .object(of: [("constraint", .string(removal.constraint)), ("removed", .integer(removal.count))])
  }

  private static func json(_ miss: Ranking.NearMiss) -> JSONValue {
    .object(of: [
      ("offering_id", .string(miss.offering.id)),
      ("hourly_price", .string(Jobs.Money.exact(miss.offering.hourlyPrice))),
      ("lost_by", .string(miss.lostBy)),
    ])
  }

  private static func json(_ volume: AttachedVolume) -> JSONValue {
    .object(of: [
      ("id", .string(volume.id)), ("name", .string(volume.name)), ("provider", .string(volume.provider)),
      ("region", .string(volume.region)),
    ])
  }
}

/// Amounts of bytes for people.
enum Bytes {
  static func text(_ count: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var (amount, unit) = (Double(count), 0)
    while amount >= 1024, unit < units.count - 1 { (amount, unit) = (amount / 1024, unit + 1) }
    let tenths = Int((amount * 10).rounded())
    return unit == 0 ? "\(count) B" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }
}
