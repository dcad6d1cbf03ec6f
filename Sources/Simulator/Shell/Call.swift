/// One call of the API, read from the request line.
enum Call: Sendable, Equatable {
  case listComputeOfferings, listVolumeOfferings, listInstances, listVolumes, listSSHKeys, listModels
  case computeOffering(String), volumeOffering(String), model(String)
  case instance(String, refresh: Bool), volume(String, refresh: Bool)
  case createInstance, deleteInstance(String)

  /// Offerings are for everybody; everything else wants a key.
  var needsKey: Bool {
    switch self {
    case .listComputeOfferings, .listVolumeOfferings, .computeOffering, .volumeOffering: false
    case .listInstances, .listVolumes, .listSSHKeys, .listModels, .model, .instance, .volume, .createInstance,
      .deleteInstance:
      true
    }
  }

  /// Why a request is no call.
  enum NoCall: Error, Equatable {
    case noSuchPath(hint: String?)
    case wrongMethod(allowed: String)
    case badQuery(field: String)
    case badEncoding
  }

  /// Reads a method and the target of a request line. The path is split before it is decoded, so that an encoded slash stays inside its segment.
  init(method: String, target: String) throws(NoCall) {
    let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var segments: [String] = []
    for raw in halves[0].split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      guard let segment = Call.decoded(raw) else { throw .badEncoding }
      segments.append(segment)
    }
    let query = halves.count > 1 ? String(halves[1]) : ""
    self = try Call.route(method, segments, query)
  }

  private static func route(_ method: String, _ path: [String], _ query: String) throws(NoCall) -> Call {
    switch path.count {
    case 3 where path[0] == "v1" && path[1] == "models":
      return try get(method, path[2].isEmpty ? .listModels : .model(path[2]))
    case 4 where path[0] == "v1" && path[1] == "spot":
      return try collection(method, path[2], path[3], query)
    case 5 where path[0] == "v1" && path[1] == "spot" && path[3] == "offerings" && !path[4].isEmpty:
      return try offering(method, path[2], path[4])
    default: throw .noSuchPath(hint: hint(for: path))  // no other number of segments is documented
    }
  }

  private static func collection(
    _ method: String, _ name: String, _ id: String, _ query: String
  ) throws(NoCall) -> Call {
    switch (name, id) {
    case ("compute", "offerings"): return try get(method, .listComputeOfferings)
    case ("volumes", "offerings"): return try get(method, .listVolumeOfferings)
    case ("volumes", ""): return try get(method, .listVolumes)
    case ("ssh-keys", ""): return try get(method, .listSSHKeys)
    case ("instances", ""): return try instances(method)
    case ("instances", _): return try instance(method, id, query)
    case ("volumes", _): return try get(method, .volume(id, refresh: try refresh(query)))
    default: throw .noSuchPath(hint: nil)  // no other collection is documented
    }
  }

  private static func offering(_ method: String, _ name: String, _ id: String) throws(NoCall) -> Call {
    switch name {
    case "compute": return try get(method, .computeOffering(id))
    case "volumes": return try get(method, .volumeOffering(id))
    default: throw .noSuchPath(hint: nil)  // nothing else has offerings
    }
  }

  private static func instances(_ method: String) throws(NoCall) -> Call {
    switch method {
    case "GET": return .listInstances
    case "POST": return .createInstance
    default: throw .wrongMethod(allowed: "GET, POST")  // no other method is documented
    }
  }

  private static func instance(_ method: String, _ id: String, _ query: String) throws(NoCall) -> Call {
    switch method {
    case "GET": return .instance(id, refresh: try refresh(query))
    case "DELETE": return .deleteInstance(id)
    default: throw .wrongMethod(allowed: "GET, DELETE")  // no other method is documented
    }
  }

  private static func get(_ method: String, _ call: Call) throws(NoCall) -> Call {
    guard method == "GET" else { throw .wrongMethod(allowed: "GET") }
    return call
  }

  private static func refresh(_ query: String) throws(NoCall) -> Bool {
    let values = query.split(separator: "&").filter { $0.hasPrefix("refresh=") }.map { $0.dropFirst(8) }
    switch values.last {
    case nil, "false": return false
    case "true": return true
    default: throw .badQuery(field: "refresh")  // the document says boolean
    }
  }

  /// Collections end in a slash, offerings do not: a client that mixes them up should learn it from the first answer.
  private static func hint(for path: [String]) -> String? {
    let collections = [
      ["v1", "spot", "instances"], ["v1", "spot", "volumes"], ["v1", "spot", "ssh-keys"], ["v1", "models"],
    ]
    if collections.contains(path) { return "/" + path.joined(separator: "/") + "/" }
    guard path.count > 3, path.last?.isEmpty == true else { return nil }
    return "/" + path.dropLast().joined(separator: "/")
  }

  /// Percent-decoding of one segment (RFC 3986, 2.1); nil when a `%` is not followed by two digits or the bytes are not UTF-8.
  static func decoded(_ segment: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = segment.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
        return nil
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
