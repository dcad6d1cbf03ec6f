/// The `type` of an error of the API. One that we do not know is carried verbatim.
public struct APIErrorType: RawRepresentable, Sendable, Hashable, Codable, CustomStringConvertible {
  /// The word on the wire.
  public var rawValue: String

  /// Any type, known or not.
  public init(rawValue: String) {
    self.rawValue = rawValue
  }

  /// `validation_error`
  public static let validationError = APIErrorType(rawValue: "validation_error")
  /// `authentication_error`
  public static let authenticationError = APIErrorType(rawValue: "authentication_error")
  /// `unauthorized`
  public static let unauthorized = APIErrorType(rawValue: "unauthorized")
  /// `not_found`
  public static let notFound = APIErrorType(rawValue: "not_found")
  /// `forbidden`
  public static let forbidden = APIErrorType(rawValue: "forbidden")
  /// `provider_error`
  public static let providerError = APIErrorType(rawValue: "provider_error")
  /// `server_error`
  public static let serverError = APIErrorType(rawValue: "server_error")
  /// `insufficient_balance`
  public static let insufficientBalance = APIErrorType(rawValue: "insufficient_balance")
  /// `streaming_error`
  public static let streamingError = APIErrorType(rawValue: "streaming_error")
  /// The ones that the API documents.
  public static let known: [APIErrorType] = [
    .validationError, .authenticationError, .unauthorized, .notFound, .forbidden, .providerError, .serverError,
    .insufficientBalance, .streamingError,
  ]

  /// For messages.
  public var description: String { rawValue }
}

/// Why a call of the API did not give what it promises. Holds no secret, and no character that moves a cursor.
public struct APIError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What went wrong, as far as a program decides on it.
  public enum Kind: Sendable, Equatable {
    /// The name was not resolved, the connection refused or TLS not agreed: no byte of the request left.
    case notSent
    /// The answer was not complete within the deadline; the request may have been executed.
    case timedOut
    /// The connection broke after the request may have left.
    case connectionLost
    /// An answer that is neither a success nor a redirect.
    case status(Int)
    /// A success whose body is not what the API documents.
    case malformedBody
    /// The server pointed elsewhere; nothing was sent there.
    case redirected
    /// The body was larger than 32 MiB.
    case bodyTooLarge
    /// The call cannot be made as it is configured; nothing was sent.
    case notConfigured
    /// The calling task was cancelled.
    case cancelled
  }

  /// What went wrong, as far as a program decides on it.
  public var kind: Kind
  /// The HTTP status, when there was an answer.
  public var status: Int?
  /// The API's own name for the error, when the answer held one.
  public var type: APIErrorType?
  /// What was wrong, one sentence without a full stop.
  public var message: String
  /// The field that a validation error is about.
  public var field: String?
  /// The start of an answer that could not be read, escaped.
  public var excerpt: String?
  /// How long the server asked to wait, at most ``RetryAfter/longest``.
  public var retryAfter: Duration?
  /// What was being done, such as `list instances`.
  public var operation: String

  /// An error with at least its kind, its sentence and what was being done.
  public init(
    kind: Kind, operation: String, message: String, status: Int? = nil, type: APIErrorType? = nil,
    field: String? = nil, excerpt: String? = nil, retryAfter: Duration? = nil
  ) {
    self.kind = kind
    self.operation = operation
    self.message = message
    self.status = status
    self.type = type
    self.field = field
    self.excerpt = excerpt
    self.retryAfter = retryAfter
  }

  /// `cannot list instances: …` in one sentence.
  public var description: String {
    var text = "cannot \(operation): \(message)"
    if let field { text += " (field \(field))" }
    if let excerpt, !excerpt.isEmpty { text += "; the answer began: \(excerpt)" }
    return text
  }
}

/// Text of a stranger, made fit to be shown.
public enum Excerpt {
  static let longest = 200

  /// The start of `text`, escaped, on one line.
  static func of(_ text: String) -> String {
    let start = escaped(text, limit: longest)
    return start.count > longest ? start.prefix(longest) + "…" : start
  }

  /// `text` with every character escaped that could move a cursor, colour a terminal or turn the direction of reading.
  public static func escaped(_ text: String, limit: Int = .max) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars.prefix(limit) {
      if isInvisible(scalar) {
        escaped += scalar.escaped(asASCII: true)
      } else {
        escaped.unicodeScalars.append(scalar)
      }
    }
    return text.unicodeScalars.count > limit ? escaped + "…" : escaped
  }

  static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7F }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse: return true
    default: return false  // every other category is drawn
    }
  }
}
