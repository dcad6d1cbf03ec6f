/// Mutants of the protocol, in the one build that has them.
package enum Mutation {
  /// Turns the mutant of that number on, and every other one off; nil in every build but that of `make mutants`.
  package static let turnOn: (@Sendable (Int) -> Void)? = nil
}
