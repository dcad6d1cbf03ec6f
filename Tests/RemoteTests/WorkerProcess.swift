import Foundation
import Remote

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The built fcrun-ssh, spoken to as fcrun does.
final class WorkerProcess {
  private let child: Spawned
  private var unread: [UInt8] = []
  private var lastID = 0
  private(set) var events: [WorkerEvent] = []
  private var isOver = false
  /// With its last use the machine and its tools would go, in the middle of ours.
  private var host: PrivateSSHD?

  struct NoAnswer: Error, CustomStringConvertible { var description: String }

  init() throws { child = try Spawned.start([Self.program]) }

  deinit { kill() }

  /// Beside the test bundle.
  private static var program: String {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    #if os(macOS)
      for bundle in Bundle.allBundles where bundle.bundlePath.hasSuffix(".xctest") {
        folder = bundle.bundleURL.deletingLastPathComponent()
      }
    #endif
    return folder.appendingPathComponent("fcrun-ssh").path
  }

  var pid: pid_t { child.pid }

  /// SIGKILL, as the parent does at a deadline.
  func kill() {
    guard !isOver else { return }
    isOver = true
    Foundation.kill(child.pid, SIGKILL)
    _ = child.wait()
    close(child.input)
    close(child.output)
  }

  /// Closes its stdin and returns its exit status.
  func end() -> Int32 {
    isOver = true
    close(child.input)
    let status = child.wait()
    close(child.output)
    return status
  }

  func ask(_ verb: Request.Verb) -> Int {
    lastID += 1
    send(Wire.line(Request(id: lastID, verb: verb)))
    return lastID
  }

  func send(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(child.input, $0.baseAddress, $0.count) }
  }

  /// The event that ends the request.
  func end(of id: Int, within seconds: Double = 30) throws -> WorkerEvent.Kind {
    try event(within: seconds) { $0.id == id && $0.isFinal }.kind
  }

  @discardableResult
  func event(within seconds: Double = 30, _ isWanted: (WorkerEvent) -> Bool) throws -> WorkerEvent {
    let deadline = Date(timeIntervalSinceNow: seconds)
    var looked = 0
    while true {
      if let found = events[looked...].first(where: isWanted) { return found }
      looked = events.count
      try readEvents(until: deadline)
    }
  }

  private func readEvents(until deadline: Date) throws {
    var ready = pollfd(fd: child.output, events: Int16(POLLIN), revents: 0)
    let left = max(0, deadline.timeIntervalSinceNow)
    guard poll(&ready, 1, Int32(left * 1000)) > 0 else {
      throw NoAnswer(description: "no answer in time; last events: \(events.suffix(5))")
    }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = read(child.output, &buffer, buffer.count)
    guard count > 0 else { throw NoAnswer(description: "the worker ended; last events: \(events.suffix(5))") }
    unread += buffer[..<count]
    while let end = unread.firstIndex(of: 0x0A) {
      events.append(try Wire.decode(WorkerEvent.self, from: unread[..<end]))
      unread.removeFirst(end + 1)
    }
  }

  // MARK: Short forms

  func perform(_ verb: Request.Verb, within seconds: Double = 30) throws -> WorkerEvent.Kind {
    try end(of: ask(verb), within: seconds)
  }

  func connect(to sshd: PrivateSSHD, pin: String? = nil) throws -> WorkerEvent.Kind {
    try perform(
      .connect(
        Connect(
          host: "127.0.0.1", port: sshd.port, users: [sshd.user], key: .file(path: sshd.key, passphrase: nil), pin: pin,
          timeout: 20)))
  }

  static func connected(to sshd: PrivateSSHD) throws -> WorkerProcess {
    let worker = try WorkerProcess()
    guard case .connected = try worker.connect(to: sshd) else {
      throw NoAnswer(description: "not connected: \(worker.events)")
    }
    worker.host = sshd
    return worker
  }

  func status(_ verb: Request.Verb) throws -> JobStatus {
    guard case .status(let status) = try perform(verb) else { throw NoAnswer(description: "\(events.suffix(1))") }
    return status
  }
}

extension WorkerEvent {
  var isFinal: Bool {
    switch kind {
    case .progress, .log, .refused: false
    case .connected, .executed, .transferred, .status, .failed: true
    }
  }
}

extension WorkerEvent.Kind {
  var failure: Failure? { if case .failed(let failure) = self { failure } else { nil } }
  var transferred: Transferred? { if case .transferred(let sum) = self { sum } else { nil } }
  var executed: Executed? { if case .executed(let end) = self { end } else { nil } }
}

extension Launch {
  /// What most tests start.
  static func of(
    _ command: Command, control: String = "~/c/job", environment: [Variable] = [], setup: String? = nil,
    maxDuration: Double? = nil, grace: Double = 1
  ) -> Request.Verb {
    .launch(
      Launch(
        control: control, workdir: "~/files", environment: environment, setup: setup, command: command,
        maxDuration: maxDuration, grace: grace))
  }
}
