import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
  private let streamSocket = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
#elseif canImport(Musl)
  import Musl
  private let streamSocket = SOCK_STREAM | SOCK_CLOEXEC
#elseif canImport(Darwin)
  import Darwin
  private let streamSocket = SOCK_STREAM
#endif

/// A server on a loopback port that answers each request with the very bytes a test wants, however wrong they are.
package final class ScriptedServer: Sendable {
  /// What a client sent.
  package struct Request: Sendable {
    package var line: String
    package var headers: [String: String]
    package var body: String
    /// Which connection it came over: its peer's port.
    package var connection = 0
  }

  /// What it gets.
  package enum Reply: Sendable {
    /// The bytes; the connection stays open for another request.
    case send(String)
    /// The bytes, then an orderly close.
    case sendThenClose(String)
    /// The bytes, then RST.
    case sendThenReset(String)
    /// The bytes, then one space every few milliseconds for ever.
    case trickle(String)
    /// The bytes, then as many more as the client takes.
    case endless(String)
    /// Nothing, for ever.
    case silence
  }

  package let port: Int
  private let listener: Int32
  private let takesAnything: Bool
  private let script: @Sendable (Request, Int) -> Reply
  private let state = Mutex(State())

  private struct State {
    var requests: [Request] = []
    var isStopped = false
  }

  /// - Parameter script: the reply to a request and its number, from 0.
  package init(
    takesAnything: Bool = false, listens: Bool = true, script: @escaping @Sendable (Request, Int) -> Reply
  ) throws {
    self.script = script
    self.takesAnything = takesAnything
    let descriptor = socket(AF_INET, streamSocket, 0)
    listener = descriptor
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && (!listens || listen(descriptor, 64) == 0)
          && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard bound else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    port = Int(UInt16(bigEndian: address.sin_port))
    // Where nobody listens the port stays taken all the same.
    if listens { Thread.detachNewThread { self.acceptAll() } }
  }

  /// The same reply to everybody.
  package convenience init(_ reply: Reply, takesAnything: Bool = false, listens: Bool = true) throws {
    try self.init(takesAnything: takesAnything, listens: listens) { _, _ in reply }
  }

  package var url: String { "http://127.0.0.1:\(port)" }
  package var requests: [Request] { state.withLock { $0.requests } }

  package func stop() {
    state.withLock { $0.isStopped = true }
  }

  private var isStopped: Bool { state.withLock { $0.isStopped } }

  private func acceptAll() {
    while !isStopped {
      var event = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
      guard poll(&event, 1, 20) > 0 else { continue }
      let connection = accept(listener, nil, nil)
      if connection >= 0 { Thread.detachNewThread { self.converse(on: connection) } }
    }
    close(listener)
  }

  private func converse(on connection: Int32) {
    defer { close(connection) }
    while var request = receive(on: connection) {
      request.connection = peerPort(of: connection)
      let number = state.withLock { state in
        state.requests.append(request)
        return state.requests.count - 1
      }
      guard perform(script(request, number), on: connection) else { return }
    }
  }

  /// True when the connection is good for another request.
  private func perform(_ reply: Reply, on connection: Int32) -> Bool {
    switch reply {
    case .send(let text): return send(text, on: connection)
    case .sendThenClose(let text): _ = send(text, on: connection)
    case .sendThenReset(let text):
      _ = send(text, on: connection)
      var linger = linger(l_onoff: 1, l_linger: 0)
      setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
    case .trickle(let text): goOn(text, with: " ", every: 5_000, on: connection)
    case .endless(let text): goOn(text, with: String(repeating: "x", count: 1 << 20), every: 0, on: connection)
    case .silence: while !isStopped && !peerIsGone(connection) { usleep(5_000) }
    }
    return false
  }

  private func goOn(_ start: String, with rest: String, every microseconds: UInt32, on connection: Int32) {
    guard send(start, on: connection) else { return }
    while !isStopped, send(rest, on: connection) { usleep(microseconds) }
  }

  private func peerPort(of connection: Int32) -> Int {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      _ = $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(connection, $0, &length) }
    }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  private func peerIsGone(_ connection: Int32) -> Bool {
    var byte: UInt8 = 0
    return recv(connection, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) == 0
  }

  private func send(_ text: String, on connection: Int32) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      #if canImport(Darwin)
        let count = bytes.withUnsafeBytes { Darwin.send(connection, $0.baseAddress, $0.count, 0) }
      #else
        let count = bytes.withUnsafeBytes { sendto(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL), nil, 0) }
      #endif
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }

  private func receive(on connection: Int32) -> Request? {
    var text = ""
    while true {
      if takesAnything, !text.isEmpty { return Request(line: "", headers: [:], body: text) }
      if let request = Request(text) { return request }
      var event = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
      guard !isStopped else { return nil }
      guard poll(&event, 1, 20) > 0 else { continue }
      var chunk = [UInt8](repeating: 0, count: 65_536)
      let count = recv(connection, &chunk, chunk.count, 0)
      guard count > 0 else { return nil }
      text += String(decoding: chunk.prefix(count), as: UTF8.self)
    }
  }
}

extension ScriptedServer.Request {
  /// The request in `text`, once it is all there.
  fileprivate init?(_ text: String) {
    guard let end = text.range(of: "\r\n\r\n") else { return nil }
    let lines = text[..<end.lowerBound].components(separatedBy: "\r\n")
    line = lines[0]
    headers = [:]
    for header in lines.dropFirst() {
      let parts = header.components(separatedBy: ": ")
      headers[parts[0].lowercased()] = parts.dropFirst().joined(separator: ": ")
    }
    body = String(text[end.upperBound...])
    guard body.utf8.count >= headers["content-length"].flatMap({ Int($0) }) ?? 0 else { return nil }
  }
}

extension ScriptedServer.Reply {
  /// A well-formed answer.
  package static func answer(_ status: Int, _ body: String, headers: [String] = []) -> Self {
    .send(message(status, body, headers: headers))
  }

  package static func message(_ status: Int, _ body: String, headers: [String] = []) -> String {
    let lines = ["HTTP/1.1 \(status) Whatever", "Content-Length: \(body.utf8.count)"] + headers
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
  }
}

extension ScriptedServer {
  /// A server that takes a TLS client's first message for a request, and answers it in plain text.
  package static func plainTextBehindTLS() throws -> ScriptedServer {
    try ScriptedServer(.sendThenClose(Reply.message(400, "plain")), takesAnything: true)
  }
}

/// A port on the loopback where nobody listens.
package func closedPort() throws -> Int {
  let server = try ScriptedServer(.silence, listens: false)
  // Never freed: the port must stay taken, or the server of another test gets it.
  return Unmanaged.passRetained(server).takeUnretainedValue().port
}
