import Foundation
import TestSupport

/// The job that is killed: files up, two logs with a secret in one of them, outputs back, and a code of its own.
struct Errand: Sendable {
  static let code: Int32 = 7
  /// Must be nowhere but on the machine.
  static let canary = "canary-that-nobody-may-keep"
  static let environment = ["TOKEN": canary]
  private static let lines = 1...40
  /// Long enough for a kill, or a cut, to fall into the middle of its way.
  private static let payloadSize = 300_000

  /// Where each start leaves a line with the number of its attempt.
  let counter: String

  static let stdout = Data(
    (lines.map { "line \($0)\n" }.joined() + "token \(String(repeating: "*", count: canary.utf8.count))\nthe end").utf8)
  static let stderr = Data(lines.map { "err \($0)\n" }.joined().utf8)
  static let payload = Data((0..<payloadSize).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
  static let output = payload + payload

  /// What each node but the first writes, to stderr: less, and it ends before the first one decides.
  static let stderrOfOthers = Data((1...5).map { "line \($0)\nerr \($0)\n" }.joined().utf8)

  /// Writes its files and its spec.
  func prepare(_ bench: Bench, nodes: Int = 1) throws -> String {
    try bench.write("payload", Self.payload)
    return try bench.spec([
      "nodes": nodes, "files": ["payload"], "outputs": ["out"], "secrets": ["TOKEN"],
      "command": """
      last=\(Self.lines.upperBound) other=
      [ $FCRUN_NODE_RANK = 0 ] || { last=5 other=/$FCRUN_NODE_RANK; exec >&2; }
      echo "$FCRUN_ATTEMPT$other" >> '\(counter)'
      mkdir -p out
      cat payload payload > out/twice
      i=1; while [ $i -le $last ]; do echo line $i; echo err $i >&2; sleep 0.03; i=$((i+1)); done
      [ -z "$other" ] || exit 0
      echo "token $TOKEN"; printf 'the end'
      exit \(Self.code)
      """,
    ])
  }

  /// A job without files and outputs, for runs that are about the machine alone.
  func prepareShort(_ bench: Bench, named file: String) throws -> String {
    try bench.spec(["command": "echo \"$FCRUN_ATTEMPT\" >> '\(counter)'; exit \(Self.code)"], named: file)
  }

  /// The attempts in which it was started; `1/2` is the first one's on node 2.
  var starts: [String] {
    String(decoding: FileManager.default.contents(atPath: counter) ?? Data(), as: UTF8.self)
      .split(separator: "\n").map(String.init)
  }
}
