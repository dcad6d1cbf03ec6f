import Runner
import Simulator

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The simulator behind `submit --local`: a process of its own, so that killing fcrun does not kill its cloud.
struct LocalCloud {
  private static let idleExit = "120"
  private static let patience = Duration.seconds(20)

  /// Its address: of the one that runs already, or of one that is started now.
  static func address(home: String) async throws -> SimulatorAddress {
    let state = home + "/sim"
    if let running = running(state) { return running }
    try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
    try start(state)
    let deadline = ContinuousClock.now + patience
    while ContinuousClock.now < deadline {
      if let running = running(state) { return running }
      try await Task.sleep(for: .milliseconds(50))
    }
    throw Failure(status: .failed, message: "the simulator did not start", next: "look at \(state)/sim.log")
  }

  private static func running(_ state: String) -> SimulatorAddress? {
    // A process id says little: a killed one may linger as a zombie, or belong to somebody else by now.
    SimulatorAddress.read(state: state).flatMap { LoopbackPort.isOpen($0.port) ? $0 : nil }
  }

  private static func start(_ state: String) throws {
    var spawn = Spawn(
      Executable.own,
      ["sim", "--state", state, "--idle-exit", idleExit, "--boot-time", Context.environment("FCRUN_SIM_BOOT_TIME") ?? "2"])
    spawn.isDetached = true
    spawn.stdout = .appended(to: state + "/sim.log")
    spawn.stderr = .appended(to: state + "/sim.log")
    _ = try spawn.start()
  }
}

/// Where our programs are.
enum Executable {
  /// This program's own file.
  static var own: String {
    #if os(Linux)
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = readlink("/proc/self/exe", &buffer, buffer.count)
      if count > 0 { return String(decoding: buffer.prefix(count), as: UTF8.self) }
    #endif
    return CommandLine.arguments[0]
  }

  /// `fcrun-ssh`: beside fcrun, else where `FCRUN_SSH_WORKER` says (rulings 13).
  static func worker() throws -> String {
    let folder = own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    let beside = folder + "/fcrun-ssh"
    if access(beside, X_OK) == 0 { return beside }
    if let named = Context.environment("FCRUN_SSH_WORKER"), access(named, X_OK) == 0 { return named }
    throw Failure(
      status: .notConfigured, message: "fcrun-ssh is not beside \(own)",
      next: "install both (make install), or set FCRUN_SSH_WORKER")
  }
}
