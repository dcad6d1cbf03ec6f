import Foundation
import Testing

@testable import Simulator

@Suite struct KnobTests {
  @Test(arguments: [
    ("preempt=true", Fault.always), ("preempt=false", .never), ("preempt=3", .first(3)),
    ("preempt=\"25%\"", .percent(25)), ("preempt=25%", .percent(25)),
    (#"preempt={"skip":2,"times":1}"#, Fault(skip: 2, times: 1)),
  ])
  func aFaultHasShortForms(argument: String, fault: Fault) throws {
    #expect(try Knobs().turned(argument: argument).preempt == fault)
  }

  @Test func aSpanIsANumberOrAPair() throws {
    #expect(try Knobs().turned(argument: "boot_seconds=2.5").bootSeconds == .seconds(2.5))
    #expect(try Knobs().turned(argument: "boot_seconds=[1,3]").bootSeconds == Span(1, 3))
    #expect(try Knobs().turned(argument: "boot_seconds=[1,3]").bootSeconds.high == 3000)
  }

  @Test func absentIsNull() throws {
    var knobs = try Knobs().turned(argument: "deleted_visible_seconds=5")
    #expect(knobs.deletedVisibleSeconds == .seconds(5))
    knobs = try knobs.turned(["deleted_visible_seconds": nil, "retry_after": nil])
    #expect(knobs.deletedVisibleSeconds == nil && knobs.retryAfter == nil)
  }

  @Test func everyKnobSurvivesJSON() throws {
    var knobs = Knobs()
    knobs.preempt = Fault(percent: 12.5, skip: 1, times: 2)
    knobs.outOfCapacityOfferings = ["a"]
    knobs.outageSeconds = Span(1, 2)
    #expect(try Knobs().turned(try knobs.json()) == knobs)
    guard case .object(let members) = try knobs.json() else { throw Unexpected("no object") }
    #expect(members.map(\.key) == Knobs.Key.allCases.map(\.rawValue))
  }

  @Test(arguments: [
    ("preemt=true", "did you mean `preempt`"), ("preempt=[1]", "knob `preempt`"), ("preempt", "name=value"),
    ("boot_seconds=-1", "knob `boot_seconds`"), ("boot_seconds=[3,1]", "knob `boot_seconds`"),
    ("delete_status=yes", "knob `delete_status`"),
  ])
  func aWrongKnobIsExplained(argument: String, part: String) {
    #expect { try Knobs().turned(argument: argument) } throws: { error in
      "\(error)".contains(part)
    }
  }

  @Test func aFaultCountsItsOccasions() {
    var random = SplitMix64(seed: 1)
    let fault = Fault(skip: 1, times: 2)
    #expect((0..<5).map { fault.hits($0, random: &random) } == [false, true, true, false, false])
  }

  @Test func chanceIsAboutWhatItSays() {
    var random = SplitMix64(seed: 1)
    let hits = (0..<10_000).count { Fault.percent(25).hits($0, random: &random) }
    #expect((2300...2700).contains(hits))
  }

  @Test func turningAFaultAgainBeginsItsCountAgain() {
    var cloud = VirtualCloud { $0.createLost = .first(1) }
    #expect(cloud.create().isReset && cloud.create().status == 201)
    cloud.model.knobs.createLost = .first(2)
    #expect(cloud.create().isReset && cloud.create().isReset && cloud.create().status == 201)
  }

  /// Whoever adds a fault must add it to the list, or its count would survive a change.
  @Test func theListOfFaultsIsWhole() throws {
    for key in Knobs.Key.allCases {
      let isFault = (try? Knobs().turned([key.rawValue: ["skip": 1]])) != nil
      #expect(Knobs.faults.contains { $0.key == key } == isFault, "\(key.rawValue)")
    }
  }
}

extension JSON {
  init(_ members: [String: JSON]) { self = .object(members.map { Member(key: $0.key, value: $0.value) }) }
}

extension Knobs {
  fileprivate func turned(_ members: [String: JSON]) throws -> Knobs { try turned(JSON(members)) }
}

@Suite struct JSONTests {
  @Test(arguments: [
    #"{"a":[1,-2.50,1e9,true,false,null,"x"],"b":{}}"#, #""\"\\\n\t\u0001é😀""#, "[]", "0", #"{"a":1,"a":2}"#,
  ])
  func whatIsReadIsWrittenAgain(text: String) throws {
    #expect(try JSON(parsing: text).encoded == text)
  }

  @Test func escapesAreRead() throws {
    #expect(try JSON(parsing: #""\u00e9\ud83d\ude00\/""#) == "é😀/")
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\"}", "01", "1.", "nul", "\"\u{1}\"", #""\ud800""#, #""\x""#, "1 2", "{\"a\":1,}",
    String(repeating: "[", count: 100_000),
  ])
  func whatIsNotJSONIsRefused(text: String) {
    #expect(throws: JSON.Malformed.self) { try JSON(parsing: text) }
  }

  @Test func theLastOfTwoMembersWins() throws {
    #expect(try JSON(parsing: #"{"a":1,"a":2}"#)["a"] == 2)
  }
}

@Suite struct CallTests {
  @Test(arguments: [
    ("GET", "/v1/spot/compute/offerings", Call.listComputeOfferings),
    ("GET", "/v1/spot/compute/offerings/x", .computeOffering("x")),
    ("GET", "/v1/spot/volumes/offerings", .listVolumeOfferings),
    ("GET", "/v1/spot/volumes/offerings/x", .volumeOffering("x")),
    ("GET", "/v1/spot/instances/", .listInstances), ("POST", "/v1/spot/instances/", .createInstance),
    ("GET", "/v1/spot/instances/x", .instance("x", refresh: false)),
    ("GET", "/v1/spot/instances/x?refresh=true", .instance("x", refresh: true)),
    ("GET", "/v1/spot/instances/x?a=b&refresh=false", .instance("x", refresh: false)),
    ("DELETE", "/v1/spot/instances/x%2Fy", .deleteInstance("x/y")),
    ("GET", "/v1/spot/volumes/", .listVolumes), ("GET", "/v1/spot/volumes/x?refresh=true", .volume("x", refresh: true)),
    ("GET", "/v1/spot/ssh-keys/", .listSSHKeys), ("GET", "/v1/models/", .listModels),
    ("GET", "/v1/models/meta-llama%2Fllama-3.3%20x", .model("meta-llama/llama-3.3 x")),
  ])
  func readsEveryDocumentedPath(method: String, target: String, call: Call) throws {
    #expect(try Call(method: method, target: target) == call)
  }

  @Test(arguments: [
    ("GET", "/v1/spot/instances", Call.NoCall.noSuchPath(hint: "/v1/spot/instances/")),
    ("GET", "/v1/models", .noSuchPath(hint: "/v1/models/")),
    ("GET", "/v1/spot/compute/offerings/", .noSuchPath(hint: "/v1/spot/compute/offerings")),
    ("GET", "/v1/spot/instances/x/", .noSuchPath(hint: "/v1/spot/instances/x")),
    ("GET", "/v1/models/meta-llama/llama", .noSuchPath(hint: nil)), ("GET", "/", .noSuchPath(hint: nil)),
    ("PUT", "/v1/spot/instances/x", .wrongMethod(allowed: "GET, DELETE")),
    ("POST", "/v1/spot/volumes/", .wrongMethod(allowed: "GET")),
    ("GET", "/v1/spot/instances/x?refresh=yes", .badQuery(field: "refresh")),
    ("GET", "/v1/models/%zz", .badEncoding), ("GET", "/v1/models/%ff", .badEncoding),
  ])
  func refusesEverythingElse(method: String, target: String, problem: Call.NoCall) {
    #expect(throws: problem) { try Call(method: method, target: target) }
  }

  @Test func offeringsAloneNeedNoKey() {
    #expect(!Call.listComputeOfferings.needsKey && !Call.volumeOffering("x").needsKey)
    #expect(Call.listModels.needsKey && Call.createInstance.needsKey)
  }
}
