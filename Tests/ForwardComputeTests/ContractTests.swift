import ForwardCompute
import Foundation
import TestSupport
import Testing

/// What the client understands, judged by the API's own document.
@Suite struct ContractTests {
  private static let document = try? OpenAPIDocument.fixture()

  struct Sample: Sendable, CustomTestStringConvertible {
    var operationId: String
    var status: Int
    var shape: OpenAPIDocument.Shape
    var testDescription: String { "\(operationId) \(status) \(shape.rawValue)" }
  }

  static let samples: [Sample] = (document?.operations ?? []).flatMap { operation in
    operation.statuses.flatMap { status in
      OpenAPIDocument.Shape.allCases.map { Sample(operationId: operation.id, status: status, shape: $0) }
    }
  }

  @Test func knowsEveryOperationOfTheDocument() throws {
    let document = try #require(Self.document)
    #expect(document.operations.map(\.id) == Call.allCases.map(\.rawValue).sorted())
    #expect(Self.samples.count > 100)
  }

  @Test(arguments: samples)
  func understandsEveryDocumentedAnswer(sample: Sample) async throws {
    let document = try #require(Self.document)
    let body = try document.example(operationId: sample.operationId, status: sample.status, shape: sample.shape)
    if let body {
      #expect(document.validate(body, operationId: sample.operationId, status: sample.status) == [])
    }
    let text = body.map { String(decoding: $0, as: UTF8.self) } ?? ""
    let server = try ScriptedServer(.answer(sample.status, text))
    defer { server.stop() }
    let api = try HTTPForwardCompute(baseURL: server.url, apiKey: "sekret")
    let call = try #require(Call(rawValue: sample.operationId))
    let verdict = await call.perform(on: api)
    #expect(verdict == expected(sample), "\(text)")
    #expect(server.requests.count == 1)
  }

  private func expected(_ sample: Sample) -> Verdict {
    switch (sample.operationId, sample.status, sample.shape) {
    case ("createInstance", 200, .least), ("createInstance", 200, .nulls): .failed(.malformedBody, nil)
    case (_, 200..<300, _): .understood
    case ("getModel", 404, .least), ("getModel", 404, .nulls): .failed(.status(404), nil)
    case ("getModel", 404, _): .failed(.status(404), .notFound)
    default: .failed(.status(sample.status), .validationError)  // the first of the enum, whatever the status
    }
  }

  /// What we write is what the document allows: for the request, and for each object that we write out again.
  @Test(arguments: Call.allCases)
  func writesWhatTheDocumentAllows(call: Call) async throws {
    let document = try #require(Self.document)
    guard let wrapped = call.wrapped else { return }
    for shape in OpenAPIDocument.Shape.allCases {
      let body = try #require(try document.example(operationId: call.rawValue, status: 200, shape: shape))
      let rewritten = Data(try wrapped(JSONValue(parsing: body)).text().utf8)
      #expect(document.validate(rewritten, operationId: call.rawValue, status: 200) == [])
    }
  }

  @Test func asksForAnInstanceAsDocumented() async throws {
    let document = try #require(Self.document)
    let server = try ScriptedServer(.answer(200, #"{"id":"i-1"}"#))
    defer { server.stop() }
    let api = try HTTPForwardCompute(baseURL: server.url, apiKey: "sekret")
    let value = "quotes ' \" \\ and\nlines, é😀\u{1}"
    let full = CreateInstance(
      name: "fcr-a", offeringID: "o", sshKeyID: "k", volumeIDs: ["v"], envs: [.init(name: "A", value: value)])
    for request in [full, CreateInstance(name: "fcr-b", offeringID: "o")] {
      _ = await api.createInstance(request)
      let sent = Data(try #require(server.requests.last).body.utf8)
      #expect(document.validateRequest(sent, operationId: "createInstance") == [])
      #expect(try JSONDecoder().decode(CreateInstance.self, from: sent) == request)
    }
    #expect(server.requests[1].body == #"{"name":"fcr-b","offering_id":"o"}"#)
  }

  @Test func theJudgeFindsWhatIsWrong() throws {
    let document = try #require(Self.document)
    func problems(_ text: String) -> [String] {
      document.validate(Data(text.utf8), operationId: "getInstance", status: 200)
    }
    #expect(problems(#"{"id":1}"#).contains("$.id: expected string"))
    #expect(problems(#"{"id":"i"}"#).contains("$.name: missing"))
    let whole = #"""
      {"id":"i","name":"n","object":"spot.instance","owner":"o","provider":"p","region":"r","ssh_port":22,"status":"X"}
      """#
    #expect(problems(whole) == ["$.status: not one of the enum"])
    #expect(problems(whole.replacingOccurrences(of: "22", with: "22.5")).contains("$.ssh_port: expected integer"))
    #expect(problems("<html>") == ["$: not JSON"])
    #expect(document.validate(Data(), operationId: "getInstance", status: 418).count == 1)
  }
}

/// How a call ended, as far as a contract is about it.
enum Verdict: Equatable {
  case understood
  case failed(APIError.Kind, APIErrorType?)
}

/// The operations by the document's own names.
enum Call: String, CaseIterable, Sendable {
  case listComputeOfferings, getComputeOffering, listVolumeOfferings, getVolumeOffering, listInstances, createInstance
  case getInstance, deleteInstance, listVolumes, getVolume, listSSHKeys, listModels, getModel

  func perform(on api: some ForwardComputeAPI) async -> Verdict {
    do throws(APIError) {
      try await read(from: api)
      return .understood
    } catch {
      return .failed(error.kind, error.type)
    }
  }

  private func read(from api: some ForwardComputeAPI) async throws(APIError) {
    switch self {
    case .listComputeOfferings: check(try await api.computeOfferings().count == 2)
    case .getComputeOffering: check(try await api.computeOffering("o").hourlyPrice == Money.plain("24.12"))
    case .listVolumeOfferings: check(try await api.volumeOfferings().count == 2)
    case .getVolumeOffering: check(try await api.volumeOffering("o").pricePerGBPerHour == Money.plain("0.00008"))
    case .listInstances: check(try await api.instances().count == 2)
    case .createInstance: try await create(on: api)
    case .getInstance: check(try await api.instance("i", refresh: true).status == .creating)
    case .deleteInstance: try await api.deleteInstance("i")
    case .listVolumes: check(try await api.volumes().count == 2)
    case .getVolume: check(try await api.volume("v", refresh: true).sizeGB == 7)
    case .listSSHKeys: check(try await api.sshKeys().count == 2)
    case .listModels: check(try await api.models().count == 2)
    case .getModel: check(try await api.model("meta/m").pricing.input == Money.plain("0.25"))
    }
  }

  private func create(on api: some ForwardComputeAPI) async throws(APIError) {
    switch await api.createInstance(CreateInstance(name: "n", offeringID: "o")) {
    case .created: return
    case .notSent(let error), .rejected(let error), .rateLimited(let error, retryAfter: _), .ambiguous(let error):
      throw error
    }
  }

  private func check(_ claim: Bool) {
    #expect(claim)
  }

  /// Reads a documented answer into our types and writes it out in the same wrapper; nil where we have no such type.
  var wrapped: ((JSONValue) throws -> JSONValue)? {
    switch self {
    case .listComputeOfferings: { try Self.list($0, ComputeOffering.self) }
    case .getComputeOffering: { try Self.wrapper($0, ComputeOffering.self) }
    case .listVolumeOfferings: { try Self.list($0, VolumeOffering.self) }
    case .getVolumeOffering: { try Self.wrapper($0, VolumeOffering.self) }
    case .listInstances: { try Self.list($0, Instance.self) }
    case .getInstance: { try Instance(json: $0).json }
    case .listVolumes: { try Self.list($0, Volume.self) }
    case .getVolume: { try Volume(json: $0).json }
    case .listSSHKeys: { try Self.list($0, SSHKey.self) }
    case .listModels: { try Self.list($0, Model.self) }
    case .getModel: { try Model(json: $0).json }
    case .createInstance, .deleteInstance: nil
    }
  }

  private static func list<Object: WireObject>(_ json: JSONValue, _ type: Object.Type) throws -> JSONValue {
    guard case .array(let elements)? = json["data"] else { throw WireProblem(field: "data", message: "no list") }
    let objects = try elements.map { try Object(json: $0) }
    for object in objects {
      #expect(try JSONDecoder().decode(Object.self, from: JSONEncoder().encode(object)) == object)
    }
    return .object(of: [("data", .array(objects.map(\.json))), ("object", json["object"])])
  }

  private static func wrapper<Object: WireObject>(_ json: JSONValue, _ type: Object.Type) throws -> JSONValue {
    .object(of: [("data", try Object(json: json["data"] ?? .null).json), ("object", json["object"])])
  }
}
