/// Replaces every byte that belongs to an occurrence of a secret by an asterisk, also across chunks. Lengths stay.
///
/// Aho–Corasick. What an asterisk is depends only on the bytes around it, so a stream that is taken up again in the middle gives the same
/// result when the masker has first seen the ``contextLength`` bytes before it.
package struct Masker: Sendable {
  private struct Node: Sendable {
    var next: [UInt8: Int32] = [:]
    var fallback: Int32 = 0
    /// Length of the longest secret that ends here.
    var match: Int32 = 0
    var depth: Int32 = 0
    /// Length of the longest end of the input that a secret may still go on from.
    var held: Int32 = 0
  }

  private var nodes = [Node()]
  private var rootNext = [Int32](repeating: 0, count: 256)
  private var state: Int32 = 0
  /// Bytes given in but not yet out, partly asterisks already.
  private var held: [UInt8] = []
  /// Bytes that influence the masking of the next one.
  package let contextLength: Int

  package init(_ secrets: [String]) {
    let secrets = secrets.map { Array($0.utf8) }.filter { !$0.isEmpty }
    contextLength = max(0, (secrets.map(\.count).max() ?? 1) - 1)
    for secret in secrets { insert(secret) }
    link()
  }

  private mutating func insert(_ secret: [UInt8]) {
    var node = 0
    for byte in secret {
      if let next = nodes[node].next[byte] {
        node = Int(next)
      } else {
        nodes.append(Node(depth: nodes[node].depth + 1))
        nodes[node].next[byte] = Int32(nodes.count - 1)
        node = nodes.count - 1
      }
    }
    nodes[node].match = Int32(secret.count)
  }

  private mutating func link() {
    var queue = [0]
    var head = 0
    while head < queue.count {
      let node = queue[head]
      head += 1
      for (byte, child) in nodes[node].next {
        let child = Int(child)
        var fallback: Int32 = 0
        if node != 0 { fallback = step(nodes[node].fallback, byte) }
        nodes[child].fallback = fallback
        nodes[child].match = max(nodes[child].match, nodes[Int(fallback)].match)
        queue.append(child)
      }
      nodes[node].held = nodes[node].next.isEmpty ? nodes[Int(nodes[node].fallback)].held : nodes[node].depth
      if node == 0 { for (byte, child) in nodes[0].next { rootNext[Int(byte)] = child } }
    }
  }

  private func step(_ from: Int32, _ byte: UInt8) -> Int32 {
    var node = from
    while node != 0 {
      if let next = nodes[Int(node)].next[byte] { return next }
      node = nodes[Int(node)].fallback
    }
    return rootNext[Int(byte)]
  }

  /// - Returns: the bytes that are settled; the rest may be the beginning of a secret and comes out later.
  package mutating func mask(_ bytes: [UInt8]) -> [UInt8] {
    guard nodes.count > 1 else { return bytes }
    let start = held.count
    held += bytes
    for index in bytes.indices {
      state = state == 0 ? rootNext[Int(bytes[index])] : step(state, bytes[index])
      let match = Int(nodes[Int(state)].match)
      guard match > 0 else { continue }
      let end = start + index + 1
      for position in max(0, end - match)..<end { held[position] = UInt8(ascii: "*") }
    }
    let settled = held.count - Int(nodes[Int(state)].held)
    defer { held.removeFirst(settled) }
    return Array(held[..<settled])
  }

  /// The end of the stream: what was held back is no secret.
  package mutating func flush() -> [UInt8] {
    defer { (held, state) = ([], 0) }
    return held
  }
}
