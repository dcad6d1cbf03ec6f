import Foundation
import Remote
import TestSupport
import Testing

@Suite("A machine that lies", .enabled(if: PrivateSSHD.isUsable))
struct HostileMachineTests {
  let local: TemporaryFolder

  init() throws { local = try TemporaryFolder() }

  private func upload(to sshd: PrivateSSHD) throws -> WorkerEvent.Kind {
    try local.file("src/a", Array("content".utf8))
    let source = Upload.Source(source: "\(local.path)/src", destination: "code", exclude: [])
    return try WorkerProcess.connected(to: sshd).perform(
      .upload(Upload(control: "~/c", workdir: "~/files", sources: [source])))
  }

  private func collect(from sshd: PrivateSSHD) throws -> WorkerEvent.Kind {
    try WorkerProcess.connected(to: sshd).perform(
      .collect(
        Collect(
          control: "~/c", workdir: "~/files", outputs: [Collect.Output(source: "d", destination: nil)],
          outputFolder: nil,
          root: "\(local.path)/got", partial: "\(local.path)/got/.partial")))
  }

  private func machine(sending archive: [UInt8]) throws -> PrivateSSHD {
    let sshd = try PrivateSSHD(tools: [
      "tar": "#!/bin/sh\ncase \"$*\" in */dev/null*) ;; *) cat \"$HOME/evil\" ;; esac\n"
    ])
    try Data(archive).write(to: URL(fileURLWithPath: "\(sshd.home)/evil"))
    try FileManager.default.createDirectory(atPath: "\(sshd.home)/files/d", withIntermediateDirectories: true)
    try Data("x".utf8).write(to: URL(fileURLWithPath: "\(sshd.home)/files/d/f"))
    return sshd
  }

  private func member(_ path: String, _ kind: TarWriter.Kind, _ content: String = "") -> [UInt8] {
    TarWriter.header(path: Array(path.utf8), kind: kind, mode: 0o644, modified: 1) + Array(content.utf8)
      + TarWriter.padding(after: content.utf8.count)
  }

  @Test(.faults(71)) func failsTheUploadWhenAHashIsWrongTwice() throws {
    let sshd = try PrivateSSHD(tools: ["openssl": "#!/bin/sh\nshift 3; for f; do printf '%064d *x\\n' 0; done\n"])
    #expect(try upload(to: sshd).failure?.kind == .integrity)
  }

  @Test(.faults(71)) func sendsAFileAgainWhenItsHashIsWrongOnce() throws {
    let lie =
      "#!/bin/sh\nif mkdir $HOME/lied; then printf '%064d *x\\n' 0; else shift 3; exec /usr/bin/sha256sum \"$@\"; fi\n"
    let sshd = try PrivateSSHD(tools: ["openssl": lie])
    #expect(try upload(to: sshd).transferred?.files == 1)
    #expect(text(of: "\(sshd.home)/files/code/a") == "content")
  }

  @Test(.faults(75)) func failsTheUploadWhenTheMachineHasNoTar() throws {
    let sshd = try PrivateSSHD(tools: ["tar": "#!/bin/sh\necho 'no tar for you' >&2; exit 3\n"])
    let failure = try upload(to: sshd).failure
    #expect(failure?.kind == .remote && failure?.message.contains("no tar for you") == true)
  }

  @Test(.faults(71)) func putsNothingInPlaceWhenAnOutputArrivesOtherThanTheMachineHasIt() throws {
    let sshd = try machine(sending: member("./d/f", .file(size: 3), "bad") + TarWriter.end)
    #expect(try collect(from: sshd).failure?.kind == .integrity)
    #expect(!FileManager.default.fileExists(atPath: "\(local.path)/got/d"))
  }

  static let escapes: [[(String, TarWriter.Kind, String)]] = [
    [("../evil", .file(size: 1), "x")], [("/tmp/fcrun-evil", .file(size: 1), "x")],
    [("d/../../evil", .file(size: 1), "x")],
    [("d/l", .link(target: Array("e".utf8)), ""), ("d/l/x", .file(size: 1), "x")],
    [("d/l", .link(target: Array("../../..".utf8)), ""), ("d/l/x", .file(size: 1), "x")],
    [("d/l", .link(target: Array("/tmp".utf8)), ""), ("d/l/x", .file(size: 1), "x")],
    [("d/f", .file(size: 1 << 62), "x")], [("evil", .file(size: 1), "x")],
  ]

  @Test(.faults(113, 114, 115, 116), arguments: escapes.indices) func getsNothingOutOfTheFolder(_ index: Int) throws {
    try local.file("canary")
    let archive = Self.escapes[index].reduce(into: [UInt8]()) { $0 += member($1.0, $1.1, $1.2) }
    let end = try collect(from: try machine(sending: archive + TarWriter.end))
    #expect(end.failure != nil)
    #expect(Set(try FileManager.default.contentsOfDirectory(atPath: local.path)).isSubset(of: ["canary", "got"]))
    #expect(Set(try FileManager.default.contentsOfDirectory(atPath: "\(local.path)/got")) == [".partial"])
    #expect(!FileManager.default.fileExists(atPath: "/tmp/fcrun-evil"))
  }
}
