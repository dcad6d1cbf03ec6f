import Foundation
import Remote
import TestSupport

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `fcrun-ssh` as fcrun drives it, from its start to its end.
final class Worker {
  private let program: Program
  private var unread: [UInt8] = []
  private var lastID = 0

  init() throws {
    program = try Program([Binaries.worker], stdin: nil, stdout: nil)
  }

  /// A worker that is connected.
  static func connected(to machine: Machine, over link: Link) throws -> Worker {
    let worker = try Worker()
    let verb = Request.Verb.connect(
      Connect(
        host: "127.0.0.1", port: try machine.port(over: link), users: [machine.user],
        key: .file(path: machine.key, passphrase: nil), pin: nil, timeout: 20))
    guard case .connected = try worker.perform(verb) else { throw Unmet("fcrun-ssh did not connect") }
    return worker
  }

  /// What it took until its stdin was closed and it had ended.
  @discardableResult
  func end() throws -> Usage {
    program.endInput()
    return try program.end()
  }

  /// - Returns: the event that ends the request.
  /// - Throws: ``Unmet`` when that is a failure.
  @discardableResult
  func perform(_ verb: Request.Verb, watching: (WorkerEvent.Kind) -> Void = { _ in }) throws -> WorkerEvent.Kind {
    lastID += 1
    let line = Array((Wire.line(Request(id: lastID, verb: verb)) + "\n").utf8)
    guard line.withUnsafeBytes({ write(program.input, $0.baseAddress, $0.count) }) == line.count else {
      throw Unmet("fcrun-ssh takes no request")
    }
    while true {
      let event = try nextEvent()
      watching(event)
      switch event {
      case .progress, .log, .refused: continue
      case .failed(let failure): throw Unmet("fcrun-ssh: \(failure.message)")
      case .connected, .executed, .transferred, .status: return event
      }
    }
  }

  private func nextEvent() throws -> WorkerEvent.Kind {
    while true {
      if let end = unread.firstIndex(of: 0x0A) {
        defer { unread.removeFirst(end + 1) }
        return try Wire.decode(WorkerEvent.self, from: unread[..<end]).kind
      }
      var buffer = [UInt8](repeating: 0, count: 65_536)
      let count = read(program.output, &buffer, buffer.count)
      guard count > 0 else { throw Unmet("fcrun-ssh ended without an answer") }
      unread += buffer[..<count]
    }
  }
}
