import Foundation
import Testing

@testable import Simulator

@Suite struct ShellTests {
  @Test func offeringsAreAListAndOneIsWrapped() async throws {
    try await withSimulator { client, _ in
      let stranger = RawClient(port: client.port)
      let list = try await stranger.get("/v1/spot/compute/offerings")
      #expect(list["object"] == "list" && list["url"] == "/v1/spot/compute/offerings")
      let offerings = try #require(list["data"]?.elements)
      #expect(offerings.count == 12)
      let eight = try #require(offerings.first { $0["instance_type"] == "A100x8" })
      #expect(eight["hourly_price"] == "24.12" && eight["price_per_gpu_hour"] == "3.015")
      #expect(eight["available"] == true && eight["boot_time"] == ["max_seconds": 300, "min_seconds": 60])
      #expect(eight["configuration"]?["num_gpus"] == 8 && eight["configuration"]?["interconnect"] == "NVLink")
      let bare = try #require(offerings.first { $0["provider"] == "vast" })
      #expect(bare["configuration"] == nil && bare["region_display_name"] == nil)
      let one = try await stranger.get("/v1/spot/compute/offerings/spot_coff_a100x800001")
      #expect(one["object"] == "compute_offering" && one["data"] == eight)
    }
  }

  @Test func volumesKeysAndModelsHaveTheirShapes() async throws {
    try await withSimulator { client, _ in
      let stranger = RawClient(port: client.port)
      let kinds = try await stranger.get("/v1/spot/volumes/offerings")
      #expect(kinds["object"] == "list" && kinds["data"]?.elements?.count == 2)
      let kind = try await stranger.get("/v1/spot/volumes/offerings/spot_voff_useast00001")
      #expect(kind["object"] == "volume_offering" && kind["data"]?["price_per_gb_per_hour"] == "0.00008")
      let volumes = try await client.get("/v1/spot/volumes/")
      #expect(volumes["url"] == "/v1/spot/volumes" && volumes["data"]?.elements?.count == 2)
      let volume = try await client.get("/v1/spot/volumes/spot_vol_datasets00001?refresh=true")
      #expect(volume["object"] == "spot.volume" && volume["size_gb"] == 500)
      #expect(volume["cost_estimate"] == .number("0.04") && volume["mounted_by"] == nil)
      let keys = try await client.get("/v1/spot/ssh-keys/")
      #expect(keys["url"] == "/v1/spot/ssh-keys" && keys["data"]?.elements?.first?["object"] == "spot.ssh_key")
      let models = try await client.get("/v1/models/")
      #expect(models["object"] == "list" && models["url"] == nil)
      let model = try await client.get("/v1/models/meta-llama%2Fllama-3.3-70b-instruct-turbo")
      #expect(model["id"] == "meta-llama/llama-3.3-70b-instruct-turbo" && model["data"] == nil)
      #expect(model["pricing"] == ["input": .number("0.88"), "output": .number("0.88"), "unit": "1M tokens"])
    }
  }

  @Test func anInstanceIsCreatedFlatReadAndDeleted() async throws {
    try await withSimulator { client, _ in
      let body =
        #"{"name":"train","offering_id":"spot_coff_a10x1000001","envs":[{"name":"A","value":"é\n\"'"}],"#
        + #""ssh_key_id":"spot_sshk_000000000001","volume_ids":[]}"#
      let created = try await client.reply("POST", "/v1/spot/instances/", body: body)
      #expect(created.status == 201 && created.headers["content-type"] == "application/json")
      #expect(created.json["object"] == "spot.instance" && created.json["data"] == nil)
      #expect(created.json["envs"] == [["name": "A", "value": "é\n\"'"]])
      #expect(created.json["status"] == "creating" && created.json["ip"] == nil)
      #expect(created.json["ssh_port"] == 22 && created.json["ssh_key_id"] == "spot_sshk_000000000001")
      let id = try #require(created.json["id"]?.text)
      let active = try await client.wait(id, for: "active")
      #expect(active["ip"]?.text?.hasPrefix("198.18.") == true)
      let list = try await client.get("/v1/spot/instances/")
      #expect(list["url"] == "/v1/spot/instances" && list["data"]?.elements?.map { $0["id"] } == [.string(id)])
      #expect(try await client.reply("DELETE", "/v1/spot/instances/\(id)").status == 202)
      #expect(try await client.wait(id, for: "deleted")["status"] == "deleted")
      let ledger = try await client.get("/_sim/ledger")
      #expect(ledger["live"] == 0 && ledger["instances"]?.elements?.first?["ending"] == "deleted")
      #expect(ledger["posts"] == [["name": "train", "count": 1]])
    }
  }

  @Test func aTimestampIsTheMomentItSays() {
    #expect(Wire(epoch: 1_782_864_000_000).timestamp(123) == "2026-07-01T00:00:00.123Z")
    #expect(Wire(epoch: 951_825_599_999).timestamp(1) == "2000-02-29T12:00:00.000Z")
    #expect(Wire(epoch: 0).timestamp(0) == "1970-01-01T00:00:00.000Z")
  }

  @Test(arguments: [
    "/v1/spot/instances/", "/v1/spot/instances/x", "/v1/spot/volumes/", "/v1/spot/volumes/x", "/v1/spot/ssh-keys/",
    "/v1/models/", "/v1/models/x", "/_sim/ledger",
  ])
  func withoutTheKeyNothingIsTold(path: String) async throws {
    try await withSimulator { client, _ in
      for token in [nil, "wrong"] {
        let reply = try await RawClient(port: client.port, token: token).reply("GET", path)
        #expect(reply.status == 401 && reply.errorType == "authentication_error")
      }
    }
  }

  @Test func wrongRequestsAreExplained() async throws {
    try await withSimulator { client, _ in
      let cases: [(String, String, String?, Int, String, String?)] = [
        ("GET", "/v1/spot/instances", nil, 404, "not_found", nil),
        ("GET", "/v1/spot/instances/nothing", nil, 404, "not_found", nil),
        ("GET", "/v1/models/a%2Fb", nil, 404, "not_found", nil),
        ("DELETE", "/v1/spot/instances/nothing", nil, 404, "not_found", nil),
        ("GET", "/v1/spot/instances/x?refresh=1", nil, 400, "validation_error", "refresh"),
        ("POST", "/v1/spot/instances/", "{", 400, "validation_error", nil),
        ("POST", "/v1/spot/instances/", "[]", 400, "validation_error", nil),
        ("POST", "/v1/spot/instances/", "{}", 400, "validation_error", "name"),
        ("POST", "/v1/spot/instances/", #"{"name":"x"}"#, 400, "validation_error", "offering_id"),
        ("POST", "/v1/spot/instances/", #"{"name":1,"offering_id":"x"}"#, 400, "validation_error", "name"),
        ("POST", "/v1/spot/instances/", #"{"name":"x","offering_id":"x"}"#, 400, "validation_error", "offering_id"),
        (
          "POST", "/v1/spot/instances/", #"{"name":"x","offering_id":"x","volume_ids":[1]}"#, 400, "validation_error",
          "volume_ids"
        ),
        (
          "POST", "/v1/spot/instances/", #"{"name":"x","offering_id":"x","envs":[{"name":"A"}]}"#, 400,
          "validation_error", "envs"
        ),
        ("PUT", "/v1/spot/instances/x", "{}", 405, "validation_error", nil),
      ]
      for (method, path, body, status, type, field) in cases {
        let reply = try await client.reply(method, path, body: body)
        #expect(reply.status == status && reply.errorType == type, "\(method) \(path) \(body ?? "")")
        #expect(reply.json["error"]?["field"]?.text == field)
        #expect(reply.json["error"]?["message"]?.text?.isEmpty == false)
      }
      let form = try await client.reply("POST", "/v1/spot/instances/", body: "a=b", type: "text/plain")
      #expect(form.status == 400)
    }
  }

  @Test func faultsOfTheConnectionAreReal() async throws {
    try await withSimulator { client, _ in
      try await client.turn(#"{"create_reset":1}"#)
      guard case .reset = await client.create("reset") else { throw Unexpected("no reset") }
      try await client.turn(#"{"create_cut":1}"#)
      let cut = await client.create("cut")
      guard case .reply(let reply) = cut else { throw Unexpected("\(cut)") }
      #expect(reply.status == 201 && !reply.isWhole && !reply.body.isEmpty)
      try await client.turn(#"{"create_silent":1}"#)
      guard case .timedOut = await client.end("POST", "/v1/spot/instances/", body: post, seconds: 1) else {
        throw Unexpected("an answer")
      }
      try await client.turn(#"{"reads_reset":1}"#)
      guard case .reset = await client.end("GET", "/v1/models/") else { throw Unexpected("no reset") }
      let names = try await client.get("/v1/spot/instances/")["data"]?.elements?.compactMap { $0["name"]?.text }
      #expect(names == ["reset", "cut"])
      let log = try await client.get("/_sim/requests").elements?.compactMap { $0["status"]?.text }
      #expect(log == ["reset", "201 cut", "silence", "reset", "200"])
    }
  }

  private var post: String { #"{"name":"silent","offering_id":"spot_coff_a10x1000001"}"# }

  @Test func lateAnswersComeLate() async throws {
    try await withSimulator { client, _ in
      try await client.turn(#"{"create_late":1,"create_late_seconds":0.3}"#)
      let begin = ContinuousClock.now
      _ = await client.create()
      #expect(.now - begin >= .milliseconds(300))
    }
  }

  @Test func a429SaysWhenToComeBackAndAGatewayAnswersInHTML() async throws {
    try await withSimulator { client, _ in
      try await client.turn(#"{"reads_limited":1,"retry_after":"7"}"#)
      let limited = try await client.reply("GET", "/v1/models/")
      #expect(limited.status == 429 && limited.headers["retry-after"] == "7")
      try await client.turn(#"{"reads_fail":1,"fails_status":502,"html_errors":true}"#)
      let gateway = try await client.reply("GET", "/v1/models/")
      #expect(gateway.status == 502 && gateway.headers["content-type"] == "text/html")
      #expect(gateway.body.hasPrefix("<html>"))
    }
  }

  @Test func absentCanBeNullAndNewMembersCanAppear() async throws {
    try await withSimulator { client, _ in
      try await client.turn(#"{"nulls_for_absent":true,"unknown_fields":true}"#)
      let created = try await client.reply(
        "POST", "/v1/spot/instances/", body: #"{"name":"x","offering_id":"spot_coff_a10x1000001"}"#)
      #expect(created.json["ip"] == .null && created.json["ssh_key_id"] == .null)
      #expect(created.json["x_new_field"] != nil)
    }
  }

  @Test func aDeleteCanAnswerWithNothing() async throws {
    try await withSimulator { client, _ in
      try await client.turn(#"{"delete_status":204}"#)
      guard case .reply(let created) = await client.create() else { throw Unexpected("no reply") }
      let id = try #require(created.json["id"]?.text)
      let deleted = try await client.reply("DELETE", "/v1/spot/instances/\(id)")
      #expect(deleted.status == 204 && deleted.body.isEmpty)
    }
  }

  @Test func knobsAreTurnedAndExplained() async throws {
    try await withSimulator { client, _ in
      let turned = try await client.turn(#"{"preempt":true,"boot_seconds":[1,2]}"#)
      #expect(turned.json["preempt"] == true && turned.json["boot_seconds"] == [1, 2])
      #expect(try await client.get("/_sim/knobs")["preempt"] == true)
      let wrong = try await client.turn(#"{"premept":true}"#)
      #expect(wrong.status == 400 && wrong.body.contains("did you mean `preempt`"))
      #expect(try await client.turn("nonsense").status == 400)
    }
  }

  @Test func preemptionAndRebootAreHappeningsFromOutside() async throws {
    try await withSimulator { client, _ in
      guard case .reply(let created) = await client.create() else { throw Unexpected("no reply") }
      let id = try #require(created.json["id"]?.text)
      _ = try await client.wait(id, for: "active")
      #expect(try await client.reply("POST", "/_sim/reboot/\(id)").status == 200)
      #expect(try await client.get("/v1/spot/instances/\(id)?refresh=true")["status"] == "restarting")
      #expect(try await client.reply("POST", "/_sim/preempt/\(id)").status == 200)
      #expect(try await client.get("/v1/spot/instances/\(id)?refresh=true")["status"] == "deleted")
      #expect(try await client.reply("POST", "/_sim/preempt/\(id)").status == 404)
      #expect(try await client.reply("POST", "/_sim/nonsense/\(id)").status == 404)
    }
  }

  @Test func healthIsForEverybody() async throws {
    try await withSimulator { client, _ in
      let health = try await RawClient(port: client.port).get("/_sim/health")
      #expect(health == ["status": "ok"])
    }
  }

  @Test func stopEndsIt() async throws {
    let folder = TemporaryFolder()
    defer { folder.remove() }
    let options = SimulatorOptions(state: folder.path, obeysSignals: false, bootsMachines: false)
    try await SimulatorServer.run(options: options) { address in
      Task { await RawClient(port: address.port, token: address.token).stop() }
    }
    #expect(SimulatorAddress.read(state: folder.path) == nil)
    #expect(Files.read("\(folder.path)/ledger.json")?.contains("\"live\":0") == true)
  }

  @Test func itIsNotIdleWhileSomethingIsRented() async throws {
    let cloud = Cloud(CloudModel(seed: 1), places: nil)
    #expect(await cloud.idleTime() != nil)
    let body = Array(#"{"name":"x","offering_id":"spot_coff_a10x1000001"}"#.utf8)
    guard case .whole(let page) = await cloud.perform(.createInstance, body: body).delivery else {
      throw Unexpected("no answer")
    }
    #expect(await cloud.idleTime() == nil)
    let id = try #require(try JSON(parsing: page.body)["id"]?.text)
    _ = await cloud.perform(.deleteInstance(id), body: [])
    while await cloud.idleTime() == nil { try await Task.sleep(for: .milliseconds(10)) }
  }

  @Test(.timeLimit(.minutes(1))) func itEndsWhenItIsIdle() async throws {
    let folder = TemporaryFolder()
    defer { folder.remove() }
    let options = SimulatorOptions(
      state: folder.path, idleExit: .milliseconds(100), obeysSignals: false, bootsMachines: false)
    try await SimulatorServer.run(options: options) { _ in }
    #expect(SimulatorAddress.read(state: folder.path) == nil)
  }

  @Test func itsAddressIsForItsOwnerAndItsFolderForOneSimulator() async throws {
    try await withSimulator(turn: { $0.token = "secret" }) { client, address in
      #expect(address.baseURL == "http://127.0.0.1:\(client.port)" && address.privateKey == nil)
    }
    let folder = TemporaryFolder()
    defer { folder.remove() }
    let options = SimulatorOptions(state: folder.path, obeysSignals: false, bootsMachines: false)
    try await SimulatorServer.run(options: options) { address in
      #expect(SimulatorAddress.read(state: folder.path) == address)
      let attributes = try? FileManager.default.attributesOfItem(atPath: "\(folder.path)/sim.json")
      #expect(attributes?[.posixPermissions] as? Int == 0o600)
      Task {
        await #expect(throws: SimulatorFailure.self) { try await SimulatorServer.run(options: options) { _ in } }
        await RawClient(port: address.port, token: address.token).stop()
      }
    }
  }

  @Test func aTakenPortIsExplained() async throws {
    try await withSimulator { client, _ in
      let folder = TemporaryFolder()
      defer { folder.remove() }
      let options = SimulatorOptions(
        state: folder.path, port: client.port, obeysSignals: false, bootsMachines: false)
      await #expect { try await SimulatorServer.run(options: options) { _ in } } throws: { error in
        "\(error)".contains("--port")
      }
    }
  }

  @Test func aPrivateKeyIsNoPublicKey() async throws {
    let folder = TemporaryFolder()
    defer { folder.remove() }
    try Files.write("-----BEGIN OPENSSH PRIVATE KEY-----\n", to: "\(folder.path)/id", mode: 0o600)
    let options = SimulatorOptions(
      state: "\(folder.path)/state", publicKeys: ["\(folder.path)/id"], obeysSignals: false, bootsMachines: false)
    await #expect { try await SimulatorServer.run(options: options) { _ in } } throws: { error in
      "\(error)".contains(".pub")
    }
  }
}
