import Foundation
import TestSupport
import Testing

/// What is said of money, against the simulator's ledger.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct CostTests {
  private func dollars(_ text: String?) -> Double { Double(text ?? "") ?? -1 }

  @Test("The cost of all attempts is the ledger's, one that never came up and a machine that is kept included")
  func ledger() async throws {
    try await Bench.run(["boot_error=1"], bootTime: "1") { bench in
      let spec = try bench.spec([
        "command": "sleep 1", "teardown": "never", "resources": ["gpu_type": ["A100", "H100"], "num_gpus": 8],
      ])
      let submit = try await bench.fcrun("submit", spec)
      #expect(submit.code == 0, "\(submit.err)")
      let job = try await bench.show()
      let (failed, kept) = (dollars(job["past_attempts"][0]["cost"].text), dollars(job["cost"].text))
      #expect(failed > 0 && kept > failed, "\(job)")
      try await Task.sleep(for: .seconds(1))
      #expect(dollars(try await bench.show()["cost"].text) > kept, "a kept machine goes on costing")
      try await bench.fcrun("cancel", try await bench.job())
      let ledger = try bench.cloud.ledger()
      let prices = ledger.instances.map { dollars($0["hourly_price"].text) }.reduce(0, +)
      let spent = dollars(ledger.tree["total_cost"].text)
      let told = dollars(try await bench.show()["cost"].text)
      #expect(abs(told - spent) <= prices * 5 / 3600, "\(told) is told, \(ledger.text)")
      for axis in ["job", "gpu", "day"] {
        let report = try await bench.fcrun("cost", "--by", axis, "--since", "1d", "--json").json
        #expect(dollars(report["total"].text) == told, "\(report)")
        #expect(report["data"].items.count >= 1 && report["version"].int == 1, "\(report)")
      }
      let (table, id) = (try await bench.fcrun("cost"), try await bench.job())
      #expect(table.out.contains("GPU-HOURS") && table.out.contains(id), "\(table.out)")
      #expect(try await bench.fcrun("cost", "--since", "2199-01-01", "--json").json["total"].text == "0.0000")
      #expect(try await bench.fcrun("cost", "--since", "yesterday").code == 64)
    }
  }
}
