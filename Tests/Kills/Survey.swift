import Foundation
import TestSupport

extension Terrain {
  /// Measures two runs without a fault: what there is to cut, and what there is to kill.
  ///
  /// - Throws: ``Unmet`` when such a run does not end as it should.
  package static func survey() async throws -> Terrain {
    async let sizes = measured()
    async let sites = Tracing.isAllowed ? traced() : []
    var terrain = try await sizes
    terrain.sites = try await sites
    terrain.hasFailpoints = hasFailpoints(Binaries.fcrun)
    return terrain
  }

  private static func measured() async throws -> Terrain {
    var terrain = Terrain()
    try await Bench.run(bootTime: "0.1", load: .waiting) { bench in
      let machine = try Relay(to: nil, .inOrder([]))
      let api = try Relay(to: bench.cloud.port, .firstPost(nil), ssh: machine)
      defer { for relay in [machine, api] { relay.stop() } }
      let spec = try Errand(counter: bench.counter).prepare(bench)
      let env = Errand.environment.merging(["FORWARD_COMPUTE_BASE_URL": "http://127.0.0.1:\(api.port)"]) { $1 }
      let ended = try await bench.start("submit", spec, env: env).end()
      guard ended.code == Errand.code, let post = api.traffic.first(where: \.isPost), let ssh = machine.traffic.first
      else { throw Unmet("a job without a fault ended with \(ended.code): \(ended.err)") }
      terrain.post = (post.there, post.back)
      terrain.ssh = (ssh.there, ssh.back)
      terrain.seconds = ended.seconds
    }
    return terrain
  }

  private static func traced() async throws -> [Site] {
    var sites: [Site] = []
    try await Bench.run(bootTime: "0.1", load: .waiting) { bench in
      let tracing = Tracing(bench)
      let calls = "trace=" + Site.calls.joined(separator: ",")
      let spec = try Errand(counter: bench.counter).prepare(bench)
      let ended = try await tracing.traced(
        ["submit", spec], ["-e", calls], Errand.environment, program: try tracing.besideTracedWorker(calls)
      ).end()
      guard ended.code == Errand.code else { throw Unmet("a traced job ended with \(ended.code): \(ended.err)") }
      sites = tracing.sites(of: .fcrun) + tracing.sites(of: .worker)
    }
    return sites
  }

  /// Only debug builds know the word.
  private static func hasFailpoints(_ program: String) -> Bool {
    guard let bytes = try? Data(contentsOf: URL(filePath: program), options: .alwaysMapped) else { return false }
    return bytes.range(of: Data("FCRUN_FAILPOINT".utf8)) != nil
  }
}
