import Foundation

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A TCP server on 127.0.0.1 whose every connection is a thread of its own.
final class LoopbackServer: @unchecked Sendable {
  // Safe: set once in the initializer; the descriptor is only closed in deinit.
  private let listener: Int32
  let port: Int

  /// - Parameter talk: gets the connection, which is closed after it.
  init(_ talk: @escaping @Sendable (Int32) -> Void) throws {
    let listener = socket(AF_INET, Self.stream, 0)
    self.listener = listener
    var address = Self.address(port: 0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, size) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &size) == 0
      }
    }
    guard bound else { throw PrivateSSHD.NotUp(description: "no port to listen on") }
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread {
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        Thread.detachNewThread {
          talk(connection)
          close(connection)
        }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  /// Passes bytes on in both directions, each direction no faster than `bytesPerSecond`.
  static func proxy(to port: Int, bytesPerSecond: Int) throws -> LoopbackServer {
    try LoopbackServer { near in
      let far = connected(to: port)
      defer { close(far) }
      let back = Thread { pass(from: far, to: near, bytesPerSecond) }
      back.start()
      pass(from: near, to: far, bytesPerSecond)
      while !back.isFinished { usleep(10_000) }
    }
  }

  private static func pass(from source: Int32, to sink: Int32, _ rate: Int) {
    var buffer = [UInt8](repeating: 0, count: max(rate / 20, 512))
    while true {
      let count = recv(source, &buffer, buffer.count, 0)
      guard count > 0, write(Array(buffer[..<count]), to: sink) else { break }
      usleep(UInt32(count * 1_000_000 / rate))
    }
    shutdown(sink, Int32(SHUT_RDWR))
    shutdown(source, Int32(SHUT_RDWR))
  }

  /// Whether all of it went.
  @discardableResult
  static func write(_ bytes: [UInt8], to connection: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      #if canImport(Glibc)
        let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      #else
        let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, 0) }
      #endif
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private static func connected(to port: Int) -> Int32 {
    let socket = socket(AF_INET, stream, 0)
    var address = address(port: port)
    _ = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    return socket
  }

  private static func address(port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    return address
  }

  #if canImport(Glibc)
    private static let stream = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
  #else
    private static let stream = SOCK_STREAM
  #endif
}
