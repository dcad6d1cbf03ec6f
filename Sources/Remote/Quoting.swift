/// Words for a POSIX shell.
package enum Shell {
  /// `text` as one word that no shell interprets: in single quotes, each quote as `'\''`.
  package static func quoted(_ text: String) -> String {
    String(decoding: quoted(Array(text.utf8)), as: UTF8.self)
  }

  /// As ``quoted(_:)-(String)`` for any bytes but NUL.
  package static func quoted(_ bytes: [UInt8]) -> [UInt8] {
    var word: [UInt8] = [UInt8(ascii: "'")]
    for byte in bytes {
      if byte == UInt8(ascii: "'") { word += Array("'\\''".utf8) } else { word.append(byte) }
    }
    return word + [UInt8(ascii: "'")]
  }

  /// `exec /bin/sh -c SCRIPT fcrun ARGUMENTS…`: works below every login shell that knows `exec` and single quotes.
  package static func command(_ script: String, _ arguments: [String]) -> String {
    (["exec /bin/sh -c", quoted(script), "fcrun"] + arguments.map { quoted($0) }).joined(separator: " ")
  }

  /// Seconds as sleep(1) of every system reads them: whole when they are.
  package static func seconds(_ value: Double) -> String {
    let whole = value.rounded(.up)
    guard value < 10, value != whole else { return String(Int(min(whole, 1e9))) }
    let thousandths = Int((value * 1000).rounded(.up))
    let fraction = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
  }

  /// Whether a POSIX shell can hold a variable of this name.
  package static func isName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: true
      default: false
      }
    }
  }
}
