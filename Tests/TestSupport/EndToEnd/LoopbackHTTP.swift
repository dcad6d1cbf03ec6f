import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A request to 127.0.0.1 over a plain socket, one connection each.
package enum LoopbackHTTP {
  package struct Answer {
    package var status: Int
    package var body: Data
    package var json: JSONTree { JSONTree(body) }
  }

  /// - Throws: ``Unmet`` when nobody answers on the port.
  package static func send(
    _ method: String, _ path: String, port: Int, token: String? = nil, body: String = ""
  ) throws -> Answer {
    let socket = try connected(to: port)
    defer { close(socket) }
    var lines = [
      "\(method) \(path) HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Content-Length: \(body.utf8.count)",
    ]
    if let token { lines.append("Authorization: Bearer \(token)") }
    if !body.isEmpty { lines.append("Content-Type: application/json") }
    try write(Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8), to: socket)
    return try parse(readAll(from: socket), path)
  }

  private static func connected(to port: Int) throws -> Int32 {
    #if os(Linux)
      let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    #else
      let socket = socket(AF_INET, SOCK_STREAM, 0)
    #endif
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else {
      close(socket)
      throw Unmet("nobody listens on 127.0.0.1:\(port)")
    }
    return socket
  }

  private static func write(_ bytes: [UInt8], to socket: Int32) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes { send_(socket, $0.baseAddress, $0.count) }
      guard count > 0 else { throw Unmet("the connection was cut while sending") }
      sent += count
    }
  }

  private static func send_(_ socket: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    #if os(Linux)
      Glibc.send(socket, bytes, count, Int32(MSG_NOSIGNAL))
    #else
      Darwin.send(socket, bytes, count, 0)
    #endif
  }

  private static func readAll(from socket: Int32) -> [UInt8] {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(socket, &chunk, chunk.count, 0)
      guard count > 0 else { return all }
      all += chunk[..<count]
    }
  }

  private static func parse(_ bytes: [UInt8], _ path: String) throws -> Answer {
    let mark: [UInt8] = [13, 10, 13, 10]
    guard let end = bytes.indices.first(where: { bytes[$0...].starts(with: mark) }) else {
      throw Unmet("\(path): no whole answer: \(String(decoding: bytes, as: UTF8.self))")
    }
    let head = String(decoding: bytes[..<end], as: UTF8.self)
    let status = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    let body = Data(bytes[(end + 4)...])
    let isChunked = head.lowercased().contains("transfer-encoding: chunked")
    return Answer(status: status, body: isChunked ? joined(body) : body)
  }

  /// RFC 9112, 7.1.
  private static func joined(_ body: Data) -> Data {
    var (rest, whole) = (body[...], Data())
    while let line = rest.firstRange(of: Data("\r\n".utf8)) {
      guard let size = Int(String(decoding: rest[rest.startIndex..<line.lowerBound], as: UTF8.self), radix: 16),
        size > 0
      else { return whole }
      whole += rest[line.upperBound..<min(line.upperBound + size, rest.endIndex)]
      rest = rest[min(line.upperBound + size + 2, rest.endIndex)...]
    }
    return whole
  }
}
