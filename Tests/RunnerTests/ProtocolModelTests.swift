import Jobs
import ProtocolModel
import TestSupport
import Testing

/// The create and delete protocols, every interleaving of them, with the shipping reducer as the client.
@Suite struct ProtocolModelTests {
  @Test(
    "Two attempts, two crashes, a user who stops it: more than a million situations, and nothing is ever left behind",
    .faults(2, 3, 4, 12, 13, 17, 18, 29, 33, 36, 38, 50, 54, 96))
  func everyInterleavingOfTwoAttempts() {
    let findings = explore(.shipping, Bounds(attempts: 2, executesTwice: false))
    #expect(findings.situations >= 1_000_000)
  }

  @Test(
    "A cloud that is as good as is assumed, or worse: one machine under a name, and what comes late is under watch",
    .faults(19, 22, 49),
    arguments: [
      // A POST that is executed twice: the second machine is given back by the driver, or by whoever watches the name.
      Bounds(delay: 1, lag: 0, crashes: 1, isInterrupted: false),
      // Executed after the settle window has passed, and shown later still.
      Bounds(delay: 5, lag: 2, executesTwice: false),
      // A machine was made and the answer says that it was not.
      Bounds(executesTwice: false, refusesFalsely: true),
      // Two machines, created all or none.
      Bounds(nodes: 2, delay: 1, crashes: 0, executesTwice: false, isInterrupted: false),
    ])
  func otherWorlds(bounds: Bounds) {
    explore(.shipping, bounds)
  }

  @Test("A watch that is longer than a POST may be late and lists may lag is long enough", .faults(19))
  func theWatchNeedsNoMoreThanItsReason() {
    let bounds = Bounds(delay: 4, lag: 1, executesTwice: false)
    explore(Client("watches 120 s", watch: Bounds.tick * (bounds.delay + bounds.lag + 1)), bounds)
  }

  @Test(
    "Each thought that is taken out of the protocol shows in a trace", .faults(3, 17, 18, 31, 33, 38),
    arguments: Broken.all)
  func theModelHasTeeth(broken: Broken) throws {
    var exploration = Exploration(broken.client, broken.bounds)
    let findings = exploration.run(untilViolated: true, limit: 1_000_000)
    let violation = try #require(findings.violations.first, "\(broken.client.name) was not caught")
    print("\(broken.client.name): \(violation.what)\n  " + violation.trace.joined(separator: "\n  "))
    #expect(violation.what.contains(broken.symptom))
    #expect(violation.trace.count == broken.steps + 1, "a shorter way is known, or a longer one is needed now")
  }

  @Test("Every broken client is tried") func noneIsForgotten() {
    #expect(Set(Broken.all.map(\.client.name)) == Set(Client.broken.map(\.name)))
  }

  @discardableResult
  private func explore(_ client: Client, _ bounds: Bounds) -> Exploration.Findings {
    var exploration = Exploration(client, bounds)
    let findings = exploration.run()
    for violation in findings.violations {
      Issue.record("\(violation.what)\n  \(violation.trace.joined(separator: "\n  "))")
    }
    #expect(findings.isComplete && findings.clean > 0)
    print(
      "\(client.name), \(bounds): \(findings.situations) situations, \(findings.steps) steps, depth \(findings.depth)")
    return findings
  }
}

/// A client that must be caught, by what, and in how few steps.
struct Broken: Sendable, CustomTestStringConvertible {
  var client: Client
  var symptom: String
  var steps: Int
  var bounds = Bounds(executesTwice: false)

  var testDescription: String { client.name }

  static let all = [
    Broken(client: .recordsLate, symptom: "may still come", steps: 5),
    Broken(client: .retriesBlindly, symptom: "posted twice", steps: 4),
    Broken(client: .forgetsItsPast, symptom: "posted twice", steps: 5),
    Broken(client: .looksOnce, symptom: "posted twice", steps: 5),
    Broken(client: .takesSilenceForAbsence, symptom: "may still come", steps: 9),
    Broken(client: .countsFromTheIntent, symptom: "may still come", steps: 8),
    Broken(client: .believesDelete, symptom: "a machine it knew lives", steps: 5),
    Broken(client: .believesNotFound, symptom: "a machine it knew lives", steps: 10),
    Broken(client: .givesUp, symptom: "may still come", steps: 4),
    Broken(
      client: .watchesNothing, symptom: "nobody watches", steps: 9, bounds: Bounds(delay: 5, executesTwice: false)),
    Broken(
      client: .watchesBriefly, symptom: "nobody watches", steps: 12, bounds: Bounds(delay: 5, executesTwice: false)),
  ]
}
