import ArgumentParser
import ForwardCompute
import Jobs
import Store

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What fcrun ends with when it is not the job's own code.
enum ExitStatus: Int32 {
  case usage = 64
  case noCapacity = 69
  case stillBilling = 75
  case machineLost = 76
  case notAuthorised = 77
  case notConfigured = 78
  case outOfTime = 124
  case failed = 125
  case hungUp = 129
  case interrupted = 130
  case terminated = 143
}

/// An error as a person reads it: one sentence, and what to do next.
struct Failure: Error {
  var status: ExitStatus
  var message: String
  var next: String?
  /// How the command is used.
  var usage: String?
}

/// The only place that prints errors and picks exit codes.
enum Report {
  /// Ends the process with what `error` deserves; for help and version that is a success.
  static func exit(_ error: any Error) -> Never {
    switch error {
    case let failure as Failure: end(failure)
    case let error as APIError: end(Failure(error), api: error)
    case let problems as SpecProblems: end(problems)
    case let error as StoreError: end(Failure(status: .failed, message: error.description))
    default: endAsParsed(error)
    }
  }

  /// Something that the user should know and that stops nothing.
  static func warn(_ message: String) {
    write(wantsJSON ? JSONValue.object(of: [("warning", .string(message))]).text() : "fcrun: \(message)")
  }

  private static func end(_ failure: Failure, api: APIError? = nil) -> Never {
    if wantsJSON {
      write(json(failure, api).text())
    } else {
      let lines = failure.message.split(separator: "\n").map { Excerpt.escaped(String($0)) }
      write("fcrun: " + lines.joined(separator: "\n"))
      if let usage = failure.usage { write("usage: \(usage)") }
      if let next = failure.next { write("try: \(Excerpt.escaped(next))") }
    }
    StandardStream.leave(failure.status.rawValue)
  }

  /// All that is wrong with a spec, a line each.
  private static func end(_ problems: SpecProblems) -> Never {
    if wantsJSON {
      let list = problems.problems.map { JSONValue.string($0.description) }
      let error = JSONValue.object(of: [
        ("message", .string(problems.problems.first?.description ?? "the job file is not valid")),
        ("exit_code", .integer(64)),
      ])
      write(JSONValue.object(of: [("error", error), ("problems", .array(list))]).text())
    } else {
      for problem in problems.problems { write(Excerpt.escaped(problem.description)) }
    }
    StandardStream.leave(ExitStatus.usage.rawValue)
  }

  private static func json(_ failure: Failure, _ api: APIError?) -> JSONValue {
    let error = JSONValue.object(of: [
      ("message", .string(failure.message)), ("next", failure.next.map(JSONValue.string)),
      ("type", (api?.type?.rawValue).map(JSONValue.string)), ("status", (api?.status).map(JSONValue.integer)),
      ("field", (api?.field).map(JSONValue.string)),
      ("exit_code", .integer(Int(failure.status.rawValue))),
    ])
    return .object(of: [("error", error)])
  }

  /// ArgumentParser's own: usage (64), help and version (0). What else comes here nobody foresaw.
  private static func endAsParsed(_ error: any Error) -> Never {
    let usage = Usage(of: CommandLine.arguments.dropFirst())
    if let failure = usage.unknownCommand { end(failure) }
    switch Fcrun.exitCode(for: error) {
    case .validationFailure: end(usage.failure(saying: Fcrun.message(for: error)))
    case .failure: end(Failure(status: .failed, message: Fcrun.message(for: error)))
    default: Fcrun.exit(withError: error)
    }
  }

  /// Before anything is parsed there may be an error to print already; what follows `--` is somebody else's.
  private static var wantsJSON: Bool {
    CommandLine.arguments.prefix { $0 != "--" }.contains("--json")
  }

  /// When stderr is gone there is nobody left to tell.
  private static func write(_ line: String) {
    _ = StandardStream.write(line + "\n", to: STDERR_FILENO)
  }
}

extension Failure {
  /// What an error of the API means for the user.
  init(_ error: APIError) {
    self.init(status: Self.status(error), message: error.description, next: Self.next(error))
  }

  private static func status(_ error: APIError) -> ExitStatus {
    switch error.kind {
    case .notConfigured: .notConfigured
    case .cancelled: .interrupted
    case .status(401), .status(402), .status(403): .notAuthorised
    case .status:
      [.authenticationError, .unauthorized, .forbidden, .insufficientBalance].contains(error.type)
        ? .notAuthorised : .failed
    case .notSent, .timedOut, .connectionLost, .malformedBody, .redirected, .bodyTooLarge: .failed
    }
  }

  private static func next(_ error: APIError) -> String? {
    switch error.kind {
    case .notConfigured, .cancelled, .redirected: nil
    case .notSent: "check the network and FORWARD_COMPUTE_BASE_URL"
    case .timedOut, .connectionLost: "the same command again in a minute"
    case .malformedBody, .bodyTooLarge: "check that FORWARD_COMPUTE_BASE_URL is the API itself"
    case .status(let status): next(status: status, type: error.type)
    }
  }

  private static func next(status: Int, type: APIErrorType?) -> String? {
    switch (status, type) {
    case (_, .insufficientBalance), (402, _): "add credit to the account"
    case (401, _), (_, .authenticationError), (_, .unauthorized): "check FORWARD_COMPUTE_API_KEY"
    case (403, _), (_, .forbidden): "use a key that may do this"
    case (404, _): "check that FORWARD_COMPUTE_BASE_URL is the API itself"
    case (429, _), (500..., _): "the same command again in a minute"
    default: nil
    }
  }
}
