import Jobs
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct CostReportTests {
  /// 2026-11-24T00:00:00Z
  private let midnight = Moment(milliseconds: 1_795_478_400_000)

  private func offering(_ gpu: String?, _ price: Decimal, gpus: Int = 2) -> Offering {
    var offering = Offering(
      id: "o", instanceType: "x", provider: "p", region: "r", deploymentType: "vm", available: true,
      hourlyPrice: price, pricePerGPUHour: price)
    (offering.gpuType, offering.numGPUs) = (gpu, gpus)
    return offering
  }

  private func item(_ id: String, _ offering: Offering, from: Int, until: Int) -> CostReport.Item {
    let span = BilledSpan(from: midnight + .seconds(3600 * from), until: midnight + .seconds(3600 * until))
    return CostReport.Item(id: id, name: id, spending: [Spending(attempt: 1, offering: offering, span: span)])
  }

  private var items: [CostReport.Item] {
    [
      item("late", offering("H100", 3), from: 1, until: 3),
      item("over-midnight", offering("A100", 2), from: -1, until: 1),
      item("early", offering("H100", 3), from: -30, until: -29),
    ]
  }

  @Test func byJobInTheOrderGiven() {
    let report = CostReport(of: items, by: .job, since: Moment(milliseconds: 0))
    #expect(report.rows.map(\.key) == ["late", "over-midnight", "early"])
    #expect(report.rows.map(\.amount) == [6, 4, 3])
    #expect(report.total == 13)
  }

  @Test func byGPUTheDearestFirst() {
    let report = CostReport(of: items, by: .gpu, since: Moment(milliseconds: 0))
    #expect(report.rows.map(\.key) == ["H100", "A100"])
    #expect(report.rows.map(\.gpuTime) == [.seconds(6 * 3600), .seconds(4 * 3600)])
    #expect(report.rows.map(\.jobs.count) == [2, 1])
  }

  @Test func aMachineThatRunsOverMidnightCountsOnBothDays() {
    let report = CostReport(of: items, by: .day, since: Moment(milliseconds: 0))
    #expect(report.rows.map(\.key) == ["2026-11-22", "2026-11-23", "2026-11-24"])
    #expect(report.rows.map(\.amount) == [3, 2, 8])
  }

  @Test func onlyWhatWasSpentSinceCounts() {
    let report = CostReport(of: items, by: .job, since: midnight)
    #expect(report.rows.map(\.key) == ["late", "over-midnight"])
    #expect(report.total == 8)
  }
}
