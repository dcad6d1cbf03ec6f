import ForwardCompute
import Foundation
import Synchronization
import TestSupport
import Testing

/// The client against servers that misbehave, over real sockets on the loopback.
@Suite struct HTTPTests {
  private func client(
    _ server: ScriptedServer, key: String? = "sekret", timeout: Duration = .seconds(200)
  ) throws -> HTTPForwardCompute {
    try HTTPForwardCompute(baseURL: server.url + "/prefix/", apiKey: key, timeout: timeout, userAgent: "fcrun/9.9")
  }

  /// The error of a list of instances that is answered with `reply`.
  private func failure(
    of reply: ScriptedServer.Reply, timeout: Duration = .seconds(200)
  ) async throws -> (error: APIError?, requests: [ScriptedServer.Request]) {
    let server = try ScriptedServer(reply)
    defer { server.stop() }
    let api = try client(server, timeout: timeout)
    let error = await #expect(throws: APIError.self) { try await api.instances() }
    #expect(error?.description.contains("sekret") == false)
    return (error, server.requests)
  }

  // MARK: What is sent

  @Test func asksAtTheDocumentedPathsWithTheTokenAndItsName() async throws {
    let server = try ScriptedServer(.answer(200, #"{"data":[],"object":"list"}"#))
    defer { server.stop() }
    let api = try client(server)
    #expect(try await api.instances() == [])
    #expect(try await api.computeOfferings() == [])
    _ = try? await api.model("meta-llama/llama-3.3")
    _ = try? await api.instance("i", refresh: true)
    try await api.deleteInstance("i/../j")
    #expect(
      server.requests.map(\.line) == [
        "GET /prefix/v1/spot/instances/ HTTP/1.1", "GET /prefix/v1/spot/compute/offerings HTTP/1.1",
        "GET /prefix/v1/models/meta-llama%2Fllama-3.3 HTTP/1.1",
        "GET /prefix/v1/spot/instances/i?refresh=true HTTP/1.1",
        "DELETE /prefix/v1/spot/instances/i%2F..%2Fj HTTP/1.1",
      ])
    #expect(server.requests.allSatisfy { $0.headers["authorization"] == "Bearer sekret" })
    #expect(server.requests.allSatisfy { $0.headers["user-agent"] == "fcrun/9.9" })
  }

  @Test func withoutAKeyOnlyTheOfferingsAreAsked() async throws {
    let server = try ScriptedServer(.answer(200, #"{"data":[],"object":"list"}"#))
    defer { server.stop() }
    let api = try client(server, key: nil)
    #expect(try await api.computeOfferings() == [])
    #expect(server.requests[0].headers["authorization"] == nil)
    let error = await #expect(throws: APIError.self) { try await api.instances() }
    #expect(error?.kind == .notConfigured)
    #expect(error?.message.contains("FORWARD_COMPUTE_API_KEY") == true)
    guard case .notSent(let error) = await api.createInstance(CreateInstance(name: "n", offeringID: "o")) else {
      Issue.record("a POST without a key")
      return
    }
    #expect(error.kind == .notConfigured)
    #expect(server.requests.count == 1)
  }

  @Test(.faults(124), arguments: ["", ".", ".."])
  func sendsNothingForAnIdThatWouldNameAnotherPath(id: String) async throws {
    let server = try ScriptedServer(.answer(204, ""))
    defer { server.stop() }
    let api = try client(server)
    await #expect(throws: APIError.self) { try await api.deleteInstance(id) }
    await #expect(throws: APIError.self) { try await api.instance(id, refresh: true) }
    #expect(server.requests.isEmpty)
  }

  // MARK: Bodies

  @Test(
    .faults(31),
    arguments: [
      "", "<html><h1>502</h1></html>", "{\"data\":[", "null", "[]", "{}", "{\"data\":{}}", "{\"data\":[1]}",
      "{\"success\":false}", "{\"data\":[{\"id\":\"a\",\"status\":\"active\"}]}",
      "{\"data\":[{\"id\":\"a\",\"name\":7}]}",
      "{\"data\":[],\"data\":[]}", "{\"data\":[NaN]}", "{\"data\":[\"\\ud800\"]}",
    ])
  func aListThatCannotBeReadIsNoEmptyList(body: String) async throws {
    let error = try await failure(of: .answer(200, body)).error
    #expect(error?.kind == .malformedBody)
    #expect(error?.status == 200)
  }

  @Test(
    .faults(32),
    arguments: [#""has_more":true"#, #""next":"/v1/x?page=2""#, #""next_cursor":"abc""#, #""next_page":2"#])
  func aListThatGoesOnIsNotTakenForTheWhole(member: String) async throws {
    let error = try await failure(of: .answer(200, #"{"data":[],\#(member)}"#)).error
    #expect(error?.kind == .malformedBody)
  }

  @Test(.faults(32), arguments: [#""has_more":false"#, #""next":null"#, #""next_cursor":"""#, #""object":"list""#])
  func aListThatEndsHereIsWhole(member: String) async throws {
    let server = try ScriptedServer(.answer(200, #"{"data":[],\#(member)}"#))
    defer { server.stop() }
    #expect(try await client(server).instances().isEmpty)
  }

  @Test(.faults(31)) func oneBadInstanceSpoilsTheListButNotTheDocument() async throws {
    let good = #"{"id":"a","name":"n","status":"active","extra":{"x":1.50}}"#
    let server = try ScriptedServer(.answer(200, #"{"data":[\#(good),{"id":"b"}]}"#))
    defer { server.stop() }
    let api = try client(server)
    let error = await #expect(throws: APIError.self) { try await api.instances() }
    #expect(error?.message.contains("data[1].name") == true)
    let objects = try await api.document(.instances).objects
    #expect(objects.map { $0.text() } == [good, #"{"id":"b"}"#])
  }

  @Test func oneBadOfferingDoesNotHideTheOthers() async throws {
    let good = #"""
      {"id":"a","available":true,"deployment_type":"vm","hourly_price":"24.12","price_per_gpu_hour":3.015,
      "instance_type":"t","provider":"p","region":"r","boot_time":7,"configuration":{"num_gpus":"8","vcpus":4.0}}
      """#
    let bad = good.replacingOccurrences(of: #""24.12""#, with: #""1e5""#)
    let server = try ScriptedServer { _, number in
      .answer(200, number == 0 ? #"{"data":[\#(bad),\#(good)]}"# : #"{"data":[\#(bad)]}"#)
    }
    defer { server.stop() }
    let api = try client(server)
    let offering = try #require(try await api.computeOfferings().first)
    #expect(offering.pricePerGPUHour == Money.plain("3.015"))
    #expect(offering.bootTime == nil && offering.configuration?.numGPUs == nil && offering.configuration?.vcpus == 4)
    let error = await #expect(throws: APIError.self) { try await api.computeOfferings() }
    #expect(error?.message.contains("hourly_price") == true)
  }

  @Test func bothShapesOfASingleObjectAreRead() async throws {
    let flat = #"{"id":"i","name":"n","status":"active"}"#
    let server = try ScriptedServer { _, number in .answer(200, number == 0 ? flat : #"{"data":\#(flat)}"#) }
    defer { server.stop() }
    let api = try client(server)
    #expect(try await api.instance("i", refresh: true) == api.instance("i", refresh: true))
  }

  @Test(.faults(51)) func keepsTheStatusAndAShortEscapedExcerptOfAGatewaysPage() async throws {
    let page = "<html>\u{1B}[31m" + String(repeating: "x", count: 5000)
    let error = try await failure(of: .answer(502, page)).error
    #expect(error?.kind == .status(502))
    #expect(error?.status == 502)
    let excerpt = try #require(error?.excerpt)
    #expect(excerpt.hasPrefix("<html>\\u{1B}[31mxxx"))
    #expect(excerpt.count < 230)
  }

  @Test(.faults(51, 122)) func carriesTheApisOwnErrorAndOneThatItDoesNotKnow() async throws {
    let body = #"{"error":{"type":"quota_error\u001b","message":"too many\u0007","field":"name"}}"#
    let error = try await failure(of: .answer(422, body)).error
    #expect(error?.type?.rawValue == "quota_error\u{1B}")
    #expect(error?.field == "name")
    #expect(
      error?.description
        == #"cannot list instances: the API answered 422, quota_error\u{1B}: too many\u{07} (field name)"#)
  }

  /// Some gateways print the request that they did not like.
  @Test(.faults(120), arguments: [200, 400, 502])
  func aPageThatEchoesTheKeyDoesNotCarryItIntoTheError(status: Int) async throws {
    let page = try await failure(of: .answer(status, String(repeating: "x", count: 195) + "Bearer sekret")).error
    #expect(page?.excerpt?.contains("sek") == false)
    let body = #"{"error":{"type":"sekret","message":"bad key sekret","field":"sekret"}}"#
    #expect(try await failure(of: .answer(400, body)).error?.message.hasSuffix("bad key ***") == true)
  }

  @Test(.faults(25)) func stopsReadingABodyWithoutEnd() async throws {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n["
    #expect(try await failure(of: .endless(head)).error?.kind == .bodyTooLarge)
  }

  @Test(.faults(25)) func doesNotBeginABodyThatIsAnnouncedTooLarge() async throws {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n["
    #expect(try await failure(of: .trickle(head)).error?.kind == .bodyTooLarge)
  }

  @Test(.faults(25)) func aHeadWithoutEndIsCutOff() async throws {
    let error = try await failure(of: .endless("HTTP/1.1 200 OK\r\nX-Long: ")).error
    #expect(error?.kind == .connectionLost)
  }

  @Test func anErrorWithoutEndStillHasItsStatus() async throws {
    #expect(try await failure(of: .endless("HTTP/1.1 503 No\r\n\r\n<")).error?.kind == .status(503))
    let cut = "HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\n<h"
    #expect(try await failure(of: .sendThenReset(cut)).error?.kind == .status(503))
  }

  // MARK: Time

  @Test(
    .faults(47, 112),
    arguments: [
      ScriptedServer.Reply.silence, .trickle("HTTP/1.1 200 OK\r\nX-Slow: "), .trickle("HTTP/1.1 200 OK\r\n\r\n"),
    ])
  func aServerThatTricklesOrKeepsSilentMeetsTheDeadline(reply: ScriptedServer.Reply) async throws {
    // Seconds as this busy process gets to count them: a clock on the wall says how much else runs.
    let seconds = Mutex(0)
    let counting = Task {
      while (try? await Task.sleep(for: .seconds(1))) != nil { seconds.withLock { $0 += 1 } }
    }
    defer { counting.cancel() }
    let error = try await failure(of: reply, timeout: .seconds(1)).error
    #expect(error?.kind == .timedOut)
    #expect(seconds.withLock(\.self) < 20, "the peer never ends by itself")
  }

  @Test func aCancelledCallEndsAtOnce() async throws {
    let server = try ScriptedServer(.silence)
    defer { server.stop() }
    let api = try client(server)
    let call = Task { () -> APIError.Kind? in
      do throws(APIError) {
        _ = try await api.instances()
        return nil
      } catch {
        return error.kind
      }
    }
    while server.requests.isEmpty { await Task.yield() }
    call.cancel()
    #expect(await call.value == .cancelled)
  }

  // MARK: Redirects

  @Test(.faults(45), arguments: [301, 302, 303, 307, 308])
  func aRedirectIsRefusedAndTheTokenGoesNowhere(status: Int) async throws {
    let elsewhere = try ScriptedServer(.answer(200, #"{"id":"stolen","data":[]}"#))
    defer { elsewhere.stop() }
    let location = ["Location: \(elsewhere.url)/v1/spot/instances/"]
    let server = try ScriptedServer(.answer(status, "", headers: location))
    defer { server.stop() }
    let api = try client(server)
    let error = await #expect(throws: APIError.self) { try await api.instances() }
    #expect(error?.kind == .redirected)
    #expect(error?.status == status)
    #expect(error?.message.contains("127.0.0.1") == true)
    guard case .ambiguous(let error) = await api.createInstance(CreateInstance(name: "n", offeringID: "o")) else {
      Issue.record("a redirected POST is not ambiguous")
      return
    }
    #expect(error.kind == .redirected)
    #expect(elsewhere.requests.isEmpty)
    #expect(server.requests.count == 2)
  }

  // MARK: The one POST

  /// However early the answer breaks off, the machine may exist; and the client must not have asked twice.
  @Test(.faults(20), arguments: [true, false])
  func anAnswerToAPostThatBreaksOffIsAmbiguousAtEveryByte(resets: Bool) async throws {
    let whole = Array(
      ScriptedServer.Reply.message(201, #"{"id":"i","name":"n","status":"creating","ssh_port":22}"#).utf8)
    let server = try ScriptedServer { _, number in
      let start = String(decoding: whole.prefix(number), as: UTF8.self)
      return resets ? .sendThenReset(start) : .sendThenClose(start)
    }
    defer { server.stop() }
    let api = try client(server)
    for count in 0..<whole.count {
      let creation = await api.createInstance(CreateInstance(name: "n\(count)", offeringID: "o"))
      guard case .ambiguous(let error) = creation else {
        Issue.record("after \(count) bytes: \(creation)")
        continue
      }
      #expect(error.kind == .connectionLost)
    }
    let names = server.requests.map { String($0.body.dropFirst(9).prefix { $0 != "\"" }) }
    #expect(names == (0..<whole.count).map { "n\($0)" })
  }

  /// A kept-alive connection that the server closes just then would make a POST ambiguous without need.
  @Test func aPostTakesAConnectionOfItsOwn() async throws {
    let server = try ScriptedServer { _, number in
      number == 0 ? .answer(200, #"{"data":[]}"#) : .answer(200, #"{"id":"i"}"#)
    }
    defer { server.stop() }
    let api = try client(server)
    _ = try await api.instances()
    _ = try? await api.instances()
    for _ in 0..<20 {
      guard case .created(id: "i", instance: nil) = await api.createInstance(CreateInstance(name: "n", offeringID: "o"))
      else {
        Issue.record("not created")
        return
      }
    }
    let connections = server.requests.map(\.connection)
    #expect(connections[0] == connections[1])
    #expect(Set(connections.dropFirst(1)).count == 21)
  }

  @Test(.faults(17, 52)) func aPostThatIsNotAnsweredIsAmbiguousAndSentOnce() async throws {
    let server = try ScriptedServer(.silence)
    defer { server.stop() }
    let api = try client(server, timeout: .seconds(1))
    guard case .ambiguous(let error) = await api.createInstance(CreateInstance(name: "n", offeringID: "o")) else {
      Issue.record("not ambiguous")
      return
    }
    #expect(error.kind == .timedOut)
    #expect(server.requests.count == 1)
  }

  @Test(.faults(20)) func aPostThatMeetsNobodyWasNotSent() async throws {
    let closed = try closedPort()
    let api = try HTTPForwardCompute(baseURL: "http://127.0.0.1:\(closed)", apiKey: "sekret")
    guard case .notSent(let error) = await api.createInstance(CreateInstance(name: "n", offeringID: "o")) else {
      Issue.record("not notSent")
      return
    }
    #expect(error.kind == .notSent)
    let read = await #expect(throws: APIError.self) { try await api.instances() }
    #expect(read?.kind == .notSent)
  }

  @Test(.faults(20, 46)) func aPostToAServerWithoutTLSWasNotSent() async throws {
    let plain = try ScriptedServer.plainTextBehindTLS()
    defer { plain.stop() }
    let api = try HTTPForwardCompute(baseURL: "https://127.0.0.1:\(plain.port)", apiKey: "sekret")
    guard case .notSent(let error) = await api.createInstance(CreateInstance(name: "n", offeringID: "o")) else {
      Issue.record("not notSent")
      return
    }
    #expect(error.kind == .notSent)
    #expect(plain.requests.allSatisfy { !$0.body.contains("sekret") })
  }

  @Test func aCallOfACancelledTaskSendsNothing() async throws {
    let server = try ScriptedServer(.answer(200, #"{"id":"i"}"#))
    defer { server.stop() }
    let api = try client(server)
    let task = Task { () -> Bool in
      while !Task.isCancelled { await Task.yield() }
      if case .notSent = await api.createInstance(CreateInstance(name: "n", offeringID: "o")) { return true }
      return false
    }
    task.cancel()
    #expect(await task.value)
    #expect(server.requests.isEmpty)
  }

  @Test func aClientThatIsShutDownSendsNothing() async throws {
    let server = try ScriptedServer(.answer(200, #"{"id":"i"}"#))
    defer { server.stop() }
    let api = try client(server)
    await api.shutdown()
    guard case .notSent = await api.createInstance(CreateInstance(name: "n", offeringID: "o")) else {
      Issue.record("sent")
      return
    }
    #expect(server.requests.isEmpty)
  }

  // MARK: Deletion

  @Test(arguments: [200, 202, 204])
  func anAcceptedDeletionNeedsNoBody(status: Int) async throws {
    let server = try ScriptedServer(.answer(status, status == 204 ? "" : "<ok>"))
    defer { server.stop() }
    try await client(server).deleteInstance("i")
  }

  @Test(.faults(35)) func aRefusedDeletionKeepsItsStatusAndItsHint() async throws {
    let server = try ScriptedServer(.answer(429, "", headers: ["Retry-After: 7"]))
    defer { server.stop() }
    let api = try client(server)
    let error = await #expect(throws: APIError.self) { try await api.deleteInstance("i") }
    #expect(error?.kind == .status(429))
    #expect(error?.retryAfter == .seconds(7))
  }
}
