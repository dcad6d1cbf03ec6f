#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A connected, non-blocking TCP socket, tuned for small packets and for noticing a dead peer.
enum TCP {
  /// Seconds of silence after which the kernel gives the peer up.
  static let deadAfter = 15

  /// Tries each address of `host` in the order of getaddrinfo(3).
  /// - Throws: ``SSHError`` `refused` when none answers, `timedOut` when the deadline passes first.
  @SSHLoop
  static func connect(host: String, port: Int, deadline: ContinuousClock.Instant) async throws -> Int32 {
    var last = SSHError(.refused, call: "connect", text: "\(host) has no address")
    for address in try addresses(of: host, port: port) {
      do throws(SSHError) {
        return try await connect(address, deadline: deadline)
      } catch {
        if Task.isCancelled { throw CancellationError() }
        if error.kind == .timedOut { throw error }
        last = error
      }
    }
    throw last
  }

  private struct Address {
    var family: Int32
    var storage: [UInt8]
  }

  private static func addresses(of host: String, port: Int) throws(SSHError) -> [Address] {
    var hints = addrinfo()
    #if canImport(Glibc)
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      hints.ai_socktype = SOCK_STREAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    // "[::1]" is how people write an IPv6 address beside a port.
    let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    let code = getaddrinfo(bare, String(port), &hints, &list)
    guard code == 0 else {
      throw SSHError(.refused, call: "getaddrinfo", text: "\(host): \(String(cString: gai_strerror(code)))")
    }
    defer { freeaddrinfo(list) }
    var found: [Address] = []
    var next = list
    while let info = next?.pointee {
      let bytes = UnsafeRawBufferPointer(start: info.ai_addr, count: Int(info.ai_addrlen))
      found.append(Address(family: info.ai_family, storage: Array(bytes)))
      next = info.ai_next
    }
    return found
  }

  @SSHLoop
  private static func connect(_ address: Address, deadline: ContinuousClock.Instant) async throws(SSHError) -> Int32 {
    #if canImport(Glibc)
      let descriptor = socket(
        address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    #else
      let descriptor = socket(address.family, SOCK_STREAM, 0)
    #endif
    guard descriptor >= 0 else { throw failure("socket", errno) }
    do throws(SSHError) {
      tune(descriptor)
      let code = address.storage.withUnsafeBytes { bytes in
        #if canImport(Glibc)
          Glibc.connect(
            descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        #else
          Darwin.connect(
            descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        #endif
      }
      if code != 0, errno != EINPROGRESS { throw failure("connect", errno) }
      if code != 0 { try await finish(descriptor, deadline: deadline) }
      return descriptor
    } catch {
      close(descriptor)
      throw error
    }
  }

  @SSHLoop
  private static func finish(_ descriptor: Int32, deadline: ContinuousClock.Instant) async throws(SSHError) {
    let events = await EventLoop.shared.wait(for: descriptor, events: POLLOUT, until: deadline)
    guard events != 0 else {
      throw SSHError(.timedOut, call: "connect", text: "no answer to the TCP connection before the deadline")
    }
    var code: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
    if code != 0 { throw failure("connect", code) }
  }

  private static func failure(_ call: String, _ code: Int32) -> SSHError {
    SSHError(code == ETIMEDOUT ? .timedOut : .refused, call: call, text: String(cString: strerror(code)))
  }

  private static func tune(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    // Without it NEWKEYS and SERVICE_REQUEST meet Nagle and a delayed ACK: 44 ms.
    set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    #if os(Linux)
      set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 5)
      set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 3)
      set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
      set(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, Int32(deadAfter * 1000))
    #endif
  }

  private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}
