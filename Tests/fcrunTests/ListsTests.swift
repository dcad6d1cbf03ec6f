import TestSupport
import Testing

/// The lists, from outside: the running binary against a server on the loopback.
@Suite struct ListsTests {
  private static let offerings = #"""
    {"object":"list","data":[
    {"id":"dear","available":true,"deployment_type":"vm","hourly_price":"24.120","price_per_gpu_hour":"3.015",
     "instance_type":"A100x8","provider":"One","region":"us","x_new":{"n":1.50},
     "configuration":{"gpu_type":"A100","num_gpus":8}},
    {"id":"cheap-slow","available":false,"deployment_type":"vm","hourly_price":"2.5","price_per_gpu_hour":"2.5",
     "instance_type":"H100","provider":"two","region":"eu","boot_time":{"max_seconds":300},
     "configuration":{"gpu_type":"H100","num_gpus":1}},
    {"id":"cheap-fast","available":true,"deployment_type":"vm","hourly_price":"2.50","price_per_gpu_hour":"2.5",
     "instance_type":"?","provider":"two","region":"eu","boot_time":{"max_seconds":60}},
    {"id":"broken","hourly_price":"free"}
    ]}
    """#

  private func run(
    _ arguments: String..., answer: ScriptedServer.Reply, key: String? = "sekret"
  ) throws -> (command: Command, requests: [ScriptedServer.Request]) {
    let server = try ScriptedServer(answer)
    defer { server.stop() }
    var environment = ["FORWARD_COMPUTE_BASE_URL": server.url]
    environment["FORWARD_COMPUTE_API_KEY"] = key
    let command = try Command("fcrun", arguments, environment: environment)
    #expect(!(command.stdout + command.stderr).contains("sekret"))
    return (command, server.requests)
  }

  @Test func offeringsComeCheapestFirstThenFastest() throws {
    let command = try run("offerings", answer: .answer(200, Self.offerings)).command
    #expect(command.status == 0)
    let rows = command.stdout.split(separator: "\n")
    #expect(rows.map { $0.prefix { $0 != " " } } == ["ID", "cheap-fast", "cheap-slow", "dear"])
    #expect(rows[3].contains("24.12") && rows[1].contains("2.50"))
    #expect(!command.stdout.contains("\t") && !command.stdout.contains("\u{1B}"))
    #expect(command.stderr.contains("1 of 4 could not be read"))
  }

  @Test func jsonHasEveryItemAsReceived() throws {
    let command = try run("offerings", "list", "--json", answer: .answer(200, Self.offerings)).command
    #expect(command.status == 0)
    for text in [#""24.120""#, #""n": 1.50"#, #""id": "broken""#] { #expect(command.stdout.contains(text)) }
    #expect(command.stdout.hasPrefix("{\n  \"data\": [\n"))
  }

  @Test(arguments: [
    (["--gpu-type", "a100"], ["dear"]), (["--num-gpus", "1"], ["cheap-slow"]), (["--num-gpus", "2.."], ["dear"]),
    (["--max-hourly-price", "2.50"], ["cheap-fast", "cheap-slow"]),
    (["--region", "EU"], ["cheap-fast", "cheap-slow"]),
    (["--provider", "one", "--provider", "none"], ["dear"]), (["--available"], ["cheap-fast", "dear"]),
    (["--gpu-type", "B200"], []),
  ])
  func filtersKeepWhatStatesTheValue(filter: [String], ids: [String]) throws {
    let server = try ScriptedServer(.answer(200, Self.offerings))
    defer { server.stop() }
    let command = try Command(
      "fcrun", ["offerings"] + filter, environment: ["FORWARD_COMPUTE_BASE_URL": server.url])
    #expect(command.status == 0)
    #expect(command.stdout.split(separator: "\n").dropFirst().map { String($0.prefix { $0 != " " }) } == ids)
  }

  @Test func showPrintsTheObjectItself() throws {
    let answer = ScriptedServer.Reply.answer(200, #"{"data":{"id":"o","hourly_price":"1.10"},"object":"x"}"#)
    let json = try run("offerings", "show", "o", "--json", answer: answer).command
    #expect(json.stdout == "{\n  \"id\": \"o\",\n  \"hourly_price\": \"1.10\"\n}\n")
    let lines = try run("offerings", "show", "o", answer: answer).command
    #expect(lines.stdout == "id            o\nhourly_price  1.10\n")
  }

  @Test(arguments: [([], "?refresh=true"), (["--cached"], "")])
  func anInstanceIsReadFreshUnlessTheCacheIsAskedFor(options: [String], query: String) throws {
    let server = try ScriptedServer(.answer(200, #"{"id":"i","name":"n\u001b[2J","status":"new\u202e"}"#))
    defer { server.stop() }
    let command = try Command(
      "fcrun", ["instances", "show", "i"] + options,
      environment: ["FORWARD_COMPUTE_BASE_URL": server.url, "FORWARD_COMPUTE_API_KEY": "k"])
    #expect(command.stdout == "id      i\nname    n\\u{1B}[2J\nstatus  new\\u{202E}\n")
    #expect(server.requests.map(\.line) == ["GET /v1/spot/instances/i\(query) HTTP/1.1"])
  }

  @Test func aModelsIdIsOneSegment() throws {
    let run = try run("models", "show", "meta/llama", answer: .answer(404, #"{"error":{}}"#))
    #expect(run.requests.map(\.line) == ["GET /v1/models/meta%2Fllama HTTP/1.1"])
    #expect(run.command.status == 64)
    #expect(run.command.stderr == "fcrun: there is no model meta/llama\ntry: fcrun models list\n")
  }

  @Test(arguments: [
    (401, "authentication_error", Int32(77)), (403, "forbidden", 77), (400, "insufficient_balance", 77),
    (401, "", 77), (400, "validation_error", 125), (404, "not_found", 125),
  ])
  func anErrorOfTheAPIHasItsExitCodeAndSentence(status: Int, type: String, code: Int32) throws {
    let body = #"{"error":{"type":"\#(type)","message":"said so"}}"#
    let plain = try run("instances", "list", answer: .answer(status, body)).command
    #expect(plain.status == code)
    #expect(plain.stdout == "")
    #expect(plain.stderr.hasPrefix("fcrun: cannot list instances: the API answered \(status)"))
    let json = try run("instances", "--json", answer: .answer(status, body)).command
    #expect(json.status == code)
    #expect(json.stderr.hasPrefix(#"{"error":{"message":"cannot list instances"#))
    #expect(json.stderr.contains(#""exit_code":\#(code)"#))
  }

  @Test func withoutAKeyItSaysWhatToSet() throws {
    let run = try run("volumes", answer: .answer(200, "{}"), key: nil)
    #expect(run.command.status == 78)
    #expect(run.command.stderr.contains("FORWARD_COMPUTE_API_KEY"))
    #expect(run.requests.isEmpty)
  }

  @Test func aKeyIsNotSentInTheClear() throws {
    let command = try Command(
      "fcrun", ["keys"],
      environment: ["FORWARD_COMPUTE_BASE_URL": "http://192.0.2.1", "FORWARD_COMPUTE_API_KEY": "sekret"])
    #expect(command.status == 78)
    #expect(command.stderr.contains("https") && !command.stderr.contains("sekret"))
  }

  @Test(arguments: [
    ["offerings", "--num-gpus", "many"], ["offerings", "--max-hourly-price", "1e5"], ["offerings", "show"],
    ["keys", "show"], ["nonsense"], ["volumes", "--nope", "--json"],
  ])
  func badUsageExits64(arguments: [String]) throws {
    let command = try Command("fcrun", arguments)
    #expect(command.status == 64)
    #expect(command.stdout == "")
    #expect(command.stderr != "")
  }

  @Test func aPageOfAGatewayIsAnErrorAndNoEmptyList() throws {
    let command = try run("instances", answer: .answer(200, "<html>")).command
    #expect(command.status == 125)
    #expect(command.stderr.contains("the answer began: <html>"))
  }

  @Test func allTheListsPrintTheirRows() throws {
    let cases: [([String], String, String)] = [
      (["volume-offerings"], #"{"id":"o","price_per_gb_per_hour":"0.00008","provider":"p","region":"r"}"#, "0.00008"),
      (["volumes"], #"{"id":"v","name":"n","provider":"p","region":"r","size_gb":9,"cost_estimate":0.1}"#, "0.10"),
      (["instances"], #"{"id":"i","name":"n","status":"active","ip":"1.2.3.4","ssh_port":2222}"#, "1.2.3.4:2222"),
      (["keys"], #"{"id":"k","name":"n","public_key":"ssh-ed25519 AAAA me"}"#, "ssh-ed25519"),
      (
        ["models"],
        #"{"id":"m","display_name":"d","model_type":"chat","pricing":{"input":1,"output":2.5},"provider":"p"}"#,
        "2.50"
      ),
    ]
    for (arguments, element, text) in cases {
      let server = try ScriptedServer(.answer(200, #"{"data":[\#(element)],"object":"list"}"#))
      defer { server.stop() }
      let command = try Command(
        "fcrun", arguments, environment: ["FORWARD_COMPUTE_BASE_URL": server.url, "FORWARD_COMPUTE_API_KEY": "k"])
      #expect(command.status == 0 && command.stdout.contains(text), "\(arguments): \(command)")
    }
  }
}
