import Foundation
import Remote
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Connections that end at any byte. FCRUN_CUTS=1000 for as many places.
@Suite("Transfers that are cut", .enabled(if: PrivateSSHD.isUsable), .faults(70))
struct CutTransferTests {
  let sshd: PrivateSSHD
  let local: TemporaryFolder

  init() throws {
    sshd = try PrivateSSHD()
    local = try TemporaryFolder()
    for index in 0..<40 {
      try local.file("src/d\(index % 4)/f\(index)", Self.content(index * 700, seed: UInt64(index)))
    }
    try local.file("src/large", Self.content(9_000_000, seed: 1000))
    try local.file("src/larger", Self.content(20_000_000, seed: 1001))
  }

  private static let cuts = Int(ProcessInfo.processInfo.environment["FCRUN_CUTS"] ?? "") ?? 6

  /// Noise, eight bytes at a time: a debug build is slow at single ones.
  private static func content(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = Seeded(state: seed &* 0x9E37_79B9_7F4A_7C15 | 1)
    var words = (0...count / 8).map { _ in random.next() }
    return words.withUnsafeMutableBytes { Array($0.prefix(count)) }
  }

  private func connected(_ port: Int) throws -> WorkerProcess? {
    let worker = try WorkerProcess()
    let end = try worker.perform(
      .connect(
        Connect(
          host: "127.0.0.1", port: port, users: [sshd.user], key: .file(path: sshd.key, passphrase: nil), pin: nil,
          timeout: 20)))
    guard case .connected = end else { return nil }
    return worker
  }

  private func isSame(_ one: String, _ other: String) throws -> Bool {
    try Spawned.run(["/usr/bin/diff", "-r", one, other]).status == 0
  }

  private var upload: Request.Verb { upload("src") }

  private func upload(_ folder: String) -> Request.Verb {
    .upload(
      Upload(
        control: "~/c/job", workdir: "~/files",
        sources: [.init(source: "\(local.path)/\(folder)", destination: folder, exclude: [])]))
  }

  private var collect: Request.Verb {
    .collect(
      Collect(
        control: "~/c/job", workdir: "~/files", outputs: [.init(source: "src", destination: nil)], outputFolder: nil,
        root: "\(local.path)/got", partial: "\(local.path)/got/.partial", isLeftInCache: true))
  }

  /// Bytes that a whole transfer moves, and its connection.
  private func whole(_ verb: Request.Verb, files: Int = 42) throws -> Relay.Traffic {
    let relay = try Relay(to: sshd.port, .inOrder([]))
    defer { relay.stop() }
    let end = try connected(relay.port)?.perform(verb)
    #expect(end?.transferred?.files == files, "\(String(describing: end))")
    return relay.traffic[0]
  }

  /// Until nobody on the machine writes for an upload any more.
  private func hasWritten(within seconds: Int) throws -> Bool {
    let control = "\(sshd.home)/c/job"
    let turns = try FileManager.default.contentsOfDirectory(atPath: control).filter { $0.hasPrefix("up.") }
    let notes = try turns.flatMap { turn in
      try FileManager.default.contentsOfDirectory(atPath: "\(control)/\(turn)").filter { $0.hasPrefix("w.") }
        .compactMap { try? String(contentsOfFile: "\(control)/\(turn)/\($0)", encoding: .utf8) }
    }
    let writers = notes.compactMap { $0.split(separator: " ").first.flatMap { pid_t($0) } }
    for _ in 0..<seconds * 50 where writers.contains(where: { kill($0, 0) == 0 }) { usleep(20_000) }
    return !writers.contains { kill($0, 0) == 0 }
  }

  private func away(_ paths: String...) throws {
    for path in paths { try? FileManager.default.removeItem(atPath: path) }
  }

  /// All of it, and what has no large file.
  @Test(arguments: [("src", 42), ("src/d3", 10)])
  func arriveWholeHoweverOftenTheConnectionEnds(_ folder: String, _ files: Int) async throws {
    try await aside { try arriveWholeHoweverOftenTheConnectionEndsNow(folder, files) }
  }

  private func arriveWholeHoweverOftenTheConnectionEndsNow(_ folder: String, _ files: Int) throws {
    let upload = upload(folder)
    let (here, there) = ("\(local.path)/\(folder)", "\(sshd.home)/files/\(folder)")
    let all = try whole(upload, files: files).there
    var random = Seeded(state: 7)
    for cut in 0..<Self.cuts {
      if cut % 3 == 0 { try away("\(sshd.home)/files") }
      let place = Int.random(in: 3000..<all, using: &random)
      let relay = try Relay(to: sshd.port, .inOrder([Cut(.there, after: place, resets: cut % 2 == 0)]))
      let end = try connected(relay.port)?.perform(upload)
      relay.stop()
      // What was there already may have been enough.
      #expect(
        end?.transferred != nil || [.dropped, .refused, nil].contains(end?.failure?.kind), "\(place): \(end as Any)")
      if end?.transferred != nil { #expect(try isSame(here, there), "\(place)") }
      guard cut % 3 == 2 else { continue }
      #expect(try connected(sshd.port)?.perform(upload).transferred?.files == files)
      #expect(try isSame(here, there), "\(place)")
      #expect(!FileManager.default.fileExists(atPath: "\(sshd.home)/files/.fcrun-parts"))
    }
  }

  @Test func comeHomeWholeHoweverOftenTheConnectionEnds() async throws {
    try await aside { try comeHomeWholeHoweverOftenTheConnectionEndsNow() }
  }

  private func comeHomeWholeHoweverOftenTheConnectionEndsNow() throws {
    #expect(try connected(sshd.port)?.perform(upload).transferred != nil)
    let back = try whole(collect).back
    var random = Seeded(state: 8)
    for cut in 0..<Self.cuts {
      if cut % 3 == 0 { try away("\(local.path)/got") }
      let place = Int.random(in: 3000..<back, using: &random)
      let relay = try Relay(to: sshd.port, .inOrder([Cut(.back, after: place, resets: cut % 2 == 0)]))
      let end = try connected(relay.port)?.perform(collect)
      relay.stop()
      #expect(
        end?.transferred != nil || [.dropped, .refused, nil].contains(end?.failure?.kind), "\(place): \(end as Any)")
      guard cut % 3 == 2 else { continue }
      #expect(try connected(sshd.port)?.perform(collect).transferred?.files == 42)
      #expect(try isSame("\(local.path)/src", "\(local.path)/got/src"), "\(place)")
      #expect(!FileManager.default.fileExists(atPath: "\(local.path)/got/.partial"))
    }
  }

  @Test func goOnWhereTheyStopped() async throws { try await aside { try goOnWhereTheyStoppedNow() } }

  private func goOnWhereTheyStoppedNow() throws {
    // Much more than the windows of all channels: what is in them is lost with the connection.
    try local.file("src/larger", Self.content(120_000_000, seed: 1002))
    let all = try whole(upload).there
    try away("\(sshd.home)/files")
    let first = try Relay(to: sshd.port, .inOrder([Cut(.there, after: all * 3 / 4, resets: true)]))
    #expect(try connected(first.port)?.perform(upload).failure?.kind == .dropped)
    first.stop()
    // A busy machine still holds some of it in the buffers of a connection that is gone.
    #expect(try hasWritten(within: 60))
    #expect(try whole(upload).there < all / 2)

    let home = try whole(collect).back
    try away("\(local.path)/got")
    let second = try Relay(to: sshd.port, .inOrder([Cut(.back, after: home * 3 / 4, resets: true)]))
    #expect(try connected(second.port)?.perform(collect).failure?.kind == .dropped)
    second.stop()
    #expect(try whole(collect).back < home * 2 / 3)
    #expect(try isSame("\(local.path)/src", "\(local.path)/got/src"))
  }
}
