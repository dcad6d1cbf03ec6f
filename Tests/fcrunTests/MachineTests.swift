import Foundation
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Machines that are not as tidy as the simulator's own.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct MachineTests {
  private func spec(_ bench: Bench) throws -> String {
    try bench.write("data/file name", "content")
    return try bench.spec([
      "files": ["data"], "setup": "echo set up", "outputs": ["out"], "envs": ["A": "it's\n\"odd\""],
      "command": "mkdir out; cp 'data/file name' out/; printf '%s' \"$A\"; printf err >&2; exit 3",
    ])
  }

  private func check(_ ended: Ended, _ bench: Bench) async throws {
    #expect(ended.code == 3, "\(ended.err)")
    #expect(ended.out == "it's\n\"odd\"")
    #expect(try await bench.log("stderr") == Data("set up\nerr".utf8))
    #expect(bench.text("out/file name") == "content")
    #expect(try bench.cloud.ledger().live == 0)
  }

  @Test("A login that prints a welcome on both streams disturbs nothing", .faults(76))
  func noisyLogin() async throws {
    try await Bench.run { bench in
      let submit = try bench.start("submit", try spec(bench))
      try await bench.disturbMachine(
        "printf 'Welcome!\\n\\nLast login: today\\nno newline'; echo 'noise of a profile' >&2")
      let ended = try await submit.end()
      try await check(ended, bench)
    }
  }

  @Test(
    "A machine with the POSIX tools, tar, sha256sum and timeout alone will do: no setsid, stat, bash or python",
    .faults(75))
  func posixTools() async throws {
    try await Bench.run { bench in
      let tools = bench.folder + "/tools"
      try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
      for tool in Self.posix {
        guard let place = ["/bin/", "/usr/bin/"].first(where: { access($0 + tool, X_OK) == 0 }) else { continue }
        try FileManager.default.createSymbolicLink(atPath: tools + "/" + tool, withDestinationPath: place + tool)
      }
      let submit = try bench.start("submit", try spec(bench))
      try await bench.disturbMachine("export PATH='\(tools)'")
      let ended = try await submit.end()
      try await check(ended, bench)
    }
  }

  /// XCU utilities of POSIX that small images have, and tar.
  private static let posix = [
    "sh", "cat", "chmod", "cp", "cut", "date", "dd", "df", "dirname", "basename", "echo", "env", "expr", "false",
    "find",
    "grep", "head", "id", "kill", "ln", "ls", "mkdir", "mkfifo", "mv", "nohup", "od", "printf", "ps", "pwd", "rm",
    "rmdir",
    "sed", "sleep", "sort", "tail", "tar", "test", "touch", "tr", "true", "tty", "uname", "wc", "xargs", "cksum",
    "sha256sum", "timeout",
  ]

  @Test("Spaces and letters beyond ASCII in every local and remote path do no harm")
  func oddPaths() async throws {
    try await Bench.run { bench in
      let folder = bench.folder + "/a place für it's jobs"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let cloud = try await SimulatedCloud([], bootTime: "0.3", folder: folder, environment: bench.environment)
      do {
        let name = "its own folder, ü/job.json"
        try bench.write("its own folder, ü/data/file name", "content")
        _ = try bench.spec(
          [
            "name": "odd", "files": ["data"], "outputs": ["out put"],
            "command": "mkdir 'out put'; cp data/* 'out put/'; pwd",
          ],
          named: name)
        let ended = try await bench.fcrun(
          "submit", name,
          env: [
            "FORWARD_COMPUTE_BASE_URL": cloud.baseURL, "FORWARD_COMPUTE_API_KEY": cloud.token,
            "FCRUN_SSH_KEY": cloud.privateKey, "FCRUN_HOME": folder + "/state of fcrun",
          ])
        #expect(ended.code == 0, "\(ended.err)")
        #expect(ended.out.contains("a place für"), "\(ended.out)")
        #expect(bench.text("its own folder, ü/out put/file name") == "content")
      } catch {
        await cloud.stop()
        throw error
      }
      await cloud.stop()
    }
  }

  @Test("A base URL with a slash at its end, and an API behind a slow link, make no difference")
  func slowLink() async throws {
    try await Bench.run(["latency_seconds=0.3"]) { bench in
      let ended = try await bench.fcrun(
        "submit", try bench.spec(["command": "echo through"]),
        env: ["FORWARD_COMPUTE_BASE_URL": bench.cloud.baseURL + "/"])
      #expect(ended.code == 0, "\(ended.err)")
      #expect(ended.out == "through\n")
    }
  }

  @Test("A new machine at the address of a dead one is never taken for it", .faults(58))
  func reusedAddress() async throws {
    try await Bench.run(["reuse_address=true"]) { bench in
      for _ in 0..<2 {
        let ended = try await bench.fcrun("submit", try bench.spec(["command": "echo here"]))
        #expect(ended.code == 0, "\(ended.err)")
      }
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("ecdsa keys and rsa keys open machines too, or the error says what to do")
  func keyTypes() async throws {
    try await Bench.run { bench in
      for (kind, bits) in [("ecdsa", "256"), ("rsa", "3072")] {
        let key = "\(bench.folder)/key-\(kind)"
        let made = try await bench.shell("ssh-keygen -q -t \(kind) -b \(bits) -N '' -C \(kind) -f '\(key)'")
        #expect(made.code == 0, "\(made.err)")
        let started = try bench.start(
          "sim", "--state", "\(bench.folder)/sim-\(kind)", "--boot-time", "0.3", "--key", key + ".pub", "--seed",
          "\(UInt32.random(in: 2 ... .max))")
        let text = try await eventually("the simulator starts") { () -> String? in
          let text = String(decoding: started.stdout, as: UTF8.self)
          return text.contains("API_KEY=") && text.hasSuffix("\n") ? text : nil
        }
        let values = text.split(separator: "\n").map {
          String($0.split(separator: "=", maxSplits: 1)[1].filter { $0 != "'" })
        }
        let ended = try await bench.fcrun(
          "submit", try bench.spec(["command": "echo \(kind)"]),
          env: ["FORWARD_COMPUTE_BASE_URL": values[0], "FORWARD_COMPUTE_API_KEY": values[1], "FCRUN_SSH_KEY": key])
        if ended.code == 0 {
          #expect(ended.out == "\(kind)\n")
        } else {
          #expect(kind == "rsa" && ended.err.contains("libssh2"), "\(kind): \(ended.code) \(ended.err)")
        }
        started.signal(15)
        _ = try await started.end(within: 15)
      }
    }
  }
}
