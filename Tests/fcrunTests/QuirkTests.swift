import Foundation
import TestSupport
import Testing

/// What a cloud does that its document does not say, each with the end that a user would want.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct QuirkTests {
  /// A knob or several, and what must come out of a job that would succeed on a friendly cloud.
  struct Quirk: Sendable, CustomTestStringConvertible {
    var name: String
    var knobs: [String]
    var code: Int32 = 0
    /// What stderr says.
    var says: [String] = []
    /// How often the command runs.
    var runs = 1
    /// How many instances the cloud makes in all; nil: any number.
    var made: Int?
    var limits = ["max_duration": "10m"]
    var retry: [String: any Sendable] = [:]
    var testDescription: String { name }
  }

  static let booting = [
    Quirk(name: "the address comes late", knobs: ["ip_late_seconds=1"], made: 1),
    Quirk(name: "sshd comes late", knobs: ["sshd_late_seconds=1.5"], made: 1),
    Quirk(name: "the key is installed late", knobs: ["key_late_seconds=1"], made: 1),
    Quirk(name: "the status is unknown while it boots", knobs: ["unknown_status=true"], made: 1),
    Quirk(name: "the first boot ends in error, the next offering serves", knobs: ["boot_error=1"], made: 2),
    Quirk(
      name: "every boot ends in error", knobs: ["boot_error=true"], code: 69, says: ["error"], runs: 0, made: 3),
    Quirk(
      name: "a boot never ends", knobs: ["boot_stuck=true"], code: 69, says: ["boot"], runs: 0, made: 1,
      limits: ["boot_timeout": "2s", "max_duration": "10m"], retry: ["attempts": 1, "on": ["boot_failed"]]),
    Quirk(
      name: "one boot never ends, the next offering serves", knobs: ["boot_stuck=1"], made: 2,
      limits: ["boot_timeout": "3s", "max_duration": "10m"]),
    Quirk(name: "the status flaps back to creating", knobs: ["flap=true", "flap_seconds=0.2"], made: 1),
    Quirk(name: "GET without refresh is old", knobs: ["cache_lag_seconds=10"], made: 1),
    Quirk(name: "GET knows a new instance late", knobs: ["new_not_found_seconds=1"], made: 1),
    Quirk(name: "ssh_user is left out", knobs: ["ssh_user_absent=true"], made: 1),
    Quirk(
      name: "optionals are null and fields unknown", knobs: ["nulls_for_absent=true", "unknown_fields=true"], made: 1),
  ]

  static let creating = [
    Quirk(name: "the first offering is out of capacity", knobs: ["out_of_capacity=1"], made: 1),
    Quirk(
      name: "everything is out of capacity", knobs: ["out_of_capacity=true"], code: 69, says: ["capacity"], runs: 0,
      made: 0,
      retry: ["attempts": 2, "on": ["no_capacity"]]),
    Quirk(
      name: "the balance is too low", knobs: ["insufficient_balance=true"], code: 77, says: ["balance"], runs: 0,
      made: 0),
    Quirk(name: "POST answers only an id", knobs: ["create_answer=id"], made: 1),
    Quirk(name: "POST is executed and the connection reset", knobs: ["create_reset=1"], made: 1),
    Quirk(name: "POST is executed and answered late", knobs: ["create_late=1", "create_late_seconds=2"], made: 1),
    Quirk(name: "POST is executed and answered 500", knobs: ["create_fails=1"], made: 1),
    Quirk(
      name: "POST is executed and answered provider_error",
      knobs: ["create_fails=1", "create_fails_status=400", "create_fails_type=provider_error"], made: 1),
    Quirk(name: "POST is executed and its answer cut", knobs: ["create_cut=1"], made: 1),
    Quirk(name: "POST is executed and answered without an id", knobs: ["create_without_id=1"], made: 1),
    Quirk(
      name: "POST is executed later than its connection was reset",
      knobs: ["create_queued=1", "create_queued_seconds=2"], made: 1),
    Quirk(name: "one POST makes two instances", knobs: ["create_twice=1", "create_reset=1"], made: 2),
    Quirk(name: "one POST makes two and answers with one of them", knobs: ["create_twice=1"], made: 2),
    Quirk(name: "a lost answer, and a list that lags", knobs: ["create_reset=1", "list_lag_seconds=3"], made: 1),
    Quirk(name: "POST is answered 429 first", knobs: ["creates_limited=2"], made: 1),
    Quirk(
      name: "the price rises above the cap at POST", knobs: ["price_change=true"], code: 69, says: ["price"], runs: 0,
      made: 1),
  ]

  static let reading = [
    Quirk(name: "reads are answered 429", knobs: ["reads_limited=4"], made: 1),
    Quirk(name: "reads are answered 503 now and then", knobs: ["reads_fail=40%"], made: 1),
    Quirk(name: "reads are reset now and then", knobs: ["reads_reset=30%"], made: 1),
    Quirk(name: "reads are cut now and then", knobs: ["reads_cut=30%"], made: 1),
    Quirk(name: "errors are pages of HTML", knobs: ["reads_fail=30%", "html_errors=true"], made: 1),
    Quirk(name: "the list forgets machines", knobs: ["list_drops=50%", "create_reset=1"], made: 1),
    Quirk(name: "the list is unreadable now and then", knobs: ["list_unreadable=2", "create_reset=1"], made: 1),
  ]

  static let deleting = [
    Quirk(name: "DELETE is refused twice", knobs: ["delete_refused=2"], made: 1),
    Quirk(name: "DELETE is answered 429", knobs: ["deletes_limited=2"], made: 1),
    Quirk(name: "DELETE takes long", knobs: ["delete_seconds=3"], made: 1),
    Quirk(name: "DELETE is executed and reset", knobs: ["delete_reset=1"], made: 1),
    Quirk(name: "DELETE is executed and answered 503", knobs: ["delete_fails=1"], made: 1),
    Quirk(name: "DELETE is lost", knobs: ["deletes_lost=2"], made: 1),
    Quirk(name: "DELETE is answered 204", knobs: ["delete_status=204"], made: 1),
    Quirk(name: "a deleted instance is 404 at once", knobs: ["deleted_visible_seconds=0"], made: 1),
    Quirk(name: "deleted instances stay in the list", knobs: ["deleted_in_list=true"], made: 1),
  ]

  static let living = [
    Quirk(
      name: "the instance is pre-empted", knobs: ["preempt=true", "preempt_seconds=2.5"], code: 76,
      says: ["machine is gone"], made: 1),
    Quirk(
      name: "the instance is pre-empted and 404",
      knobs: ["preempt=true", "preempt_seconds=2.5", "preempt_status=gone"],
      code: 76, made: 1),
    Quirk(
      name: "the instance goes to error while it runs", knobs: ["active_error=true", "active_error_seconds=2.5"],
      code: 76,
      made: 1),
    Quirk(
      name: "pre-empted once, with retry on preempted", knobs: ["preempt=1", "preempt_seconds=2.5"], runs: 2, made: 2,
      retry: ["attempts": 2, "on": ["preempted"]]),
    Quirk(name: "the balance runs out while it runs", knobs: ["balance=\"0.00018\""], code: 76, made: 1),
    Quirk(
      name: "the machine reboots", knobs: ["restart=true", "restart_seconds=2.5"], code: 76, says: ["dead"], made: 1),
    Quirk(
      name: "the host key changes", knobs: ["change_host_key=true", "change_host_key_seconds=2.5"], code: 125,
      says: ["host key"], made: 1),
    Quirk(name: "the address moves", knobs: ["move_address=true", "move_address_seconds=2"], made: 1),
  ]

  @Test("A boot that is not as documented", .faults(26, 27, 28, 33, 53, 54, 55, 56, 59, 63, 64), arguments: booting)
  func boots(_ quirk: Quirk) async throws { try await check(quirk) }

  @Test("A POST that is not as documented", .faults(17, 19, 20, 21, 22, 23, 29, 40, 41, 49, 53), arguments: creating)
  func creates(_ quirk: Quirk) async throws { try await check(quirk) }

  @Test("Reads that are not as documented", .faults(20, 23, 27, 30, 31), arguments: reading)
  func reads(_ quirk: Quirk) async throws { try await check(quirk) }

  @Test("A DELETE that is not as documented", .faults(23, 34, 35), arguments: deleting)
  func deletes(_ quirk: Quirk) async throws { try await check(quirk) }

  /// The command goes on for six seconds unless it is the second attempt.
  @Test("A machine that is taken from a running job", .faults(42, 50, 55, 57, 60, 65, 91), arguments: living)
  func lives(_ quirk: Quirk) async throws {
    try await check(quirk, command: "[ $FCRUN_ATTEMPT -gt 1 ] || sleep 6\necho end >&2", outputs: ["done"])
  }

  private func check(_ quirk: Quirk, command: String = ":", outputs: [String] = ["done"]) async throws {
    try await Bench.run(quirk.knobs) { bench in
      var fields: [String: Any] = [
        "resources": ["max_hourly_price": quirk.name.contains("price") ? "0.3" : "30.00"], "limits": quirk.limits,
        "command": "echo run >> '\(bench.counter)'\necho begun\n\(command)\necho done > done", "outputs": outputs,
      ]
      if !quirk.retry.isEmpty { fields["retry"] = quirk.retry }
      let ended = try await bench.fcrun("submit", try bench.spec(fields), within: 100)
      #expect(ended.code == quirk.code, "\(ended.err)")
      for words in quirk.says { #expect(ended.err.lowercased().contains(words), "\(ended.err)") }
      #expect(bench.runs == quirk.runs)
      if quirk.code == 0 { #expect(bench.text("done") == "done\n") }
      try await checkGone(bench, quirk)
    }
  }

  private func checkGone(_ bench: Bench, _ quirk: Quirk) async throws {
    let ledger = try bench.cloud.ledger()
    #expect(ledger.live == 0, "\(ledger.instances)")
    #expect(ledger.posts.allSatisfy { $0 == 1 }, "one POST for each name")
    if let made = quirk.made { #expect(ledger.instances.count == made) }
    for id in ledger.ids { #expect(Processes.on(instance: id).isEmpty) }
    #expect(try await bench.show()["exit_code"].int == Int(quirk.code))
  }
}
