/// What became of the one `POST /v1/spot/instances/` of a name.
///
/// The API has no idempotency key, so the difference between "it did not happen" and "it may have happened" is the
/// difference between no machine and two.
public enum Creation: Sendable {
  /// The machine exists. The instance is nil when the answer held only its id.
  case created(id: String, instance: Instance?)
  /// No byte left: the same name may be posted again.
  case notSent(APIError)
  /// The API said no in its own words: no machine was made.
  case rejected(APIError)
  /// 429: no machine was made; wait, then post a new name.
  case rateLimited(APIError, retryAfter: Duration?)
  /// Anything else: a machine may exist or come to exist. Look for the name, do not post it again.
  case ambiguous(APIError)
}

extension Creation {
  /// The types of error that say for certain that nothing was made.
  static let definite: Set<APIErrorType> = [
    .validationError, .authenticationError, .unauthorized, .forbidden, .notFound, .insufficientBalance,
  ]

  /// The class of an answer that came whole or in part.
  init(_ answer: Answer, operation: String) {
    switch answer.status {
    case 200..<300: self = Self.success(answer, operation: operation)
    default: self = Self.failure(answer.error(operation), status: answer.status)
    }
  }

  private static func success(_ answer: Answer, operation: String) -> Creation {
    do throws(APIError) {
      let json = try answer.json(operation).unwrapped
      guard case .string(let id)? = json["id"], Identifier.isValid(id) else {
        throw answer.malformed(operation, "the answer names no valid id")
      }
      return .created(id: id, instance: try? Instance(json: json))
    } catch {
      return .ambiguous(error)
    }
  }

  /// `provider_error` may be the echo of a machine that was made, whatever the status; a body that nobody can read
  /// may come from a gateway in front of an API that went on working.
  private static func failure(_ error: APIError, status: Int) -> Creation {
    if error.type == .providerError { return .ambiguous(error) }
    switch status {
    case 429: return .rateLimited(error, retryAfter: error.retryAfter)
    case 408, 409, 425: return .ambiguous(error)
    case 400..<500: return error.type.map(definite.contains) == true ? .rejected(error) : .ambiguous(error)
    default: return .ambiguous(error)
    }
  }

  /// The class of a call that got no answer.
  init(_ error: APIError) {
    switch error.kind {
    case .notSent, .notConfigured: self = .notSent(error)
    case .timedOut, .connectionLost, .status, .malformedBody, .redirected, .bodyTooLarge, .cancelled:
      self = .ambiguous(error)
    }
  }
}

/// What an id may look like when it comes from outside and ends in paths, names of files and lines of a terminal.
enum Identifier {
  static func isValid(_ id: String) -> Bool {
    guard (1...256).contains(id.utf8.count), id != ".", id != ".." else { return false }
    return id.utf8.allSatisfy { $0.isUnreserved || "@:+=,".utf8.contains($0) }
  }

  /// One segment of a path: everything but RFC 3986's unreserved characters is percent-encoded, the slash too.
  static func segment(_ id: String) -> String {
    id.utf8.reduce(into: "") { text, byte in
      if byte.isUnreserved {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        text += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
  }
}

extension UInt8 {
  fileprivate var isUnreserved: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "~"):
      true
    default: false
    }
  }
}
