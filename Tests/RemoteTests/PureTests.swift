import Foundation
import Remote
import TestSupport
import Testing

/// Repeatable randomness: SplitMix64.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

@Suite("Words for a shell")
struct QuotingTests {
  static let shells = ["/bin/dash", "/bin/bash", "/bin/sh"].filter { FileManager.default.isExecutableFile(atPath: $0) }

  @Test(.faults(118), arguments: shells) func comeBackByteForByte(_ shell: String) throws {
    var random = Seeded(state: 1)
    let words = (0..<2000).map { _ in
      (0..<Int.random(in: 0...40, using: &random)).map { _ in
        Bool.random(using: &random)
          ? UInt8.random(in: 1...255, using: &random) : Array("'\"\\$`\n!*~# ".utf8).randomElement(using: &random)!
      }
    }
    let script = words.reduce(into: [UInt8]()) { $0 += Array("printf '%s\\0' ".utf8) + Shell.quoted($1) + [0x0A] }
    let end = try Spawned.run([shell, "-c", "eval \"$(cat)\""], input: script)
    #expect(end.status == 0)
    #expect(end.output == words.reduce(into: [UInt8]()) { $0 += $1 + [0] })
  }

  @Test(.faults(118), arguments: shells) func carryAnEnvironment(_ shell: String) throws {
    var random = Seeded(state: 2)
    let variables = (0..<200).map { index in
      let scalars = (0..<30).map { _ in
        Unicode.Scalar(UInt32.random(in: 1...0x2FF, using: &random)) ?? " "
      }
      return Launch.Variable(name: "V\(index)", value: String(String.UnicodeScalarView(scalars)))
    }
    let files = try LaunchFiles.files(
      for: Launch(
        control: "c", workdir: "w", environment: variables, setup: nil, command: .argv(["true"]), maxDuration: nil,
        grace: 1))
    let file = try #require(files.first { $0.name == "env" })
    #expect(file.mode == 0o600)
    let end = try Spawned.run([shell, "-c", "eval \"$(cat)\"; exec /usr/bin/env -0"], input: file.content)
    let got = Set(end.output.split(separator: 0).map { String(decoding: $0, as: UTF8.self) })
    for variable in variables { #expect(got.contains("\(variable.name)=\(variable.value)")) }
  }

  @Test(.faults(118)) func refuseWhatNoShellCanHold() {
    for (name, value) in [("A-B", ""), ("1A", ""), ("", ""), ("A B", ""), ("A", "x\0y")] {
      let launch = Launch(
        control: "c", workdir: "w", environment: [.init(name: name, value: value)], setup: nil,
        command: .argv(["true"]),
        maxDuration: nil, grace: 1)
      #expect(throws: Failure.self) { try LaunchFiles.files(for: launch) }
    }
  }

  @Test func writeSecondsAsEverySleepReadsThem() {
    #expect(
      [0.25, 1, 1.5, 9.9999, 10.2, 86400].map(Shell.seconds) == ["0.250", "1", "1.500", "10.000", "11", "86400"])
  }
}

@Suite("The mask")
struct MaskTests {
  /// The definition: a byte is hidden when some occurrence of some secret covers it.
  private func plainly(_ text: [UInt8], _ secrets: [String]) -> [UInt8] {
    var hidden = text
    for secret in secrets.map({ Array($0.utf8) }) where !secret.isEmpty && secret.count <= text.count {
      for start in 0...(text.count - secret.count) where text[start...].starts(with: secret) {
        for place in start..<(start + secret.count) { hidden[place] = UInt8(ascii: "*") }
      }
    }
    return hidden
  }

  private func word(_ length: ClosedRange<Int>, _ random: inout Seeded) -> [UInt8] {
    (0..<Int.random(in: length, using: &random)).map { _ in UInt8(ascii: "a") + UInt8.random(in: 0...2, using: &random)
    }
  }

  @Test(.faults(120)) func hidesTheSameBytesHoweverTheStreamIsCut() {
    var random = Seeded(state: 3)
    for _ in 0..<3000 {
      let secrets = (0..<Int.random(in: 0...4, using: &random)).map { _ in
        String(decoding: word(0...5, &random), as: UTF8.self)
      }
      let text = word(0...60, &random)
      var masker = Masker(secrets)
      var out: [UInt8] = []
      var rest = text[...]
      while !rest.isEmpty {
        let part = rest.prefix(Int.random(in: 1...9, using: &random))
        out += masker.mask(Array(part))
        rest = rest.dropFirst(part.count)
        #expect(out.elementsEqual(plainly(text, secrets).prefix(out.count)), "\(secrets) in \(text)")
      }
      #expect(out + masker.flush() == plainly(text, secrets), "\(secrets) in \(text)")
    }
  }

  @Test(.faults(120)) func hidesTheSameBytesWhenAStreamIsTakenUpInTheMiddle() {
    var random = Seeded(state: 4)
    for _ in 0..<2000 {
      let secrets = (0..<3).map { _ in String(decoding: word(1...6, &random), as: UTF8.self) }
      let text = word(1...60, &random)
      let resumed = Int.random(in: 0...text.count, using: &random)
      var masker = Masker(secrets)
      let known = min(resumed, masker.contextLength)
      let out = masker.mask(Array(text[(resumed - known)...])) + masker.flush()
      #expect(Array(out.dropFirst(known)) == Array(plainly(text, secrets)[resumed...]))
    }
  }

  @Test func holdsNothingBackThatCannotBeASecret() {
    var masker = Masker(["secret"])
    #expect(masker.mask(Array("prompt> ".utf8)) == Array("prompt> ".utf8))
    #expect(masker.mask(Array("a sec".utf8)) == Array("a ".utf8))
    #expect(masker.mask(Array("ond".utf8)) == Array("second".utf8))
  }
}

@Suite("Secrets in other forms")
struct SecretFormTests {
  static let secrets = ["hunter2-hunter2", "p@ss w/rd+%&=é", "0123456789abcdef0123456789abcdef0123456789", "a\"b\\c d"]

  private func masked(_ text: String, _ secrets: [String]) -> String {
    var masker = Masker(secrets)
    // Byte by byte: the worst way to be cut.
    let out = Array(text.utf8).flatMap { masker.mask([$0]) }
    return String(decoding: out + masker.flush(), as: UTF8.self)
  }

  @Test(.faults(120), arguments: secrets, 0..<4)
  func hidesBase64WhateverStandsBesideIt(_ secret: String, _ before: Int) {
    for after in 0..<4 {
      let whole =
        Array(repeating: UInt8(ascii: "u"), count: before) + Array(secret.utf8)
        + Array(repeating: UInt8(ascii: ":"), count: after)
      let text = Data(whole).base64EncodedString()
      for form in [text, text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")] {
        let shown = masked("token \(form)\n", [secret])
        #expect(shown.utf8.count == form.utf8.count + 7, "lengths stay")
        // What is left must not tell more than the bits it shares with what stands beside the secret.
        let left = shown.dropFirst(6).filter { $0 != "*" && $0 != "=" && $0 != "\n" }
        #expect(left.count <= (before * 8 + 5) / 6 + (after * 8 + 5) / 6 + 1, "\(shown) of \(form)")
        #expect(shown.contains(String(repeating: "*", count: secret.utf8.count)), "\(shown)")
      }
    }
  }

  @Test(.faults(120)) func hidesBase64ThatIsBrokenIntoLines() {
    let secret = (0..<40).map { "key\($0 * 7919)" }.joined(separator: "-")
    let text = Data(secret.utf8).base64EncodedString(options: [.lineLength76Characters, .endLineWithLineFeed])
    let left = masked(text, [secret]).filter { $0 != "*" && $0 != "\n" && $0 != "=" }
    #expect(left.isEmpty, "\(left)")
  }

  @Test(.faults(120), arguments: secrets) func hidesWhatIsURLEncodedOrHexadecimal(_ secret: String) {
    let hexadecimal = secret.utf8.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    var forms = [hexadecimal, hexadecimal.uppercased()]
    for kept in [CharacterSet.alphanumerics, .urlQueryAllowed, .urlPathAllowed] {
      var kept = kept
      // What RFC 3986 reserves has to be escaped in a value.
      kept.formIntersection(CharacterSet(charactersIn: UnicodeScalar(0)..<UnicodeScalar(128)))
      kept.subtract(CharacterSet(charactersIn: ":#[]@!$&'()*+,;=?"))
      kept.formUnion(CharacterSet(charactersIn: "-._~"))
      forms.append(secret.addingPercentEncoding(withAllowedCharacters: kept) ?? "")
    }
    forms.append(forms[2].replacing("%20", with: "+"))
    for form in forms {
      #expect(masked("?q=\(form)&x", [secret]) == "?q=\(String(repeating: "*", count: form.utf8.count))&x", "\(form)")
    }
  }

  @Test(.faults(120)) func hidesAJSONStringAndTheLinesOfAKey() {
    #expect(masked(#"{"a": "a\"b\\c d"}"#, [Self.secrets[3]]) == #"{"a": "*********"}"#)
    #expect(masked("  line one of it\n  second line\n", ["line one of it\nsecond line\n"]).contains("line") == false)
  }

  @Test func leavesAloneWhatOnlyLooksAlike() {
    let text = "aHVudGVy is the beginning of nothing; huntsman, hunter-gatherer\n"
    #expect(masked(text, ["hunter2-hunter2"]) == text)
    #expect(masked("a b c YQ== Yg 61 %61\n", ["a"]) == "* b c YQ== Yg 61 %61\n", "short forms are everywhere")
  }
}

@Suite("When bytes came in")
struct ArrivalTests {
  @Test func aByteCameInAtTheLastMarkBeforeIt() {
    var arrivals = Arrivals()
    let file =
      Arrivals.line(at: 1000, offset: 0) + Arrivals.line(at: 1100, offset: 10) + Arrivals.line(at: 1300, offset: 40)
    for byte in file.utf8 { arrivals.read([byte]) }
    #expect([0, 9, 10, 39, 40, 99].map { arrivals.time(at: $0) } == [1000, 1000, 1100, 1100, 1300, 1300])
    #expect([0, 1000, 1001, 1300, 1301].map { arrivals.offset(since: $0) } == [0, 0, 10, 40, nil])
  }

  @Test func whatAKillOrAFullDiskLeftBehindIsPassedOver() {
    var arrivals = Arrivals()
    arrivals.read(Array("1000 0\n11\n\n1200 2\0\nx y\n1250 20 7\n1300 30\n1310 30\n1400 5\n1500".utf8))
    #expect([0, 29, 30, 99].map { arrivals.time(at: $0) } == [1000, 1000, 1310, 1310])
    #expect(Arrivals().time(at: 0) == nil && Arrivals().isEmpty)
  }

  @Test func itsFileLiesBesideTheLog() {
    #expect(Arrivals.path(of: "/j/node-0/stdout.log") == "/j/node-0/stdout.times")
  }
}

@Suite("Ignore rules")
struct IgnoreTests {
  static let table: [(String, String, Bool)] = [
    ("*.o", "a.o", true), ("*.o", "d/a.o", true), ("*.o", "a.oo", false), ("/a", "a", true), ("/a", "d/a", false),
    ("a/b", "a/b", true), ("a/b", "c/a/b", false), ("d/", "d/", true), ("d/", "d", false), ("d/", "x/d/", true),
    ("**/f", "f", true), ("**/f", "x/y/f", true), ("a/**", "a/b/c", true), ("a/**", "a", false),
    ("a/**/b", "a/b", true), ("a/**/b", "a/x/y/b", true), ("a/**/b", "ab", false), ("a*b/c", "axb/c", true),
    ("a*b/c", "a/b/c", false), ("?.t", "x.t", true), ("?.t", "xy.t", false), ("?.t", "é.t", true),
    ("[a-c].t", "b.t", true), ("[!a-c].t", "b.t", false), ("[^a-c].t", "d.t", true), ("[]x].t", "].t", true),
    ("[[:digit:]].t", "7.t", true), ("[[:digit:]].t", "x.t", false), ("[a\\]b].t", "].t", true),
    ("\\#x", "#x", true), ("\\!x", "!x", true), ("# x", "# x", false), ("x\\ ", "x ", true), ("x  ", "x", true),
    ("a\\*b", "a*b", true), ("a\\*b", "axb", false), ("foo/*", "foo/x", true), ("foo/*", "foo/x/y", false),
    ("*", ".hidden", true), ("[unclosed", "[unclosed", false), ("a**b", "axyb", true), ("x/", "x/", true),
  ]

  @Test(arguments: table) func meanWhatGitMeans(_ pattern: String, _ path: String, _ ignored: Bool) {
    let rules = IgnoreRules(Array(pattern.utf8))
    let parts = path.split(separator: "/").map { Array($0.utf8) }
    #expect((rules.verdict(for: parts[...], isFolder: path.hasSuffix("/")) == .ignored) == ignored)
  }

  @Test func theLastMatchingLineDecides() {
    let rules = IgnoreRules(Array("*.o\r\n!keep.o\n\n# comment\n".utf8))
    #expect(rules.verdict(for: [Array("keep.o".utf8)][...], isFolder: false) == .kept)
    #expect(rules.verdict(for: [Array("a.o".utf8)][...], isFolder: false) == .ignored)
    #expect(rules.verdict(for: [Array("a.c".utf8)][...], isFolder: false) == nil)
  }
}

@Suite("The tar reader")
struct TarReaderTests {
  private func members(_ archive: [UInt8], step: Int = 700) throws -> [TarReader.Member] {
    var reader = TarReader()
    var members: [TarReader.Member] = []
    var rest = archive[...]
    while !rest.isEmpty, !reader.hasEnded {
      _ = try reader.feed(rest.prefix(step)) { if case .member(let member) = $0 { members.append(member) } }
      rest = rest.dropFirst(step)
    }
    return members
  }

  private func header(_ path: String, _ kind: TarWriter.Kind = .file(size: 0)) -> [UInt8] {
    TarWriter.header(path: Array(path.utf8), kind: kind, mode: 0o644, modified: 5)
  }

  /// A header with some bytes changed and the checksum made right again.
  private func forged(_ header: [UInt8], _ offset: Int, _ bytes: [UInt8]) -> [UInt8] {
    var header = header
    for (index, byte) in bytes.enumerated() { header[offset + index] = byte }
    for place in 148..<156 { header[place] = 0x20 }
    let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
    let digits = Array((String(repeating: "0", count: 6 - sum.utf8.count) + sum).utf8) + [0, 0x20]
    for (index, byte) in digits.enumerated() { header[148 + index] = byte }
    return header
  }

  @Test func readsWhatTheWriterWrites() throws {
    let long = String(repeating: "long/", count: 60) + "end"
    let archive =
      header("a", .file(size: 3)) + [1, 2, 3] + TarWriter.padding(after: 3) + header("d", .folder)
      + header(long, .link(target: Array(long.utf8))) + header(long, .file(size: 9 << 30)).prefix(0) + TarWriter.end
    for step in [1, 511, 512, 513, 100_000] {
      let found = try members(archive, step: step)
      #expect(found.map(\.kind) == [.file(size: 3), .folder, .link(target: Array(long.utf8))])
      #expect(found[2].path.count == 61)
    }
  }

  @Test func readsSizesBeyondEightGibibytes() throws {
    #expect(try members(header("big", .file(size: 9 << 30))).first?.kind == .file(size: 9 << 30))
  }

  @Test(
    .faults(113),
    arguments: ["/etc/passwd", "../x", "a/../../x", "..", "a/..", "", String(repeating: "d/", count: 200) + "f"])
  func refusesNamesThatLeadOut(_ name: String) {
    #expect(throws: TarReader.Malformed.self) { try members(header(name) + TarWriter.end) }
  }

  @Test(.faults(114), arguments: ["3", "4", "6", "S", "V", "M"]) func refusesDevicesAndTheLike(_ type: String) {
    #expect(throws: TarReader.Malformed.self) { try members(forged(header("x"), 156, Array(type.utf8))) }
  }

  @Test(.faults(115)) func refusesNumbersBeyondMeasureAndWrongChecksums() {
    let huge = [0x80] + [UInt8](repeating: 0xFF, count: 11)
    #expect(throws: TarReader.Malformed.self) { try members(forged(header("x"), 124, huge)) }
    #expect(throws: TarReader.Malformed.self) { try members(forged(header("x"), 124, [0xFF] + huge.dropFirst())) }
    var wrong = header("x")
    wrong[0] ^= 1
    #expect(throws: TarReader.Malformed.self) { try members(wrong) }
    let name = forged(header("x"), 156, Array("L".utf8))
    #expect(throws: TarReader.Malformed.self) { try members(forged(name, 124, Array("77777777777\0".utf8))) }
  }

  @Test(.faults(113)) func neverCrashesNorLetsANameOutWhateverComes() throws {
    var random = Seeded(state: 6)
    let archive =
      header("a/b", .file(size: 700)) + [UInt8](repeating: 7, count: 700) + TarWriter.padding(after: 700)
      + header(String(repeating: "n", count: 150)) + header("l", .link(target: [1, 2])) + TarWriter.end
    for _ in 0..<4000 {
      var bytes = archive
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = Int.random(in: bytes.indices, using: &random)
        bytes[place] = UInt8.random(in: 0...255, using: &random)
        let block = place / 512 * 512
        if Bool.random(using: &random), block + 512 <= bytes.count {
          bytes.replaceSubrange(block..<(block + 512), with: forged(Array(bytes[block..<(block + 512)]), 0, []))
        }
      }
      for member in (try? members(bytes)) ?? [] {
        #expect(
          !member.path.contains(Array("..".utf8))
            && !member.path.contains { $0.contains(0x2F) || $0.isEmpty || $0.contains(0) })
      }
    }
  }

  @Test func readsWhatTheSystemsTarWrites() throws {
    let folder = try TemporaryFolder()
    let long = (0..<5).map { String(repeating: "\($0)", count: 60) }.joined(separator: "/")
    try folder.file("t/\(long)/f", Array("content".utf8))
    for format in ["gnu", "pax", "ustar"] {
      let end = try Spawned.run(["/usr/bin/env", "tar", "-C", folder.path, "--format=\(format)", "-cf", "-", "t"])
      guard end.status == 0 else { continue }
      let last = try members(end.output).last
      #expect(last?.path.count == 7 && last?.kind == .file(size: 7), "\(format)")
    }
  }
}

@Suite("Places of outputs")
struct OutputMapTests {
  private func path(_ text: String) -> [[UInt8]] { Place.components(text) ?? [] }

  private func places(
    _ source: String, _ destination: String?, in folder: String? = nil, match: String, member: String
  ) throws -> [String] {
    var map = try OutputMap([Collect.Output(source: source, destination: destination, folder: folder)])
    let isKnown = map.add(match: Array(match.utf8), of: 0)
    #expect(isKnown)
    return map.places(of: path(member), isFolder: false).map { String(decoding: Place.joined($0), as: UTF8.self) }
  }

  @Test func followTheNamingRule() throws {
    #expect(try places("ckpt", nil, match: "./ckpt", member: "ckpt/a/b") == ["ckpt/a/b"])
    #expect(try places("ckpt/", "saved", match: "./ckpt/", member: "ckpt/a") == ["saved/a"])
    #expect(try places("a/f", "g", match: "./a/f", member: "a/f") == ["g"])
    #expect(try places("a/*", "g", match: "./a/f", member: "a/f") == ["g/f"])
    #expect(try places("a/*", nil, match: "./a/f", member: "a/f") == ["a/f"])
    #expect(try places("a", ".", match: "./a", member: "a/x") == ["x"])
    #expect(try places("a/f", ".", match: "./a/f", member: "a/f") == ["f"])
    #expect(try places("a", "b", match: "./a", member: "ab/c") == [])
  }

  @Test func startFromTheFolderOfTheirTask() throws {
    #expect(try places("ckpt", nil, in: "t-3", match: "./ckpt", member: "ckpt/a") == ["t-3/ckpt/a"])
    #expect(try places("a/*", nil, in: "t-3", match: "./a/f", member: "a/f") == ["t-3/a/f"])
    #expect(try places("a/*", "g", in: "t-3", match: "./a/f", member: "a/f") == ["t-3/g/f"])
    #expect(try places("a", ".", in: "t-3", match: "./a", member: "a/x") == ["t-3/x"])
    #expect(try places("a/f", ".", in: "t-3", match: "./a/f", member: "a/f") == ["t-3/f"])
    #expect(throws: Failure.self) { try OutputMap([Collect.Output(source: "a", destination: nil, folder: "../t")]) }
  }

  @Test(.faults(113)) func refuseWhatLeadsOut() throws {
    for (source, destination) in [("../a", nil), ("/a", nil), ("a", "../b"), ("a", "/b")] {
      #expect(throws: Failure.self) { try OutputMap([Collect.Output(source: source, destination: destination)]) }
    }
    var map = try OutputMap([Collect.Output(source: "a", destination: nil)])
    let taken = [map.add(match: Array("../x".utf8), of: 0), map.add(match: Array("a".utf8), of: 1)]
    #expect(taken == [false, false])
  }

  @Test(.faults(114)) func allowOnlyLinksThatCannotClimbOut() {
    let at = path("d/e/link")
    for target in ["x", "../x", "../../x", "./x/y"] { #expect(Place.isSafeLink(at: at, to: Array(target.utf8))) }
    for target in ["/x", "../../../x", "x/../../../..", "y/..", "", "../y/../x"] {
      #expect(!Place.isSafeLink(at: at, to: Array(target.utf8)), "\(target)")
    }
  }
}

@Suite("Messages")
struct WireTests {
  static let requests: [Request.Verb] = [
    .connect(
      Connect(host: "h", port: 22, users: ["root"], key: .file(path: "k", passphrase: nil), pin: nil, timeout: 1)),
    .connect(
      Connect(host: "h", port: 22, users: [], key: .agent(publicKey: "AA", socket: "s"), pin: "p", timeout: 0.5)),
    .exec(Exec(command: "a\nb", timeout: 1)), .status(Status(control: "c")), .cancel(Cancel(request: 3)),
    .launch(
      Launch(
        control: "c", workdir: "w", environment: [.init(name: "A", value: "é\n")], setup: "s",
        command: .argv(["a", ""]),
        maxDuration: 1.5, grace: 2)),
    .stop(Stop(control: "c", grace: 1)),
    .collect(
      Collect(
        control: "c", workdir: "w", outputs: [.init(source: "a", destination: nil)], outputFolder: nil, root: "r",
        partial: "p")),
  ]

  @Test(arguments: requests) func comeBackAsTheyWere(_ verb: Request.Verb) throws {
    let request = Request(id: 7, verb: verb)
    let line = Wire.line(request)
    #expect(!line.contains("\n"))
    #expect(try Wire.decode(Request.self, from: line.utf8) == request)
  }

  @Test(arguments: [
    JobStatus.notBegun, .running, .lost(reason: "x"),
    .exited(ExitRecord(code: 1, phase: .setup, ending: .stopped, stdoutBytes: 1, stderrBytes: 2)),
  ]) func carryEveryStatus(_ status: JobStatus) throws {
    let event = WorkerEvent(id: 1, kind: .status(status))
    #expect(try Wire.decode(WorkerEvent.self, from: Wire.line(event).utf8) == event)
  }

  @Test func areEasyToType() throws {
    let line = #"{"id":1,"launch":{"control":"c","workdir":"w","environment":[],"command":{"script":"x"},"grace":1}}"#
    let request = try Wire.decode(Request.self, from: line.utf8)
    #expect(
      request.verb
        == .launch(
          Launch(
            control: "c", workdir: "w", environment: [], setup: nil, command: .script("x"), maxDuration: nil, grace: 1))
    )
  }

  @Test(arguments: ["{}", "{\"id\":1}", "{\"id\":1,\"status\":{\"control\":\"c\"},\"exec\":{}}"])
  func refuseWhatIsNoRequest(_ line: String) {
    #expect(throws: DecodingError.self) { try Wire.decode(Request.self, from: line.utf8) }
  }

  @Test func readTheSupervisorsReport() {
    #expect(JobStatus(report: "exited 3 setup timedOut 1 2")?.isExit(3) == true)
    for line in ["", "beat 1 2", "exited 3", "exited x command exited 1 2", "running on"] {
      #expect(JobStatus(report: line) == nil, "\(line)")
    }
  }
}

extension JobStatus {
  fileprivate func isExit(_ code: Int) -> Bool {
    if case .exited(let record) = self { record.code == code } else { false }
  }
}
