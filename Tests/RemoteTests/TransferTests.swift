import Foundation
import Remote
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite("Transfers to and from a machine", .enabled(if: PrivateSSHD.isUsable))
struct TransferTests {
  let sshd: PrivateSSHD
  let local: TemporaryFolder
  let worker: WorkerProcess

  init() throws {
    sshd = try PrivateSSHD()
    local = try TemporaryFolder()
    worker = try WorkerProcess.connected(to: sshd)
  }

  private var work: String { "\(sshd.home)/files" }

  private func upload(_ sources: [Upload.Source]) throws -> WorkerEvent.Kind {
    try worker.perform(.upload(Upload(control: "~/c/job", workdir: "~/files", sources: sources)))
  }

  private func upload(_ source: String, to destination: String, exclude: [String] = []) throws -> WorkerEvent.Kind {
    try upload([Upload.Source(source: "\(local.path)/\(source)", destination: destination, exclude: exclude)])
  }

  private func collect(
    _ outputs: [(String, String?)], outputFolder: String? = nil, partial: String? = nil
  ) throws -> WorkerEvent.Kind {
    try worker.perform(
      .collect(
        Collect(
          control: "~/c/job", workdir: "~/files",
          outputs: outputs.map { Collect.Output(source: $0.0, destination: $0.1) }, outputFolder: outputFolder,
          root: "\(local.path)/got", partial: partial ?? "\(local.path)/got/.partial")))
  }

  private func onMachine(_ script: String) throws {
    let end = try worker.perform(.exec(Exec(command: "mkdir -p ~/files && cd ~/files && { \(script)\n}", timeout: 20)))
    #expect(end.executed?.exitCode == 0, "\(end)")
  }

  private func isSame(_ one: String, _ other: String) throws -> Bool {
    try Spawned.run(["/usr/bin/diff", "-r", "--no-dereference", one, other]).status == 0
  }

  static let oddNames = [
    "plain", "with space", "quote'\"`$x", "new\nline", "back\\slash", "-dash", "--", "*?[a]", "émoji🙂", " lead",
    "trail ",
    "tab\there", "#c", "~", ".hidden", String(repeating: "n", count: 200),
  ]

  @Test func carryEveryNameModeLinkAndEmptyFolderBothWays() throws {
    for (index, name) in Self.oddNames.enumerated() {
      try local.file(
        "src/d/\(name)", Array(repeating: UInt8(index), count: index * 300), mode: index % 2 == 0 ? 0o640 : 0o755)
    }
    _ = try local.folder("src/empty")
    let deep = (0..<6).map { String(repeating: "\($0)", count: 90) }.joined(separator: "/")
    try local.file("src/\(deep)/f", [1])
    try FileManager.default.createSymbolicLink(
      atPath: "\(local.path)/src/link", withDestinationPath: "d/" + String(repeating: "n", count: 200))
    let sum = try upload("src", to: "code").transferred
    #expect(sum?.files == Self.oddNames.count + 1)
    #expect(try isSame("\(local.path)/src", "\(work)/code"))
    let modes = try FileManager.default.attributesOfItem(atPath: "\(work)/code/d/with space")[.posixPermissions]
    #expect(modes as? Int == 0o755)
    #expect(try upload("src", to: "code").transferred == sum)

    let back = try collect([("code", "saved")]).transferred
    #expect(back == Transferred(files: Self.oddNames.count + 1, bytes: sum?.bytes ?? 0))
    #expect(try isSame("\(local.path)/src", "\(local.path)/got/saved"))
    #expect(FileManager.default.isExecutableFile(atPath: "\(local.path)/got/saved/d/with space"))
    #expect(!FileManager.default.fileExists(atPath: "\(local.path)/got/.partial"))
  }

  @Test func keepTimesOfChange() throws {
    let path = try local.file("f", [1])
    try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: path)
    _ = try upload("f", to: "f")
    let date = try FileManager.default.attributesOfItem(atPath: "\(work)/f")[.modificationDate] as? Date
    #expect(date == Date(timeIntervalSince1970: 1e9))
    _ = try collect([("f", nil)])
    let back = try FileManager.default.attributesOfItem(atPath: "\(local.path)/got/f")[.modificationDate] as? Date
    #expect(back == date)
  }

  @Test func putAFolderWhereTheDestinationSays() throws {
    try local.file("src/a", [1])
    _ = try upload("src", to: ".")
    _ = try upload("src", to: "x/y")
    _ = try upload("src/a", to: "b")
    for path in ["a", "x/y/a", "b"] { #expect(bytes(of: "\(work)/\(path)") == [1]) }
  }

  @Test func leaveOutWhatIgnoreFilesAndTheSpecName() throws {
    for name in ["a.o", "keep.o", "b.txt", "sub/c.o", "sub/d.log", "sub/.git/x", "big/e", ".git/HEAD"] {
      try local.file("src/\(name)")
    }
    try local.file("src/.gitignore", Array("*.o\n!keep.o\n".utf8))
    try local.file("src/sub/.fcrunignore", Array("*.log\n".utf8))
    #expect(try upload("src", to: ".", exclude: ["/big/"]).transferred?.files == 4)
    let left = try FileManager.default.subpathsOfDirectory(atPath: work).sorted()
    #expect(left == [".gitignore", "b.txt", "keep.o", "sub", "sub/.fcrunignore"])
  }

  @Test(.faults(117)) func refuseBeforeSendingWhatCannotBeSent() throws {
    try local.file("src/a")
    try FileManager.default.createSymbolicLink(atPath: "\(local.path)/src/out", withDestinationPath: "../../etc/passwd")
    let link = try upload("src", to: "code").failure
    #expect(link?.kind == .local && link?.message.contains("src/out") == true)
    try FileManager.default.removeItem(atPath: "\(local.path)/src/out")
    mkfifo("\(local.path)/src/pipe", 0o600)
    let fifo = try upload("src", to: "code").failure
    #expect(fifo?.kind == .local && fifo?.message.contains("pipe is a FIFO") == true)
    #expect(try upload("nothing", to: "code").failure?.kind == .local)
    #expect(try upload("src", to: "../up").failure?.kind == .badRequest)
    #expect(!FileManager.default.fileExists(atPath: work))
  }

  @Test(.faults(74)) func tellWhyTheMachinesTarGaveUp() throws {
    try onMachine("mkdir -p big/full")
    try local.file("src/big", Array(repeating: 7, count: 20_000_000))
    let failure = try upload("src", to: ".").failure
    #expect(failure?.kind == .remote)
    #expect(failure?.message.contains("big") == true)
  }

  /// One script of ours as the machine would run it for another connection.
  private func script(_ script: String, _ arguments: [String]) -> [String] {
    ["/bin/sh", "-c", script, "sh", "marker"] + arguments
  }

  private var machine: [String: String] { ["HOME": sshd.home, "PATH": "/usr/bin:/bin"] }

  private func archive(of file: String) throws -> [UInt8] {
    try Spawned.run(["/usr/bin/tar", "-cf", "-", "-C", local.path, file]).output
  }

  /// A request that unpacks an archive of one file.
  private func unpacking(_ archive: [UInt8], _ file: String) -> [UInt8] {
    let name = Array("./\(file)".utf8) + [0]
    return Array("tar \(archive.count) 0 \(name.count) 1\n".utf8) + archive + name
  }

  private static let upload = ["~/c/job", "~/files"]

  @Test func endWhatAConnectionThatDiedStillUnpacks() throws {
    let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    try local.file("payload", content)
    let orphan = try Spawned.start(script(Script.upload, Self.upload + ["0"]), environment: machine)
    let half = unpacking(try archive(of: "payload"), "payload").prefix(60_000)
    #expect(half.withUnsafeBytes { write(orphan.input, $0.baseAddress, $0.count) } == 60_000)
    while bytes(of: "\(work)/payload") == nil { usleep(5_000) }
    #expect(try upload("payload", to: "payload").transferred != nil)
    #expect(orphan.wait() == -SIGKILL)
    for end in [orphan.input, orphan.output] { close(end) }
    #expect(bytes(of: "\(work)/payload") == content)
  }

  @Test func endWhatAConnectionThatDiedStillPutsIntoAPart() throws {
    let content = (0..<9_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
    try local.file("payload", content)
    let key = "\(sshd.home)/files/.fcrun-parts/k"
    let orphan = try Spawned.start(script(Script.upload, Self.upload + ["0"]), environment: machine)
    let half = Array("put k 0 9000000 0\n".utf8) + [UInt8](repeating: 1, count: 600_000)
    #expect(half.withUnsafeBytes { write(orphan.input, $0.baseAddress, $0.count) } == half.count)
    while (bytes(of: key) ?? []).isEmpty { usleep(5_000) }
    #expect(try upload("payload", to: "payload").transferred != nil)
    #expect(orphan.wait() == -SIGKILL)
    for end in [orphan.input, orphan.output] { close(end) }
    #expect(bytes(of: "\(work)/payload") == content)
    #expect(!FileManager.default.fileExists(atPath: "\(work)/.fcrun-parts"))
  }

  @Test func keepALateStarterOfADeadConnectionFromWriting() throws {
    try local.file("payload", Array("all of it".utf8))
    let first = try Spawned.run(script(Script.upload, Self.upload + ["0"]), environment: machine)
    #expect(String(decoding: first.output, as: UTF8.self).hasPrefix("marker\n1"))
    #expect(try upload("payload", to: "payload").transferred != nil)
    let half = Array(unpacking(try archive(of: "payload"), "payload").prefix(540))
    let late = try Spawned.run(script(Script.upload, Self.upload + ["1"]), input: half, environment: machine)
    #expect(late.status == 1)
    #expect(!String(decoding: late.output, as: UTF8.self).contains("marker 0"))
    #expect(text(of: "\(work)/payload") == "all of it")
  }

  // MARK: Again

  @Test func sendOnlyWhatDiffersFromWhatIsThere() throws {
    for name in ["a", "b", "sub/c"] { try local.file("src/\(name)", Array("first \(name)".utf8)) }
    var large = (0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
    try local.file("src/large", large)
    _ = try upload("src", to: "code")
    let untouched = try inode("code/a")
    large[5_000_000] ^= 1
    try local.file("src/large", large)
    try local.file("src/sub/c", Array("other sub/c".utf8))
    let sum = try upload("src", to: "code").transferred
    #expect(sum == Transferred(files: 4, bytes: 20_000_000 + 7 + 7 + 11))
    #expect(try isSame("\(local.path)/src", "\(work)/code"))
    #expect(try inode("code/a") == untouched)
    #expect(!FileManager.default.fileExists(atPath: "\(work)/.fcrun-parts"))
  }

  @Test func makeTheWorkdirForNothingToo() throws {
    #expect(try upload([]).transferred == Transferred(files: 0, bytes: 0))
    #expect(try FileManager.default.contentsOfDirectory(atPath: work) == [])
  }

  @Test func giveAFileItsModeAndTimeAlsoWhereItsContentIsThere() throws {
    try local.file("src/a", [1], mode: 0o644)
    try local.file("src/large", Array(repeating: 1, count: 9_000_000), mode: 0o644)
    _ = try upload("src", to: "code")
    for name in ["a", "large"] {
      try FileManager.default.setAttributes(
        [.posixPermissions: 0o755, .modificationDate: Date(timeIntervalSince1970: 1e9)],
        ofItemAtPath: "\(local.path)/src/\(name)")
    }
    _ = try upload("src", to: "code")
    for name in ["a", "large"] {
      let now = try FileManager.default.attributesOfItem(atPath: "\(work)/code/\(name)")
      #expect(now[.posixPermissions] as? Int == 0o755)
      #expect(now[.modificationDate] as? Date == Date(timeIntervalSince1970: 1e9))
    }
  }

  @Test func replaceALongerFileByAShorterOneAndALinkByAFile() throws {
    try onMachine("head -c 30000000 /dev/zero > long; echo kept > kept; ln -s kept link; mkfifo pipe")
    for name in ["long", "link"] { try local.file("src/\(name)", Array(repeating: 0, count: 16 << 20)) }
    try local.file("src/pipe", [7])
    _ = try upload("src", to: ".")
    for name in ["long", "link"] { #expect(bytes(of: "\(work)/\(name)")?.count == 16 << 20) }
    #expect(text(of: "\(work)/kept") == "kept\n")
    #expect(bytes(of: "\(work)/pipe") == [7])
  }

  private func inode(_ path: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: "\(work)/\(path)")[.systemFileNumber] as? Int
  }

  @Test func bringOutputsToTheirPlaces() throws {
    try onMachine(
      "mkdir -p ckpt/a runs; echo 1 > ckpt/a/w; echo 2 > runs/x.txt; echo 3 > runs/y.txt; echo 4 > 'a[1].txt'; echo 5 > a1.txt"
    )
    let sum = try collect([
      ("ckpt", "saved"), ("runs/*.txt", "texts"), ("a[1].txt", nil), ("none/*", nil), ("nothing", nil),
    ])
    .transferred
    #expect(sum?.missing == ["none/*", "nothing"])
    #expect(sum?.files == 4)
    let got = try FileManager.default.subpathsOfDirectory(atPath: "\(local.path)/got").sorted()
    #expect(got == ["a[1].txt", "saved", "saved/a", "saved/a/w", "texts", "texts/x.txt", "texts/y.txt"])
  }

  @Test func findDeepOutputsWithTwoStars() throws {
    try onMachine("mkdir -p r/a/b; echo 1 > r/m.pt; echo 2 > r/a/m.pt; echo 3 > r/a/b/m.pt; echo 4 > r/a/b/n")
    #expect(try collect([("r/**/*.pt", nil)]).transferred?.files == 3)
    #expect(text(of: "\(local.path)/got/r/a/b/m.pt") == "3\n")
  }

  @Test func sendOverlappingOutputsToEachPlaceThatAsked() throws {
    try onMachine("mkdir -p d; echo 1 > d/a; echo 2 > d/b; ln d/a d/hard")
    #expect(try collect([("d", nil), ("d/a", "alone"), ("d/*", "flat")]).transferred?.missing == [])
    for (path, content) in [
      ("d/a", "1"), ("d/hard", "1"), ("d/b", "2"), ("alone", "1"), ("flat/b", "2"), ("flat/hard", "1"),
    ] {
      #expect(text(of: "\(local.path)/got/\(path)") == content + "\n", "\(path)")
    }
  }

  @Test(.faults(113)) func followAnOutputThatIsALinkAndKeepLinksInsideOnly() throws {
    try onMachine(
      "mkdir -p real/in other; echo 1 > real/in/f; ln -s real latest; ln -s real/in/f best; ln -s f real/in/ok; ln -s /etc/passwd real/bad; ln -s ../../x real/in/up"
    )
    let sum = try collect([("latest", nil), ("best", nil)]).transferred
    #expect(sum?.files == 2)
    #expect(sum?.refused.count == 1 && sum?.refused.first?.contains("bad") == true)
    #expect(text(of: "\(local.path)/got/latest/in/ok") == "1\n")
    #expect(text(of: "\(local.path)/got/best") == "1\n")
  }

  @Test func bringTheOutputFolderWhenSomethingIsInIt() throws {
    let launch = Launch.of(.script("mkdir -p $FCRUN_OUTPUT_DIR/s; echo 1 > $FCRUN_OUTPUT_DIR/s/o; exit 3"))
    _ = try worker.status(launch)
    guard
      case .status(.exited(let record)) = try worker.perform(
        .follow(Follow(control: "~/c/job", stdout: "\(local.path)/o", stderr: "\(local.path)/e", mask: [])))
    else { throw WorkerProcess.NoAnswer(description: "\(worker.events)") }
    #expect(record.code == 3)
    #expect(try collect([], outputFolder: "job-outputs").transferred?.files == 1)
    #expect(text(of: "\(local.path)/got/job-outputs/s/o") == "1\n")
  }

  @Test func makeNothingWhenTheOutputFolderIsEmpty() throws {
    _ = try worker.status(Launch.of(.script("true")))
    #expect(try collect([], outputFolder: "job-outputs").transferred?.files == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(local.path)/got") == [])
  }

  @Test(.faults(113)) func mergeFoldersAndReplaceFilesWithoutFollowingLocalLinks() throws {
    try onMachine("mkdir -p d; echo new > d/a; echo b > d/b")
    try local.file("got/d/a", Array("old".utf8))
    try local.file("got/d/mine", Array("mine".utf8))
    _ = try collect([("d", nil)])
    #expect(text(of: "\(local.path)/got/d/a") == "new\n")
    #expect(text(of: "\(local.path)/got/d/mine") == "mine")
    try local.file("canary/keep")
    try FileManager.default.removeItem(atPath: "\(local.path)/got/d")
    try FileManager.default.createSymbolicLink(atPath: "\(local.path)/got/d", withDestinationPath: "../canary")
    #expect(try collect([("d", nil)]).failure?.kind == .local)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(local.path)/canary") == ["keep"])
  }

  // MARK: Places that are in the way, or elsewhere

  private func makeFolder(_ path: String) throws {
    try FileManager.default.createDirectory(atPath: "\(local.path)/\(path)", withIntermediateDirectories: true)
  }

  @Test(.faults(113)) func putEachOutputInPlaceByItself() throws {
    try onMachine("echo x > o; echo y > p; mkdir d; echo z > d/z; echo w > d/w")
    for path in ["got/o", "got/d/w"] { try makeFolder(path) }
    let end = try collect([("o", nil), ("p", nil), ("d", nil)])
    let failure = try #require(end.failure)
    #expect(failure.kind == .local)
    let partial = "\(local.path)/got/.partial"
    #expect(failure.message.contains("\(local.path)/got/o is a folder here and the output is none"), "\(failure)")
    #expect(failure.message.contains("it lies in \(partial)/o"), "\(failure)")
    #expect(failure.message.contains("it lies in \(partial)/d/w"), "\(failure)")
    #expect(text(of: "\(local.path)/got/p") == "y\n")
    #expect(text(of: "\(local.path)/got/d/z") == "z\n")
    #expect(text(of: "\(local.path)/got/.partial/o") == "x\n")
    #expect(text(of: "\(local.path)/got/.partial/d/w") == "w\n")
    for path in ["got/o", "got/d/w"] { try FileManager.default.removeItem(atPath: "\(local.path)/\(path)") }
    #expect(try collect([("o", nil), ("p", nil), ("d", nil)]).transferred != nil)
    #expect(text(of: "\(local.path)/got/o") == "x\n")
    #expect(!FileManager.default.fileExists(atPath: partial))
  }

  /// The partial folder is on the other file system here: for rename(2) that is the same.
  @Test(.enabled(if: OtherFileSystem.isThere, "no /dev/shm on a file system of its own"))
  func bringOutputsToAnotherFileSystem() throws {
    let other = try OtherFileSystem()
    let script =
      "mkdir -p r/s/empty; echo new > r/f; chmod 750 r/f; touch -d @1000000000 r/f; ln -s f r/l; echo q > r/s/q; "
      + "head -c 9000000 /dev/urandom > r/big; echo t > top"
    try onMachine(script)
    try makeFolder("got/r")
    try local.file("got/r/f", Array("old\n".utf8))
    try local.file("got/r/mine", Array("mine\n".utf8))
    // What an attempt that was killed has left.
    try makeFolder("got/r/.partial.copy")
    try local.file("got/r/.partial.copy/f", Array("half".utf8))
    let end = try collect([("r", nil), ("top", nil)], partial: "\(other.path)/.partial")
    #expect(end.transferred?.missing == [], "\(end)")
    #expect(text(of: "\(local.path)/got/r/mine") == "mine\n")
    try FileManager.default.removeItem(atPath: "\(local.path)/got/r/mine")
    #expect(try isSame("\(work)/r", "\(local.path)/got/r"))
    #expect(text(of: "\(local.path)/got/top") == "t\n")
    let attributes = try FileManager.default.attributesOfItem(atPath: "\(local.path)/got/r/f")
    #expect(attributes[.posixPermissions] as? Int == 0o750)
    #expect((attributes[.modificationDate] as? Date)?.timeIntervalSince1970 == 1_000_000_000)
    #expect(try FileManager.default.contentsOfDirectory(atPath: other.path) == [])
    #expect(try Set(FileManager.default.contentsOfDirectory(atPath: "\(local.path)/got")) == ["r", "top"])
  }

  @Test func sayProgress() throws {
    try local.file("f", Array(repeating: 1, count: 3_000_000))
    _ = try upload("f", to: "f")
    let all = worker.events.compactMap { if case .progress(let progress) = $0.kind { progress } else { nil } }
    #expect(all.last == Progress(bytes: 3_000_000, totalBytes: 3_000_000, files: 1, totalFiles: 1))
  }
}

@Suite("Connecting", .enabled(if: PrivateSSHD.isUsable))
struct ConnectTests {
  @Test(.faults(58, 65)) func refusesAnotherHostKeyThanThePinnedOneAndShowsBoth() throws {
    let sshd = try PrivateSSHD()
    let other = try PrivateSSHD()
    let pin = sshd.hostKey
    guard case .connected(let connected) = try WorkerProcess().connect(to: sshd, pin: pin) else {
      Issue.record("the right pin was refused")
      return
    }
    #expect(connected.hostKey == pin)
    let failure = try WorkerProcess().connect(to: other, pin: pin).failure
    #expect(failure?.kind == .hostKeyChanged)
    #expect(failure?.message.contains(connected.fingerprint) == true)
    #expect(failure?.message.components(separatedBy: "SHA256:").count == 3)
    let log = text(of: "\(other.folder.path)/log") ?? ""
    #expect(!log.contains("Accepted") && !log.contains("Failed"))
  }

  @Test(.faults(64)) func tellsAKeyThatIsNotAuthorisedFromOneThatCannotBeUsed() throws {
    let sshd = try PrivateSSHD()
    func end(_ arguments: [String], _ passphrase: String?) throws -> Failure? {
      let folder = try TemporaryFolder()
      let path = "\(folder.path)/key"
      _ = try Spawned.run(["/usr/bin/ssh-keygen", "-q", "-f", path] + arguments)
      return try WorkerProcess().perform(
        .connect(
          Connect(
            host: "localhost", port: sshd.port, users: [sshd.user], key: .file(path: path, passphrase: passphrase),
            pin: nil,
            timeout: 20))
      ).failure
    }
    #expect(try end(["-t", "ed25519", "-N", ""], nil)?.kind == .notAuthenticated)
    #expect(try end(["-t", "ecdsa", "-N", "right", "-m", "PEM"], "wrong")?.kind == .keyUnusable)
    #expect(try end(["-t", "ed25519", "-N", "right"], "right")?.kind == .notAuthenticated)
  }

  @Test(.faults(63, 69)) func callsAnUnreachablePortRefusedAndAMuteOneTimedOut() throws {
    let sshd = try PrivateSSHD()
    func end(port: Int) throws -> Failure? {
      try WorkerProcess().perform(
        .connect(
          Connect(
            host: "127.0.0.1", port: port, users: ["root"], key: .file(path: sshd.key, passphrase: nil), pin: nil,
            timeout: 0.3))
      ).failure
    }
    #expect(try end(port: 1)?.kind == .refused)
    let mute = socket(AF_INET, streamSocket, 0)
    defer { close(mute) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = bind(mute, $0, size)
        _ = listen(mute, 5)
        _ = getsockname(mute, $0, &size)
      }
    }
    #expect(try end(port: Int(UInt16(bigEndian: address.sin_port)))?.kind == .timedOut)
  }

  @Test func endsAtOnceWhenStdinEnds() throws {
    let worker = try WorkerProcess.connected(to: try PrivateSSHD())
    _ = worker.ask(.exec(Exec(command: "sleep 20", timeout: 30)))
    let start = Date()
    #expect(worker.end() == 0)
    #expect(Date().timeIntervalSince(start) < 2)
  }

  @Test func givesUpARequestThatIsCancelledAndGoesOnWithTheRest() throws {
    let sshd = try PrivateSSHD()
    let worker = try WorkerProcess.connected(to: sshd)
    let long = worker.ask(.exec(Exec(command: "sleep 20", timeout: 30)))
    #expect(try worker.perform(.exec(Exec(command: "exit 5", timeout: 60))).executed?.exitCode == 5)
    _ = worker.ask(.cancel(Cancel(request: long)))
    #expect(try worker.end(of: long).failure?.kind == .cancelled)
    #expect(try worker.perform(.exec(Exec(command: "exit 6", timeout: 60))).executed?.exitCode == 6)
  }

  @Test func answersWhatIsNoRequestWithBadRequest() throws {
    let worker = try WorkerProcess()
    worker.send("garbage")
    worker.send("{\"id\": 8, \"upload\": {}}")
    #expect(try worker.end(of: -1).failure?.kind == .badRequest)
    #expect(try worker.end(of: 8).failure?.kind == .badRequest)
    #expect(try worker.perform(.status(Status(control: "x"))).failure?.kind == .badRequest)
  }

  #if canImport(Glibc)
    private var streamSocket: Int32 { Int32(SOCK_STREAM.rawValue) }
  #else
    private var streamSocket: Int32 { SOCK_STREAM }
  #endif
}
