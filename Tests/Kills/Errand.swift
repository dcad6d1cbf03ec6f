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

  /// Writes its files and its spec.
  func prepare(_ bench: Bench) throws -> String {
    try bench.write("payload", Self.payload)
    return try bench.spec([
      "files": ["payload"], "outputs": ["out"], "secrets": ["TOKEN"],
      "command": """
      echo "$FCRUN_ATTEMPT" >> '\(counter)'
      mkdir -p out
      cat payload payload > out/twice
      i=1; while [ $i -le \(Self.lines.upperBound) ]; do echo line $i; echo err $i >&2; sleep 0.03; i=$((i+1)); done
      echo "token $TOKEN"; printf 'the end'
      exit \(Self.code)
      """,
    ])
  }

  /// A job without files and outputs, for runs that are about the machine alone.
  func prepareShort(_ bench: Bench, named file: String) throws -> String {
    try bench.spec(["command": "echo \"$FCRUN_ATTEMPT\" >> '\(counter)'; exit \(Self.code)"], named: file)
  }

  /// The attempts in which it was started.
  var starts: [String] {
    String(decoding: FileManager.default.contents(atPath: counter) ?? Data(), as: UTF8.self)
      .split(separator: "\n").map(String.init)
  }
}
