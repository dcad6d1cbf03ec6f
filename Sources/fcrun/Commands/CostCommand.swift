import ArgumentParser
import ForwardCompute
import Jobs
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `fcrun cost`: what the jobs of this installation cost.
struct CostCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cost", abstract: "Sum up what jobs cost: fcrun's own sum, not the provider's bill.",
    discussion: """
      Each machine counts from its request to the proof that it is gone, also one that never came up or was kept.

        fcrun cost --since 7d --by gpu
        fcrun cost --since 2026-11-01 --by day --json
      """)

  @Option(help: ArgumentHelp("From when on: 7d, 12h, or a date such as 2026-11-01 (UTC).", valueName: "when"))
  var since: String?

  @Option(help: "job, gpu or day (UTC).")
  var by = CostReport.Axis.job

  @OptionGroup var output: OutputOptions

  func validate() throws { _ = try start(at: LiveClock().now()) }

  func run() async throws {
    let now = LiveClock().now()
    let installation = try Installation.openAndLook()
    let items = try installation.store.jobs(unfinishedOnly: false).map {
      CostReport.Item(id: $0.id, name: $0.name, spending: $0.state.spending(at: now))
    }
    let since = try start(at: now)
    let report = CostReport(of: items, by: by, since: since ?? Moment(milliseconds: 0))
    if output.json { return try Output.json(json(report, since)) }
    try Output.table(header: header, rows: report.rows.map(row) + [total(report)])
  }

  private func start(at now: Moment) throws -> Moment? {
    guard let since else { return nil }
    if let seconds = Durations.parse(since) { return now + .seconds(-seconds) }
    let text = since.contains("T") ? since : since + "T00:00:00Z"
    guard let date = try? Date(text, strategy: .iso8601) else {
      throw ValidationError("--since \(since): expected a duration such as 7d, or a date such as 2026-11-01")
    }
    return Moment(milliseconds: Int64(date.timeIntervalSince1970 * 1000))
  }

  // MARK: Shown

  private var header: [Column] {
    let key = Column(title: by == .job ? "ID" : by.rawValue.uppercased())
    let other = by == .job ? Column(title: "NAME", expendable: 1, room: .cut) : Column(title: "JOBS", alignment: .right)
    return [key, other] + ["HOURS", "GPU-HOURS", "COST"].map { Column(title: $0, alignment: .right) }
  }

  private func row(_ row: CostReport.Row) -> [String] {
    [
      row.key, row.name ?? "\(row.jobs.count)", Self.hours(row.machineTime), Self.hours(row.gpuTime),
      "$" + Jobs.Money.formatUp(row.amount, places: 4),
    ]
  }

  private func total(_ report: CostReport) -> [String] {
    let jobs = report.rows.reduce(into: Set<String>()) { $0.formUnion($1.jobs) }
    return [
      "total", by == .job ? "" : "\(jobs.count)", Self.hours(report.rows.reduce(.zero) { $0 + $1.machineTime }),
      Self.hours(report.rows.reduce(.zero) { $0 + $1.gpuTime }), "$" + Jobs.Money.formatUp(report.total, places: 4),
    ]
  }

  private static func hours(_ time: Duration) -> String {
    Jobs.Money.format(Decimal(time.milliseconds) / 3_600_000, places: 3)
  }

  private func json(_ report: CostReport, _ since: Moment?) -> JSONValue {
    .object(of: [
      ("version", .integer(1)), ("by", .string(by.rawValue)),
      ("since", since.map { .string(Time.text($0)) } ?? .null), ("currency", .string("USD")),
      ("total", .string(Jobs.Money.formatUp(report.total, places: 4))), ("data", .array(report.rows.map(json))),
    ])
  }

  private func json(_ row: CostReport.Row) -> JSONValue {
    .object(of: [
      (by.rawValue, .string(row.key)), ("name", row.name.map(JSONValue.string)), ("jobs", .integer(row.jobs.count)),
      ("machine_hours", .string(Self.hours(row.machineTime))), ("gpu_hours", .string(Self.hours(row.gpuTime))),
      ("cost", .string(Jobs.Money.formatUp(row.amount, places: 4))),
    ])
  }
}

extension CostReport.Axis: ExpressibleByArgument {}
