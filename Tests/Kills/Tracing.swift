import Foundation
import TestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Starts fcrun so that a blow meets it, or its SSH worker, where the plan says.
package struct Tracing: Sendable {
  static let strace = "/usr/bin/strace"

  private let bench: Bench

  init(_ bench: Bench) { self.bench = bench }

  /// Whether strace(1) is there and may do its work. Says so loudly where not.
  package static let isAllowed: Bool = {
    let null = try? ChildProcess(
      strace, ["-f", "-o", "/dev/null", "-e", "inject=write:signal=SIGKILL:when=1", "/bin/echo", "x"], environment: [:],
      folder: "/", stem: NSTemporaryDirectory() + "/fcrun-strace-\(getpid())")
    for _ in 0..<1000 where null?.isRunning == true { usleep(5_000) }
    let works = null?.code == 128 + SIGKILL
    for end in ["out", "err"] { unlink(NSTemporaryDirectory() + "/fcrun-strace-\(getpid()).\(end)") }
    if !works {
      FileHandle.standardError.write(
        Data("SKIPPED: no kill and no error at a system call: strace is missing or ptrace(2) is not allowed\n".utf8))
    }
    return works
  }()

  func start(_ arguments: [String], _ blow: Blow?, env: [String: String]) throws -> ChildProcess {
    switch blow {
    case nil, .time: return try bench.start(arguments, env: env)
    case .failpoint(let place): return try bench.start(arguments, env: env.merging(["FCRUN_FAILPOINT": place]) { $1 })
    case .kill(let site): return try start(arguments, site, "signal=SIGKILL", env)
    case .fail(let site, let error): return try start(arguments, site, "error=\(error)", env)
    }
  }

  func hasStruck(_ blow: Blow, _ ended: Ended) -> Bool {
    switch blow {
    case .failpoint, .time: return ended.code == 128 + SIGKILL
    case .kill(let site), .fail(let site, _):
      let text = String(decoding: FileManager.default.contents(atPath: trace(site.program)) ?? Data(), as: UTF8.self)
      return text.contains("(INJECTED)") || text.contains("killed by SIGKILL")
    }
  }

  private func start(
    _ arguments: [String], _ site: Site, _ what: String, _ env: [String: String]
  ) throws -> ChildProcess {
    let inject = "inject=\(site.call):\(what):when=\(site.nth)"
    switch site.program {
    case .fcrun: return try traced(arguments, ["-e", "trace=\(site.call)", "-e", inject], env)
    case .worker: return try withTracedWorker(arguments, "trace=\(site.call) \(inject)", env)
    }
  }

  /// fcrun alone: its children are let go when they become another program.
  func traced(
    _ arguments: [String], _ options: [String], _ env: [String: String], program: String = Binaries.fcrun
  ) throws -> ChildProcess {
    try bench.start(
      program: Self.strace, ["-f", "-b", "execve", "-o", trace(.fcrun)] + options + [program] + arguments, env: env)
  }

  /// fcrun as it is, beside a worker that is traced the first time it is started; those that come after it are let be,
  /// or no connection would ever live longer.
  func withTracedWorker(_ arguments: [String], _ options: String, _ env: [String: String]) throws -> ChildProcess {
    try bench.start(program: try besideTracedWorker(options), arguments, env: env)
  }

  /// fcrun once more, beside such a worker.
  func besideTracedWorker(_ options: String) throws -> String {
    let folder = bench.folder + "/bin"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let fcrun = folder + "/fcrun"
    if link(Binaries.fcrun, fcrun) != 0, errno != EEXIST {
      try FileManager.default.copyItem(atPath: Binaries.fcrun, toPath: fcrun)
    }
    let script = """
      #!/bin/sh
      if /bin/mv ../inject ../injected 2>/dev/null; then
        read -r trace inject < ../injected
        exec \(Self.strace) -f -o '\(trace(.worker))' -e "$trace" -e "${inject:-$trace}" '\(Binaries.worker)'
      fi
      exec '\(Binaries.worker)'
      """
    try Data(script.utf8).write(to: URL(filePath: folder + "/fcrun-ssh"))
    chmod(folder + "/fcrun-ssh", 0o755)
    try Data("\(options)\n".utf8).write(to: URL(filePath: bench.folder + "/inject"))
    return fcrun
  }

  func trace(_ program: Site.Program) -> String { "\(bench.folder)/trace-\(program.rawValue)" }
}

// MARK: - Where there is something to kill

extension Tracing {
  /// The sites of a program, from a trace of it: see ``Site``.
  func sites(of program: Site.Program) -> [Site] {
    let text = String(decoding: FileManager.default.contents(atPath: trace(program)) ?? Data(), as: UTF8.self)
    var counts: [Substring: [String: Int]] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
      guard words.count == 2, let bracket = words[1].drop(while: { $0 == " " }).firstIndex(of: "(") else { continue }
      let call = words[1][..<bracket].trimmingCharacters(in: .whitespaces)
      guard Site.calls.contains(call) else { continue }
      counts[words[0], default: [:]][call, default: 0] += 1
    }
    return Site.calls.flatMap { call in
      let most = counts.values.compactMap { $0[call] }.max() ?? 0
      return (0..<most).map { Site(program: program, call: call, nth: $0 + 1) }
    }
  }
}
