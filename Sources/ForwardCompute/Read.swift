/// A read of the API: what can be asked again and again without a change.
public enum Read: Sendable, Hashable {
  case computeOfferings
  case computeOffering(String)
  case volumeOfferings
  case volumeOffering(String)
  case instances
  case instance(String, refresh: Bool)
  case volumes
  case volume(String, refresh: Bool)
  case sshKeys
  case models
  case model(String)
}

extension Read {
  /// The path as in the API's document: collections end with a slash, offerings do not.
  var path: String {
    switch self {
    case .computeOfferings: "/v1/spot/compute/offerings"
    case .computeOffering(let id): "/v1/spot/compute/offerings/" + Identifier.segment(id)
    case .volumeOfferings: "/v1/spot/volumes/offerings"
    case .volumeOffering(let id): "/v1/spot/volumes/offerings/" + Identifier.segment(id)
    case .instances: "/v1/spot/instances/"
    case .instance(let id, let refresh): Self.instancePath(id) + Self.query(refresh)
    case .volumes: "/v1/spot/volumes/"
    case .volume(let id, let refresh): "/v1/spot/volumes/" + Identifier.segment(id) + Self.query(refresh)
    case .sshKeys: "/v1/spot/ssh-keys/"
    case .models: "/v1/models/"
    case .model(let id): "/v1/models/" + Identifier.segment(id)
    }
  }

  /// The deletion is not in the API's document; this is the one place that assumes `DELETE` of the same path.
  static func instancePath(_ id: String) -> String {
    "/v1/spot/instances/" + Identifier.segment(id)
  }

  private static func query(_ refresh: Bool) -> String {
    refresh ? "?refresh=true" : ""
  }

  /// For the errors: `cannot list instances: …`.
  var operation: String {
    switch self {
    case .computeOfferings: "list compute offerings"
    case .computeOffering(let id): "get compute offering \(Excerpt.escaped(id, limit: 100))"
    case .volumeOfferings: "list volume offerings"
    case .volumeOffering(let id): "get volume offering \(Excerpt.escaped(id, limit: 100))"
    case .instances: "list instances"
    case .instance(let id, refresh: _): "get instance \(Excerpt.escaped(id, limit: 100))"
    case .volumes: "list volumes"
    case .volume(let id, refresh: _): "get volume \(Excerpt.escaped(id, limit: 100))"
    case .sshKeys: "list SSH keys"
    case .models: "list models"
    case .model(let id): "get model \(Excerpt.escaped(id, limit: 100))"
    }
  }

  /// The id in the path of a single object.
  var id: String? {
    switch self {
    case .computeOffering(let id), .volumeOffering(let id), .instance(let id, refresh: _),
      .volume(let id, refresh: _), .model(let id):
      id
    case .computeOfferings, .volumeOfferings, .instances, .volumes, .sshKeys, .models: nil
    }
  }

  /// The offerings are for everybody.
  var needsKey: Bool {
    switch self {
    case .computeOfferings, .computeOffering, .volumeOfferings, .volumeOffering: false
    case .instances, .instance, .volumes, .volume, .sshKeys, .models, .model: true
    }
  }
}

/// The objects of an answer: the elements of a list, or the one object without its wrapper.
public struct Document: Sendable, Equatable {
  /// As received, with every field.
  public var objects: [JSONValue]

  /// A document of these objects.
  public init(objects: [JSONValue]) {
    self.objects = objects
  }
}
