import Remote
import SSH

/// The connection that every verb goes over, and a second one while much is carried over a long way.
///
/// A channel carries a window for each round trip, and so does a TCP connection: on a short way both have room for all that two processors
/// encrypt, on a long one neither has.
@SSHLoop
final class Ways {
  /// Beyond this a second connection pays.
  private static let long: Duration = .milliseconds(50)
  /// Bytes that are worth the round trips of a connection.
  static let much = 64 << 20

  let first: Session
  private let connect: @SSHLoop () async throws -> Session
  private var second: Task<Session, any Error>?

  /// - Parameter connect: makes one more connection to the same machine, with the same host key.
  init(_ first: Session, connect: @escaping @SSHLoop () async throws -> Session) {
    (self.first, self.connect) = (first, connect)
  }

  /// Whether another connection is worth its round trips for so many bytes.
  func isWorthAnother(_ bytes: Int) -> Bool { bytes >= Self.much && first.roundTrip ?? .zero >= Self.long }

  /// The second connection, made when it is first asked for.
  func another() async throws -> Session {
    if let second { return try await second.value }
    let connect = connect
    let task = Task { try await connect() }
    second = task
    return try await task.value
  }

  /// Ends what was made.
  func close() {
    guard let second else { return }
    self.second = nil
    Task { try? await second.value.disconnect() }
  }
}
