import Foundation
import Synchronization
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Looking inside a running job: tunnels, copies, a shell, what it is busy with.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct InsideTests {
  /// An HTTP server that forks for each connection: GET gives 10 MB, POST gives back what it got, at its end.
  private static let server = #"""
    use strict; use IO::Socket::INET; use IO::Select;
    $SIG{CHLD} = 'IGNORE'; $| = 1;
    my @l = map { IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64, ReuseAddr => 1) or die } 1..2;
    print join(' ', map { $_->sockport } @l), "\n";
    my $s = IO::Select->new(@l);
    while (1) { for my $l ($s->can_read) { my $c = $l->accept or next; if (fork) { close $c; next }
      if ($l == $l[1]) { my ($all, $n) = ('', 0); while (sysread($c, my $b, 65536)) { $all .= $b } syswrite($c, "got $all"); exit }
      my ($head, $want) = ('', 0);
      while ($head !~ /\r\n\r\n/ and sysread($c, my $b, 65536)) { $head .= $b }
      my ($top, $body) = split /\r\n\r\n/, $head, 2;
      ($want) = $top =~ /content-length: (\d+)/i;
      while (length($body) < $want and sysread($c, my $b, 65536)) { $body .= $b }
      my $answer = $top =~ /^GET/ ? join('', map { sprintf "%09d\n", $_ } 0..1048575) : $body;
      my $out = "HTTP/1.1 200 OK\r\nContent-Length: " . length($answer) . "\r\n\r\n$answer";
      while (length $out) { my $n = syswrite($c, $out, 65536); last unless $n; substr($out, 0, $n) = '' }
      exit } }
    """#

  private func begin(_ bench: Bench, _ command: String, _ more: [String: Any] = [:]) async throws -> ChildProcess {
    let submit = try bench.start("submit", try bench.spec(more.merging(["command": command, "name": "inside"]) { $1 }))
    try await eventually("the job has written a line", within: 30, else: { submit.err }) {
      String(decoding: submit.stdout, as: UTF8.self).contains("\n") ? true : nil
    }
    return submit
  }

  // MARK: port

  @Test(
    "port carries many connections at once, whole and in both directions, over a dropped connection, until the job is over"
  )
  func tunnel() async throws {
    try await Bench.run { bench in
      try bench.write("server.pl", Self.server)
      let submit = try await begin(bench, "exec perl server.pl", ["files": ["server.pl"]])
      let ports = String(decoding: submit.stdout, as: UTF8.self).split(whereSeparator: \.isWhitespace).compactMap {
        Int($0)
      }
      let tunnel = try bench.start("port", "inside", "0:\(ports[0])", "0:\(ports[1])", "0:1", "--json")
      try await tunnel.says("connected to node 0")
      let data = JSONTree(tunnel.stdout)["data"]
      #expect(data.items.map { $0["remote_port"].int } == [ports[0], ports[1], 1], "\(data)")
      let here = data.items.compactMap { $0["local_port"].int }
      #expect(data[0]["url"].text == "http://127.0.0.1:\(here[0])")
      try requests(here[0])
      #expect(
        try Plain.exchange(port: here[1], send: "half") == "got half", "the end of what we say is no end of the answer")
      #expect(throws: (any Error).self) { try LoopbackHTTP.send("GET", "/", port: here[2]) }
      try await tunnel.says("port 1 of the machine does not answer")
      for worker in Processes.children(of: tunnel.pid) { kill(worker, SIGKILL) }
      try requests(here[0])
      #expect(Self.listeners(on: here[0]) == ["0100007F"], "on 127.0.0.1 only")
      let second = try await bench.fcrun("port", "inside", "\(here[0])")
      #expect(second.code == 64 && second.err.contains("is in use"), "\(second.err)")
      let interrupted = try bench.start("port", "inside", "0:\(ports[0])")
      try await interrupted.says("connected")
      #expect(String(decoding: interrupted.stdout, as: UTF8.self).hasPrefix("http://127.0.0.1:"))
      interrupted.signal(SIGINT)
      #expect(try await interrupted.end(within: 10).code == 130)
      #expect(submit.isRunning, "the job goes on")
      #expect(try await bench.fcrun("cancel", "inside").code == 0)
      let ended = try await tunnel.end(within: 20)
      #expect(ended.code == 0 && ended.err.contains("is over"), "\(ended.err)")
      #expect(try await submit.end().code == 130)
      #expect(try await bench.fcrun("port", "inside", "80:80").code == 64, "there is no machine any more")
    }
  }

  /// Eight at once: two large answers, six that come back as they were sent.
  private func requests(_ port: Int) throws {
    let wrong = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 8) { number in
      do {
        let body = number < 2 ? "" : String(repeating: "\(number)", count: 300_000)
        let answer = try LoopbackHTTP.send(number < 2 ? "GET" : "POST", "/", port: port, body: body)
        let isRight =
          number < 2
          ? answer.body.count == 10_485_760 && answer.body.suffix(10) == Data("001048575\n".utf8)
            && answer.body.dropFirst(5_000_000).prefix(10) == Data("000500000\n".utf8)
          : answer.body == Data(body.utf8)
        if !isRight { wrong.withLock { $0.append("\(number): \(answer.status), \(answer.body.count) bytes") } }
      } catch { wrong.withLock { $0.append("\(number): \(error)") } }
    }
    #expect(wrong.withLock { $0 }.isEmpty)
  }

  /// The addresses, as /proc/net/tcp writes them, on which somebody listens on this port.
  private static func listeners(on port: Int) -> Set<String> {
    let hex = String(port, radix: 16, uppercase: true)
    let wanted = ":" + String(repeating: "0", count: 4 - hex.count) + hex
    var addresses: Set<String> = []
    for table in ["tcp", "tcp6"] {
      let text = String(decoding: FileManager.default.contents(atPath: "/proc/net/\(table)") ?? Data(), as: UTF8.self)
      for line in text.split(separator: "\n") {
        let words = line.split(separator: " ")
        guard words.count > 3, words[1].hasSuffix(wanted), words[3] == "0A" else { continue }
        addresses.insert(String(words[1].dropLast(5)))
      }
    }
    return addresses
  }

  // MARK: cp

  @Test("cp brings files, folders and globs, and takes them there, whole or not at all; what is missing is said")
  func copies() async throws {
    try await Bench.run { bench in
      let command = #"""
        mkdir -p logs/deep; head -c 300000 /dev/urandom > big; cp big logs/deep/; echo a > logs/1.csv; echo b > logs/2.csv; echo c > 'logs/odd name'
        echo ready; while [ ! -f stop ]; do sleep 0.05; done; cat 'data/x y' data/deep/z data/.env; sha256sum < given | cut -c 1-10
        """#
      let submit = try await begin(bench, command)
      #expect(try await bench.fcrun("cp", "inside:big", ".").code == 0)
      #expect(try await bench.fcrun("cp", "inside:logs", "here", "--json").json["files"].int == 4)
      #expect(try await bench.fcrun("cp", "inside:logs/*.csv", "csv").code == 0)
      #expect(bench.read("big")?.count == 300_000 && bench.read("here/deep/big") == bench.read("big"))
      #expect(
        bench.text("here/odd name") == "c\n" && bench.text("csv/1.csv") == "a\n" && bench.text("csv/2.csv") == "b\n")
      #expect(bench.read("csv/odd name") == nil)
      for (arguments, words) in [
        (["inside:nothing", "."], "is not there"), (["inside:../x", "."], "without .."),
        (["here", "there"], "one place on a machine"),
        (["inside:big", "no/such/name"], "does not exist"), (["no-such-file", "inside:"], "does not exist"),
        (["inside:big", ".", "--node", "1"], "has no node 1"), (["here", "inside:big"], "is a file on the machine"),
      ] {
        let ended = try await bench.start(["cp"] + arguments).end()
        #expect(ended.code != 0 && ended.err.contains(words), "\(arguments): \(ended.code) \(ended.err)")
      }
      try bench.write("data/x y", "one\n")
      try bench.write("data/deep/z", "two\n")
      try bench.write("data/.gitignore", "deep\n.env\n")
      try bench.write("data/.env", "three\n")
      #expect(try await bench.fcrun("cp", "data", "inside:").code == 0)
      try bench.write("data/deep/z", "zwei\n")
      let again = try await bench.fcrun("cp", "data", "inside:.")
      #expect(again.code == 0, "into what is there already: \(again.err)")
      #expect(try await bench.fcrun("cp", "big", "inside:given").code == 0)
      let left = try await bench.fcrun("ssh", "inside", "--", "cd ~/fcrun/*; ls -A; ls -A data ~/.fcrun/*")
      #expect(left.code == 0 && !left.out.contains(".fcrun-cp"), "\(left.out)\(left.err)")
      #expect(try await bench.fcrun("cp", "data/.env", "inside:stop").code == 0)
      let ended = try await submit.end()
      let sum = try await bench.shell("sha256sum < big | cut -c 1-10").out
      #expect(ended.code == 0 && ended.out == "ready\none\nzwei\nthree\n" + sum, "\(ended.out)\(ended.err)")
      #expect(try await bench.shell("ls -A").out.contains(".fcrun") == false)
    }
  }

  // MARK: ssh, top

  @Test("ssh hands on stdin, both streams and the exit code, without a terminal; top shows how busy each node is")
  func shellAndTop() async throws {
    try await Bench.run { bench in
      let submit = try await begin(bench, "echo begun; sleep 100", ["nodes": 2])
      let shell = try await bench.shell(
        "printf 'a\\000b' | $FCRUN ssh inside --node 1 -- 'cat; test -t 0 || test -t 1 || echo no tty >&2; exit 7'")
      #expect(shell.code == 7 && shell.stdout == Data([0x61, 0, 0x62]) && shell.err.contains("no tty"), "\(shell.err)")
      let table = try await bench.fcrun("top", "inside")
      #expect(
        table.code == 0 && table.out.contains("cpu") && table.out.contains("cores, load"), "\(table.out)\(table.err)")
      #expect(!table.out.contains("\u{1B}"))
      let samples = try await bench.fcrun("top", "inside", "--json", "--count", "2", "--interval", "1s").events
      #expect(samples.map { $0["node"].int } == [0, 1, 0, 1], "\(samples)")
      #expect(
        samples.allSatisfy {
          $0["cpu_percent"].int != nil && ($0["memory_total_bytes"].int ?? 0) > 0 && $0["gpus"].isArray
        })
      let live = try bench.onTerminal(["top", "inside", "--count", "2", "--interval", "1s"], env: ["NO_COLOR": "1"])
      #expect(try await live.end() == 0, "\(live.text)")
      #expect(
        live.text.contains("node 1  ") && live.text.contains("[#") == false && live.text.contains("\u{1B}[8A"),
        "\(live.text)")
      #expect(live.text.split(separator: "\n").allSatisfy { $0.count <= 90 })
      #expect(!live.text.contains("\u{1B}[32m"))
      #expect(try await bench.fcrun("top", "inside", "--interval", "soon").code == 64)
      submit.signal(SIGINT)
      #expect(try await submit.end().code == 130)
      #expect(try await bench.fcrun("top", "inside").code == 64)
    }
  }

  @Test("top reads what nvidia-smi says")
  func gpus() async throws {
    try await Bench.run { bench in
      let fake =
        #"printf '#!/bin/sh\necho "0, NVIDIA H100 80GB HBM3, 97, 70000, 81559, 64, 612.50"; echo "1, NVIDIA H100 80GB HBM3, [N/A], 4, 81559, [N/A], [N/A]"\n' > ~/nvidia-smi; chmod +x ~/nvidia-smi"#
      let submit = try await begin(bench, "\(fake); echo begun; sleep 100")
      // Where a login shell looks first is not ours to say; a name in the workdir of the question is.
      try await bench.disturbMachine("PATH=$HOME:$PATH; export PATH")
      let sample = try #require(try await bench.fcrun("top", "inside", "--json").events.first)
      #expect(sample["gpus"].items.map { $0["index"].int } == [0, 1], "\(sample)")
      #expect(sample["gpus"][0]["use_percent"].int == 97 && sample["gpus"][0]["power_watts"].int == 612)
      #expect(sample["gpus"][1]["use_percent"].isNull && sample["gpus"][1]["memory_total_bytes"].int == 81559 << 20)
      let live = try bench.onTerminal(["top", "inside", "--count", "1"])
      #expect(try await live.end() == 0)
      #expect(
        live.text.contains("\u{1B}[31m###") && live.text.contains("64C 613W") || live.text.contains("64C 612W"),
        "\(live.text)")
      submit.signal(SIGINT)
      _ = try await submit.end()
    }
  }
}

/// A conversation over a plain socket in which we end our half first.
private enum Plain {
  static func exchange(port: Int, send text: String) throws -> String {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else { throw Unmet("nobody listens on \(port)") }
    _ = Array(text.utf8).withUnsafeBytes { write(socket, $0.baseAddress, $0.count) }
    shutdown(socket, Int32(SHUT_WR))
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(socket, &chunk, chunk.count, 0)
      guard count > 0 else { return String(decoding: all, as: UTF8.self) }
      all += chunk[..<count]
    }
  }
}
