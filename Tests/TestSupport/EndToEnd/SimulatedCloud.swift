import Foundation

/// `fcrun sim` as a process of its own.
package final class SimulatedCloud: Sendable {
  package let process: ChildProcess
  package let port: Int
  package let token: String
  package let privateKey: String
  package let state: String

  package var baseURL: String { "http://127.0.0.1:\(port)" }

  /// Starts one and waits until it is ready. `knobs` are `name=value`. Without a `seed` it gets one that no other has.
  package init(
    _ knobs: [String], bootTime: String, folder: String, environment: [String: String], seed: UInt64? = nil,
    hosts: String = "loopback"
  ) async throws {
    state = folder + "/cloud"
    let seed = seed ?? UInt64.random(in: 1 ... .max)
    let arguments =
      ["sim", "--state", state, "--boot-time", bootTime, "--seed", "\(seed)", "--idle-exit", "300", "--hosts", hosts]
      + knobs.flatMap { ["--knob", $0] }
    let process = try ChildProcess(
      Binaries.fcrun, arguments, environment: environment, folder: folder, stem: folder + "/sim")
    self.process = process
    do {
      let text = try await eventually("the simulator starts", within: 60, else: { process.err }) { () -> String? in
        guard process.isRunning else { throw Unmet("the simulator ended: \(process.err)") }
        let text = String(decoding: process.stdout, as: UTF8.self)
        return text.contains("FCRUN_SSH_KEY=") && text.hasSuffix("\n") ? text : nil
      }
      let values = text.split(separator: "\n").map { $0.split(separator: "=", maxSplits: 1)[1] }
      port = Int(values[0].split(separator: ":").last ?? "") ?? 0
      token = unquoted(values[1])
      privateKey = unquoted(values[2])
    } catch {
      await process.destroy()
      throw error
    }
  }

  @discardableResult
  package func control(_ method: String, _ path: String, _ body: String = "") throws -> JSONTree {
    let answer = try LoopbackHTTP.send(method, "/_sim/" + path, port: port, token: token, body: body)
    guard answer.status < 300 else { throw Unmet("\(path): \(String(decoding: answer.body, as: UTF8.self))") }
    return answer.json
  }

  /// Turns knobs, an object in JSON.
  package func turn(_ knobs: String) throws { try control("PATCH", "knobs", knobs) }

  package func ledger() throws -> Ledger { Ledger(tree: try control("GET", "ledger")) }

  /// Every call of the API so far.
  package func requests() throws -> [Request] { try control("GET", "requests").items.map { Request($0) } }

  package struct Request: Sendable {
    package var method: String
    package var path: String
    package var status: String
    package var time: Date

    init(_ tree: JSONTree) {
      (method, path, status) = (tree["method"].text ?? "", tree["path"].text ?? "", tree["status"].text ?? "")
      time = moment(tree["time"].text) ?? .distantPast
    }
  }

  /// Stops it in good order, which kills every machine of it.
  package func stop() async {
    process.signal(15)
    _ = try? await process.end(within: 15)
    await process.destroy()
  }
}

/// What was rented, and what it cost.
package struct Ledger {
  package let tree: JSONTree

  /// As the simulator told it.
  package var text: String { tree.description }
  package var live: Int { tree["live"].int ?? -1 }
  package var instances: [JSONTree] { tree["instances"].items }
  package var offerings: [String] { instances.compactMap { $0["offering_id"].text } }
  package var ids: [String] { instances.compactMap { $0["id"].text } }
  /// How often each name was asked for.
  package var posts: [Int] { tree["posts"].items.compactMap { $0["count"].int } }
}

/// A word as the simulator quotes it for a shell.
private func unquoted(_ word: Substring) -> String {
  let inner = word.hasPrefix("'") ? word.dropFirst().dropLast() : word
  return String(inner).replacing(#"'\''"#, with: "'")
}

private func moment(_ text: String?) -> Date? {
  text.flatMap { try? Date($0, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)) }
}
