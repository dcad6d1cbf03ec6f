/// Replaces every byte that belongs to an occurrence of a secret, in any of its ``SecretForms``, by an asterisk, also across chunks.
/// Lengths stay.
///
/// Aho–Corasick. What an asterisk is depends only on the bytes around it, so a stream that is taken up again in the middle gives the same
/// result when the masker has first seen the ``contextLength`` bytes before it.
package struct Masker: Sendable {
  /// The edges of each node; the other arrays go along with it. Kept apart because the inner loop reads them for every byte of a log.
  private var edges: [[UInt8: Int32]] = [[:]]
  private var fallbacks: [Int32] = [0]
  /// Length of the longest secret that ends here.
  private var matches: [Int32] = [0]
  private var depths: [Int32] = [0]
  /// Length of the longest end of the input that a secret may still go on from.
  private var holds: [Int32] = [0]
  private var rootEdges = [Int32](repeating: 0, count: 256)
  /// Whether something to hide begins with a byte, by the byte and the one after it: nearly all of a log is passed by this look.
  private var openings: [Bool] = []
  private var state: Int32 = 0
  /// Bytes given in but not yet out, partly asterisks already.
  private var held: [UInt8] = []
  /// Bytes that influence the masking of the next one.
  package let contextLength: Int

  package init(_ secrets: [String]) {
    let forms = secrets.reduce(into: Set()) { $0.formUnion(SecretForms.of(Array($1.utf8))) }
    contextLength = max(0, (forms.map(\.count).max() ?? 1) - 1)
    guard !forms.isEmpty else { return }
    openings = [Bool](repeating: false, count: 1 << 16)
    for form in forms { insert(form) }
    link()
  }

  private mutating func insert(_ secret: [UInt8]) {
    note(openingOf: secret)
    var node = 0
    for byte in secret {
      if let next = edges[node][byte] {
        node = Int(next)
      } else {
        edges[node][byte] = Int32(edges.count)
        depths.append(depths[node] + 1)
        node = edges.count
        edges.append([:])
        for path in [\Masker.fallbacks, \.matches, \.holds] { self[keyPath: path].append(0) }
      }
    }
    matches[node] = Int32(secret.count)
  }

  private mutating func note(openingOf secret: [UInt8]) {
    let first = Int(secret[0]) << 8
    for second in secret.count > 1 ? Int(secret[1])...Int(secret[1]) : 0...255 { openings[first | second] = true }
  }

  /// Breadth first, so that a node's fallback, which is less deep, is complete before it.
  private mutating func link() {
    for (byte, child) in edges[0] { rootEdges[Int(byte)] = child }
    var queue = [0]
    var head = 0
    while head < queue.count {
      let node = queue[head]
      head += 1
      for (byte, child) in edges[node] {
        let fallback = node == 0 ? 0 : step(fallbacks[node], byte)
        fallbacks[Int(child)] = fallback
        matches[Int(child)] = max(matches[Int(child)], matches[Int(fallback)])
        queue.append(Int(child))
      }
      holds[node] = edges[node].isEmpty ? holds[Int(fallbacks[node])] : depths[node]
    }
  }

  private func step(_ from: Int32, _ byte: UInt8) -> Int32 {
    var node = from
    while node != 0 {
      if let next = edges[Int(node)][byte] { return next }
      node = fallbacks[Int(node)]
    }
    return rootEdges[Int(byte)]
  }

  /// - Returns: the bytes that are settled; the rest may be the beginning of a secret and comes out later.
  package mutating func mask(_ bytes: [UInt8]) -> [UInt8] {
    guard edges.count > 1 else { return bytes }
    let start = held.count
    held += bytes
    var index = 0
    while index < bytes.count {
      if state == 0 {
        index = firstOpening(in: bytes, from: index)
        if index == bytes.count { break }
      }
      state = step(state, bytes[index])
      index += 1
      let match = Int(matches[Int(state)])
      for position in max(0, start + index - match)..<(start + index) { held[position] = UInt8(ascii: "*") }
    }
    let settled = held.count - Int(holds[Int(state)])
    defer { held.removeFirst(settled) }
    return Array(held[..<settled])
  }

  /// The next place at which something to hide may begin.
  private func firstOpening(in bytes: [UInt8], from start: Int) -> Int {
    openings.withUnsafeBufferPointer { openings in
      bytes.withUnsafeBufferPointer { bytes in
        var index = start
        while index + 1 < bytes.count {
          if openings[Int(bytes[index]) << 8 | Int(bytes[index + 1])] { return index }
          index += 1
        }
        // What follows the last byte is not known yet.
        return index < bytes.count && rootEdges[Int(bytes[index])] == 0 ? bytes.count : index
      }
    }
  }

  /// The end of the stream: what was held back is no secret.
  package mutating func flush() -> [UInt8] {
    defer { (held, state) = ([], 0) }
    return held
  }
}
