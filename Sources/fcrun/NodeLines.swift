/// The output of several nodes on one terminal: each line begins with its node.
struct NodeLines {
  /// Whose line is not at its end yet.
  private var open: LogPrinter.LogFile?

  /// `bytes` of `file` as they are to be shown next.
  mutating func shown(_ bytes: [UInt8], of file: LogPrinter.LogFile) -> [UInt8] {
    guard !bytes.isEmpty else { return [] }
    let newline = UInt8(ascii: "\n")
    let mark = Array("[node \(file.node)] ".utf8)
    var shown: [UInt8] = open == nil || open == file ? [] : [newline]
    if open != file { shown += mark }
    for (index, byte) in bytes.enumerated() {
      shown.append(byte)
      if byte == newline, index < bytes.count - 1 { shown += mark }
    }
    open = bytes.last == newline ? nil : file
    return shown
  }
}
