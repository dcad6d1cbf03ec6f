import Dispatch
import ForwardCompute
import Jobs
import Remote
import Runner
import Store
import Synchronization

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Who tells what happens to a job, and how it ended.
protocol Voice: Narrator {
  func say(_ text: String)
  func finish(_ verdict: Verdict, at now: Moment, within patience: Duration?) async
}

/// Tells a person on stderr, or a program on stdout, what happens to a job.
final class Console: Voice {
  enum Form: Sendable {
    /// Sentences on stderr; the job's output goes where it belongs.
    case text
    /// NDJSON events on stdout, the job's output among them.
    case json
    /// Sentences on stderr, without the job's output.
    case told
    /// NDJSON events on stdout, without the job's output.
    case events
    /// Only warnings.
    case quiet
  }

  private let form: Form
  /// What a line begins with, where many jobs are told of.
  private let prefix: String
  private let printer: LogPrinter
  /// A reader of stderr that does not read must not hold up the driver: a machine costs money meanwhile.
  private let voice = DispatchQueue(label: "console")
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let progressLine = Mutex(ProgressLine())
  /// Is told what a process that leaves now would leave behind.
  private let parting: @Sendable (Parting) -> Void

  /// - Parameters:
  ///   - printer: goes on where it stopped, instead of a new one.
  ///   - task: what each line begins with.
  init(
    _ form: Form, folder: String, of task: String? = nil, printer: LogPrinter? = nil,
    parting: @escaping @Sendable (Parting) -> Void = { _ in }
  ) {
    self.form = form
    prefix = task.map { "\($0): " } ?? ""
    self.parting = parting
    self.printer = printer ?? Self.printer(form, folder)
  }

  /// What prints a job's output in this form.
  static func printer(_ form: Form, _ folder: String, fromStart: Bool = false) -> LogPrinter {
    let sink: LogPrinter.Sink =
      switch form {
      case .text: .descriptors
      case .told, .events, .quiet: .nowhere
      case .json: .lines { file, bytes in Console.emit(Self.event(output: bytes, of: file)) }
      }
    return LogPrinter(folder: folder, to: sink, fromStart: fromStart)
  }

  func tell(_ notice: Notice) {
    switch notice {
    case .logGrew(_, let attempt, let node, let growth):
      printer.grew(LogPrinter.LogFile(attempt: attempt, node: node, stream: growth.stream))
    case .moved(let record, let event, let now):
      parting(.middle(record))
      moved(record, event, now)
    case .note(let job, let text): note(text, job)
    case .booting(_, let age, let offering): show { $0.booting(age, offering) }
    case .warning(let job, let text): warn(text, job)
    case .progress(_, let verb, _, let progress): show { $0.text(progress, verb) }
    }
  }

  /// Says how it ended, after everything that the job wrote, and hands all of it to the readers.
  ///
  /// - Parameter patience: how long a reader is waited for that does not read; nil: for ever.
  func finish(_ verdict: Verdict, at now: Moment, within patience: Duration?) async {
    let isHeard = OneShot()
    if let patience {
      DispatchQueue.global().asyncAfter(deadline: .now() + patience.seconds) { isHeard.fire() }
    }
    printer.finish(LogFiles.of(verdict.record)) { [self] in
      emitEnd(verdict, at: now)
      if verdict.outcome == nil { say(StillBilling.sentence(verdict.record, at: now)) }
      annotate(verdict)
      speak { isHeard.fire() }
    }
    await isHeard.wait()
  }

  /// Everything that was told has been handed to its readers.
  func drain() async {
    await withCheckedContinuation { continuation in speak { continuation.resume() } }
  }

  private func speak(_ work: @escaping @Sendable () -> Void) {
    if isJSON { printer.inTurn(work) } else { voice.async(execute: work) }
  }

  private var isJSON: Bool {
    switch form {
    case .json, .events: true
    case .text, .told, .quiet: false
    }
  }

  // MARK: - Text

  private func moved(_ record: JobRecord, _ event: Event, _ now: Moment) {
    switch form {
    case .quiet: break
    case .json, .events:
      if let warning = Narration.warning(record, event) { warn(warning, record.id) }
      emit(Self.event(state: record, now))
    case .text, .told:
      if case .text = form, case .creating = record.state.phase {
        speak { WorkflowCommands.ofThisProcess?.group("fcrun: a machine for \(record.name) (\(record.id))") }
      }
      if let warning = Narration.warning(record, event) { warn(warning, record.id) }
      if let line = Narration.line(record, event, at: now) { say(line) }
    }
  }

  private func note(_ text: String, _ job: String) {
    switch form {
    case .json, .events:
      emit(.object(of: [("event", .string("note")), ("job", .string(job)), ("message", .string(text))]))
    case .text, .told: say(text)
    case .quiet: break
    }
  }

  private func warn(_ text: String, _ job: String) {
    if isJSON {
      return emit(.object(of: [("event", .string("warning")), ("job", .string(job)), ("message", .string(text))]))
    }
    say("warning: \(text)")
  }

  /// The line of a transfer that is over goes.
  func clear() { speak { [self] in clearProgress() } }

  func say(_ text: String) {
    speak { [self] in
      clearProgress()
      _ = StandardStream.write("fcrun: \(Excerpt.escaped(prefix + text))\n", to: STDERR_FILENO)
    }
  }

  private func emit(_ event: JSONValue) {
    speak { Self.emit(event) }
  }

  private func show(_ text: @escaping @Sendable (inout ProgressLine) -> String) {
    guard case .text = form, isTerminal, !Question.isOpen else { return }
    speak { [self] in
      let line = progressLine.withLock { text(&$0) }
      _ = StandardStream.write("\r\u{1B}[K\(line)", to: STDERR_FILENO)
    }
  }

  private func clearProgress() {
    guard isTerminal, progressLine.withLock({ $0.clear() }) else { return }
    _ = StandardStream.write("\r\u{1B}[K", to: STDERR_FILENO)
  }
}

// MARK: - NDJSON

extension Console {
  static func emit(_ event: JSONValue) {
    _ = StandardStream.write(event.text() + "\n", to: STDOUT_FILENO)
  }

  private static func event(output bytes: [UInt8], of file: LogPrinter.LogFile) -> JSONValue {
    let text = String(validating: bytes, as: UTF8.self)
    return .object(of: [
      ("event", .string("output")), ("attempt", .integer(file.attempt)), ("node", .integer(file.node)),
      ("stream", .string(file.stream.rawValue)), ("text", text.map(JSONValue.string)),
      ("base64", text == nil ? .string(Data(bytes).base64EncodedString()) : nil),
    ])
  }

  static func event(state record: JobRecord, _ now: Moment) -> JSONValue {
    .object(of: [
      ("event", .string("state")), ("job", .string(record.id)),
      ("task", (record.context.plan.task?.index).map(JSONValue.integer)), ("state", .string(record.state.word)),
      ("at", .string(Time.text(now))), ("attempt", (record.state.attempt?.number).map(JSONValue.integer)),
      ("offering_id", (record.state.attempt?.offering.id).map(JSONValue.string)),
      ("instance_ids", record.state.attempt.map { .array($0.instanceIDs.map(JSONValue.string)) }),
      ("outcome", (record.state.outcome?.word).map(JSONValue.string)),
    ])
  }

  /// The last event: it says whose the exit code is.
  /// For whoever looks at a run of a CI system and not at its log.
  private func annotate(_ verdict: Verdict) {
    guard case .text = form, verdict.exitCode != 0, let commands = WorkflowCommands.ofThisProcess else { return }
    let what = verdict.outcome?.sentence ?? "the release is not proved, a machine may still be billing"
    speak { commands.annotate("\(verdict.record.name): \(what) (exit code \(verdict.exitCode))") }
  }

  private func emitEnd(_ verdict: Verdict, at now: Moment) {
    guard isJSON else { return }
    emit(
      .object(of: [
        ("event", .string("finished")), ("job", .string(verdict.record.id)),
        ("task", (verdict.record.context.plan.task?.index).map(JSONValue.integer)),
        ("source", .string(verdict.isOfJob ? "job" : "fcrun")), ("exit_code", .integer(Int(verdict.exitCode))),
        ("outcome", .string(verdict.outcome?.word ?? "delete_pending")),
        ("phase", (verdict.outcome?.phase).map(JSONValue.string)),
        ("message", .string(verdict.outcome?.sentence ?? "the release is not proved")),
        ("cost", .string(Jobs.Money.formatUp(verdict.record.state.cost(at: now), places: 4))),
      ]))
  }
}

extension Outcome {
  /// Which part of the job ended with its own code: `setup` or `command`.
  var phase: String? { if case .exited(let end) = self { end.phase.rawValue } else { nil } }
}

extension Verdict {
  var isOfJob: Bool { signal == nil && outcome?.isOfJob == true }
}

// MARK: - Progress

/// Bytes, rate and what is left, on one line of a terminal.
private struct ProgressLine {
  private var verb = ""
  private var start = ContinuousClock.now
  private var isShown = false

  mutating func text(_ progress: Progress, _ verb: String) -> String {
    if verb != self.verb || !isShown { (self.verb, start) = (verb, .now) }
    isShown = true
    let elapsed = max(0.001, (ContinuousClock.now - start).seconds)
    let rate = Double(progress.bytes) / elapsed
    let done =
      progress.totalBytes.map { "\(Bytes.text(progress.bytes)) of \(Bytes.text($0))" } ?? Bytes.text(progress.bytes)
    let left = progress.totalBytes.flatMap { rate > 0 ? Int(Double($0 - progress.bytes) / rate) : nil }
    let eta = left.map { ", \(Durations.format(max(0, $0))) left" } ?? ""
    return "fcrun: \(verb): \(Counted.text(progress.files, "file")), \(done), \(Bytes.text(Int(rate)))/s\(eta)"
  }

  /// How long a boot takes, and may still take as the offering says.
  mutating func booting(_ age: Duration, _ offering: Offering) -> String {
    isShown = true
    let line = "fcrun: booting for \(Durations.format(Int(age.seconds)))"
    guard let max = offering.maxBootSeconds else { return line }
    let left = max - Int(age.seconds)
    return line
      + (left > 0 ? ", at most \(Durations.format(left)) more as the offering says" : ", longer than the offering says")
  }

  /// True when a line has to be wiped away.
  mutating func clear() -> Bool {
    defer { isShown = false }
    return isShown
  }
}

// MARK: - Words

/// What a person is told at each step.
enum Narration {
  static func line(_ record: JobRecord, _ event: Event, at now: Moment) -> String? {
    let state = record.state
    switch (state.phase, event) {
    case (.creating(let attempt), .chosen):
      return
        "attempt \(attempt.number): asking for \(machines(attempt))\(attempt.offering.inWords) (\(attempt.offering.provider))"
    case (.settling, _): return "the answer to the request is not known; looking for \(names(state))"
    case (.booting(let attempt), .priced):
      return
        "created \(attempt.instanceIDs.joined(separator: ", ")); waiting for it to boot\(bootTime(attempt.offering))"
    case (.connecting(let attempt), .observed): return "active at \(addresses(attempt)); connecting"
    case (.uploading(let attempt), .reached):
      return "connected to \(addresses(attempt))\(next(attempt, record.context.plan))"
    case (.running, .launched): return "running"
    case (.stopping(_, let outcome), _): return "stopping: \(outcome.sentence)"
    case (.collecting(_, let outcome), _):
      return record.context.plan.outputs.isEmpty ? nil : "\(outcome.sentence); fetching outputs"
    case (.releasing(let attempt, let outcome), _) where attempt.isGone: return outcome.sentence
    case (.releasing(let attempt, let outcome), _):
      return
        "\(outcome.sentence); giving back \(attempt.instanceIDs.isEmpty ? names(state) : attempt.instanceIDs.joined(separator: ", "))"
    case (.choosing, .verified): return "looking for the next offering"
    case (.finished(let outcome, nil), .verified):
      return state.past.last?.instanceIDs.isEmpty ?? true
        ? "nothing was created; \(outcome.word)" : "given back and proved gone; \(cost(state, now))"
    case (.finished(let outcome, nil), .handedOver(let heir)):
      return "\(outcome.sentence); its machine goes to \(heir); \(cost(state, now))"
    case (.finished(let outcome, nil), _): return outcome.sentence
    case (.finished(_, let kept?), _):
      return
        "kept: \(kept.instanceIDs.joined(separator: ", ")) goes on costing $\(Jobs.Money.exact(kept.hourlyPrice))/h, \(deadline(kept)); log in with: fcrun ssh \(record.id); give it back with: fcrun cancel \(record.id)"
    default: return nil  // the other steps are too short to be worth a line
    }
  }

  /// What went wrong beside the outcome.
  static func warning(_ record: JobRecord, _ event: Event) -> String? {
    switch (record.state.phase, event) {
    case (.running(let attempt), .ended(let ends)):
      ends.lazy.compactMap { attempt.machines[$0.node].lost }.first.map { "\($0); going on without it" }
    case (.releasing, .collected(let missing)) where !missing.isEmpty:
      "these outputs are not there: \(missing.joined(separator: ", "))"
    case (.releasing, .deadline(.grace, _)) where !record.context.plan.outputs.isEmpty:
      "the outputs could not be fetched within output_grace"
    case (.releasing(_, let outcome), .unreachable(let why, _)),
      (.releasing(_, let outcome), .failed(.failed(let why))):
      record.context.plan.outputs.isEmpty || outcome.sentence.contains(why)
        ? nil : "the outputs could not be fetched: \(why)"
    default: nil  // nothing else is lost on the way
    }
  }

  static func cost(_ state: JobState, _ now: Moment) -> String {
    "cost about $\(Jobs.Money.formatUp(state.cost(at: now), places: 4))"
  }

  /// From when on a reap takes a kept machine without being asked for it.
  private static func deadline(_ kept: Attempt) -> String {
    let expiry = kept.machines.compactMap { MachineName($0.name)?.expiry }.min() ?? 0
    guard expiry > 0 else { return "without a deadline (no max_duration)" }
    return "and is taken by fcrun reap from \(Time.text(Moment(milliseconds: expiry * 60_000))) on"
  }

  private static func bootTime(_ offering: Offering) -> String {
    switch (offering.minBootSeconds, offering.maxBootSeconds) {
    case (let min?, let max?): " (\(Durations.format(min)) to \(Durations.format(max)), as the offering says)"
    case (nil, let max?): " (at most \(Durations.format(max)), as the offering says)"
    case (_, nil): ""
    }
  }

  /// What is done once a machine is reached: nothing is sent to one without the GPUs that it should have.
  private static func next(_ attempt: Attempt, _ plan: JobPlan) -> String {
    switch ((attempt.offering.numGPUs ?? 0) > 0, !plan.files.isEmpty) {
    case (true, true): "; checking its GPUs, then uploading"
    case (true, false): "; checking its GPUs"
    case (false, true): "; uploading"
    case (false, false): ""
    }
  }

  private static func machines(_ attempt: Attempt) -> String {
    attempt.machines.count == 1 ? "" : "\(attempt.machines.count) × "
  }

  private static func names(_ state: JobState) -> String {
    state.attempt?.machines.map(\.name).joined(separator: ", ") ?? ""
  }

  private static func addresses(_ attempt: Attempt) -> String {
    attempt.machines.compactMap { $0.address.map { "\($0.host):\($0.port)" } }.joined(separator: ", ")
  }
}

/// Points in time for people and programs: ISO 8601 in UTC.
enum Time {
  static func text(_ moment: Moment) -> String {
    Date(timeIntervalSince1970: Double(moment.milliseconds) / 1000).formatted(.iso8601)
  }

  /// `10m` or `10m ago`, or a point in time.
  /// - Throws: ``Failure`` 64 that names the option.
  static func parse(_ text: String, option: String) throws -> Moment {
    let now = LiveClock().now()
    let duration = text.hasSuffix(" ago") ? String(text.dropLast(4)) : text
    if let seconds = Durations.parse(duration) { return Moment(milliseconds: now.milliseconds - Int64(seconds) * 1000) }
    guard let date = Timestamp.date(iso8601: text) else {
      throw Failure(
        status: .usage, message: "\(option) is \"\(text)\": expected a duration or a time",
        next: "\(option) 10m, or \(option) \(self.text(now))")
    }
    return Moment(milliseconds: Int64((date.timeIntervalSince1970 * 1000).rounded()))
  }

  /// With milliseconds.
  static func preciseText(_ moment: Moment) -> String {
    Date(timeIntervalSince1970: Double(moment.milliseconds) / 1000)
      .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }
}
