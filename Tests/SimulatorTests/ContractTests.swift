import Foundation
import TestSupport
import Testing

@testable import Simulator

/// What the simulator answers is what the API's document says, for every operation and the errors it names.
@Suite struct SimulatorContractTests {
  @Test func everyAnswerIsAsDocumented() async throws {
    let document = try OpenAPIDocument.fixture()
    try await withSimulator { client, _ in
      let created = try await client.reply(
        "POST", "/v1/spot/instances/", body: #"{"name":"contract","offering_id":"spot_coff_a10x1000001"}"#)
      let id = try #require(created.json["id"]?.text)
      #expect(document.validate(Data(created.body.utf8), operationId: "createInstance", status: 201) == [])
      _ = try await client.wait(id, for: "active")
      for (operation, path) in Self.reads(id) {
        let reply = try await client.reply("GET", path)
        #expect(reply.status == 200, "\(operation): \(reply.body)")
        let problems = document.validate(Data(reply.body.utf8), operationId: operation, status: 200)
        #expect(problems == [], "\(operation)")
      }
      #expect([200, 202, 204].contains(try await client.reply("DELETE", "/v1/spot/instances/\(id)").status))
    }
  }

  @Test func everyErrorIsAsDocumented() async throws {
    let document = try OpenAPIDocument.fixture()
    try await withSimulator { client, _ in
      for (operation, path) in Self.missing {
        let reply = try await client.reply("GET", path)
        #expect(reply.status == 404, "\(operation)")
        #expect(document.validate(Data(reply.body.utf8), operationId: operation, status: 404) == [], "\(operation)")
      }
      let stranger = try await RawClient(port: client.port).reply("GET", "/v1/spot/instances/")
      #expect(stranger.status == 401)
      #expect(document.validate(Data(stranger.body.utf8), operationId: "listInstances", status: 401) == [])
      let wrong = try await client.reply("POST", "/v1/spot/instances/", body: "{}")
      #expect(wrong.status == 400)
      #expect(document.validate(Data(wrong.body.utf8), operationId: "createInstance", status: 400) == [])
    }
  }

  private static func reads(_ id: String) -> [(String, String)] {
    [
      ("listComputeOfferings", "/v1/spot/compute/offerings"),
      ("getComputeOffering", "/v1/spot/compute/offerings/spot_coff_a100x800001"),
      ("listVolumeOfferings", "/v1/spot/volumes/offerings"),
      ("getVolumeOffering", "/v1/spot/volumes/offerings/spot_voff_useast00001"),
      ("listInstances", "/v1/spot/instances/"), ("getInstance", "/v1/spot/instances/\(id)?refresh=true"),
      ("listVolumes", "/v1/spot/volumes/"), ("getVolume", "/v1/spot/volumes/spot_vol_datasets00001"),
      ("listSSHKeys", "/v1/spot/ssh-keys/"), ("listModels", "/v1/models/"),
      ("getModel", "/v1/models/meta-llama%2Fllama-3.3-70b-instruct-turbo"),
    ]
  }

  private static let missing = [
    ("getComputeOffering", "/v1/spot/compute/offerings/none"), ("getVolumeOffering", "/v1/spot/volumes/offerings/none"),
    ("getInstance", "/v1/spot/instances/none"), ("getVolume", "/v1/spot/volumes/none"), ("getModel", "/v1/models/none"),
  ]
}
