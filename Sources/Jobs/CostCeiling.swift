#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension JobPlan {
  /// US dollars that the whole run can cost at most on machines of `hourlyPrice`; nil when neither `max_cost` nor
  /// `max_duration` limits it.
  ///
  /// With `max_cost` that. Otherwise each of `retry.attempts` attempts may pay for `nodes` machines over a boot that takes
  /// all of `boot_timeout`, a command that takes all of `max_duration` (`setup` included), and `output_grace` for what is
  /// fetched afterwards. The seconds of deleting a machine, and what `teardown` other than `always` leaves running, are not
  /// in it.
  package func costCeiling(hourlyPrice: Decimal, bootTimeout: Int) -> Decimal? {
    if let maxCost = limits.maxCost { return maxCost }
    guard let maxDuration = limits.maxDuration else { return nil }
    let seconds = Decimal(bootTimeout + maxDuration + limits.outputGrace)
    return Decimal(nodes) * hourlyPrice * seconds * Decimal(attempts) / 3600
  }

  /// The ceiling on this one offering.
  package func costCeiling(on offering: Offering) -> Decimal? {
    costCeiling(hourlyPrice: offering.hourlyPrice, bootTimeout: bootTimeout(for: offering))
  }

  /// The ceiling over those of ranked `candidates` that may be tried: as if every attempt ran on the dearest of them.
  package func costCeiling(over candidates: [Offering]) -> Decimal? {
    candidates.prefix(attempts).compactMap { costCeiling(on: $0) }.max()
  }

  /// Attempts that can happen: one when nothing is a cause for another.
  private var attempts: Int { retry.on.isEmpty ? 1 : retry.attempts }
}
