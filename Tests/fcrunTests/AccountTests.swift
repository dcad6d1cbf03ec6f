import Foundation
import TestSupport
import Testing

/// The account's lists, its machines without an owner, and the doctor.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct AccountTests {
  @Test("Every list is a table, with --json {\"data\": […]}, and show gives the object itself")
  func lists() async throws {
    try await Bench.run { bench in
      let shown = [
        ("offerings", "spot_coff_a100x100001"), ("volume-offerings", "spot_voff_useast00001"),
        ("volumes", "spot_vol_datasets00001"), ("models", "openai/whisper-large-v3"),
      ]
      for (list, id) in shown {
        let table = try await bench.fcrun(list, "list")
        #expect(table.code == 0 && table.out.contains(id), "\(list): \(table.out)\(table.err)")
        let document = try await bench.fcrun(list, "list", "--json").json
        #expect(document.keys == ["data"] && document["data"].items.contains { $0["id"].text == id }, "\(list)")
        let one = try await bench.fcrun(list, "show", id, "--json")
        #expect(one.code == 0 && one.json["id"].text == id, "\(list): \(one.out)\(one.err)")
        #expect(try await bench.fcrun(list, "show", "no-such").code != 0)
      }
      #expect(try await bench.fcrun("keys", "list", "--json").json["data"].items.count == 1)
      #expect(try await bench.fcrun("instances", "list", "--json").json["data"].isArray)
    }
  }

  @Test("offerings are sorted by price and filtered")
  func offeringFilters() async throws {
    try await Bench.run { bench in
      let all = try await bench.fcrun("offerings", "list", "--json").json["data"].items
      #expect(all.count == 12)
      let some = try await bench.fcrun(
        "offerings", "--gpu-type", "a100", "--max-hourly-price", "5", "--available", "--json"
      ).json["data"].items
      #expect(some.compactMap { $0["id"].text } == ["spot_coff_a100x100001", "spot_coff_a100x200001"])
      let place = try await bench.fcrun(
        "offerings", "--provider", "nebius", "--region", "eu-north-1", "--num-gpus", "8", "--json")
      #expect(
        place.json["data"].items.allSatisfy { $0["provider"].text == "nebius" } && !place.json["data"].items.isEmpty)
    }
  }

  @Test("A refused key is 77, a wrong URL 125, each with what to do")
  func errors() async throws {
    try await Bench.run { bench in
      let refused = try await bench.fcrun("instances", "list", env: ["FORWARD_COMPUTE_API_KEY": "wrong"])
      #expect(refused.code == 77, "\(refused.err)")
      #expect(refused.err.contains("FORWARD_COMPUTE_API_KEY"))
      let submit = try await bench.fcrun(
        "submit", try bench.spec(["command": "true"]), env: ["FORWARD_COMPUTE_API_KEY": "wrong"])
      #expect(submit.code == 77, "\(submit.err)")
      #expect(
        try await bench.fcrun("offerings", env: ["FORWARD_COMPUTE_API_KEY": ""]).code == 0,
        "offerings are for everybody")
    }
  }

  @Test("A key that is registered nowhere is 78 and names what is registered")
  func noKey() async throws {
    try await Bench.run { bench in
      let ended = try await bench.fcrun("submit", try bench.spec(["command": "true"]), env: ["FCRUN_SSH_KEY": ""])
      #expect(ended.code == 78, "\(ended.err)")
      #expect(ended.err.contains("spot_sshk_") || ended.err.contains("fcrun-sim"), "\(ended.err)")
      #expect(try bench.cloud.ledger().instances.isEmpty)
    }
  }

  @Test("doctor is 0 where a submit would work, and 78 where it would not")
  func doctor() async throws {
    try await Bench.run { bench in
      let well = try await bench.fcrun("doctor", "--json")
      #expect(well.code == 0, "\(well.out)\(well.err)")
      let checks = Dictionary(
        uniqueKeysWithValues: well.json["data"].items.map { ($0["check"].text ?? "", $0["ok"].bool) })
      for check in ["api", "ssh key", "ssh worker", "disk", "state", "clock"] {
        #expect(checks[check] == true, "\(check)")
      }
      let ill = try await bench.fcrun("doctor", env: ["FORWARD_COMPUTE_API_KEY": "wrong"])
      #expect(ill.code == 78)
      #expect(ill.out.contains("NO"))
    }
  }

  @Test("reap takes a machine past its deadline and leaves strangers, others' and driven ones alone", .faults(130))
  func reap() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 100"]))
      try await eventually("the job has written", else: { submit.err }) { submit.stdout.isEmpty ? nil : true }
      let name = try #require(try bench.cloud.ledger().instances.first?["name"].text)
      let owner = String(name.split(separator: "-")[1])
      let old = try rent("fcr-\(owner)-aaaaaaaaaaaaaaaa-a1-n0-abc-old", bench)
      let other = try rent("fcr-zzzzzz-bbbbbbbbbbbbbbbb-a1-n0-zzzzzz-other", bench)
      let expired = try rent("fcr-zzzzzz-cccccccccccccccc-a1-n0-abc-expired", bench)
      let stranger = try rent("my-own-machine", bench)
      try await checkDryRun(bench, old: old, others: [other, expired, stranger])
      #expect(try await bench.fcrun("reap").code == 0)
      #expect(try live(bench).isSuperset(of: [other, expired, stranger]) && !(try live(bench).contains(old)))
      #expect(try await bench.fcrun("reap", "--owner", "any").code == 0)
      #expect(try live(bench).isSuperset(of: [other, stranger]) && !(try live(bench).contains(expired)))
      submit.signal(2)
      #expect(try await submit.end().code == 130)
      #expect(try live(bench) == [other, stranger])
    }
  }

  private func checkDryRun(_ bench: Bench, old: String, others: [String]) async throws {
    let before = try live(bench)
    let dry = try await bench.fcrun("reap", "--dry-run", "--json")
    #expect(dry.code == 0, "\(dry.err)")
    let rows = dry.json["data"].items
    #expect(
      rows.filter { $0["result"].text == "would_take" }.compactMap { $0["instance_id"].text } == [old], "\(dry.out)")
    #expect(!rows.contains { $0["name"].text == "my-own-machine" })
    #expect(try live(bench) == before)
  }

  @Test("reap works where the state folder is lost, by name of the job", .faults(111))
  func reapWithoutState() async throws {
    try await Bench.run { bench in
      #expect(try await bench.fcrun("submit", "--keep", try bench.spec(["command": "true"])).code == 0)
      let id = try await bench.job()
      let reaped = try await bench.fcrun("reap", id, env: ["FCRUN_HOME": bench.folder + "/elsewhere"])
      #expect(reaped.code == 0, "\(reaped.err)")
      #expect(try live(bench).isEmpty)
      // The machine of the job is gone, and that is found out.
      #expect(try await bench.fcrun("cancel", id).code == 0)
    }
  }

  @Test(
    "Another account's key, or another cloud, says nothing about a job's machines: 78, and they are left", .faults(44))
  func anotherAccount() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "echo begun; sleep 3; exit 4"]))
      try await eventually("the job has written", else: { submit.err }) {
        submit.stdout.isEmpty ? nil : true
      }
      await submit.destroy()
      let id = try await bench.job()
      let folder = bench.folder + "/elsewhere"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let other = try await SimulatedCloud([], bootTime: "0.3", folder: folder, environment: bench.environment)
      let there = ["FORWARD_COMPUTE_BASE_URL": other.baseURL, "FORWARD_COMPUTE_API_KEY": other.token]
      let away = try await bench.fcrun("resume", id, env: there)
      await other.stop()
      #expect(away.code == 78 && away.err.contains(bench.cloud.baseURL), "\(away.err)")
      let stranger = try await bench.fcrun("resume", id, env: ["FORWARD_COMPUTE_API_KEY": "another"])
      #expect(stranger.code == 78 && stranger.err.contains("another account"), "\(stranger.err)")
      #expect(try bench.cloud.requests().allSatisfy { $0.method != "DELETE" })
      #expect(try await bench.fcrun("resume", id).code == 4)
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  private func rent(_ name: String, _ bench: Bench) throws -> String {
    let key = try LoopbackHTTP.send("GET", "/v1/spot/ssh-keys/", port: bench.cloud.port, token: bench.cloud.token)
    let body =
      #"{"name": "\#(name)", "offering_id": "spot_coff_l4x10000001", "ssh_key_id": "\#(key.json["data"][0]["id"].text ?? "")"}"#
    let made = try LoopbackHTTP.send(
      "POST", "/v1/spot/instances/", port: bench.cloud.port, token: bench.cloud.token, body: body)
    guard let id = made.json["id"].text else {
      throw Unmet("POST \(name): \(String(decoding: made.body, as: UTF8.self))")
    }
    return id
  }

  private func live(_ bench: Bench) throws -> Set<String> {
    Set(try bench.cloud.ledger().instances.filter { $0["ending"].isNull }.compactMap { $0["id"].text })
  }
}
