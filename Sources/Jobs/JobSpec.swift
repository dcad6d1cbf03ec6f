#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A value together with the place where it was written.
package struct Located<Value: Sendable & Equatable>: Sendable, Equatable {
  package var value: Value
  package var place: Place

  package init(_ value: Value, at place: Place) {
    self.value = value
    self.place = place
  }
}

/// What the user wrote, version 1, each value well-formed by itself. What is left out is nil; ``JobPlan`` fills it in.
package struct JobSpec: Sendable, Equatable {
  /// Of the whole document, for what is missing in it.
  package var place: Place
  package var name: Located<String>?
  package var resources: Located<Resources>?
  package var nodes: Located<Int>?
  /// Ids or names.
  package var volumes: [Located<String>] = []
  /// In the order written; nil is `null`: taken from the local environment.
  package var envs: [Env] = []
  package var secrets: [Located<String>] = []
  package var sshKey: Located<KeyChoice>?
  package var sshUser: Located<String>?
  package var files: [File] = []
  package var workdir: Located<String>?
  package var setup: Located<String>?
  package var command: Located<Command>
  package var outputs: [Output] = []
  package var limits = Limits()
  package var retry = Retry()
  package var teardown: Located<Teardown>?
  package var matrix: Located<[Axis]>?
  package var maxParallel: Located<Int>?
  package var reuse: Located<Bool>?
  package var checkpoint: Located<Checkpoint>?
  package var notify: Located<[Notice]>?
  package var engine: Located<EngineChoice>?
  package var onNodeLoss: Located<NodeLoss>?

  package struct Env: Sendable, Equatable {
    package var name: String
    package var value: String?
    package var place: Place
  }

  package struct File: Sendable, Equatable {
    package var source: Located<String>
    package var destination: Located<String>?
    package var exclude: [String]
  }

  package struct Output: Sendable, Equatable {
    package var source: Located<String>
    package var destination: Located<String>?
    package var nodes: OutputNodes?
  }

  /// Seconds, and US dollars for the whole run.
  package struct Limits: Sendable, Equatable {
    package var maxDuration: Located<Int>?
    package var maxCost: Located<Decimal>?
    package var bootTimeout: Located<Int>?
    package var outputGrace: Located<Int>?
    package var idleGPU: Located<IdleLimit>?
  }

  package struct Retry: Sendable, Equatable {
    package var on: Located<[RetryCause]>?
    package var attempts: Located<Int>?
  }

  package struct Axis: Sendable, Equatable {
    package var name: String
    package var values: [String]
  }

  package struct Checkpoint: Sendable, Equatable {
    package var source: String
    /// Seconds.
    package var every: Int
  }

  package struct Notice: Sendable, Equatable {
    package enum Channel: Sendable, Equatable { case webhook(String), command(String) }
    package var on: [String]
    package var channel: Channel
  }
}

/// What runs on the machine.
package enum Command: Codable, Sendable, Equatable {
  /// For a shell.
  case script(String)
  /// A program and its arguments, never seen by a shell.
  case argv([String])
}

/// Which of the registered keys opens the machine.
package struct KeyChoice: Codable, Sendable, Equatable {
  /// How the registered key is found. nil: by the public half of `privateKey`.
  package var registered: Registered?
  /// Path of the private half; in a plan absolute.
  package var privateKey: String?

  package enum Registered: Codable, Sendable, Equatable {
    case id(String)
    case name(String)
    /// The short form of the spec does not say which.
    case idOrName(String)
  }

  package init(registered: Registered?, privateKey: String?) {
    self.registered = registered
    self.privateKey = privateKey
  }
}

/// What starts another attempt.
package enum RetryCause: Codable, Sendable, Hashable, CustomStringConvertible {
  case noCapacity
  case bootFailed
  /// The machine went away under the job, whatever took it: ``rebooted`` and ``lost`` are two ways of it.
  case preempted
  case rebooted
  /// Nobody could reach it any more, or nobody can say what became of the command.
  case lost
  case outOfMemory
  case gpuFault
  /// The command ended by itself with this code, 0…255.
  case exit(Int)

  /// The words of a spec, `exit:N` beside them.
  package static let words: KeyValuePairs<String, RetryCause> = [
    "no_capacity": .noCapacity, "boot_failed": .bootFailed, "preempted": .preempted, "rebooted": .rebooted,
    "lost": .lost, "out_of_memory": .outOfMemory, "gpu_fault": .gpuFault,
  ]

  /// `no_capacity, boot_failed, …` for messages.
  package static let list = words.map(\.key).joined(separator: ", ")

  /// nil when `text` is none of the words, and no `exit:N`.
  package init?(_ text: String) {
    if let word = Self.words.first(where: { $0.key == text }) {
      self = word.value
      return
    }
    let digits = text.utf8.dropFirst("exit:".utf8.count)
    guard text.hasPrefix("exit:"), (1...3).contains(digits.count), digits.allSatisfy(isDigit) else { return nil }
    guard let code = Int(String(digits) ?? ""), code <= 255 else { return nil }
    self = .exit(code)
  }

  package var description: String {
    if case .exit(let code) = self { return "exit:\(code)" }
    return Self.words.first { $0.value == self }?.key ?? ""
  }

  package init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let cause = Self(text) else {
      let message = "\(text) is not a cause of retry; expected one of \(Self.list), or exit:N"
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: message))
    }
    self = cause
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// What happens to the machine at the end.
package enum Teardown: String, Codable, Sendable, CaseIterable {
  case always
  case onSuccess = "on_success"
  case never
}
