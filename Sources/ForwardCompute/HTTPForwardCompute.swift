/// The API over HTTPS (or http to a loopback address). Each call is one request: nothing is retried here.
public final class HTTPForwardCompute: ForwardComputeAPI {
  private let base: BaseURL
  private let apiKey: String?
  private let exchange: HTTPExchange

  /// A client of the API at `baseURL`, which may have a path prefix.
  ///
  /// - Parameter timeout: the deadline of one request, from resolving the name to the last byte of the body.
  /// - Throws: `notConfigured` when the URL would send the key in the clear, or the key cannot be sent at all.
  public init(
    baseURL: String, apiKey: String?, timeout: Duration = .seconds(30), userAgent: String = "fcrun"
  ) throws(APIError) {
    self.base = try BaseURL(baseURL)
    self.apiKey = try Self.checked(apiKey)
    self.exchange = HTTPExchange(timeout: timeout, userAgent: userAgent)
  }

  /// Closes the connections. Optional before the process ends.
  public func shutdown() async {
    await exchange.shutdown()
  }

  /// An empty key is no key; one with a line break in it would write headers of its own.
  private static func checked(_ key: String?) throws(APIError) -> String? {
    guard let key, !key.isEmpty else { return nil }
    guard key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw APIError(
        kind: .notConfigured, operation: "use the API",
        message: "the API key holds a space, a line break or a character outside ASCII; set FORWARD_COMPUTE_API_KEY")
    }
    return key
  }
}

// MARK: - Operations

// The protocol says what each one does.
// swift-format-ignore: AllPublicDeclarationsHaveDocumentation
extension HTTPForwardCompute {
  public func computeOfferings() async throws(APIError) -> [ComputeOffering] { try await list(.computeOfferings) }
  public func computeOffering(_ id: String) async throws(APIError) -> ComputeOffering {
    try await one(.computeOffering(id))
  }
  public func volumeOfferings() async throws(APIError) -> [VolumeOffering] { try await list(.volumeOfferings) }
  public func volumeOffering(_ id: String) async throws(APIError) -> VolumeOffering {
    try await one(.volumeOffering(id))
  }
  public func instances() async throws(APIError) -> [Instance] { try await list(.instances, complete: true) }
  public func instance(_ id: String, refresh: Bool) async throws(APIError) -> Instance {
    try await one(.instance(id, refresh: refresh))
  }
  public func volumes() async throws(APIError) -> [Volume] { try await list(.volumes) }
  public func volume(_ id: String, refresh: Bool) async throws(APIError) -> Volume {
    try await one(.volume(id, refresh: refresh))
  }
  public func sshKeys() async throws(APIError) -> [SSHKey] { try await list(.sshKeys) }
  public func models() async throws(APIError) -> [Model] { try await list(.models) }
  public func model(_ id: String) async throws(APIError) -> Model { try await one(.model(id)) }

  public func document(_ read: Read) async throws(APIError) -> Document {
    let answer = try await self.answer(read)
    let json = try answer.json(read.operation)
    return Document(objects: try read.id == nil ? answer.elements(of: json, read) : [json.unwrapped])
  }

  public func createInstance(_ request: CreateInstance) async -> Creation {
    let operation = "create instance \(Excerpt.escaped(request.name, limit: 100))"
    do {
      let headers = try authorization(operation, needed: true)
      let outgoing = HTTPRequest(
        method: .post, url: base.text + Read.instances.path, headers: headers, body: Array(request.json.text().utf8))
      return Creation(try await send(outgoing, operation), operation: operation)
    } catch {
      return Creation(error)
    }
  }

  public func deleteInstance(_ id: String) async throws(APIError) {
    let operation = "delete instance \(Excerpt.escaped(id, limit: 100))"
    try Self.check(id, operation)
    let outgoing = HTTPRequest(
      method: .delete, url: base.text + Read.instancePath(id), headers: try authorization(operation, needed: true))
    let answer = try await send(outgoing, operation)
    guard (200..<300).contains(answer.status) else { throw answer.error(operation) }
  }
}

// MARK: - Reads

extension HTTPForwardCompute {
  private func one<Object: WireObject>(_ read: Read) async throws(APIError) -> Object {
    let answer = try await self.answer(read)
    let json = try answer.json(read.operation).unwrapped
    do {
      return try Object(json: json)
    } catch {
      throw answer.malformed(read.operation, "the answer is not what the API documents: \(error)")
    }
  }

  private func list<Object: WireObject>(_ read: Read, complete: Bool = false) async throws(APIError) -> [Object] {
    let answer = try await self.answer(read)
    var objects: [Object] = []
    var problem: WireProblem?
    var index = 0
    let rest = try answer.json(read.operation) { element in
      do throws(WireProblem) {
        objects.append(try Object(json: element))
      } catch {
        problem = problem ?? error.inside("data[\(index)]")
      }
      index += 1
    }
    // Whether it was a list, and all of it.
    _ = try answer.elements(of: rest, read)
    if let problem, complete || objects.isEmpty {
      throw answer.malformed(read.operation, "the answer is not what the API documents: \(problem)")
    }
    return objects
  }

  private func answer(_ read: Read) async throws(APIError) -> Answer {
    if let id = read.id { try Self.check(id, read.operation) }
    let request = HTTPRequest(
      method: .get, url: base.text + read.path, headers: try authorization(read.operation, needed: read.needsKey))
    let answer = try await send(request, read.operation)
    guard (200..<300).contains(answer.status) else { throw answer.error(read.operation) }
    return answer
  }

  private func send(_ request: HTTPRequest, _ operation: String) async throws(APIError) -> Answer {
    var answer = try await exchange.send(request, operation: operation)
    answer.secret = apiKey
    return answer
  }

  private func authorization(_ operation: String, needed: Bool) throws(APIError) -> [(String, String)] {
    if let apiKey { return [("Authorization", "Bearer \(apiKey)")] }
    guard needed else { return [] }
    throw APIError(
      kind: .notConfigured, operation: operation, message: "it needs an API key; set FORWARD_COMPUTE_API_KEY")
  }

  /// An empty segment or a dot would name another path.
  private static func check(_ id: String, _ operation: String) throws(APIError) {
    guard id.isEmpty || id == "." || id == ".." else { return }
    throw APIError(kind: .notConfigured, operation: operation, message: "'\(id)' is not an id")
  }
}

extension Answer {
  /// The elements of `{"data": […]}`.
  fileprivate func elements(of json: JSONValue, _ read: Read) throws(APIError) -> [JSONValue] {
    guard case .array(let elements)? = json["data"] else {
      throw malformed(read.operation, "the answer is not a list: data: an array was expected")
    }
    if let more = json.furtherPages {
      throw malformed(
        read.operation, "the list goes on after what was answered (\(more)), and its pages are not known here")
    }
    return elements
  }
}

extension JSONValue {
  /// The member by which a list says that there is more of it; nil when it does not.
  ///
  /// The API documents no pages. Should it get them, a first page must not pass for the whole: what is not on it would be
  /// taken for gone.
  fileprivate var furtherPages: String? {
    if case .bool(true)? = self["has_more"] { return "has_more" }
    return ["next", "next_page", "next_cursor", "next_page_token", "next_url"].first { name in
      switch self[name] {
      case .none, .null?, .bool(false)?: false
      case .string(let text)?: !text.isEmpty
      case .bool?, .number?, .array?, .object?: true
      }
    }
  }
}
