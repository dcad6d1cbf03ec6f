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

/// A state of a job that is made long enough to be met.
struct LongState: Sendable, CustomTestStringConvertible {
  var word: String
  var knobs: [String] = []
  var bootTime = "0.3"
  var command = "echo begun; sleep 100"
  /// What the machine does not answer: a pattern of sh over the script that a step sends.
  var hangsAt: String?
  /// stderr says it when the state has come; nil: the command has written.
  var line: String?
  /// Knobs that are turned once stderr says `line`.
  var turns: String?
  /// After `line`, what the simulator must have been asked.
  var request: String?
  /// Knobs that are turned once the state is met: slow answers would use up the ten seconds of the proof.
  var eases: String?
  /// Seconds from the signal to DELETE; nil where no DELETE is to be seen after it.
  var deletesWithin: Double? = 1
  /// Somebody asks to cancel the job once it has written.
  var isCancelled = false
  /// The cloud refuses: 75, and the machine is named.
  var isRefused = false
  var testDescription: String { word }

  static let all = [
    // Between two attempts: nothing is rented, nothing is to be given back.
    LongState(
      word: "choosing", knobs: ["boot_error=1"], line: "giving back", turns: #"{"latency_seconds": 5}"#,
      deletesWithin: nil),
    // The id is known from the list only, after the POST was given a moment to answer.
    LongState(
      word: "creating", knobs: ["create_late=1", "create_late_seconds=20"], line: "asking for", request: "POST",
      deletesWithin: 2),
    // The machine is not in the list yet: it is deleted when it shows.
    LongState(
      word: "settling", knobs: ["create_reset=1", "list_lag_seconds=4"], line: "is not known", deletesWithin: 6),
    LongState(
      word: "pricing", knobs: ["latency_seconds=1.2"], line: "asking for", request: "offerings/",
      eases: #"{"latency_seconds": 0.1}"#),
    LongState(word: "booting", bootTime: "60", line: "waiting for it to boot"),
    // The pause that a 429 asks for is not the DELETE's.
    LongState(
      word: "booting", knobs: ["reads_limited=1", "retry_after=\"5\""], bootTime: "60", line: "waiting for it to boot"),
    LongState(word: "connecting", knobs: ["sshd_late_seconds=60"], line: "; connecting"),
    LongState(word: "uploading", hangsAt: "files cannot be written into", line: "uploading"),
    LongState(word: "launching", hangsAt: "supervisor did not start", line: "uploading"),
    LongState(word: "running"),
    LongState(
      word: "stopping", command: "trap '' TERM; echo begun; while :; do sleep 1; done", isCancelled: true),
    LongState(
      word: "collecting", command: "echo begun; echo kept > kept", hangsAt: "could not read the outputs",
      line: "fetching outputs"),
    LongState(
      word: "releasing", knobs: ["delete_refused=true"], command: "echo begun", line: "giving back",
      request: "DELETE", deletesWithin: nil, isRefused: true),
    LongState(
      word: "proving", knobs: ["delete_seconds=5"], command: "echo begun", line: "giving back", request: "DELETE",
      deletesWithin: nil),
  ]
}

extension Bench {
  /// Submits a job and waits until it is in the state.
  func submit(
    until state: LongState, by start: (Bench) throws -> ChildProcess = { try $0.start("submit", "job.json") }
  ) async throws -> ChildProcess {
    try write("payload", "content")
    try spec([
      "command": state.command, "files": ["payload"], "outputs": ["kept"],
      "retry": ["on": ["boot_failed"], "attempts": 3],
    ])
    let submit = try start(self)
    if let pattern = state.hangsAt {
      try await disturbMachine("case \"$SSH_ORIGINAL_COMMAND\" in *'\(pattern)'*) sleep 30 ;; esac")
    }
    guard let line = state.line else {
      try await eventually("the job has written", else: { submit.err }) {
        submit.stdout.isEmpty ? nil : true
      }
      if state.isCancelled { _ = try self.start("cancel", try await job()) }
      try await reaches([state.word])
      return submit
    }
    try await submit.says(line)
    if let knobs = state.turns { try cloud.turn(knobs) }
    try await reaches([state.word])
    if let request = state.request { try await asked(request) }
    if let eases = state.eases { try cloud.turn(eases) }
    return submit
  }

  private func asked(_ request: String) async throws {
    try await eventually("the simulator was asked \(request)") {
      try cloud.requests().contains { "\($0.method) \($0.path)".contains(request) } ? true : nil
    }
  }
}

/// Each state in which a machine may cost money, and each signal with which fcrun is ended.
@Suite(.enabled(if: Binaries.canBoot, "no sshd"))
struct SignalMatrixTests {
  /// Most of the time these jobs wait, but each has a cloud and a machine of its own.
  private static let places = Slots(4)

  private func onABench(_ state: LongState, _ body: (Bench) async throws -> Void) async throws {
    try await Self.places.occupied {
      try await Bench.run(state.knobs, bootTime: state.bootTime, load: .waiting, body)
    }
  }

  @Test(
    "In every state a signal sends DELETE at once and ends fcrun within ten seconds, with nothing left or 75",
    .faults(106), arguments: LongState.all, [SIGINT, SIGTERM, SIGHUP])
  func signalled(_ state: LongState, _ signal: Int32) async throws {
    try await onABench(state) { bench in
      let submit = try await bench.submit(until: state)
      let sent = Date()
      submit.signal(signal)
      let ended = try await submit.end(within: 15)
      #expect(Date().timeIntervalSince(sent) < 10)
      #expect(ended.code == (state.isRefused ? 75 : 128 + signal), "\(ended.err)")
      if let limit = state.deletesWithin { try checkDelete(bench, within: limit, of: sent) }
      try await checkNothingIsLeft(bench, state, ended)
    }
  }

  private func checkDelete(_ bench: Bench, within seconds: Double, of sent: Date) throws {
    let delete = try #require(try bench.cloud.requests().first { $0.method == "DELETE" })
    #expect(delete.time.timeIntervalSince(sent) < seconds)
  }

  private func checkNothingIsLeft(_ bench: Bench, _ state: LongState, _ ended: Ended) async throws {
    guard state.isRefused else {
      #expect(try bench.cloud.ledger().live == 0)
      return
    }
    for id in try bench.cloud.ledger().ids { #expect(ended.err.contains(id), "\(ended.err)") }
    try bench.cloud.turn(#"{"delete_refused": false}"#)
    let resumed = try await bench.fcrun("resume", "--all")
    #expect(resumed.code == 0 || resumed.code == 125, "\(resumed.err)")
    #expect(try bench.cloud.ledger().live == 0)
  }

  // MARK: What CI systems do

  static let cancelled = LongState.all.filter { ["creating", "booting", "running", "releasing"].contains($0.word) }

  @Test(
    "A CI system's cancellation of the step of docs/ci.md leaves a machine that is gone or reported", .faults(106),
    arguments: CISystem.all, cancelled)
  func cancelledByCI(_ system: CISystem, _ state: LongState) async throws {
    try await onABench(state) { bench in
      let step = try await bench.submit(until: state, by: system.start)
      let start = ContinuousClock.now
      try await system.cancel(step)
      let ended = try await step.end()
      #expect(ContinuousClock.now - start < .seconds(12))
      let live = try bench.cloud.ledger().live
      #expect(state.isRefused || live == 0)
      let job = try await bench.job()
      #expect(live == 0 || ended.err.contains("fcrun resume \(job)"), "\(ended.err)")
      let isTold = state.isRefused && system.becomesFcrun
      #expect(ended.code == (isTold ? 75 : 128 + system.signals[0].signal), "\(ended.err)")
    }
  }
}
