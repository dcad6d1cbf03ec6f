import ForwardCompute
import Jobs
import Store

/// A job's states one after the other, with how long each lasted: its journal, in short.
struct TimeLine {
  struct Span {
    var state: String
    /// 0 before the first machine was asked for.
    var attempt: Int
    /// What led to it.
    var event: String
    var at: Moment
    /// Until the next state, or until now; nil for the last one of a job that is over.
    var duration: Duration?
  }

  private(set) var spans: [Span] = []

  /// - Parameter now: nil when the job is over.
  init(_ journal: [JournalEntry], until now: Moment?) {
    var attempt = 0
    for entry in journal where entry.phase != spans.last?.state {
      if entry.phase == "creating" { attempt += 1 }
      if let last = spans.last { spans[spans.count - 1].duration = entry.at - last.at }
      spans.append(Span(state: entry.phase, attempt: attempt, event: entry.event, at: entry.at))
    }
    if let now, let last = spans.last { spans[spans.count - 1].duration = now - last.at }
  }

  static let header = [
    Column(title: "AT"), Column(title: "ATTEMPT", alignment: .right, expendable: 1), Column(title: "STATE"),
    Column(title: "FOR", alignment: .right), Column(title: "", expendable: 2), Column(title: "AFTER", expendable: 3),
  ]

  var rows: [[String]] {
    let longest = spans.compactMap(\.duration).max() ?? .zero
    return spans.map { span in
      [
        Time.text(span.at), span.attempt > 0 ? "\(span.attempt)" : "-", span.state,
        span.duration.map(Self.text) ?? "-", Self.bar(span.duration ?? .zero, longest), span.event,
      ]
    }
  }

  var json: JSONValue {
    .array(
      spans.map { span in
        .object(of: [
          ("at", .string(Time.preciseText(span.at))), ("state", .string(span.state)),
          ("attempt", span.attempt > 0 ? .integer(span.attempt) : .null),
          ("seconds", span.duration.map { .number("\(Double($0.milliseconds) / 1000)") } ?? .null),
          ("after", .string(span.event)),
        ])
      })
  }

  /// To a tenth below ten seconds.
  static func text(_ duration: Duration) -> String {
    let tenths = max(0, duration.milliseconds) / 100
    return tenths < 100 ? "\(tenths / 10).\(tenths % 10)s" : Durations.format(Int(tenths / 10))
  }

  private static func bar(_ duration: Duration, _ longest: Duration) -> String {
    guard longest > .zero else { return "" }
    return String(repeating: "=", count: Int((12 * duration.seconds / longest.seconds).rounded(.up)))
  }
}
