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

/// Where a connection ends.
package struct Cut: Sendable, Equatable {
  package enum Way: String, Sendable { case there, back }

  package var way: Way
  /// So many bytes arrive.
  package var after: Int
  /// RST, or an orderly end.
  package var resets: Bool

  package init(_ way: Way, after: Int, resets: Bool) { (self.way, self.after, self.resets) = (way, after, resets) }
}

/// A TCP relay on a loopback port that cuts connections after so many bytes.
///
/// Bytes before the cut arrive, none after it does. A thread for each connection, one way at a time: what passes here
/// never needs both ways to move at once.
package final class Relay: Sendable {
  /// Which connections are cut.
  package enum Rule: Sendable {
    /// The first that begins with `POST`.
    case firstPost(Cut?)
    /// One after the other in the order in which they come; those after the last are left alone.
    case inOrder([Cut])
  }

  /// What passed over one connection.
  package struct Traffic: Sendable, Equatable {
    package var there = 0
    package var back = 0
    package var isPost = false
    package var isCut = false
  }

  package let port: Int
  private let listener: Int32
  private let rule: Rule
  private let state: Mutex<State>
  /// Where a machine's sshd is to be looked for instead of where it is.
  private let ssh: Relay?

  private struct State {
    var target: Int?
    var traffic: [Traffic] = []
    var isStopped = false
  }

  /// - Parameters:
  ///   - target: the port behind it; nil while it is not known: connections are refused meanwhile.
  ///   - ssh: stands in for the `ssh_port` of every answer of the API that passes here.
  package init(to target: Int?, _ rule: Rule, ssh: Relay? = nil) throws {
    self.rule = rule
    self.ssh = ssh
    state = Mutex(State(target: target))
    (listener, port) = try Self.listen()
    Thread.detachNewThread { self.acceptAll() }
  }

  package var traffic: [Traffic] { state.withLock { $0.traffic } }
  package var cuts: Int { traffic.count(where: \.isCut) }

  package func stop() { state.withLock { $0.isStopped = true } }

  private var isStopped: Bool { state.withLock { $0.isStopped } }

  private static func listen() throws -> (Int32, Int) {
    // Five digits, as the port it stands in for: an answer keeps its length.
    for _ in 0..<20 {
      let listener = socket(AF_INET, streamSocket, 0)
      if let port = bound(listener), port >= 10_000 { return (listener, port) }
      close(listener)
    }
    throw Unmet("no port for a relay: \(String(cString: strerror(errno)))")
  }

  private static func bound(_ listener: Int32) -> Int? {
    var address = loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isDone = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && systemListen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    return isDone ? Int(UInt16(bigEndian: address.sin_port)) : nil
  }

  private func acceptAll() {
    while !isStopped {
      var event = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
      guard poll(&event, 1, 20) > 0 else { continue }
      let client = accept(listener, nil, nil)
      guard client >= 0 else { continue }
      guard let server = state.withLock({ $0.target }).flatMap(Self.connect) else {
        close(client)
        continue
      }
      let number = state.withLock { state in
        state.traffic.append(Traffic())
        return state.traffic.count - 1
      }
      Thread.detachNewThread { self.pass(client, server, number) }
    }
    close(listener)
  }

  private static func connect(_ port: Int) -> Int32? {
    let server = socket(AF_INET, streamSocket, 0)
    var address = loopback(port)
    let isDone = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        systemConnect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    if !isDone { close(server) }
    return isDone ? server : nil
  }

  private static func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}

// MARK: - One connection

extension Relay {
  private func pass(_ client: Int32, _ server: Int32, _ number: Int) {
    var link = Link(client: client, server: server, cut: cut(ofConnection: number))
    for descriptor in [client, server] {
      var yes: Int32 = 1
      setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }
    while !isStopped, move(&link, number) {}
    link.close()
  }

  /// False when the connection is over.
  private func move(_ link: inout Link, _ number: Int) -> Bool {
    var events = [
      pollfd(fd: link.hasClientEnded ? -1 : link.client, events: Int16(POLLIN), revents: 0),
      pollfd(fd: link.hasServerEnded ? -1 : link.server, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&events, 2, 20) >= 0 else { return errno == EINTR }
    if events[0].revents != 0, !there(&link, number) { return false }
    if events[1].revents != 0, !back(&link, number) { return false }
    return !(link.hasClientEnded && link.hasServerEnded)
  }

  private func there(_ link: inout Link, _ number: Int) -> Bool {
    guard let bytes = Self.read(link.client) else {
      link.hasClientEnded = true
      return shutdown(link.server, Int32(SHUT_WR)) == 0
    }
    if link.passed == (0, 0), bytes.starts(with: Array("POST ".utf8)) {
      note(number) { $0.isPost = true }
      link.cut = link.cut ?? cutOfPost(number)
    }
    let whole = bytes.prefix(link.cut.left(of: .there, link.passed.there) ?? bytes.count)
    guard Self.write(whole, to: link.server) else { return false }
    link.passed.there += whole.count
    note(number) { $0.there += whole.count }
    return goesOn(&link, .there, link.passed.there, number)
  }

  private func back(_ link: inout Link, _ number: Int) -> Bool {
    guard let bytes = Self.read(link.server) else {
      link.hasServerEnded = true
      guard Self.write(link.held[...], to: link.client) else { return false }
      return shutdown(link.client, Int32(SHUT_WR)) == 0
    }
    let edited = ssh.map { link.standIn($0, for: bytes) } ?? bytes
    let whole = edited.prefix(link.cut.left(of: .back, link.passed.back) ?? edited.count)
    guard Self.write(whole, to: link.client) else { return false }
    link.passed.back += whole.count
    note(number) { $0.back += whole.count }
    return goesOn(&link, .back, link.passed.back, number)
  }

  private func goesOn(_ link: inout Link, _ way: Cut.Way, _ passed: Int, _ number: Int) -> Bool {
    guard let cut = link.cut, cut.way == way, passed >= cut.after else { return true }
    note(number) { $0.isCut = true }
    link.resets = cut.resets
    return false
  }

  private func cut(ofConnection number: Int) -> Cut? {
    guard case .inOrder(let cuts) = rule, cuts.indices.contains(number) else { return nil }
    return cuts[number]
  }

  /// Only the first POST is cut, or the job would never have a machine.
  private func cutOfPost(_ number: Int) -> Cut? {
    guard case .firstPost(let cut) = rule, traffic.firstIndex(where: \.isPost) == number else { return nil }
    return cut
  }

  private func note(_ number: Int, _ change: (inout Traffic) -> Void) {
    state.withLock { change(&$0.traffic[number]) }
  }

  private static func read(_ descriptor: Int32) -> [UInt8]? {
    var chunk = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &chunk, chunk.count, 0)
    return count > 0 ? Array(chunk.prefix(count)) : nil
  }

  private static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
    var bytes = bytes
    while !bytes.isEmpty {
      #if canImport(Darwin)
        let count = bytes.withUnsafeBytes { Darwin.send(descriptor, $0.baseAddress, $0.count, 0) }
      #else
        let count = bytes.withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL), nil, 0) }
      #endif
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }
}

extension Cut? {
  /// How many more bytes pass this way; nil: all.
  fileprivate func left(of way: Cut.Way, _ passed: Int) -> Int? {
    guard let self, self.way == way else { return nil }
    return max(0, self.after - passed)
  }
}

/// Both ends of one connection.
private struct Link {
  let client: Int32
  let server: Int32
  var cut: Cut?
  var passed = (there: 0, back: 0)
  var hasClientEnded = false
  var hasServerEnded = false
  var resets = false
  /// The end of what came back, if it may be the beginning of a port.
  var held: [UInt8] = []

  func close() {
    if resets {
      var now = linger(l_onoff: 1, l_linger: 0)
      for descriptor in [client, server] {
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout.size(ofValue: now)))
      }
    }
    systemClose(client)
    systemClose(server)
  }

  private static let key = Array(#""ssh_port":"#.utf8)

  /// Puts the relay's port for each `ssh_port` of five digits, and tells the relay which one that was.
  mutating func standIn(_ relay: Relay, for bytes: [UInt8]) -> [UInt8] {
    var rest = (held + bytes)[...]
    var edited: [UInt8] = []
    held = []
    while let place = rest.firstRange(of: Self.key) {
      let digits = rest[place.upperBound...].prefix { (48...57).contains($0) }
      guard digits.endIndex < rest.endIndex else { break }
      edited += rest[..<place.upperBound]
      if digits.count == 5, let port = Int(String(decoding: digits, as: UTF8.self)) {
        relay.retarget(to: port)
        edited += Array("\(relay.port)".utf8)
      } else {
        edited += digits
      }
      rest = rest[digits.endIndex...]
    }
    let tail = Self.possibleKey(rest)
    held = Array(rest[tail...])
    return edited + rest[..<tail]
  }

  /// Where a key begins of which the end is not there yet.
  private static func possibleKey(_ bytes: ArraySlice<UInt8>) -> Int {
    if let place = bytes.firstRange(of: key) { return place.lowerBound }
    let longest = min(key.count - 1, bytes.count)
    for length in stride(from: longest, to: 0, by: -1) where bytes.suffix(length).elementsEqual(key.prefix(length)) {
      return bytes.endIndex - length
    }
    return bytes.endIndex
  }
}

extension Relay {
  fileprivate func retarget(to port: Int) { state.withLock { $0.target = port } }
}

private func systemListen(_ descriptor: Int32, _ backlog: Int32) -> Int32 { listen(descriptor, backlog) }

private func systemConnect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> Int32 {
  connect(descriptor, address, length)
}

private func systemClose(_ descriptor: Int32) { close(descriptor) }
