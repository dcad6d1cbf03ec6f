#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// How long one machine cost.
package struct BilledSpan: Codable, Hashable, Sendable {
  package var from: Moment
  package var until: Moment

  package init(from: Moment, until: Moment) {
    self.from = from
    self.until = max(from, until)
  }

  package var duration: Duration { until - from }

  /// The part of it that is not before `start` and not after `end`; nil when there is none.
  package func part(from start: Moment, until end: Moment) -> BilledSpan? {
    let (one, other) = (max(from, start), min(until, end))
    return one < other ? BilledSpan(from: one, until: other) : nil
  }
}

/// What one machine of a job cost.
package struct Spending: Sendable, Equatable {
  package var attempt: Int
  package var offering: Offering
  package var span: BilledSpan

  package init(attempt: Int, offering: Offering, span: BilledSpan) {
    self.attempt = attempt
    self.offering = offering
    self.span = span
  }

  /// USD.
  package var amount: Decimal { Money.cost(of: span.duration, at: offering.hourlyPrice) }
}

extension Attempt {
  /// When each machine cost, until `end` where it is not gone yet: from the request, since what the cloud bills while
  /// `creating` is not documented, to the first of the reads that proved it gone.
  package func billed(until end: Moment) -> [BilledSpan] {
    machines.flatMap(\.instances).map { instance in
      // A 404 may be a replica that has not heard of it: only `deleted` says since when.
      let gone = instance.goneByAbsence ? nil : instance.goneSince
      return BilledSpan(from: instance.since ?? sentAt, until: min(end, gone ?? end))
    }
  }
}

extension PastAttempt {
  package var spans: [BilledSpan] {
    billed ?? instanceIDs.map { _ in BilledSpan(from: sentAt, until: releasedAt) }
  }

  /// USD of all its machines.
  package var cost: Decimal { spans.reduce(0) { $0 + Money.cost(of: $1.duration, at: offering.hourlyPrice) } }
}

extension JobState {
  /// What each machine of each attempt cost until `now`; one that is kept goes on costing.
  package func spending(at now: Moment) -> [Spending] {
    let before = past.flatMap { past in
      past.spans.map { Spending(attempt: past.number, offering: past.offering, span: $0) }
    }
    guard let attempt else { return before }
    return before
      + attempt.billed(until: now).map { Spending(attempt: attempt.number, offering: attempt.offering, span: $0) }
  }

  /// USD of all attempts until `now`.
  package func cost(at now: Moment) -> Decimal { spending(at: now).reduce(0) { $0 + $1.amount } }
}

/// What jobs cost, summed up.
package struct CostReport: Sendable, Equatable {
  package enum Axis: String, Sendable, CaseIterable { case job, gpu, day }

  /// One job and what each of its machines cost.
  package struct Item: Sendable {
    package var id: String
    package var name: String
    package var spending: [Spending]

    package init(id: String, name: String, spending: [Spending]) {
      self.id = id
      self.name = name
      self.spending = spending
    }
  }

  package struct Row: Sendable, Equatable {
    /// A job's id, a type of GPU, or a day such as `2026-11-24` in UTC.
    package var key: String
    /// Of the job; nil for the other axes.
    package var name: String?
    package var jobs: Set<String> = []
    package var machineTime = Duration.zero
    /// Where an offering states how many GPUs it has.
    package var gpuTime = Duration.zero
    /// USD.
    package var amount: Decimal = 0
  }

  package var rows: [Row]

  package var total: Decimal { rows.reduce(0) { $0 + $1.amount } }

  /// What was spent from `since` on. Jobs come in the order given, GPUs by what they cost, days as they went by.
  package init(of items: [Item], by axis: Axis, since: Moment) {
    var rows: [Row] = []
    for item in items {
      for spending in item.spending {
        for part in spending.parts(by: axis, since: since) { rows.add(part, of: item, by: axis) }
      }
    }
    self.rows =
      switch axis {
      case .job: rows
      case .gpu: rows.sorted { ($1.amount, $0.key) < ($0.amount, $1.key) }
      case .day: rows.sorted { $0.key < $1.key }
      }
  }
}

extension Spending {
  /// Since a moment, and for days one part for each.
  fileprivate func parts(by axis: CostReport.Axis, since: Moment) -> [Spending] {
    guard let whole = span.part(from: since, until: span.until) else { return [] }
    guard axis == .day else { return [with(whole)] }
    return (whole.from.day...whole.until.day).compactMap { day in
      whole.part(from: Moment(day: day), until: Moment(day: day + 1)).map(with)
    }
  }

  private func with(_ span: BilledSpan) -> Spending {
    var copy = self
    copy.span = span
    return copy
  }

  fileprivate func key(by axis: CostReport.Axis, of item: CostReport.Item) -> String {
    switch axis {
    case .job: item.id
    case .gpu: offering.gpuType ?? "unknown"
    case .day: span.from.dayInWords
    }
  }
}

extension [CostReport.Row] {
  fileprivate mutating func add(_ spending: Spending, of item: CostReport.Item, by axis: CostReport.Axis) {
    let key = spending.key(by: axis, of: item)
    if !contains(where: { $0.key == key }) {
      append(CostReport.Row(key: key, name: axis == .job ? item.name : nil))
    }
    let place = firstIndex { $0.key == key }!
    self[place].jobs.insert(item.id)
    self[place].machineTime += spending.span.duration
    self[place].gpuTime += spending.span.duration * (spending.offering.numGPUs ?? 0)
    self[place].amount += spending.amount
  }
}

extension Moment {
  private static let dayLength: Int64 = 86_400_000

  /// Days since 1970 in UTC.
  fileprivate var day: Int64 { milliseconds / Self.dayLength }

  fileprivate init(day: Int64) { self.init(milliseconds: day * Self.dayLength) }

  fileprivate var dayInWords: String {
    String(Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(.iso8601).prefix(10))
  }
}
