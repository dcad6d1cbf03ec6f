import TestSupport
import Testing

@testable import ForwardCompute

/// Which answers to a POST mean what: the difference between no machine and two.
@Suite struct CreationTests {
  enum Class: String {
    case created, notSent, rejected, rateLimited, ambiguous
  }

  private static func classify(_ answer: Answer) -> Class {
    switch Creation(answer, operation: "create") {
    case .created: .created
    case .notSent: .notSent
    case .rejected: .rejected
    case .rateLimited: .rateLimited
    case .ambiguous: .ambiguous
    }
  }

  private static func error(_ type: String) -> String {
    #"{"error":{"type":"\#(type)","message":"no"}}"#
  }

  private static let definite = [
    "validation_error", "authentication_error", "unauthorized", "forbidden", "not_found", "insufficient_balance",
  ]

  @Test(.faults(41), arguments: definite)
  func aDefiniteTypeIsARejectionAtAnyPlain4xx(type: String) {
    for status in [400, 401, 402, 403, 404, 410, 422, 451] {
      #expect(Self.classify(Answer(status: status, body: Array(Self.error(type).utf8))) == .rejected)
    }
  }

  @Test(.faults(22), arguments: definite)
  func butNotWhereTheStatusSaysThatItMayHaveHappened(type: String) {
    for status in [100, 300, 302, 307, 408, 409, 425, 500, 502, 503, 504, 599] {
      #expect(Self.classify(Answer(status: status, body: Array(Self.error(type).utf8))) == .ambiguous)
    }
  }

  @Test(.faults(22), arguments: ["provider_error", "server_error", "streaming_error", "something_new", ""])
  func anyOtherTypeIsAmbiguousAtAny4xx(type: String) {
    for status in [400, 401, 403, 404, 422] {
      #expect(Self.classify(Answer(status: status, body: Array(Self.error(type).utf8))) == .ambiguous)
    }
  }

  @Test(
    .faults(21),
    arguments: [
      "", "<html>Bad Request</html>", "{", "{}", "[]", "null", #"{"error":null}"#, #"{"error":"validation_error"}"#,
      #"{"error":{"type":7,"message":"no"}}"#, #"{"type":"validation_error"}"#,
    ])
  func a4xxThatNobodyCanReadIsAmbiguous(body: String) {
    #expect(Self.classify(Answer(status: 400, body: Array(body.utf8))) == .ambiguous)
  }

  @Test(.faults(20)) func arejectionThatWasCutIsAmbiguous() {
    let answer = Answer(status: 400, body: Array(Self.error("validation_error").utf8), isComplete: false)
    #expect(Self.classify(answer) == .ambiguous)
  }

  @Test(.faults(23)) func a429IsALimitWhateverItsBody() {
    for body in ["", "<html>", Self.error("validation_error"), Self.error("server_error")] {
      #expect(Self.classify(Answer(status: 429, body: Array(body.utf8))) == .rateLimited)
    }
    #expect(Self.classify(Answer(status: 429, body: Array(Self.error("provider_error").utf8))) == .ambiguous)
  }

  @Test(arguments: [
    #"{"id":"spot_inst_abc123"}"#, #"{"id":"i","object":"spot.instance"}"#, #"{"data":{"id":"i"},"object":"x"}"#,
    #"{"id":"8d4b0b8e-6a0e-4d3a-9d6e-000000000000","status":[]}"#,
  ])
  func anIdAtAny2xxIsAMachine(body: String) {
    for status in [200, 201, 202, 204] {
      #expect(Self.classify(Answer(status: status, body: Array(body.utf8))) == .created)
    }
  }

  @Test(
    .faults(21, 124),
    arguments: [
      "", "{}", "[]", "null", "true", "<html>", #"{"id":null}"#, #"{"id":7}"#, #"{"id":""}"#, #"{"id":"."}"#,
      #"{"id":".."}"#, #"{"id":"a/b"}"#, #"{"id":"a b"}"#, #"{"id":"a\n"}"#, #"{"id":"é"}"#, #"{"id":"a","id":"b"}"#,
      #"{"id":"i""#, #"{"object":"spot.instance"}"#,
    ])
  func a2xxWithoutAnIdThatCanBeUsedIsAmbiguous(body: String) {
    #expect(Self.classify(Answer(status: 200, body: Array(body.utf8))) == .ambiguous)
    #expect(Self.classify(Answer(status: 201, body: Array(body.utf8))) == .ambiguous)
  }

  @Test(.faults(51, 124)) func refusesAnIdAsLongAsABook() {
    let body = #"{"id":"\#(String(repeating: "i", count: 257))"}"#
    #expect(Self.classify(Answer(status: 200, body: Array(body.utf8))) == .ambiguous)
  }

  @Test func theInstanceComesAlongWhenItCanBeRead() {
    let body = #"{"id":"i","name":"n","status":"hatching","ssh_port":2222,"ip":null}"#
    guard case .created(let id, let instance?) = Creation(Answer(status: 201, body: Array(body.utf8)), operation: "c")
    else {
      Issue.record("no instance")
      return
    }
    #expect(id == "i" && instance.status.rawValue == "hatching" && instance.sshPort == 2222 && instance.ip == nil)
  }
}
