import ForwardCompute
import Foundation
import TestSupport
import Testing

@Suite struct WireObjectTests {
  /// Objects with fields of every type, right or wrong: each is read or refused with the field's name, none traps.
  @Test(.faults(25)) func survivesFieldsOfAnyType() {
    var random = SplitMix(seed: 42)
    let names = [
      "id", "name", "status", "available", "deployment_type", "hourly_price", "price_per_gpu_hour", "instance_type",
      "provider", "region", "boot_time", "configuration", "ssh_port", "envs", "volume_ids", "size_gb", "cost_estimate",
      "public_key", "provider_data", "pricing", "display_name", "model_type", "created", "price_per_gb_per_hour",
    ]
    var readable = 0
    for _ in 0..<20_000 {
      let fields = names.filter { _ in random.below(8) > 0 }.map { ($0, Optional(Self.value(&random, depth: 0))) }
      let json = JSONValue.object(of: fields)
      for type in Self.types where Self.reads(type, json) { readable += 1 }
    }
    #expect(readable > 0)
  }

  private static let types: [any WireObject.Type] = [
    ComputeOffering.self, VolumeOffering.self, Instance.self, CreateInstance.self, Volume.self, SSHKey.self, Model.self,
  ]

  private static func reads(_ type: any WireObject.Type, _ json: JSONValue) -> Bool {
    do throws(WireProblem) {
      _ = try type.init(json: json).json.text()
      return true
    } catch {
      #expect(!error.field.isEmpty)
      return false
    }
  }

  private static func value(_ random: inout SplitMix, depth: Int) -> JSONValue {
    switch random.below(depth > 2 ? 6 : 8) {
    case 0: .null
    case 1: .bool(random.below(2) == 0)
    case 2: .number(["0", "-1", "22", "7.0", "1e400", "-0.0", "99999999999999999999", "8e-05"][random.below(8)])
    case 3, 4, 5: .string(["", "24.12", "1e5", "active", "\u{0}", "2026-11-23T18:45:00Z"][random.below(6)])
    case 6: .array([value(&random, depth: depth + 1)])
    default: .object(of: [("num_gpus", value(&random, depth: depth + 1)), ("name", value(&random, depth: depth + 1))])
    }
  }

  @Test(.faults(25)) func anOptionalFieldMayBeAbsentNullOrOdd() throws {
    for odd in ["", #","ip":null"#, #","ip":7,"volume_ids":{},"envs":"x","created":[],"ssh_user":false"#] {
      let json = try JSONValue(parsing: (#"{"id":"i","name":"n","status":"active""# + odd + "}").utf8)
      #expect(try Instance(json: json) == Instance(id: "i", name: "n", status: .active))
    }
  }

  @Test func aVolumeMountedByNobodyMayBeWrittenAsEmpty() throws {
    let json = try JSONValue(
      parsing: #"{"id":"v","name":"n","provider":"p","region":"r","size_gb":1,"mounted_by":""}"#.utf8)
    #expect(try Volume(json: json).mountedBy == nil)
  }

  @Test func datesAreCarriedAndRead() {
    let instance = Instance(id: "i", name: "n", status: .active, created: "2026-11-23T18:45:00Z", modified: "later")
    #expect(instance.createdAt?.timeIntervalSince1970 == 1_795_459_500)
    #expect(instance.modifiedAt == nil && instance.modified == "later")
  }
}
