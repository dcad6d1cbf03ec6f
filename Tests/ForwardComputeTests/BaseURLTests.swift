import TestSupport
import Testing

@testable import ForwardCompute

@Suite struct BaseURLTests {
  @Test(arguments: [
    ("https://app.forwardcompute.ai", "https://app.forwardcompute.ai"),
    ("https://app.forwardcompute.ai/", "https://app.forwardcompute.ai"),
    ("HTTPS://h.example/prefix//", "https://h.example/prefix"), ("http://127.0.0.1:8080/a/", "http://127.0.0.1:8080/a"),
    ("http://127.255.0.9", "http://127.255.0.9"), ("http://[::1]:80", "http://[::1]:80"),
    ("http://localhost:1", "http://localhost:1"), ("http://LOCALHOST", "http://LOCALHOST"),
  ])
  func takesHTTPSAndLoopback(text: String, result: String) throws {
    #expect(try BaseURL(text).text == result)
  }

  @Test(
    .faults(125),
    arguments: [
      "http://app.forwardcompute.ai", "http://127.0.0.1.example.com", "http://localhost.example.com", "http://127.1",
      "http://128.0.0.1", "http://10.0.0.1", "http://0.0.0.0", "http://[::2]", "http://127.0.0.256",
      "http://127.0.0.+1",
      "ftp://127.0.0.1", "127.0.0.1:80", "", "https://", "https://user:word@h.example", "https://h.example/?a=b",
      "https://h.example/#x", "http://127.0.0.1@h.example", "http://h.example\\@127.0.0.1",
    ])
  func refusesEveryOtherPlaceBeforeAnythingIsSent(text: String) {
    let error = #expect(throws: APIError.self) { try HTTPForwardCompute(baseURL: text, apiKey: "sekret") }
    #expect(error?.kind == .notConfigured)
    #expect(error?.description.contains("sekret") == false)
  }

  @Test(.faults(124), arguments: ["a b", "a\r\nX-Evil: 1", "a\n", "clé"])
  func refusesAKeyThatCannotStandInAHeader(key: String) {
    let error = #expect(throws: APIError.self) { try HTTPForwardCompute(baseURL: "https://h.example", apiKey: key) }
    #expect(error?.kind == .notConfigured)
    #expect(error?.description.contains(key) == false)
  }

  @Test(.faults(124)) func encodesAnIdAsOneSegment() {
    #expect(Read.model("meta-llama/llama 3?#%é").path == "/v1/models/meta-llama%2Fllama%203%3F%23%25%C3%A9")
    #expect(Read.instance("i", refresh: true).path == "/v1/spot/instances/i?refresh=true")
    #expect(Read.instance("i", refresh: false).path == "/v1/spot/instances/i")
  }
}
