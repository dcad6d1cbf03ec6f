import GRDB
import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A job in a list. What a list says of one that is over lies beside its state, so that a long list decodes none.
package enum ListedJob: Sendable {
  case over(FinishedJob)
  case known(JobRecord)
}

/// What a list says of a job that is over and of which nothing is kept.
package struct FinishedJob: Sendable, Equatable {
  package let id: String
  package let name: String
  /// As `Outcome.word`.
  package let outcome: String
  package let exitCode: Int32
  /// US dollars.
  package let cost: Decimal
  /// Of its last attempt.
  package let offering: String?
  package let createdAt: Moment

  static let columns = "id, name, outcome, exit_code, cost, offering, created_at"

  /// nil where the job is not over, or was over before these columns were there.
  init?(_ row: Row) {
    guard let outcome = row[2] as String?, let code = row[3] as Int32?, let cost = Decimal(string: row[4] ?? "") else {
      return nil
    }
    (id, name, self.outcome, exitCode, self.cost) = (row[0], row[1], outcome, code, cost)
    (offering, createdAt) = (row[5], Moment(milliseconds: row[6]))
  }

  /// The values of ``assignment`` for a job in this state.
  static func values(of state: JobState, at now: Moment) -> StatementArguments {
    guard case .finished(let outcome, nil) = state.phase else { return [nil, nil, nil, nil] }
    return [outcome.word, outcome.exitCode, "\(state.cost(at: now))", state.past.last?.offering.id]
  }

  static let assignment = "outcome = ?, exit_code = ?, cost = ?, offering = ?"
}

extension JobStore {
  /// As ``jobs(unfinishedOnly:since:limit:)``, for a list.
  package func list(unfinishedOnly: Bool, since: Moment? = nil, limit: Int) throws(StoreError) -> [ListedJob] {
    let sql = Self.listing(unfinishedOnly: unfinishedOnly, columns: FinishedJob.columns)
    let rows = try read { try Row.fetchAll($0, sql: sql, arguments: [since?.milliseconds ?? 0, limit]) }
    return try rows.map { row throws(StoreError) in
      if let finished = FinishedJob(row) { return .over(finished) }
      return .known(try job(row[0]))
    }
  }
}
