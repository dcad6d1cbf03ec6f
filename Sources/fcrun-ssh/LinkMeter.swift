import SSH

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How fast the way to the machine is, by what has arrived there, and what follows from it.
@SSHLoop
final class LinkMeter {
  /// Packing and unpacking keep up with less.
  private static let worthPacking = 50e6
  private static let leastQuantum = 1 << 20
  private static let mostQuantum = 16 << 20

  /// Both sides have zstd.
  var canPack = false
  private var arrived = 0
  private var begun: ContinuousClock.Instant?
  private var last = ContinuousClock.now

  /// Bytes of files for one request: little until something has arrived, so that the first answers come soon.
  var quantum: Int { min(max(arrived, Self.leastQuantum), Self.mostQuantum) & ~0xFFFF }

  /// Whether packing costs less time than it saves on this way, for what becomes smaller by it.
  func isWorthPacking(_ feed: any UploadFeed) async throws -> Bool {
    guard canPack, let begun, arrived >= Self.leastQuantum,
      Double(arrived) / ((last - begun) / .seconds(1)) < Self.worthPacking
    else { return false }
    return try await Task.detached {
      let sample = try feed.sample()
      return Zstd.frame(of: sample).map { $0.count < sample.count * 9 / 10 } ?? false
    }.value
  }

  func begin() { begun = begun ?? .now }

  /// - Parameter bytes: as they went over the connection.
  func arrived(_ bytes: Int) {
    arrived += bytes
    last = .now
  }
}

/// A time as `touch -t` reads it, in UTC.
enum TouchTime {
  static func text(_ seconds: Int) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    var text = [CChar](repeating: 0, count: 32)
    strftime(&text, text.count, "%Y%m%d%H%M.%S", &parts)
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
