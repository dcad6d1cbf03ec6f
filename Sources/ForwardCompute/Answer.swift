#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// One HTTP answer: what is left of it once the connection is out of sight.
struct Answer: Sendable {
  var status: Int
  var body: [UInt8] = []
  /// False when the connection broke, or we stopped reading, before the end of the body.
  var isComplete = true
  var retryAfter: Duration?
  var location: String?
  /// The key that was sent along: a page that echoes the request must not carry it into our errors.
  var secret: String?
}

extension Answer {
  /// The body of a success.
  ///
  /// - Parameter take: is given the elements of a list one by one; they are not in what is returned.
  func json(_ operation: String, elements take: ((JSONValue) -> Void)? = nil) throws(APIError) -> JSONValue {
    do {
      return try JSONValue(parsing: body, elements: take)
    } catch {
      throw malformed(operation, body.isEmpty ? "the answer is empty" : "the answer is not JSON (\(error))")
    }
  }

  /// A success that cannot be used.
  func malformed(_ operation: String, _ message: String) -> APIError {
    APIError(
      kind: .malformedBody, operation: operation, message: message, status: status, excerpt: excerpt)
  }

  /// What an answer outside 2xx says.
  func error(_ operation: String) -> APIError {
    if (300..<400).contains(status) { return redirection(operation) }
    let known = isComplete ? APIErrorBody(parsing: body, masking: masked) : nil
    return APIError(
      kind: .status(status), operation: operation, message: message(known), status: status, type: known?.type,
      field: known?.field, excerpt: known?.type == nil ? excerpt : nil, retryAfter: retryAfter)
  }

  private func message(_ known: APIErrorBody?) -> String {
    let type = known?.type.map { ", \(Excerpt.escaped($0.rawValue, limit: 60))" } ?? ""
    let text = known?.message.map { ": \($0)" } ?? ""
    return "the API answered \(status)\(type)\(text)"
  }

  /// Masked before it is cut: half a key is a key half guessed.
  private var excerpt: String {
    Excerpt.of(masked(String(decoding: body.prefix(4096), as: UTF8.self)))
  }

  private func masked(_ text: String) -> String {
    guard let secret, !secret.isEmpty else { return text }
    return text.replacing(secret, with: "***")
  }

  private func redirection(_ operation: String) -> APIError {
    let target = location.map { Excerpt.escaped(masked(Self.host(of: $0)), limit: 100) } ?? "an unnamed place"
    return APIError(
      kind: .redirected, operation: operation,
      message: "the API answered \(status), a redirect to \(target), and redirects are refused; "
        + "set FORWARD_COMPUTE_BASE_URL to the API itself",
      status: status)
  }

  /// The host that a `Location` names, or the location itself when it is relative.
  private static func host(of location: String) -> String {
    URLComponents(string: location)?.host ?? location
  }
}

/// `{"error": {"type", "message", "field"?}}`, any part of which may be missing.
struct APIErrorBody {
  var type: APIErrorType?
  var message: String?
  var field: String?

  private static let longestMessage = 500

  init?(parsing body: [UInt8], masking mask: (String) -> String) {
    guard let error = try? JSONValue(parsing: body)["error"], let fields = try? WireFields(error) else { return nil }
    type = fields.optionalString("type").map { APIErrorType(rawValue: mask($0)) }
    message = fields.optionalString("message").map { Excerpt.escaped(mask($0), limit: Self.longestMessage) }
    field = fields.optionalString("field").map { Excerpt.escaped(mask($0), limit: 100) }
  }
}

extension JSONValue {
  /// The object itself, whether or not it came inside `data`: the API documents both shapes, each for some objects.
  var unwrapped: JSONValue {
    if self["id"] == nil, let inner = self["data"], case .object = inner { return inner }
    return self
  }
}
