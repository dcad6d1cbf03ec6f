import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One request on its way out.
struct HTTPRequest: Sendable {
  enum Method: Sendable { case get, post, delete }

  var method: Method
  var url: String
  var headers: [(String, String)] = []
  var body: [UInt8]?
}

/// Sends requests, each exactly once, with a deadline and a limit on what comes back. The only user of AsyncHTTPClient.
final class HTTPExchange: Sendable {
  /// Lists of some ten thousand instances fit.
  static let largestBody = 32 * 1024 * 1024
  /// An error's body is read no further than this.
  static let largestErrorBody = 64 * 1024
  /// Requests at one time: a hundred jobs share one client, and a slow answer must not hold up the others.
  private static let mostConnections = 64
  private static let longestConnect: Duration = .seconds(10)

  private let timeout: Duration
  private let userAgent: String
  private let reads: HTTPClient
  /// A POST gets a connection of its own: on one that was kept alive, a close by the server that crosses the request
  /// looks exactly like a lost answer.
  private let writes: HTTPClient

  init(timeout: Duration, userAgent: String) {
    self.timeout = timeout
    self.userAgent = userAgent
    reads = HTTPClient(configuration: Self.configuration(timeout, usesPerConnection: nil))
    writes = HTTPClient(configuration: Self.configuration(timeout, usesPerConnection: 1))
  }

  deinit {
    // AsyncHTTPClient traps in debug builds when it is dropped while open.
    reads.shutdown { _ in }
    writes.shutdown { _ in }
  }

  func shutdown() async {
    try? await reads.shutdown()
    try? await writes.shutdown()
  }

  private static func configuration(_ timeout: Duration, usesPerConnection: Int?) -> HTTPClient.Configuration {
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.minimumTLSVersion = .tlsv12
    var configuration = HTTPClient.Configuration(
      tlsConfiguration: tls, redirectConfiguration: .disallow, proxy: nil, decompression: .disabled)
    configuration.timeout.connect = TimeAmount(min(longestConnect, timeout))
    configuration.httpVersion = .http1Only
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = mostConnections
    configuration.connectionPool.idleTimeout = .seconds(30)
    // A retry inside would hide a refused connection until the deadline; retries are the caller's.
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.maximumUsesPerConnection = usesPerConnection
    return configuration
  }
}

// MARK: - One exchange

extension HTTPExchange {
  /// The answer to `request`, whatever its status.
  ///
  /// - Throws: `notSent`, `timedOut`, `connectionLost`, `bodyTooLarge` or `cancelled`.
  func send(_ request: HTTPRequest, operation: String) async throws(APIError) -> Answer {
    guard !Task.isCancelled else {
      throw APIError(kind: .notSent, operation: operation, message: "it was cancelled before it was sent")
    }
    switch await raceDeadline(request) {
    case .answered(let answer): return answer
    case .failed(let fault): throw fault.error(operation)
    case .expired where Task.isCancelled: throw Fault.cancelled.error(operation)
    case .expired: throw Fault.timedOut(timeout).error(operation)
    }
  }

  private enum Outcome: Sendable {
    case answered(Answer)
    case failed(Fault)
    case expired
  }

  /// The client's own deadline ends with the head of the answer; a body that trickles would have no end.
  private func raceDeadline(_ request: HTTPRequest) async -> Outcome {
    await withTaskGroup(of: Outcome.self) { group in
      group.addTask { await self.outcome(of: request) }
      group.addTask { [timeout] in
        try? await Task.sleep(for: timeout)
        return .expired
      }
      let first = await group.next() ?? .expired
      group.cancelAll()
      return first
    }
  }

  private func outcome(of request: HTTPRequest) async -> Outcome {
    do {
      let client = request.method == .post ? writes : reads
      let response = try await client.execute(outgoing(request), deadline: .now() + TimeAmount(timeout))
      return .answered(try await answer(from: response))
    } catch is CancellationError {
      return .expired
    } catch let fault as Fault {
      return .failed(fault)
    } catch {
      return .failed(Fault(error, timeout: timeout))
    }
  }

  private func outgoing(_ request: HTTPRequest) -> HTTPClientRequest {
    var outgoing = HTTPClientRequest(url: request.url)
    outgoing.method = request.method.wire
    for (name, value) in request.headers { outgoing.headers.add(name: name, value: value) }
    outgoing.headers.add(name: "Accept", value: "application/json")
    outgoing.headers.add(name: "User-Agent", value: userAgent)
    if let body = request.body {
      outgoing.headers.add(name: "Content-Type", value: "application/json")
      outgoing.body = .bytes(ByteBuffer(bytes: body))
    }
    return outgoing
  }

  private func answer(from response: HTTPClientResponse) async throws -> Answer {
    var answer = Answer(status: Int(response.status.code))
    answer.location = response.headers.first(name: "Location")
    answer.retryAfter = response.headers.first(name: "Retry-After").flatMap {
      RetryAfter.parse($0, date: response.headers.first(name: "Date"), now: Date())
    }
    if (200..<300).contains(answer.status) {
      answer.body = try await body(of: response)
    } else {
      (answer.body, answer.isComplete) = await errorBody(of: response)
    }
    return answer
  }

  private func body(of response: HTTPClientResponse) async throws -> [UInt8] {
    let length = response.headers.first(name: "Content-Length").flatMap(Int.init) ?? 0
    guard length <= Self.largestBody else { throw Fault.bodyTooLarge }
    var body: [UInt8] = []
    body.reserveCapacity(max(0, length))
    for try await chunk in response.body {
      guard body.count + chunk.readableBytes <= Self.largestBody else { throw Fault.bodyTooLarge }
      body.append(contentsOf: chunk.readableBytesView)
    }
    return body
  }

  /// As much as can be had: the status is the message, also when the body breaks.
  private func errorBody(of response: HTTPClientResponse) async -> (body: [UInt8], isComplete: Bool) {
    var body: [UInt8] = []
    do {
      for try await chunk in response.body {
        body.append(contentsOf: chunk.readableBytesView)
        if body.count > Self.largestErrorBody { return (Array(body.prefix(Self.largestErrorBody)), false) }
      }
      return (body, true)
    } catch {
      return (body, false)
    }
  }
}

extension HTTPRequest.Method {
  fileprivate var wire: HTTPMethod {
    switch self {
    case .get: .GET
    case .post: .POST
    case .delete: .DELETE
    }
  }
}

// MARK: - Faults

/// Why there is no answer.
private enum Fault: Error {
  case notSent(String)
  case timedOut(Duration)
  case lost(String)
  case bodyTooLarge
  case cancelled
  case shutDown

  /// Only what happens before a connection stands is `notSent`; whatever is not known to be that may have left.
  init(_ error: any Error, timeout: Duration) {
    switch error {
    case let error as NIOConnectionError: self = .notSent(Self.reason(error))
    case let error as HTTPClientError: self = Self.fault(error, timeout)
    case let error as NIOSSLError: self = Self.fault(error)
    case is NIOSSLExtraError: self = .notSent("the server's certificate is not valid for its name (\(error))")
    case let error as IOError where error.errnoCode == ECONNREFUSED: self = .notSent("the connection was refused")
    default: self = .lost("the connection broke (\(Excerpt.escaped("\(error)", limit: 200)))")
    }
  }

  private static func fault(_ error: HTTPClientError, _ timeout: Duration) -> Fault {
    switch error {
    case .connectTimeout, .getConnectionFromPoolTimeout: .notSent("no connection was made in time")
    case .tlsHandshakeTimeout: .notSent("TLS was not agreed in time")
    case .alreadyShutdown: .shutDown
    case .deadlineExceeded, .readTimeout, .writeTimeout: .timedOut(timeout)
    case .cancelled: .cancelled
    default: .lost("the connection broke (\(error.shortDescription))")
    }
  }

  private static func fault(_ error: NIOSSLError) -> Fault {
    switch error {
    case .handshakeFailed(let reason):
      .notSent("TLS was not agreed: \(Self.reason(reason))")
    default: .lost("the TLS connection broke (\(Excerpt.escaped("\(error)", limit: 200)))")
    }
  }

  /// BoringSSL's own word for it, without the place in its sources.
  private static func reason(_ error: BoringSSLError) -> String {
    let text = "\(error)"
    if text.contains("CERTIFICATE_VERIFY_FAILED") { return "the server's certificate is not one that we trust" }
    guard let word = text.split(separator: "OPENSSL_internal:").dropFirst().first else {
      return Excerpt.escaped(text, limit: 100)
    }
    return Excerpt.escaped(String(word.prefix { $0 != " " }), limit: 100)
  }

  private static func reason(_ error: NIOConnectionError) -> String {
    if let failure = error.connectionErrors.first {
      return "no connection to \(error.host):\(error.port) (\(Excerpt.escaped("\(failure.error)", limit: 200)))"
    }
    return "the name \(error.host) was not resolved"
  }

  func error(_ operation: String) -> APIError {
    switch self {
    case .notSent(let reason): APIError(kind: .notSent, operation: operation, message: reason)
    case .timedOut(let limit):
      APIError(kind: .timedOut, operation: operation, message: "the API did not answer completely within \(limit)")
    case .lost(let reason): APIError(kind: .connectionLost, operation: operation, message: reason)
    case .bodyTooLarge:
      APIError(
        kind: .bodyTooLarge, operation: operation,
        message: "the answer is larger than \(HTTPExchange.largestBody / 1024 / 1024) MiB")
    case .cancelled: APIError(kind: .cancelled, operation: operation, message: "it was cancelled")
    case .shutDown: APIError(kind: .notConfigured, operation: operation, message: "the client is shut down")
    }
  }
}
