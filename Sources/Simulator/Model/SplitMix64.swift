/// The simulator's own random numbers: the same seed gives the same cloud on every platform and in every release.
///
/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
package struct SplitMix64: RandomNumberGenerator, Sendable, Equatable {
  private var state: UInt64

  /// Starts the sequence that belongs to `seed`.
  package init(seed: UInt64) {
    state = seed
  }

  /// The next 64 bits.
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A number in 0..<1 with 53 random bits.
  mutating func unit() -> Double {
    Double(next() >> 11) * 0x1p-53
  }

  /// A whole number in `range`; a range of one value takes nothing from the sequence.
  ///
  /// The standard library does not promise how it maps bits to a range, so the mapping is our own. The bias is below 2⁻³².
  mutating func number(in range: ClosedRange<Int64>) -> Int64 {
    let width = UInt64(range.upperBound - range.lowerBound)
    guard width > 0 else { return range.lowerBound }
    return range.lowerBound + Int64((width + 1).multipliedFullWidth(by: next()).high)
  }

  /// Lower-case letters and digits, as the ids of the API are made of.
  mutating func letters(_ count: Int) -> String {
    let alphabet = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
    var bytes: [UInt8] = []
    for _ in 0..<count {
      bytes.append(alphabet[Int(number(in: 0...Int64(alphabet.count - 1)))])
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
