/// The one label an instance carries: whose it is, which try of which job, and until when it can be wanted.
///
/// `fcr-<owner6>-<job16>-a<attempt>-n<node>-<exp>[-<spec name>]` (rulings 1). The API has no tags, so a reaper
/// without our database reads everything from here.
package struct MachineName: Equatable, Sendable {
  package var owner: String
  package var job: String
  package var attempt: Int
  package var node: Int
  /// Minutes since 1970; 0: no end was set, only a named or an `--older` reap takes it (rulings 2).
  package var expiry: Int64

  package static let prefix = "fcr-"
  static let longest = 63

  package init(owner: String, job: String, attempt: Int, node: Int, expiry: Int64) {
    self.owner = owner
    self.job = job
    self.attempt = attempt
    self.node = node
    self.expiry = expiry
  }

  /// Reads a name back; nil for any name that ``text(label:)`` does not write, so that nobody else's machine is ever
  /// taken for ours.
  package init?(_ text: String) {
    let parts = text.split(separator: "-", maxSplits: 6, omittingEmptySubsequences: false)
    guard parts.count >= 6, parts[0] == "fcr", parts[1].count == 6, parts[2].count == 16,
      (parts[1] + parts[2]).allSatisfy(\.isLowercaseBase36),
      let attempt = Self.number(parts[3], after: "a"), let node = Self.number(parts[4], after: "n"),
      parts[5].allSatisfy(\.isLowercaseBase36), let expiry = Int64(parts[5], radix: 36)
    else { return nil }
    self.init(owner: String(parts[1]), job: String(parts[2]), attempt: attempt, node: node, expiry: expiry)
    let label = parts.count == 7 ? parts[6] : ""
    guard attempt >= 1, label.allSatisfy({ $0 == "-" || $0.isLowercaseBase36 }), self.text(label: String(label)) == text
    else { return nil }
  }

  /// Whether `text` can be the mark of an owner: six of a-z and 0-9.
  package static func isOwner(_ text: String) -> Bool { text.count == 6 && text.allSatisfy(\.isLowercaseBase36) }

  /// The name without the label that people read in it.
  package var stem: String { "\(Self.prefix)\(owner)-\(job)-a\(attempt)-n\(node)-\(String(expiry, radix: 36))" }

  package func text(label: String) -> String {
    let whole = label.isEmpty ? stem : "\(stem)-\(label)"
    return String(whole.prefix(Self.longest)).trimmingDashes
  }

  package func isExpired(at now: Moment) -> Bool { expiry != 0 && now.milliseconds / 60_000 >= expiry }

  /// The POST + boot_timeout + max_duration + output_grace + 1 h, in minutes rounded up; 0 without `max_duration`.
  static func expiry(sentAt: Moment, plan: JobPlan, offering: Offering) -> Int64 {
    guard let duration = plan.limits.maxDuration else { return 0 }
    let end =
      sentAt + .seconds(plan.bootTimeout(for: offering) + duration + plan.limits.outputGrace + 3600)
    return (end.milliseconds + 59_999) / 60_000
  }

  private static func number(_ part: Substring, after letter: Character) -> Int? {
    guard part.first == letter, part.dropFirst().allSatisfy(\.isASCII) else { return nil }
    return Int(part.dropFirst()).flatMap { $0 >= 0 ? $0 : nil }
  }
}

extension Character {
  fileprivate var isLowercaseBase36: Bool { ("a"..."z").contains(self) || ("0"..."9").contains(self) }
}

extension String {
  fileprivate var trimmingDashes: String {
    var text = self
    while text.hasSuffix("-") { text.removeLast() }
    return text
  }
}
