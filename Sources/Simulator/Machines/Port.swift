#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A free TCP port of a loopback address, held against everybody else until sshd takes it.
struct Port: Sendable {
  let number: Int
  private let socket: Int32

  /// Asks the kernel for a free one, or for this one. Bound but not listening, so that connections are refused meanwhile. Throws ``SimulatorFailure``.
  init(_ wanted: Int = 0, of ip: String = "127.0.0.1") throws(SimulatorFailure) {
    #if canImport(Glibc)
      let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    #else
      let kind = SOCK_STREAM
    #endif
    let socket = systemSocket(AF_INET, kind, 0)
    guard socket >= 0 else { throw SimulatorFailure("cannot make a socket: \(Spawn.errorText(errno))") }
    _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
    var yes: Int32 = 1
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    guard let number = Port.bind(socket, to: wanted, ip) else {
      let code = errno
      close(socket)
      throw SimulatorFailure("cannot take port \(wanted) of \(ip): \(Spawn.errorText(code))")
    }
    self.number = number
    self.socket = socket
  }

  func release() { close(socket) }

  private static func bind(_ socket: Int32, to wanted: Int, _ ip: String) -> Int? {
    var address = address(ip, wanted)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let done = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
        systemBind(socket, raw, length) == 0 && getsockname(socket, raw, &length) == 0
      }
    }
    return done ? Int(UInt16(bigEndian: address.sin_port)) : nil
  }

  private static func address(_ ip: String, _ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = inet_addr(ip)
    return address
  }

  /// Whether somebody accepts connections there now.
  static func isOpen(_ number: Int, of ip: String = "127.0.0.1") -> Bool {
    #if canImport(Glibc)
      let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    #else
      let kind = SOCK_STREAM
    #endif
    let socket = systemSocket(AF_INET, kind, 0)
    guard socket >= 0 else { return false }
    defer { close(socket) }
    var address = address(ip, number)
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}

private func systemSocket(_ domain: Int32, _ kind: Int32, _ protocolNumber: Int32) -> Int32 {
  socket(domain, kind, protocolNumber)
}

private func systemBind(_ socket: Int32, _ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> Int32 {
  bind(socket, address, length)
}
