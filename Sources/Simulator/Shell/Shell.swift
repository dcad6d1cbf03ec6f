import Hummingbird
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Answers requests on loopback: the API under `/v1`, the control path under `/_sim`.
struct Shell: HTTPResponder {
  typealias Context = ConnectionContext

  let cloud: Cloud
  let token: String
  let stop: @Sendable () -> Void

  /// A request's body beyond this is refused.
  private static let largestBody = 4 << 20

  func respond(to request: Request, context: ConnectionContext) async throws -> Response {
    let target = request.uri.string
    let outgoing = await outgoing(for: request, target: target)
    if !target.hasPrefix("/_sim/") { await cloud.log(request.method.rawValue, target, outgoing) }
    if outgoing.after > 0 { try await Task.sleep(for: .milliseconds(outgoing.after)) }
    return try await send(outgoing.delivery, over: context.channel)
  }

  private func outgoing(for request: Request, target: String) async -> Outgoing {
    guard let body = try? await Array(buffer: request.body.collect(upTo: Shell.largestBody)) else {
      return await cloud.refuse(
        Refusal(status: 413, type: "validation_error", message: "The body is larger than \(Shell.largestBody) bytes."))
    }
    if target.hasPrefix("/_sim/") { return await control(request, target, body) }
    do throws(Call.NoCall) {
      return try await perform(Call(method: request.method.rawValue, target: target), request, body)
    } catch {
      return await cloud.refuse(refusal(for: error))
    }
  }

  private func perform(_ call: Call, _ request: Request, _ body: [UInt8]) async -> Outgoing {
    if call.needsKey, !isAuthorized(request) { return await cloud.refuse(.unauthenticated) }
    if call == .createInstance, !Shell.isJSON(request) {
      return await cloud.refuse(
        Refusal(status: 400, type: "validation_error", message: "The Content-Type must be application/json."))
    }
    return await cloud.perform(call, body: body)
  }

  private func isAuthorized(_ request: Request) -> Bool {
    request.headers[.authorization] == "Bearer \(token)"
  }

  private static func isJSON(_ request: Request) -> Bool {
    let type = request.headers[.contentType]?.split(separator: ";").first
    return type?.lowercased() == "application/json"
  }

  private func refusal(for problem: Call.NoCall) -> Refusal {
    switch problem {
    case .noSuchPath(let hint):
      let message = hint.map { "No such path; did you mean \($0)?" } ?? "No such path."
      return Refusal(status: 404, type: "not_found", message: message)
    case .wrongMethod(let allowed):
      return Refusal(status: 405, type: "validation_error", message: "This path takes \(allowed).")
    case .badQuery(let field): return .invalid(field, "'\(field)' must be true or false.")
    case .badEncoding:
      return Refusal(status: 400, type: "validation_error", message: "The path is not percent-encoded UTF-8.")
    }
  }
}

/// What the responder needs of a connection: the connection itself, to break it.
struct ConnectionContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    channel = source.channel
  }
}

// MARK: - The control path

extension Shell {
  private func control(_ request: Request, _ target: String, _ body: [UInt8]) async -> Outgoing {
    let path = String(target.prefix { $0 != "?" })
    if path == "/_sim/health" { return .json(200, ["status": "ok"]) }
    // Any page in a browser can send a request to loopback, so turning knobs needs the token, too.
    guard isAuthorized(request) else { return await cloud.refuse(.unauthenticated) }
    switch (request.method.rawValue, path) {
    case ("GET", "/_sim/ledger"): return .json(200, await cloud.ledger())
    case ("GET", "/_sim/requests"): return .json(200, await cloud.requestLog())
    case ("GET", "/_sim/knobs"): return await turn([:])
    case ("PATCH", "/_sim/knobs"): return await turn(body)
    case ("POST", "/_sim/stop"):
      stop()
      return .json(202, ["status": "stopping"])
    case ("POST", _): return await happen(path)
    default:  // every other method and path
      return await cloud.refuse(Refusal(status: 404, type: "not_found", message: "No such control."))
    }
  }

  private func turn(_ body: [UInt8]) async -> Outgoing {
    guard let object = try? JSON(parsing: body) else {
      return await cloud.refuse(.invalid("body", "Knobs are a JSON object, for example {\"preempt\": true}."))
    }
    return await turn(object)
  }

  private func turn(_ object: JSON) async -> Outgoing {
    do {
      return .json(200, try await cloud.turn(object))
    } catch {
      return await cloud.refuse(.invalid("knobs", error.description))
    }
  }

  private func happen(_ path: String) async -> Outgoing {
    let words = path.split(separator: "/").map(String.init)
    var done = false
    if words.count == 3, let incident = Cloud.CableIncident(rawValue: words[1]) {
      done = await cloud.happen(incident, to: words[2])
    } else if words.count == 3, let incident = CloudModel.Incident(rawValue: words[1]) {
      done = await cloud.happen(incident, to: words[2])
    }
    return done
      ? .json(200, ["status": "done"])
      : await cloud.refuse(Refusal(status: 404, type: "not_found", message: "No such live instance or control."))
  }
}

// MARK: - Over the connection

extension Shell {
  private func send(_ delivery: Outgoing.Delivery, over channel: any Channel) async throws -> Response {
    switch delivery {
    case .whole(let page): return Shell.response(page, body: ResponseBody(byteBuffer: ByteBuffer(string: page.body)))
    case .cut(let page): return Shell.response(page, body: Shell.half(of: page.body, channel))
    case .reset:
      try await Shell.reset(channel)
    case .silence:
      try await Shell.waitForClose(of: channel)
    }
    throw Broken()
  }

  private static func response(_ page: Outgoing.Page, body: ResponseBody) -> Response {
    var headers = HTTPFields()
    headers[.contentType] = page.contentType
    headers[.retryAfter] = page.retryAfter
    return Response(status: HTTPResponse.Status(code: page.status), headers: headers, body: body)
  }

  /// Promises the whole length, writes half of it and closes.
  private static func half(of body: String, _ channel: any Channel) -> ResponseBody {
    let bytes = Array(body.utf8)
    return ResponseBody(contentLength: bytes.count) { writer in
      try await writer.write(ByteBuffer(bytes: bytes.prefix(bytes.count / 2)))
      try await channel.close()
      throw Broken()
    }
  }

  /// Closing with a linger time of zero makes the kernel send RST instead of FIN: tcp(7).
  private static func reset(_ channel: any Channel) async throws {
    if let socket = channel as? any SocketOptionProvider {
      try await socket.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
    }
    try await channel.close()
  }

  /// The client gives up some time; a stopping simulator cancels the wait.
  private static func waitForClose(of channel: any Channel) async throws {
    while channel.isActive { try await Task.sleep(for: .milliseconds(100)) }
  }

  /// The connection is gone: there is nothing to answer.
  private struct Broken: Error {}
}
