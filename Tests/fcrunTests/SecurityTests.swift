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

/// What is secret, what is the user's own, and what a machine may do to those who talk to it.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct SecurityTests {
  private func begin(_ bench: Bench, _ fields: [String: Any], env: [String: String] = [:]) async throws -> ChildProcess
  {
    let submit = try bench.start("submit", try bench.spec(fields), env: env)
    try await eventually("the job has written", else: { submit.err }) {
      submit.stdout.isEmpty ? nil : true
    }
    return submit
  }

  #if os(Linux)
    @Test(
      "The API key is in no process but fcrun, and its worker has no environment and no file of the job",
      .faults(68, 119))
    func keyStaysWithFcrun() async throws {
      try await Bench.run { bench in
        let submit = try await begin(bench, ["command": "echo begun; sleep 100"])
        let holders = Processes.having("FORWARD_COMPUTE_API_KEY=\(bench.cloud.token)")
        #expect(holders == [submit.pid])
        let workers = Processes.children(of: submit.pid)
        #expect(!workers.isEmpty)
        for worker in workers {
          let environment = FileManager.default.contents(atPath: "/proc/\(worker)/environ") ?? Data()
          #expect(environment.isEmpty, "\(String(decoding: environment, as: UTF8.self))")
          let files = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(worker)/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(worker)/fd/\($0)")
          }
          let ours = files.filter { $0.hasPrefix(bench.home) }
          #expect(ours.count { $0.hasSuffix(".log") } == 2 && ours.count { $0.hasSuffix(".times") } == 2, "\(files)")
          #expect(ours.count == 4, "its two logs, and when they grew: \(files)")
          #expect(!files.contains { $0.contains("fcrun.db") || $0.hasSuffix("/lock") }, "\(files)")
          let limits = FileManager.default.contents(atPath: "/proc/\(worker)/limits").map {
            String(decoding: $0, as: UTF8.self)
          }
          #expect(limits?.contains(/Max core file size\s+0\s/) == true, "\(limits ?? "")")
        }
        submit.signal(SIGINT)
        #expect(try await submit.end().code == 130)
      }
    }
  #endif

  @Test("A worker that hangs is ended, another takes its place, and no byte is lost or repeated", .faults(68, 69, 112))
  func hungWorker() async throws {
    try await Bench.run(load: .waiting) { bench in
      let go = bench.work + "/go"
      let tick =
        "echo 0; until [ -e \(go) ]; do sleep 0.05; done; i=1; while [ $i -le 60 ]; do echo $i; sleep 0.05; i=$((i+1)); done; exit 7"
      let submit = try await begin(bench, ["command": tick])
      let workers = Processes.children(of: submit.pid)
      for worker in workers { kill(worker, SIGSTOP) }
      try bench.write("go", "")
      let ended = try await submit.end(within: 110)
      #expect(ended.code == 7, "\(ended.err)")
      #expect(ended.out == (0...60).map { "\($0)\n" }.joined())
      #expect(workers.allSatisfy { Processes.commandLine(of: $0).isEmpty })
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("The user's own ~/.ssh is neither written nor added to", .faults(128))
  func ownSSHFolder() async throws {
    try await Bench.run { bench in
      let folder = bench.folder + "/.ssh"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let known = "[127.0.0.1]:22 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
      try Data(known.utf8).write(to: URL(filePath: folder + "/known_hosts"))
      let submit = try await begin(bench, ["command": "echo begun; sleep 100"])
      #expect(try await bench.fcrun("ssh", try await bench.job(), "--", "true").code == 0)
      submit.signal(SIGINT)
      #expect(try await submit.end().code == 130)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["known_hosts"])
      #expect(FileManager.default.contents(atPath: folder + "/known_hosts") == Data(known.utf8))
    }
  }

  @Test("The first host key is pinned and shown; whoever shows another one later gets nothing", .faults(66))
  func firstKeyIsPinned() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, ["command": "echo begun; sleep 100", "outputs": ["kept"]])
      let id = try await bench.job()
      let instance = try #require(try bench.cloud.ledger().ids.first)
      let key = try await bench.shell("ssh-keygen -lf '\(bench.cloud.state)'/machines/*/etc/host_ed25519.pub")
      let shown = try await bench.show(id)["attempt"]["machines"][0]["host_key"].text
      #expect(shown?.hasPrefix("SHA256:") == true && key.out.contains(shown ?? "-"), "\(shown ?? "none") \(key.out)")
      try bench.cloud.control("POST", "change-host-key/\(instance)")
      try await eventually("the machine answers with its new key") {
        let fetched = try await bench.fcrun("fetch", id)
        #expect(fetched.code != 0)
        return fetched.err.contains("host key") ? true : nil
      }
      #expect(try await bench.fcrun("ssh", id, "--", "true").code == 255)
      let ended = try await submit.end(within: 30)
      #expect(ended.code == 125 && ended.err.contains(shown ?? "-"), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }

  @Test("Proxies that the environment names never see the key", .faults(125))
  func proxies() async throws {
    try await Bench.run { bench in
      // Nobody listens there: whoever asked it would fail.
      let proxy = "http://127.0.0.1:9"
      let names = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
      let ended = try await bench.fcrun(
        "submit", try bench.spec(["command": "echo through"]),
        env: Dictionary(uniqueKeysWithValues: names.map { ($0, proxy) }))
      #expect(ended.code == 0 && ended.out == "through\n", "\(ended.err)")
    }
  }

  #if os(Linux)
    @Test(
      "On a terminal the log loses every control sequence but colours; the file keeps the bytes",
      .faults(78, 122), .enabled(if: access("/usr/bin/script", X_OK) == 0, "no script(1)"))
    func terminal() async throws {
      try await Bench.run { bench in
        let evil =
          #"\033]0;title\007\033]52;c;ZXZpbA==\007\033[2J\033[31mred\033[0m\033[1;1H\033Pq\033\\\302\233\b\r\n"#
        let ended = try await bench.fcrun("submit", try bench.spec(["command": "printf '\(evil)'"]))
        #expect(ended.code == 0, "\(ended.err)")
        let raw = try await bench.log("stdout")
        #expect(raw.count { $0 == 0x1B } == 8 && ended.stdout == raw)
        let id = try await bench.job()
        let seen = try await bench.shell("script -qec \"'$FCRUN' logs \(id)\" /dev/null </dev/null")
        #expect(seen.out.contains("\u{1B}[31mred\u{1B}[0m"), "\(seen.out.debugDescription)")
        let rest = seen.out.replacing("\u{1B}[31m", with: "").replacing("\u{1B}[0m", with: "")
        #expect(!rest.unicodeScalars.contains { $0.value < 0x20 && ![9, 10, 13].contains($0.value) })
        #expect(!rest.unicodeScalars.contains { (0x7F...0x9F).contains($0.value) }, "\(rest.debugDescription)")
      }
    }
  #endif

  @Test(
    "A machine that is taken away while outputs come: 76 or 125, the machine gone, and nothing half in its place",
    .faults(94))
  func preemptedWhileCollecting() async throws {
    try await Bench.run { bench in
      let spec = try bench.spec(["command": "mkdir out; echo 1 > out/a; echo done", "outputs": ["out"]])
      let submit = try bench.start("submit", spec)
      try await bench.disturbMachine(
        "case \"$SSH_ORIGINAL_COMMAND\" in *'could not read the outputs'*) sleep 30 ;; esac")
      try await submit.says("fetching outputs")
      let instance = try #require(try bench.cloud.ledger().ids.first)
      try bench.cloud.control("POST", "preempt/\(instance)")
      let ended = try await submit.end(within: 100)
      #expect([76, 125].contains(ended.code), "\(ended.code) \(ended.err)")
      #expect(ended.err.contains("outputs") || ended.err.contains("gone"), "\(ended.err)")
      #expect(bench.read("out/a") == nil)
      #expect(try await bench.log("stdout") == Data("done\n".utf8))
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}

/// What a provider may do at the worst moment.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct WorstMomentTests {
  @Test("A machine that is taken away while it is being deleted is proved gone, and the job's code stands", .faults(96))
  func preemptedWhileDeleting() async throws {
    try await Bench.run(["delete_seconds=8"]) { bench in
      let submit = try bench.start("submit", try bench.spec(["command": "exit 6"]))
      try await bench.reaches(["proving"], within: 30)
      try bench.cloud.control("POST", "preempt/\(try #require(try bench.cloud.ledger().ids.first))")
      let ended = try await submit.end(within: 30)
      #expect(ended.code == 6, "\(ended.err)")
      #expect(ended.err.contains("proved gone"), "\(ended.err)")
      #expect(try bench.cloud.ledger().live == 0)
    }
  }
}

/// Servers that are not the API: certificates.
@Suite(
  .enabled(
    if: access("/usr/bin/openssl", X_OK) == 0 && MountNamespace.isAllowed, "no openssl, or no mount namespace"))
struct CertificateTests {
  struct Server: Sendable, CustomTestStringConvertible {
    var name: String
    var subject = "localhost"
    var isExpired = false
    var isSelfSigned = false
    var options = ""
    var isGood = false
    var testDescription: String { name }
  }

  static let servers = [
    Server(name: "in order", isGood: true),
    Server(name: "self-signed", isSelfSigned: true),
    Server(name: "expired", isExpired: true),
    Server(name: "of another name", subject: "elsewhere.example"),
    Server(name: "TLS 1.1", options: "-tls1_1 -cipher DEFAULT@SECLEVEL=0"),
  ]

  @Test(
    "Only a certificate of the right name, in time and of a known authority is taken", .faults(46), arguments: servers)
  func certificates(_ server: Server) async throws {
    try await Bench.offline { bench in
      let made = try await bench.shell(Self.making(server))
      #expect(made.code == 0, "\(made.err)")
      let running = try bench.start(
        program: "/bin/sh",
        [
          "-c",
          "exec openssl s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -www \(server.options)",
        ])
      let port = try await eventually("openssl listens", else: { running.err }) { () -> String? in
        let text = String(decoding: running.stdout, as: UTF8.self)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("ACCEPT ") }) else { return nil }
        return line.split(separator: ":").last.map(String.init)
      }
      // The authority is known to this process alone.
      let ended = try await bench.start(
        program: MountNamespace.program,
        MountNamespace.words(
          "mount --bind ca.pem /etc/ssl/certs/ca-certificates.crt && FORWARD_COMPUTE_BASE_URL=https://localhost:\(port) "
            + "exec '\(Binaries.fcrun)' offerings")
      ).end()
      #expect(ended.code == 125, "\(ended.err)")
      let refusals = ["TLS was not agreed", "certificate is not valid"]
      #expect(refusals.contains(where: ended.err.contains) != server.isGood, "\(ended.err)")
      #expect(ended.err.contains("not JSON") == server.isGood, "\(ended.err)")
    }
  }

  private static func making(_ server: Server) -> String {
    let days = server.isExpired ? "-days -1" : "-days 2"
    let key = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    let ca = "\(key) -keyout ca.key -out ca.pem -subj /CN=authority -days 2"
    let subject = "-subj /CN=\(server.subject) -addext subjectAltName=DNS:\(server.subject)"
    if server.isSelfSigned { return "\(ca) && \(key) -keyout key.pem -out cert.pem \(subject) -days 2" }
    let request =
      "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out r.pem \(subject)"
    let sign =
      "openssl x509 -req -in r.pem -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy \(days) -out cert.pem"
    return "\(ca) && \(request) && \(sign)"
  }
}
