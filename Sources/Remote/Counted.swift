/// A number of things as people say it.
package enum Counted {
  /// `1 file`, `2 files`.
  package static func text(_ count: Int, _ thing: String) -> String {
    "\(count) \(thing)\(count == 1 ? "" : "s")"
  }
}
