import Foundation
import TestSupport

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Whole jobs and whole commands against `fcrun sim`, whose machines take a third of a second to boot.
struct CloudJobs {
  let folder: String
  let sizes: Sizes

  /// Seconds.
  static let boot = 0.3
  private var state: String { folder + "/state" }

  // MARK: The cloud

  /// `fcrun sim` while `body` runs.
  func withCloud<Result>(_ body: ([String: String]) throws -> Result) throws -> Result {
    let words = [
      "sim", "--state", folder + "/cloud", "--boot-time", "\(Self.boot)", "--seed", "7", "--idle-exit", "900",
    ]
    let cloud = try Program([Binaries.fcrun] + words, environment: ["HOME": folder], stdin: "/dev/null", stdout: nil)
    defer {
      kill(cloud.pid, SIGTERM)
      _ = try? cloud.end()
    }
    var environment = ["HOME": folder, "FCRUN_HOME": state]
    var text = ""
    while !text.contains("FCRUN_SSH_KEY=") || !text.hasSuffix("\n") {
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(cloud.output, &buffer, buffer.count)
      guard count > 0 else { throw Unmet("fcrun sim ended") }
      text += String(decoding: buffer[..<count], as: UTF8.self)
    }
    for line in text.split(separator: "\n") {
      let halves = line.replacing("export ", with: "").split(separator: "=", maxSplits: 1)
      if halves.count == 2 { environment[String(halves[0])] = halves[1].trimmingCharacters(in: ["'"]) }
    }
    return try body(environment)
  }

  func write(_ name: String, _ text: String) throws -> String {
    let path = folder + "/" + name
    try Data(text.utf8).write(to: URL(filePath: path))
    return path
  }

  // MARK: Many jobs

  func figures() throws -> [Figure] { try help() + plan() + many() + list() }

  private func help() throws -> [Figure] {
    let times = try (0..<20).map { _ in try Program.run([Binaries.fcrun, "--help"]).seconds * 1000 }
    return [Figure(work: "fcrun --help", link: "", value: median(times), unit: "ms", goal: 15)]
  }

  private func plan() throws -> [Figure] {
    let job = try write(
      "plan.json",
      #"{"resources": {"gpu_type": ["A100", "H100"], "num_gpus": 1}, "command": "true", "limits": {"max_duration": "1h"}}"#
    )
    let list = try withCloud { try Self.get("/v1/spot/compute/offerings", $0) }
    let server = try OfferingsServer(multiplying: list, to: sizes.offerings)
    let environment = [
      "HOME": folder, "FCRUN_HOME": state, "FORWARD_COMPUTE_BASE_URL": "http://127.0.0.1:\(server.port)",
      "FORWARD_COMPUTE_API_KEY": "none",
    ]
    let times = try (0..<10).map { _ in
      try Program.run([Binaries.fcrun, "plan", job], environment: environment).seconds * 1000
    }
    return [
      Figure(
        work: "fcrun plan over \(sizes.offerings) offerings", link: "", value: median(times), unit: "ms", goal: 150)
    ]
  }

  static func get(_ path: String, _ environment: [String: String]) throws -> Data {
    let url = (environment["FORWARD_COMPUTE_BASE_URL"] ?? "") + path
    let file = NSTemporaryDirectory() + "/fcrun-bench-answer-\(getpid())"
    defer { unlink(file) }
    let key = environment["FORWARD_COMPUTE_API_KEY"] ?? ""
    try Program.run(["/usr/bin/curl", "-sSf", "-H", "Authorization: Bearer \(key)", url], stdout: file)
    return try Data(contentsOf: URL(filePath: file))
  }

  /// A job whose command prints without end: its log is on the disk, not in memory, and whole.
  func flood() throws -> [Figure] {
    let output = "yes 'a line as long as lines of logs are' | head -c \(sizes.floodMegabytes)000000"
    let job = try write(
      "flood.json",
      #"{"resources": {"max_hourly_price": "30.00"}, "command": "\#(output)", "limits": {"max_duration": "1h"}}"#)
    return try withCloud { environment in
      let submit = try Program(
        [Binaries.fcrun, "submit", job, "--yes", "--json"], environment: environment, stdin: "/dev/null",
        stdout: "/dev/null")
      let both = PeakMemory(of: submit.pid, "Rss")
      let worker = PeakMemory(of: submit.pid, "Rss", isOfChildren: true)
      try submit.end()
      let (all, own) = (both.stop(), worker.stop())
      try Program.shell(
        "log=$(find '\(state)' -path '*/node-0/stdout.log' -size +1000000c); \(output) | cmp - \"$log\"; rm \"$log\"")
      let name = "\(sizes.floodMegabytes) MB of log in a flood"
      return [
        Figure(
          work: "memory (RSS) of fcrun and its worker, \(name)", link: "", value: Double(all) / 1024, unit: "MiB",
          goal: 64),
        Figure(
          work: "memory (RSS) of the worker alone, \(name)", link: "", value: Double(own) / 1024, unit: "MiB", goal: 32),
      ]
    }
  }

  private func many() throws -> [Figure] {
    let job = try write(
      "many.json",
      #"{"resources": {"max_hourly_price": "30.00"}, "command": "sleep 5", "limits": {"max_duration": "10m"}}"#)
    return try withCloud { environment in
      let count = sizes.jobs
      let submit = try Program(
        [Binaries.fcrun, "submit", job, "--yes", "--array", "0-\(count - 1)%\(count)"], environment: environment,
        stdin: "/dev/null", stdout: "/dev/null")
      let peak = PeakMemory(of: submit.pid, "Pss")
      let usage = try submit.end()
      let name = "\(count) jobs at once from one fcrun"
      return [
        Figure(work: name, link: "", value: usage.seconds, unit: "s", goal: nil),
        Figure(work: name + ", CPU of each", link: "", value: usage.cpu * 1000 / Double(count), unit: "ms", goal: nil),
        Figure(
          work: name + ", memory (PSS) of each, its worker included", link: "",
          value: Double(peak.stop()) / 1024 / Double(count), unit: "MiB", goal: 10),
      ]
    }
  }

  /// As many finished jobs as nobody has, made of one.
  private func list() throws -> [Figure] {
    guard access("/usr/bin/sqlite3", X_OK) == 0 else { return [] }
    try Program.shell(
      """
      cd '\(state)'; db=$(ls *.db *.sqlite 2>/dev/null | head -n 1)
      id=$(sqlite3 "$db" 'SELECT id FROM jobs LIMIT 1')
      sqlite3 "$db" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(sizes.finished))
        INSERT INTO jobs (id, name, phase, epoch, created_at, updated_at, context, arrangement, state)
        SELECT printf('zz%014d', i), name, phase, epoch, created_at - i, updated_at - i, context, arrangement, state FROM jobs, n WHERE id = '$id'"
      """)
    let times = try (0..<10).map { _ in
      try Program.run([Binaries.fcrun, "ps"], environment: ["HOME": folder, "FCRUN_HOME": state]).seconds * 1000
    }
    return [
      Figure(
        work: "fcrun ps over \(sizes.finished) finished jobs", link: "", value: median(times), unit: "ms", goal: 50)
    ]
  }
}

/// The largest sum of the memory of a process and its children, in KiB, looked at ten times a second.
private final class PeakMemory: @unchecked Sendable {
  // Safe: `peak` and `isOver` are used under `lock`.
  private let lock = NSLock()
  private var peak = 0
  private var isOver = false

  /// - Parameters:
  ///   - kind: as smaps_rollup names it (proc_pid_smaps(5)).
  ///   - isOfChildren: without the process itself.
  init(of pid: pid_t, _ kind: String, isOfChildren: Bool = false) {
    Thread.detachNewThread { [self] in
      while !lock.withLock({ isOver }) {
        let now = Self.sum(kind, pid) - (isOfChildren ? Self.size(kind, pid) : 0)
        lock.withLock { peak = max(peak, now) }
        usleep(100_000)
      }
    }
  }

  func stop() -> Int {
    lock.withLock {
      isOver = true
      return peak
    }
  }

  private static func sum(_ kind: String, _ parent: pid_t) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(parent)/task/\(parent)/children", encoding: .utf8)) ?? ""
    var tasks = Set(text.split(separator: " ").compactMap { pid_t($0) })
    for task in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(parent)/task")) ?? [] {
      let more = (try? String(contentsOfFile: "/proc/\(parent)/task/\(task)/children", encoding: .utf8)) ?? ""
      tasks.formUnion(more.split(separator: " ").compactMap { pid_t($0) })
    }
    return ([parent] + tasks).reduce(0) { $0 + size(kind, $1) }
  }

  private static func size(_ kind: String, _ pid: pid_t) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix(kind + ":") }
    return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
  }
}

/// Answers every GET with one long list of offerings.
private final class OfferingsServer {
  let port: Int

  init(multiplying list: Data, to count: Int) throws {
    guard let object = try JSONSerialization.jsonObject(with: list) as? [String: Any],
      let key = object.first(where: { $0.value is [[String: Any]] })?.key, let few = object[key] as? [[String: Any]]
    else { throw Unmet("the offerings are no list") }
    var many = object
    many[key] = (0..<count).map { index in
      few[index % few.count].merging(["id": "offering_\(index)"]) { $1 }
    }
    let body = try JSONSerialization.data(withJSONObject: many)
    let head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n"
    let answer = Array(head.utf8) + Array(body)
    port = try Loopback.serve { connection in
      var request = [UInt8](repeating: 0, count: 65_536)
      _ = recv(connection, &request, request.count, 0)
      var rest = answer[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { systemWrite(connection, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
      }
    }
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}
