#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One JSON object on one line, both ways.
package enum Wire {
  /// The line without its newline.
  package static func line(_ value: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
      preconditionFailure("messages hold only strings and finite numbers: \(error)")
    }
  }

  /// - Throws: DecodingError.
  package static func decode<Value: Decodable>(_ type: Value.Type, from line: some Collection<UInt8>) throws -> Value {
    try JSONDecoder().decode(type, from: Data(line))
  }
}

extension Request: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case id, connect, exec, upload, launch, status, follow, stop, collect, forward, cancel
  }

  package init(from decoder: any Decoder) throws {
    let object = try decoder.container(keyedBy: CodingKeys.self)
    let verbs = object.allKeys.filter { $0 != .id }
    guard verbs.count == 1, let verb = verbs.first else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription: "expected `id` and exactly one verb of "
            + CodingKeys.allCases.filter { $0 != .id }.map(\.rawValue).joined(separator: ", ")))
    }
    id = try object.decode(Int.self, forKey: .id)
    self.verb = try Self.verb(verb, in: object)
  }

  private static func verb(_ key: CodingKeys, in object: KeyedDecodingContainer<CodingKeys>) throws -> Verb {
    switch key {
    case .connect: .connect(try object.decode(Connect.self, forKey: key))
    case .exec: .exec(try object.decode(Exec.self, forKey: key))
    case .upload: .upload(try object.decode(Upload.self, forKey: key))
    case .launch: .launch(try object.decode(Launch.self, forKey: key))
    case .status: .status(try object.decode(Status.self, forKey: key))
    case .follow: .follow(try object.decode(Follow.self, forKey: key))
    case .stop: .stop(try object.decode(Stop.self, forKey: key))
    case .collect: .collect(try object.decode(Collect.self, forKey: key))
    case .forward: .forward(try object.decode(Forward.self, forKey: key))
    case .cancel: .cancel(try object.decode(Cancel.self, forKey: key))
    case .id: preconditionFailure("the id is no verb")
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: CodingKeys.self)
    try object.encode(id, forKey: .id)
    switch verb {
    case .connect(let verb): try object.encode(verb, forKey: .connect)
    case .exec(let verb): try object.encode(verb, forKey: .exec)
    case .upload(let verb): try object.encode(verb, forKey: .upload)
    case .launch(let verb): try object.encode(verb, forKey: .launch)
    case .status(let verb): try object.encode(verb, forKey: .status)
    case .follow(let verb): try object.encode(verb, forKey: .follow)
    case .stop(let verb): try object.encode(verb, forKey: .stop)
    case .collect(let verb): try object.encode(verb, forKey: .collect)
    case .forward(let verb): try object.encode(verb, forKey: .forward)
    case .cancel(let verb): try object.encode(verb, forKey: .cancel)
    }
  }
}

extension WorkerEvent: Codable {
  enum CodingKeys: String, CodingKey {
    case id, progress, log, refused, connected, executed, transferred, status, failed
  }

  package init(from decoder: any Decoder) throws {
    let object = try decoder.container(keyedBy: CodingKeys.self)
    id = try object.decode(Int.self, forKey: .id)
    guard let key = object.allKeys.first(where: { $0 != .id }) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "an event without a kind"))
    }
    switch key {
    case .progress: kind = .progress(try object.decode(Progress.self, forKey: key))
    case .log: kind = .log(try object.decode(LogGrowth.self, forKey: key))
    case .refused: kind = .refused(try object.decode(Refused.self, forKey: key))
    case .connected: kind = .connected(try object.decode(Connected.self, forKey: key))
    case .executed: kind = .executed(try object.decode(Executed.self, forKey: key))
    case .transferred: kind = .transferred(try object.decode(Transferred.self, forKey: key))
    case .status: kind = .status(try object.decode(JobStatus.self, forKey: key))
    case .failed: kind = .failed(try object.decode(Failure.self, forKey: key))
    case .id: preconditionFailure("the id is no kind")
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: CodingKeys.self)
    try object.encode(id, forKey: .id)
    switch kind {
    case .progress(let kind): try object.encode(kind, forKey: .progress)
    case .log(let kind): try object.encode(kind, forKey: .log)
    case .refused(let kind): try object.encode(kind, forKey: .refused)
    case .connected(let kind): try object.encode(kind, forKey: .connected)
    case .executed(let kind): try object.encode(kind, forKey: .executed)
    case .transferred(let kind): try object.encode(kind, forKey: .transferred)
    case .status(let kind): try object.encode(kind, forKey: .status)
    case .failed(let kind): try object.encode(kind, forKey: .failed)
    }
  }
}

// Written as `{"script": "…"}` and `{"argv": ["…"]}`, so that a person can type them.
extension Launch.Command {
  enum CodingKeys: String, CodingKey { case script, argv }

  package init(from decoder: any Decoder) throws {
    let object = try decoder.container(keyedBy: CodingKeys.self)
    if let script = try object.decodeIfPresent(String.self, forKey: .script) {
      self = .script(script)
    } else {
      self = .argv(try object.decode([String].self, forKey: .argv))
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .script(let script): try object.encode(script, forKey: .script)
    case .argv(let argv): try object.encode(argv, forKey: .argv)
    }
  }
}

// Written as `{"notBegun": {}}`, `{"running": {}}`, `{"exited": {…}}`, `{"lost": {"reason": "…"}}`.
extension JobStatus {
  enum CodingKeys: String, CodingKey { case notBegun, running, exited, lost }
  private struct Empty: Codable {}
  private struct Reason: Codable { var reason: String }

  package init(from decoder: any Decoder) throws {
    let object = try decoder.container(keyedBy: CodingKeys.self)
    switch object.allKeys.first {
    case .notBegun: self = .notBegun
    case .running: self = .running
    case .exited: self = .exited(try object.decode(ExitRecord.self, forKey: .exited))
    case .lost: self = .lost(reason: try object.decode(Reason.self, forKey: .lost).reason)
    case nil:
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath, debugDescription: "expected one of notBegun, running, exited, lost"))
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var object = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .notBegun: try object.encode(Empty(), forKey: .notBegun)
    case .running: try object.encode(Empty(), forKey: .running)
    case .exited(let record): try object.encode(record, forKey: .exited)
    case .lost(let reason): try object.encode(Reason(reason: reason), forKey: .lost)
    }
  }
}
