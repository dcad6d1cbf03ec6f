import Foundation

@testable import Simulator

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// An HTTP client of bytes: it shares nothing with the server, and sees how a connection ends.
struct RawClient: Sendable {
  var port: Int
  var token: String?

  struct Reply: Sendable {
    var status: Int
    /// In lower case.
    var headers: [String: String]
    var body: String
    /// The body has as many bytes as the headers promised.
    var isWhole: Bool

    var json: JSON { (try? JSON(parsing: body)) ?? nil }
    var errorType: String? { json["error"]?["type"]?.text }
  }

  enum End: Sendable {
    case reply(Reply)
    case reset
    case closed
    case timedOut
  }

  func end(
    _ method: String, _ path: String, body: String? = nil, type: String = "application/json", seconds: Int = 10
  ) async -> End {
    var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    if let token { head += "Authorization: Bearer \(token)\r\n" }
    if let body { head += "Content-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n" }
    let bytes = Array((head + "\r\n" + (body ?? "")).utf8)
    // A thread of its own for each blocking call: on Linux, Swift's tasks and Dispatch share one small pool, which the server under test needs.
    return await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: exchange(bytes, seconds)) }
    }
  }

  func reply(
    _ method: String, _ path: String, body: String? = nil, type: String = "application/json"
  ) async throws -> Reply {
    let end = await end(method, path, body: body, type: type)
    guard case .reply(let reply) = end else { throw Unexpected("\(method) \(path): \(end)") }
    return reply
  }

  func get(_ path: String) async throws -> JSON { try await reply("GET", path).json }

  @discardableResult
  func turn(_ knobs: String) async throws -> Reply { try await reply("PATCH", "/_sim/knobs", body: knobs) }

  func create(_ name: String = "job", offering: String = VirtualCloud.a10) async -> End {
    await end("POST", "/v1/spot/instances/", body: #"{"name":"\#(name)","offering_id":"\#(offering)"}"#)
  }

  func stop() async { _ = await end("POST", "/_sim/stop") }

  /// Reads until the instance has that status; the last answer when 20 s are over.
  func wait(_ id: String, for status: String) async throws -> JSON {
    let limit = ContinuousClock.now + .seconds(20)
    while true {
      let instance = try await get("/v1/spot/instances/\(id)?refresh=true")
      if instance["status"]?.text == status || .now > limit { return instance }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  // MARK: Bytes

  private func exchange(_ request: [UInt8], _ seconds: Int) -> End {
    #if canImport(Glibc)
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    #else
      let descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    defer { close(descriptor) }
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0, send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
      return .reset
    }
    return receive(from: descriptor)
  }

  private func receive(from descriptor: Int32) -> End {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count > 0 {
        bytes += chunk[..<count]
        continue
      }
      if count < 0 { return errno == ECONNRESET ? .reset : .timedOut }
      return parsed(bytes).map { .reply($0) } ?? .closed
    }
  }

  private func parsed(_ bytes: [UInt8]) -> Reply? {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let gap = text.range(of: "\r\n\r\n") else { return nil }
    let lines = text[..<gap.lowerBound].components(separatedBy: "\r\n")
    let words = lines[0].split(separator: " ")
    guard words.count > 1, let status = Int(words[1]) else { return nil }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let halves = line.split(separator: ":", maxSplits: 1)
      headers[halves[0].lowercased()] = halves.last?.trimmingCharacters(in: .whitespaces)
    }
    let body = String(text[gap.upperBound...])
    let isWhole = headers["content-length"].flatMap { Int($0) }.map { $0 == body.utf8.count } ?? true
    return Reply(status: status, headers: headers, body: body, isWhole: isWhole)
  }
}

/// A folder that is gone at the end.
struct TemporaryFolder: Sendable {
  let path: String

  init() {
    path = Files.real(NSTemporaryDirectory()) + "/fcrun-sim-test-" + UUID().uuidString.prefix(8)
    mkdir(path, 0o700)
  }

  func remove() { Files.remove(path) }
}

/// Runs a simulator inside this process while `body` talks to it.
func withSimulator(
  boots: Bool = false, turn: @Sendable (inout SimulatorOptions) -> Void = { _ in },
  _ body: @escaping @Sendable (RawClient, SimulatorAddress) async throws -> Void
) async throws {
  let folder = TemporaryFolder()
  defer { folder.remove() }
  var options = SimulatorOptions(state: folder.path, token: "secret", obeysSignals: false, bootsMachines: boots)
  options.knobs.bootSeconds = .seconds(0.05)
  turn(&options)
  let (addresses, ready) = AsyncStream.makeStream(of: SimulatorAddress.self)
  let settled = options
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask {
      defer { ready.finish() }
      try await SimulatorServer.run(options: settled, report: { print("simulator: \($0)") }) { ready.yield($0) }
    }
    for await address in addresses {
      try await body(RawClient(port: address.port, token: "secret"), address)
      break
    }
    group.cancelAll()
    do {
      try await group.waitForAll()
    } catch is CancellationError {
      // The server ends so when it is cancelled.
    }
  }
}
