/// The Forward Compute API, one method for each of its operations.
///
/// A list of offerings, volumes, keys or models leaves out an element that cannot be read (``document(_:)`` has it), and
/// fails when none can. The list of instances fails for one such element: what is absent from it is taken as a fact.
public protocol ForwardComputeAPI: Sendable {
  /// `GET /v1/spot/compute/offerings`; needs no key.
  func computeOfferings() async throws(APIError) -> [ComputeOffering]
  /// `GET /v1/spot/compute/offerings/{id}`; needs no key.
  func computeOffering(_ id: String) async throws(APIError) -> ComputeOffering
  /// `GET /v1/spot/volumes/offerings`; needs no key.
  func volumeOfferings() async throws(APIError) -> [VolumeOffering]
  /// `GET /v1/spot/volumes/offerings/{id}`; needs no key.
  func volumeOffering(_ id: String) async throws(APIError) -> VolumeOffering
  /// `GET /v1/spot/instances/`: from the API's cache.
  func instances() async throws(APIError) -> [Instance]
  /// `GET /v1/spot/instances/{id}`: from the cache, or from the provider with `refresh`.
  func instance(_ id: String, refresh: Bool) async throws(APIError) -> Instance
  /// `POST /v1/spot/instances/`, sent once at most.
  func createInstance(_ request: CreateInstance) async -> Creation
  /// `DELETE /v1/spot/instances/{id}`: an accepted one proves nothing, read the instance back.
  func deleteInstance(_ id: String) async throws(APIError)
  /// `GET /v1/spot/volumes/`.
  func volumes() async throws(APIError) -> [Volume]
  /// `GET /v1/spot/volumes/{id}`: from the cache, or from the provider with `refresh`.
  func volume(_ id: String, refresh: Bool) async throws(APIError) -> Volume
  /// `GET /v1/spot/ssh-keys/`.
  func sshKeys() async throws(APIError) -> [SSHKey]
  /// `GET /v1/models/`.
  func models() async throws(APIError) -> [Model]
  /// `GET /v1/models/{model}`; an id holds a slash.
  func model(_ id: String) async throws(APIError) -> Model

  /// The objects that a read gives, as they came, with the fields that this library does not know.
  func document(_ read: Read) async throws(APIError) -> Document
}

extension ForwardComputeAPI {
  /// Writes the typed objects out again: for an implementation that has no text of its own.
  public func document(_ read: Read) async throws(APIError) -> Document {
    switch read {
    case .computeOfferings: Document(objects: try await computeOfferings().map(\.json))
    case .computeOffering(let id): Document(objects: [try await computeOffering(id).json])
    case .volumeOfferings: Document(objects: try await volumeOfferings().map(\.json))
    case .volumeOffering(let id): Document(objects: [try await volumeOffering(id).json])
    case .instances: Document(objects: try await instances().map(\.json))
    case .instance(let id, let refresh): Document(objects: [try await instance(id, refresh: refresh).json])
    case .volumes: Document(objects: try await volumes().map(\.json))
    case .volume(let id, let refresh): Document(objects: [try await volume(id, refresh: refresh).json])
    case .sshKeys: Document(objects: try await sshKeys().map(\.json))
    case .models: Document(objects: try await models().map(\.json))
    case .model(let id): Document(objects: [try await model(id).json])
    }
  }
}
