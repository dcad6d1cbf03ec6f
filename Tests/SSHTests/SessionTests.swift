import Foundation
import SSH
import TestSupport
import Testing

/// The loop on a thread of its own, as fcrun-ssh has it on its main thread.
private enum Loop {
  static let started: Void = {
    let thread = Thread { EventLoop.shared.run() }
    thread.start()
  }()
}

@Suite("A session", .enabled(if: PrivateSSHD.isUsable))
struct SessionTests {
  let sshd: PrivateSSHD

  init() async throws {
    sshd = try await Self.machine()
    Loop.started
  }

  /// Never made on the loop, which it would hold up for all.
  private static func machine(_ extra: [String] = []) async throws -> PrivateSSHD {
    try await Task.detached { try PrivateSSHD(extra) }.value
  }

  @SSHLoop
  private func session(silence: Duration = .seconds(15)) async throws -> Session {
    let session = try await Session.connect(
      host: "127.0.0.1", port: sshd.port, pin: nil, deadline: .now + .seconds(20), silence: silence)
    try await session.authenticate(user: sshd.user, privateKey: sshd.key, publicKey: nil, passphrase: nil)
    return session
  }

  @SSHLoop
  private func output(of command: String, on session: Session, input: [UInt8] = []) async throws -> [UInt8] {
    let channel = try await Channel.exec(command, on: session)
    defer { channel.close() }
    let writing = Task {
      try await channel.write(input)
      try await channel.sendEOF()
    }
    var output: [UInt8] = []
    while let (stream, bytes) = try await channel.read() { if stream == .stdout { output += bytes } }
    try? await writing.value
    return output
  }

  @Test @SSHLoop func showsTheKeyTheServerHas() async throws {
    let session = try await session()
    #expect(try session.hostKey().description == sshd.hostKey)
    session.disconnect()
  }

  /// libssh2 names the step it was in, "Unable to exchange encryption keys", and not that the connection broke.
  @Test(
    "A connection that is cut before it stands was refused or dropped, whichever step it was in",
    arguments: [Cut.Way.there, .back])
  @SSHLoop func cutWhileConnecting(_ way: Cut.Way) async throws {
    let cuts = stride(from: 0, to: 2000, by: 85).map { Cut(way, after: $0, resets: $0 % 2 == 0) }
    let relay = try Relay(to: sshd.port, .inOrder(cuts))
    defer { relay.stop() }
    for cut in cuts {
      do {
        let session = try await Session.connect(
          host: "127.0.0.1", port: relay.port, pin: nil, deadline: .now + .seconds(20))
        defer { session.disconnect() }
        try await session.authenticate(user: sshd.user, privateKey: sshd.key, publicKey: nil, passphrase: nil)
      } catch let error as SSHError {
        #expect([.refused, .dropped].contains(error.kind), "cut at \(cut.after): \(error)")
      }
    }
    #expect(relay.cuts > 10)
  }

  @Test @SSHLoop func carriesManyChannelsAtOnceWithoutMixingTheirBytes() async throws {
    let session = try await session()
    let inputs = (1...5).map { number in (0..<400_000).map { UInt8(truncatingIfNeeded: $0 &* number) } }
    let echoes = inputs.map { input in Task { try await output(of: "cat", on: session, input: input) } }
    for (input, echo) in zip(inputs, echoes) { #expect(try await echo.value == input) }
    session.disconnect()
  }

  @Test(.faults(80)) @SSHLoop func keepsBothStreamsApart() async throws {
    let session = try await session()
    let channel = try await Channel.exec("printf out; printf err >&2", on: session)
    var got: [Channel.Stream: [UInt8]] = [:]
    while let (stream, bytes) = try await channel.read() { got[stream, default: []] += bytes }
    #expect(got == [.stdout: Array("out".utf8), .stderr: Array("err".utf8)])
    channel.close()
    session.disconnect()
  }

  @Test @SSHLoop func failsAWriteToACommandThatIsGone() async throws {
    let session = try await session()
    let channel = try await Channel.exec("exit 0", on: session)
    while try await channel.read() != nil {}
    let error = await #expect(throws: SSHError.self) {
      for _ in 0..<100 { try await channel.write([UInt8](repeating: 0, count: 1_000_000)) }
    }
    #expect(error?.kind == .channelClosed)
    channel.close()
    #expect(try await output(of: "echo still", on: session) == Array("still\n".utf8))
    session.disconnect()
  }

  @Test @SSHLoop func failsEverythingAfterTheConnectionEnded() async throws {
    let session = try await session()
    let waiting = Task { try await output(of: "sleep 20", on: session) }
    _ = try await output(of: "echo up", on: session)
    session.disconnect()
    await #expect(throws: SSHError.self) { try await waiting.value }
    let error = await #expect(throws: SSHError.self) { try await Channel.exec("true", on: session) }
    #expect(error?.kind == .dropped)
  }

  @Test @SSHLoop func goesOnAfterAChannelWasGivenUpInTheMiddleOfAWrite() async throws {
    let session = try await session()
    for _ in 0..<5 {
      let channel = try await Channel.exec("sleep 20", on: session)
      let writing = Task { try await channel.write([UInt8](repeating: 1, count: 8_000_000)) }
      try await EventLoop.shared.sleep(for: .milliseconds(30))
      writing.cancel()
      await #expect(throws: CancellationError.self) { try await writing.value }
      channel.close()
    }
    #expect(try await output(of: "echo on", on: session) == Array("on\n".utf8))
    session.disconnect()
  }

  /// A command that reads nothing until the file `go` is there, and what is written to it meanwhile.
  @SSHLoop
  private func stalled(_ session: Session, _ count: Int) async throws -> (Channel, Task<Void, any Error>, go: String) {
    let go = NSTemporaryDirectory() + "fcrun-go-\(UUID())"
    let channel = try await Channel.exec("until [ -e \(go) ]; do sleep 0.05; done; rm \(go); wc -c", on: session)
    let writing = Task {
      try await channel.write([UInt8](repeating: 7, count: count))
      try await channel.sendEOF()
    }
    return (channel, writing, go)
  }

  @SSHLoop
  private func counted(by channel: Channel) async throws -> Int? {
    var output: [UInt8] = []
    while let (_, bytes) = try await channel.read() { output += bytes }
    channel.close()
    return Int(String(decoding: output, as: UTF8.self).filter(\.isNumber))
  }

  private static let nearLead = 3 << 19

  /// A connection that knows how near this computer is: its quickest answer counts, and one is quick however busy the computer is.
  @SSHLoop
  private func nearSession(silence: Duration) async throws -> Session {
    let session = try await session(silence: silence)
    repeat { _ = try await output(of: "true", on: session) } while session.lead >= Self.nearLead
    return session
  }

  @Test("No more waits in sshd for a command than keeps it busy, and all of it arrives", .timeLimit(.minutes(5)))
  @SSHLoop
  func keepsItsLead() async throws {
    let session = try await nearSession(silence: .seconds(300))
    // From now on it is only found to be nearer.
    let lead = session.lead
    let (channel, writing, go) = try await stalled(session, 3_000_000)
    while channel.ahead < 1 << 19 { try await EventLoop.shared.sleep(for: .milliseconds(5)) }
    // A command on the same connection: what may still be sent has gone out before its end is here.
    #expect(try await output(of: "echo on", on: session) == Array("on\n".utf8))
    #expect(channel.ahead < lead + (1 << 15))
    #expect(FileManager.default.createFile(atPath: go, contents: nil))
    #expect(try await counted(by: channel) == 3_000_000)
    try await writing.value
    session.disconnect()
  }

  @Test("A server that calls itself OpenSSH and tells late of its window is not waited for", .timeLimit(.minutes(5)))
  @SSHLoop
  func givesUpItsLead() async throws {
    let session = try await nearSession(silence: .seconds(6))
    let (channel, writing, go) = try await stalled(session, 3_000_000)
    while channel.ahead <= Self.nearLead + (1 << 15) { try await EventLoop.shared.sleep(for: .milliseconds(5)) }
    #expect(FileManager.default.createFile(atPath: go, contents: nil))
    #expect(try await counted(by: channel) == 3_000_000)
    try await writing.value
    session.disconnect()
  }

  @Test @SSHLoop func exchangesKeysAgainInTheMiddleOfATransfer() async throws {
    let sshd = try await Self.machine(["RekeyLimit 256K"])
    let session = try await Session.connect(host: "127.0.0.1", port: sshd.port, pin: nil, deadline: .now + .seconds(20))
    try await session.authenticate(user: sshd.user, privateKey: sshd.key, publicKey: nil, passphrase: nil)
    let input = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    #expect(try await output(of: "cat", on: session, input: input) == input)
    session.disconnect()
  }

  @Test(.faults(73)) @SSHLoop func worksWhereOnlyTwoChannelsMayBeOpen() async throws {
    let sshd = try await Self.machine(["MaxSessions 2"])
    let session = try await Session.connect(host: "127.0.0.1", port: sshd.port, pin: nil, deadline: .now + .seconds(20))
    try await session.authenticate(user: sshd.user, privateKey: sshd.key, publicKey: nil, passphrase: nil)
    for number in 0..<5 {
      #expect(try await output(of: "echo \(number)", on: session) == Array("\(number)\n".utf8))
    }
    session.disconnect()
  }
}

@Suite("Keys in text")
struct HostKeyTests {
  @Test func base64ComesBack() {
    for count in 0..<40 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
      #expect(Base64.encode(bytes) == Data(bytes).base64EncodedString())
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
    #expect(Base64.decode("a*b=") == nil)
  }

  @Test func aHostKeyNeedsTheNameOfItsTypeInside() {
    let blob: [UInt8] = [0, 0, 0, 11] + Array("ssh-ed25519".utf8) + [1, 2, 3]
    #expect(HostKey("ssh-ed25519 \(Base64.encode(blob)) comment")?.blob == blob)
    for text in ["", "ssh-rsa \(Base64.encode(blob))", "ssh-ed25519", "ssh-ed25519 AAAA"] {
      #expect(HostKey(text) == nil, "\(text)")
    }
  }
}
