/// When the bytes of a log came in: what the file beside it says, a line `milliseconds-since-1970 offset` for each mark.
///
/// The bytes from one mark's offset to the next came in at the mark's time, or within ``grain`` after it.
package struct Arrivals: Sendable {
  /// Marks are at least so far apart.
  package static let grain = Duration.milliseconds(50)

  private var offsets: [Int] = []
  private var times: [Int64] = []
  private var rest: [UInt8] = []

  package init() {}

  package var isEmpty: Bool { offsets.isEmpty }

  /// `stdout.times` beside `stdout.log`.
  package static func path(of log: String) -> String {
    (log.hasSuffix(".log") ? String(log.dropLast(4)) : log) + ".times"
  }

  package static func line(at milliseconds: Int64, offset: Int) -> String { "\(milliseconds) \(offset)\n" }

  /// Takes more of the file, in order. What is no mark is passed over: a line may have been cut by a kill or a full disk.
  package mutating func read(_ bytes: some Sequence<UInt8>) {
    rest += bytes
    var start = 0
    while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
      take(rest[start..<end])
      start = end + 1
    }
    rest.removeFirst(start)
  }

  private mutating func take(_ line: ArraySlice<UInt8>) {
    let words = line.split(separator: UInt8(ascii: " "))
    guard words.count == 2, let time = Self.number(words[0]), let offset = Self.number(words[1]),
      offset >= offsets.last ?? 0
    else { return }
    // Nothing was written after the earlier mark of the same place.
    if offset == offsets.last { (_, _) = (offsets.popLast(), times.popLast()) }
    offsets.append(offset)
    times.append(Int64(time))
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard (1...18).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  /// Milliseconds since 1970; nil for bytes before the first mark.
  package func time(at offset: Int) -> Int64? {
    var (low, high) = (0, offsets.count)
    while low < high {
      let middle = (low + high) / 2
      if offsets[middle] <= offset { low = middle + 1 } else { high = middle }
    }
    return low > 0 ? times[low - 1] : nil
  }

  /// Everything before this offset came in before `time`; nil when nothing is known to have come in since.
  package func offset(since time: Int64) -> Int? {
    times.firstIndex { $0 >= time }.map { offsets[$0] }
  }
}
