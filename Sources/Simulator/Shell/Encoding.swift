#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

// The wire forms of the API's document, written by hand: they share nothing with the client.

/// How answers are written: what optional parts look like, and what time it was when the model's clock stood at 0.
struct Wire: Sendable {
  var nullsForAbsent = false
  var unknownFields = false
  /// Unix milliseconds of the model's 0.
  var epoch: Int64

  /// An object with its absent members left out, or null, and perhaps one member more than the document has.
  private func object(_ members: [(String, JSON?)]) -> JSON {
    var written = members.compactMap { key, value -> JSON.Member? in
      (value ?? (nullsForAbsent ? .null : nil)).map { JSON.Member(key: key, value: $0) }
    }
    if unknownFields { written.append(JSON.Member(key: "x_new_field", value: ["since": "2027", "values": [1, nil]])) }
    return .object(written)
  }

  // MARK: The three shapes

  /// `{data: […], object: "list", url}`
  func list(_ elements: [JSON], url: String?) -> JSON {
    object([("data", .array(elements)), ("object", "list"), ("url", url.map { .string($0) })])
  }

  /// `{data: {…}, object}`
  func wrapped(_ value: JSON, kind: String) -> JSON {
    object([("data", value), ("object", .string(kind))])
  }

  // MARK: Resources

  func offering(_ offering: SimOffering) -> JSON {
    object([
      ("available", .bool(offering.available)),
      ("boot_time", offering.bootSeconds.map { bootTime($0) }),
      ("configuration", offering.hardware.map { configuration($0) }),
      ("deployment_type", .string(offering.deploymentType)),
      ("hourly_price", .string("\(offering.hourlyPrice)")),
      ("id", .string(offering.id)),
      ("instance_type", .string(offering.instanceType)),
      ("price_per_gpu_hour", .string("\(offering.pricePerGPUHour)")),
      ("provider", .string(offering.provider)),
      ("region", .string(offering.region)),
      ("region_display_name", offering.regionDisplayName.map { .string($0) }),
    ])
  }

  private func bootTime(_ seconds: ClosedRange<Int>) -> JSON {
    object([("max_seconds", .number(seconds.upperBound)), ("min_seconds", .number(seconds.lowerBound))])
  }

  private func configuration(_ hardware: SimOffering.Hardware) -> JSON {
    object([
      ("gpu_type", hardware.gpuType.map { .string($0) }),
      ("interconnect", hardware.interconnect.map { .string($0) }),
      ("memory_in_gb", hardware.memoryInGB.map { .number($0) }),
      ("num_gpus", hardware.numGPUs.map { .number($0) }),
      ("storage_in_gb", hardware.storageInGB.map { .number($0) }),
      ("total_vram_in_gb", hardware.totalVRAMInGB.map { .number($0) }),
      ("vcpus", hardware.vcpus.map { .number($0) }),
      ("vram_per_gpu_in_gb", hardware.vramPerGPUInGB.map { .number($0) }),
    ])
  }

  func volumeOffering(_ offering: SimVolumeOffering) -> JSON {
    object([
      ("fixed_size", offering.fixedSize.map { .bool($0) }),
      ("id", .string(offering.id)),
      ("price_per_gb_per_hour", .string("\(offering.pricePerGBPerHour)")),
      ("provider", .string(offering.provider)),
      ("region", .string(offering.region)),
      ("supports_multi_mount", offering.supportsMultiMount.map { .bool($0) }),
    ])
  }

  func volume(_ volume: SimVolume) -> JSON {
    object([
      ("cloud_assigned_id", .string("vol-" + volume.id.suffix(8))),
      ("cost_estimate", volume.costEstimate.map { .number("\($0)") }),
      ("created", .string(timestamp(0))),
      ("fixed_size", true),
      ("id", .string(volume.id)),
      ("modified", .string(timestamp(0))),
      ("mounted_by", volume.mountedBy.map { .string($0) }),
      ("name", .string(volume.name)),
      ("object", "spot.volume"),
      ("owner", .string(Wire.owner)),
      ("provider", .string(volume.provider)),
      ("region", .string(volume.region)),
      ("size_gb", .number(volume.sizeGB)),
      ("supports_multi_mount", .bool(volume.supportsMultiMount)),
    ])
  }

  func key(_ key: SimKey) -> JSON {
    object([
      ("created", .string(timestamp(0))),
      ("id", .string(key.id)),
      ("modified", .string(timestamp(0))),
      ("name", .string(key.name)),
      ("object", "spot.ssh_key"),
      ("owner", .string(Wire.owner)),
      ("provider", "shadeform"),
      ("provider_data", [:]),
      ("provider_key_id", .string("key-" + key.id.suffix(8))),
      ("public_key", .string(key.publicKey)),
    ])
  }

  func model(_ model: SimModel) -> JSON {
    object([
      ("context_length", model.contextLength.map { .number($0) }),
      ("created", 1_686_935_002),
      ("description", nil),
      ("display_name", .string(model.displayName)),
      ("id", .string(model.id)),
      ("license", nil),
      ("link", nil),
      ("model_type", .string(model.modelType)),
      ("object", "model"),
      ("owned_by", model.ownedBy.map { .string($0) }),
      ("pricing", pricing(model)),
      ("provider", .string(model.provider)),
    ])
  }

  private func pricing(_ model: SimModel) -> JSON {
    object([
      ("input", .number("\(model.inputPrice)")), ("output", .number("\(model.outputPrice)")), ("unit", "1M tokens"),
    ])
  }

  func instance(_ instance: SimInstance) -> JSON {
    object([
      ("created", .string(timestamp(instance.created))),
      ("envs", instance.envs.map { .array($0.map { variable($0) }) }),
      ("id", .string(instance.id)),
      ("ip", instance.ip.map { .string($0) }),
      ("modified", .string(timestamp(instance.modified))),
      ("name", .string(instance.name)),
      ("object", "spot.instance"),
      ("owner", .string(Wire.owner)),
      ("provider", .string(instance.provider)),
      ("region", .string(instance.region)),
      ("ssh_key_id", instance.sshKeyID.map { .string($0) }),
      ("ssh_port", .number(instance.sshPort)),
      ("ssh_user", instance.sshUser.map { .string($0) }),
      ("status", .string(instance.status)),
      ("volume_ids", .array(instance.volumeIDs.map { .string($0) })),
    ])
  }

  private func variable(_ variable: SimEnvironmentVariable) -> JSON {
    ["name": .string(variable.name), "value": .string(variable.value)]
  }

  func creation(_ creation: SimCreation) -> JSON {
    switch creation {
    case .full(let instance): self.instance(instance)
    case .id(let id): ["id": .string(id), "object": "spot.instance"]
    case .empty: [:]
    }
  }

  // MARK: Errors

  func error(_ refusal: Refusal) -> JSON {
    var members: [JSON.Member] = []
    if let field = refusal.field { members.append(JSON.Member(key: "field", value: .string(field))) }
    members.append(JSON.Member(key: "message", value: .string(refusal.message)))
    members.append(JSON.Member(key: "type", value: .string(refusal.type)))
    return ["error": .object(members)]
  }

  /// What a gateway in front of the API answers by itself.
  static func page(_ status: Int) -> String {
    "<html>\r\n<head><title>\(status)</title></head>\r\n<body>\r\n<center><h1>\(status)</h1></center>\r\n"
      + "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
  }

  // MARK: The ledger

  func ledger(_ model: CloudModel) -> JSON {
    let entries = model.ledger()
    return [
      "instances": .array(entries.map { entry($0) }),
      "live": .number(entries.count { $0.ending == nil }),
      "total_cost": .string("\(entries.reduce(Decimal(0)) { $0 + $1.cost })"),
      "posts": .array(model.postCounts.map { ["name": .string($0.name), "count": .number($0.count)] }),
    ]
  }

  private func entry(_ entry: LedgerEntry) -> JSON {
    [
      "id": .string(entry.id), "name": .string(entry.name), "offering_id": .string(entry.offeringID),
      "status": .string(entry.status), "created": .string(timestamp(entry.created)),
      "active_since": moment(entry.activeSince), "delete_asked": moment(entry.deleteAsked),
      "ended": moment(entry.ended), "ending": entry.ending.map { .string($0.rawValue) } ?? nil,
      "billed_seconds": .number(Wire.seconds(entry.billedMilliseconds)),
      "hourly_price": .string("\(entry.hourlyPrice)"), "cost": .string("\(entry.cost)"),
      "deletes": .number(entry.deletes),
    ]
  }

  private func moment(_ moment: Int64?) -> JSON {
    moment.map { .string(timestamp($0)) } ?? .null
  }

  private static func seconds(_ milliseconds: Int64) -> String { "\(Decimal(milliseconds) / 1000)" }

  private static let owner = "mem_simulated001"

  /// RFC 3339 with milliseconds. `moment` is the model's time.
  func timestamp(_ moment: Int64) -> String {
    let (seconds, milliseconds) = (epoch + moment).quotientAndRemainder(dividingBy: 1000)
    let (days, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
    let date = Wire.civil(days)
    let time = [second / 3600, second / 60 % 60, second % 60].map { Wire.padded($0, 2) }.joined(separator: ":")
    return "\(Wire.padded(date.year, 4))-\(Wire.padded(date.month, 2))-\(Wire.padded(date.day, 2))T\(time)."
      + Wire.padded(milliseconds, 3) + "Z"
  }

  private static func padded(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// The civil date of a day since 1970, after Howard Hinnant, "chrono-compatible low-level date algorithms".
  private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}
