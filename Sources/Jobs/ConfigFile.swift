/// `config.json`: partial job files that fill in what a job leaves out, `defaults` always and each of `profiles` when it is named.
///
/// It holds no secrets: what looks like one is refused, because such a file is copied, committed and shown around.
package struct ConfigFile: Sendable {
  private var defaults: SpecNode?
  private var profiles: [SpecNode.Member] = []

  /// Where nothing is configured.
  package static let empty = ConfigFile()

  private init() {}

  /// - Parameter secrets: values that must not stand in it, such as the API key of the environment.
  package static func read(_ parsed: SpecNode.Parsed, secrets: [String]) -> Result<ConfigFile, SpecProblems> {
    var reader = SpecReader()
    reader.add(parsed.problems)
    let config = parsed.node.flatMap { reader.config($0, secrets: secrets) }
    guard let config, reader.problems.isEmpty else { return .failure(SpecProblems(reader.problems)) }
    return .success(config)
  }

  /// What fills in a job, the first that says something wins: the profile, then the defaults.
  ///
  /// - Parameters:
  ///   - profile: as `--profile` names it; nil takes the defaults alone.
  ///   - shown: the config file's name, for the sentence about a profile that it does not have.
  package func layers(profile: String?, shown: String) -> Result<[SpecNode], SpecProblems> {
    let others = defaults.map { [$0] } ?? []
    guard let profile else { return .success(others) }
    if let found = profiles.first(where: { $0.key == profile }) { return .success([found.node] + others) }
    let names = profiles.map(\.key)
    let meant =
      EditDistance.nearest(to: profile, in: names).map { "did you mean \(quoted($0))?" }
      ?? (names.isEmpty ? "it has none" : "expected one of \(SpecFields.list(names))")
    let place = Place(file: "--profile", line: 1, column: 1)
    let message = "\(shown) has no profile \(quoted(profile)); \(meant)"
    return .failure(SpecProblems([SpecProblem(at: place, path: "profiles", message: message)]))
  }

  fileprivate init(defaults: SpecNode?, profiles: [SpecNode.Member]) {
    self.defaults = defaults
    self.profiles = profiles
  }
}

extension SpecReader {
  fileprivate mutating func config(_ node: SpecNode, secrets: [String]) -> ConfigFile? {
    let members = members(node, SpecPath("config"), expected: "an object with defaults and profiles")
    var defaults: SpecNode?
    var profiles: [SpecNode.Member] = []
    for member in members {
      let path = SpecPath(member.key)
      switch member.key {
      case "defaults": defaults = partial(member.node, path, secrets)
      case "profiles":
        profiles = self.members(member.node, path, expected: "an object of profiles").filter { profile in
          partial(profile.node, path.appending(profile.key), secrets) != nil
        }
      default: report(member.keyPlace, path, unknown(member.key))
      }
    }
    return ConfigFile(defaults: defaults, profiles: profiles)
  }

  private func unknown(_ name: String) -> String {
    if SecretLooks.isName(name) {
      return "looks like a secret, which has no place in this file; expected FORWARD_COMPUTE_API_KEY in the environment"
    }
    if SpecFields.spec.contains(name) { return "unknown field; expected it in defaults or in a profile" }
    return "unknown field; expected one of defaults, profiles"
  }

  private mutating func partial(_ node: SpecNode, _ path: SpecPath, _ secrets: [String]) -> SpecNode? {
    guard case .object(let members) = node.value else {
      report(node.place, path, "is \(node.inWords)", expected: "an object with fields of a job file")
      return nil
    }
    for member in members { refuseSecrets(member, path, secrets, isVariable: false) }
    return node
  }

  /// Names are looked at where a value would be sent: in `envs`, and in what the job file does not know.
  private mutating func refuseSecrets(
    _ member: SpecNode.Member, _ outer: SpecPath, _ secrets: [String], isVariable: Bool
  ) {
    let path = outer.appending(member.key)
    switch member.node.value {
    case .object(let members):
      for inner in members { refuseSecrets(inner, path, secrets, isVariable: member.key == "envs") }
    case .list(let nodes):
      for (index, node) in nodes.enumerated() {
        let entry = SpecNode.Member(key: "[\(index)]", keyPlace: node.place, node: node)
        refuseSecrets(entry, path, secrets, isVariable: false)
      }
    case .string(let text):
      let isKnown = SpecFields.spec.contains(member.key) || member.key == "private_key"
      let hasName = SecretLooks.isName(member.key) && (isVariable || !isKnown)
      guard hasName || SecretLooks.isValue(text) || secrets.contains(where: { !$0.isEmpty && text.contains($0) }) else {
        return
      }
      report(
        member.node.place, path, "looks like a secret, which has no place in this file",
        expected: "its name in secrets, and its value exported where fcrun runs")
    case .null, .bool, .number: return
    }
  }
}

/// What secrets are called, and how well-known ones begin.
private enum SecretLooks {
  private static let words: Set<String> = [
    "token", "secret", "password", "passwd", "passphrase", "credential", "credentials", "apikey",
  ]
  private static let beginnings = ["hf_", "sk-", "ghp_", "github_pat_", "glpat-", "xoxb-", "AKIA", "-----BEGIN"]

  /// `HF_TOKEN`, `api-key`; not `TOKENIZERS_PARALLELISM` or `MAX_TOKENS`.
  static func isName(_ name: String) -> Bool {
    let parts = name.lowercased().split { $0 == "_" || $0 == "-" || $0 == "." }.map(String.init)
    let pairs = zip(parts, parts.dropFirst()).map { $0 + $1 }
    return !words.isDisjoint(with: parts) || pairs.contains("apikey") || pairs.contains("accesskey")
  }

  static func isValue(_ text: String) -> Bool {
    text.utf8.count >= 16 && beginnings.contains { text.hasPrefix($0) }
  }
}
