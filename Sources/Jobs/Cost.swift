#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension Money {
  /// USD for `duration` at `hourlyPrice` USD per hour, to the millisecond.
  package static func cost(of duration: Duration, at hourlyPrice: Decimal) -> Decimal {
    hourlyPrice * Decimal(max(0, duration.milliseconds)) / 3_600_000
  }

  /// How long `amount` USD last at `hourlyPrice` USD per hour; ten years where nothing is charged.
  package static func duration(of amount: Decimal, at hourlyPrice: Decimal) -> Duration {
    let longest = Decimal(Durations.longest)
    guard hourlyPrice > 0 else { return .seconds(Durations.longest) }
    let seconds = min(longest, max(0, amount) * 3600 / hourlyPrice)
    return .milliseconds(Int64(Money.format(seconds * 1000, places: 0)) ?? 0)
  }
}

extension Resources {
  /// Why what was created costs more than the plan allows; nil when it does not.
  package func priceRefusal(of offering: Offering) -> String? {
    if let cap = maxHourlyPrice, offering.hourlyPrice > cap {
      return "\(offering.inWords) now costs more than max_hourly_price \(Money.exact(cap))"
    }
    if let cap = maxPricePerGPUHour, offering.pricePerGPUHour > cap {
      return "\(offering.inWords) now costs $\(Money.exact(offering.pricePerGPUHour)) per GPU, more than "
        + "max_price_per_gpu_hour \(Money.exact(cap))"
    }
    return nil
  }
}
