import ForwardCompute

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a command gets from around it.
struct Context {
  static let defaultBaseURL = "https://app.forwardcompute.ai"
  /// A person waits for the answer.
  static let patience = RetryPolicy(maxElapsed: .seconds(10), longestPause: .seconds(4))

  /// The API as the environment names it.
  ///
  /// - Throws: ``APIError`` of kind `notConfigured` when the URL or the key cannot be used.
  static func api() throws -> any ForwardComputeAPI {
    try client(environment("FORWARD_COMPUTE_BASE_URL") ?? defaultBaseURL, environment("FORWARD_COMPUTE_API_KEY"))
  }

  /// The API at `baseURL`.
  ///
  /// - Throws: ``APIError`` of kind `notConfigured` when the URL or the key cannot be used.
  static func client(
    _ baseURL: String, _ apiKey: String?, _ policy: RetryPolicy = patience
  ) throws -> any ForwardComputeAPI {
    let client = try HTTPForwardCompute(baseURL: baseURL, apiKey: apiKey, userAgent: "fcrun/\(Version.text)")
    return RetryingForwardCompute(client, limiter: RequestLimiter(), policy: policy)
  }

  /// A variable of the environment as it is.
  static func environmentEvenEmpty(_ name: String) -> String? {
    ProcessInfo.processInfo.environment[name]
  }

  /// A variable of the environment; an empty one counts as not set.
  static func environment(_ name: String) -> String? {
    guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else { return nil }
    return value
  }
}
