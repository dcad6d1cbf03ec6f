#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where the API is: scheme, host, maybe a port and a prefix of the path.
struct BaseURL: Sendable, Equatable {
  /// Without a slash at the end.
  let text: String

  /// The token travels over TLS, or does not leave this machine.
  ///
  /// - Throws: `notConfigured` for anything but https, or http to a loopback address.
  init(_ text: String) throws(APIError) {
    guard let url = URLComponents(string: text), let scheme = url.scheme?.lowercased(), let host = url.host,
      !host.isEmpty, url.query == nil, url.fragment == nil, url.user == nil, url.password == nil,
      let authority = url.encodedHost
    else {
      throw Self.problem("the base URL \(Excerpt.escaped(text, limit: 200)) is not of the form https://host/prefix")
    }
    guard scheme == "https" || (scheme == "http" && Self.isLoopback(host)) else {
      throw Self.problem(
        "the base URL \(Excerpt.escaped(text, limit: 200)) would send the API key unprotected; "
          + "use https (plain http is allowed only to a loopback address such as 127.0.0.1)")
    }
    let port = url.port.map { ":\($0)" } ?? ""
    self.text = "\(scheme)://\(authority)\(port)" + Self.withoutSlashes(url.percentEncodedPath)
  }

  static func problem(_ message: String) -> APIError {
    APIError(
      kind: .notConfigured, operation: "use the API", message: message + "; set FORWARD_COMPUTE_BASE_URL")
  }

  /// 127.0.0.0/8 in its four-part form, ::1 and localhost. `127.0.0.1.example.com` is none of them.
  static func isLoopback(_ host: String) -> Bool {
    let host = host.lowercased()
    if ["localhost", "::1", "[::1]"].contains(host) { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "127" else { return false }
    return parts.allSatisfy { (1...3).contains($0.utf8.count) && UInt8($0) != nil && !$0.hasPrefix("+") }
  }

  private static func withoutSlashes(_ path: String) -> String {
    var path = path
    while path.hasSuffix("/") { path.removeLast() }
    return path
  }
}

extension URLComponents {
  /// The host as it stands in a URL: an IPv6 address in brackets.
  fileprivate var encodedHost: String? {
    guard let host = percentEncodedHost else { return nil }
    return host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
  }
}
