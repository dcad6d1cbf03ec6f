import ForwardCompute
import Jobs
import Runner
import Simulator
import Store
import TestSupport
import Testing

@testable import Simulation

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The shipped reaper in virtual time, before fleets in which most machines are not ours.
@Suite struct ReaperTests {
  @Test("Of 10,000 fleets no machine of another is deleted, and all of ours that are due are", .faults(111, 130))
  func randomFleets() async throws {
    var (deleted, spared, renamed) = (0, 0, 0)
    for seed in UInt64(1)...10_000 {
      let cloud = Fleet(seed: seed)
      await cloud.reap()
      #expect(cloud.wrongs.isEmpty, "fleet \(seed): \(cloud.wrongs.joined(separator: "; "))")
      deleted += cloud.deleted.count
      spared += cloud.machines.count - cloud.deleted.count
      renamed += cloud.renamedUnderTheReaper
    }
    print("10,000 fleets: \(deleted) machines taken, \(spared) left, \(renamed) had another name when read again")
    #expect(deleted > 5_000 && spared > 20_000 && renamed > 300)
  }

  @Test("A list that cannot be had takes nothing", .faults(31, 130))
  func noList() async throws {
    let cloud = Fleet(seed: 3)
    cloud.listFails = true
    await #expect(throws: APIError.self) {
      _ = try await cloud.reaper.survey(cloud.request, standing: cloud.standing)
    }
    #expect(cloud.deleted.isEmpty)
  }

  @Test("A machine that cannot be read again is left, and is not called gone", .faults(34, 130))
  func unreadable() async throws {
    let cloud = Fleet([Fleet.Machine(id: "i1", name: Fleet.expired, reads: .failing)])
    let finding = try #require(try await cloud.survey().first)
    #expect(try await cloud.reaper.take(finding) == .notProved)
    #expect(cloud.deleted.isEmpty)
  }

  @Test("A machine that carries another name by now is left, and so said", .faults(130))
  func replaced() async throws {
    let cloud = Fleet([Fleet.Machine(id: "i1", name: Fleet.expired, nameWhenRead: "somebody-else")])
    let finding = try #require(try await cloud.survey().first)
    #expect(try await cloud.reaper.take(finding) == .left("its name is somebody-else now"))
    #expect(cloud.deleted.isEmpty)
  }

  @Test("Names that are nearly ours are not ours", arguments: Fleet.lookAlikes(of: Fleet.expired))
  func nearMisses(name: String) {
    #expect(MachineName(name) == nil, "\(name)")
  }

  @Test("A machine without a deadline is taken by name or --older only", .faults(130))
  func noDeadline() async throws {
    let cloud = Fleet([Fleet.Machine(id: "i1", name: "fcr-oooooo-jjjjjjjjjjjjjjjj-a1-n0-0", age: 86_400)])
    func verdicts(_ request: Reaper.Request) async throws -> [Bool] {
      try await cloud.reaper.survey(request, standing: { _, _ in .kept }).map(\.isToBeTaken)
    }
    #expect(try await verdicts(Reaper.Request(named: [], older: nil, anyOwner: true)) == [false])
    #expect(try await verdicts(Reaper.Request(named: [], older: .seconds(90_000), anyOwner: true)) == [false])
    #expect(try await verdicts(Reaper.Request(named: [], older: .seconds(80_000), anyOwner: false)) == [true])
    #expect(try await verdicts(Reaper.Request(named: ["jjjjjjjjjjjjjjjj"], older: nil, anyOwner: false)) == [true])
  }
}

/// A cloud account with machines of many people, some of them ours, and a reaper before it.
///
/// Safe: one task at a time.
final class Fleet: @unchecked Sendable, ForwardComputeAPI {
  struct Machine {
    enum Reads { case fine, failing, failingAtFirst, unknownAtFirst }

    var id: String
    var name: String
    /// What a GET says; another one where the id went to another machine since the list was made.
    var nameWhenRead: String?
    var age: Int64 = 3600
    var isListed = true
    /// Deleted before the reaper comes, and still listed.
    var isGone = false
    var reads = Reads.fine
    /// DELETEs that are refused or forgotten before one is executed.
    var stubbornness = 0
    var readCount = 0
    var isDeleted = false
  }

  static let owner = "oooooo"
  static let expired = "fcr-oooooo-jjjjjjjjjjjjjjjj-a1-n0-abc-label"

  let process: VirtualProcess
  var kernel: Kernel { process.kernel }
  var machines: [Machine]
  var request: Reaper.Request
  var standings: [String: Reaper.Standing] = [:]
  var listFails = false
  /// Ids that a DELETE was sent for.
  private(set) var deleted: [String] = []
  private(set) var wrongs: [String] = []
  private(set) var renamedUnderTheReaper = 0

  init(_ machines: [Machine]) {
    process = VirtualProcess(Scenario(Script(calm: 1)).kernel, number: 0)
    self.machines = machines
    request = Reaper.Request(named: [], older: nil, anyOwner: false)
  }

  convenience init(seed: UInt64) {
    self.init([])
    var dice = Dice(seed: seed)
    machines = (0..<Int(dice.number(1, 9))).map { Self.machine("i\($0)", &dice, at: kernel.now) }
    for machine in machines {
      let job = MachineName(machine.name)?.job ?? ""
      standings[job] = dice.one(of: [.unknown, .unknown, .unknown, .driven, .resumable, .kept, .over])
    }
    request.anyOwner = dice.happens(0.4)
    if dice.happens(0.3) { request.older = .seconds(Int64(dice.number(60, 200_000))) }
    if dice.happens(0.2) {
      let machine = dice.one(of: machines)
      request.named = [dice.one(of: [machine.id, machine.name, MachineName(machine.name)?.job ?? "none"])]
    }
  }

  var reaper: Reaper {
    let world = World(
      api: self, clock: VirtualClock(process: process), entropy: VirtualEntropy(process: process),
      hosts: SimulatedHosts(process: process), wakes: VirtualWakes(process: process, hearsUser: false),
      secrets: VirtualSecrets(process: process), narrator: VirtualNarrator(process: process),
      logFolder: { _, _, _ in "" }, strands: VirtualStrands(process: process))
    return Reaper(world: world, owner: Self.owner)
  }

  func standing(_ id: String, _ name: MachineName) -> Reaper.Standing { standings[name.job] ?? .unknown }

  func survey() async throws -> [Reaper.Finding] { try await reaper.survey(request, standing: standing) }

  /// Surveys, takes, and compares with what should have become of each machine.
  func reap() async {
    let due = machines.map(isDue)
    let reaper = self.reaper
    guard let findings = try? await reaper.survey(request, standing: standing) else { return wrongs.append("no list") }
    var taken: [String: Reaper.Taken] = [:]
    for finding in findings where finding.isToBeTaken { taken[finding.instance.id] = try? await reaper.take(finding) }
    for (machine, isDue) in zip(machines, due) { check(machine, isDue, taken[machine.id]) }
  }

  private func check(_ machine: Machine, _ isDue: Bool, _ taken: Reaper.Taken?) {
    let wasSent = deleted.contains(machine.id)
    let isAnother = machine.nameWhenRead != nil
    if isAnother, taken != nil { renamedUnderTheReaper += 1 }
    let isReadable = machine.reads != .failing
    if wasSent, !isDue || isAnother || !isReadable { wrongs.append("\(machine.name) (\(machine.id)) was deleted") }
    guard isDue, machine.isListed else { return }
    switch taken {
    case .left: if !isAnother { wrongs.append("\(machine.name) was left") }
    case .wasGone: if !machine.isGone { wrongs.append("\(machine.name) was taken for gone") }
    case .proved: if !machine.isDeleted, !machine.isGone { wrongs.append("\(machine.name) was not proved gone") }
    case .notProved: if isReadable { wrongs.append("\(machine.name) was given up") }
    case nil: wrongs.append("\(machine.name) was forgotten")
    }
  }

  /// What docs/commands.md says of `reap`, once more and from the parts of the name as they were put together.
  private func isDue(_ machine: Machine) -> Bool {
    guard let parts = Self.parts(of: machine.name) else { return false }
    let standing = standings[parts.job] ?? .unknown
    if standing == .driven { return false }
    if !request.named.isEmpty { return request.named.contains { [machine.id, machine.name, parts.job].contains($0) } }
    let isPast = parts.expiry > 0 && parts.expiry * 60_000 <= kernel.now.milliseconds
    if parts.owner != Self.owner { return request.anyOwner && isPast }
    if isPast { return true }
    if let older = request.older, machine.age >= Int64(older.seconds) { return true }
    return standing == .over || standing == .unknown && machine.age >= 60
  }
}

// MARK: - The account

extension Fleet {
  /// A minute and more ago to tens of hours, ours in two of five, the rest strangers and look-alikes.
  private static func machine(_ id: String, _ dice: inout Dice, at now: Moment) -> Machine {
    var machine = Machine(id: id, name: name(&dice, at: now))
    machine.age = Int64(dice.number(0, dice.happens(0.3) ? 120 : 200_000))
    machine.isListed = !dice.happens(0.1)
    machine.isGone = dice.happens(0.1)
    if dice.happens(0.1) { machine.nameWhenRead = name(&dice, at: now) + "x" }
    if dice.happens(0.3) { machine.reads = dice.one(of: [.failing, .failingAtFirst, .unknownAtFirst]) }
    if dice.happens(0.3) { machine.stubbornness = Int(dice.number(1, 4)) }
    return machine
  }

  private static func name(_ dice: inout Dice, at now: Moment) -> String {
    let minute = now.milliseconds / 60_000
    let owner = dice.happens(0.6) ? owner : dice.one(of: ["zzzzzz", "ooooo0", "000000"])
    let job = String((0..<16).map { _ in dice.one(of: Array("abz059")) })
    let expiry = dice.one(of: [0, 1, minute - 1, minute, minute + 1, minute + 60, minute + 100_000])
    let text =
      "fcr-\(owner)-\(job)-a\(Int(dice.number(1, 30)))-n\(Int(dice.number(0, 12)))-\(String(expiry, radix: 36))"
    let whole = text + dice.one(of: ["", "-train", "-a1-n0-0", "-x-y"])
    if dice.happens(0.3) { return dice.one(of: lookAlikes(of: whole)) }
    return dice.happens(0.2) ? dice.one(of: ["my-own-machine", "", "fcr", "fcrun-build", "web-1", "FCR-1"]) : whole
  }

  /// Owner, job and deadline of a name of ours; nil for what only looks like one. A second reading, by pattern.
  private static func parts(of name: String) -> (owner: String, job: String, expiry: Int64)? {
    let form =
      /fcr-([a-z0-9]{6})-([a-z0-9]{16})-a([1-9][0-9]*)-n(0|[1-9][0-9]*)-(0|[1-9a-z][0-9a-z]*)(-[a-z0-9-]*[a-z0-9])?/
    guard name.utf8.count <= 63, name.utf8.allSatisfy({ $0 < 128 }), let match = name.wholeMatch(of: form),
      let expiry = Int64(match.5, radix: 36)
    else { return nil }
    return (String(match.1), String(match.2), expiry)
  }

  static func lookAlikes(of name: String) -> [String] {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
    func with(_ index: Int, _ part: String) -> String {
      var copy = parts
      copy[index] = part
      return copy.joined(separator: "-")
    }
    return [
      name.uppercased(), "x" + name, " " + name, name + " ", name + "\n", name + "-", name + "_", name + "\u{200B}",
      name.replacing("-", with: "_"), name.replacing("fcr-", with: "fcr--"),
      with(0, "fcx"), with(0, "FCR"), with(0, "fcrun"), with(1, "ooooo"), with(1, "ooooooo"), with(1, "OOOOOO"),
      with(1, "öooooo"), with(2, String(parts[2].dropLast())), with(2, parts[2] + "a"), with(3, "a0"), with(3, "a01"),
      with(3, "a+1"), with(3, "b1"), with(3, "a"), with(3, "a1x"), with(3, "a١"), with(4, "n"), with(4, "n00"),
      with(4, "n+0"), with(4, "m0"), with(4, "n0x"), with(5, "0" + parts[5]), with(5, ""), with(5, "ABC"),
      with(5, "a_c"),
      with(5, "zzzzzzzzzzzzzzzzzzz"), parts.prefix(5).joined(separator: "-"), name + "-UPPER", name + "-ünder",
      name + "-" + String(repeating: "x", count: 63),
    ]
  }

  private func error(_ kind: APIError.Kind) -> APIError {
    let status: Int? = if case .status(let status) = kind { status } else { nil }
    return APIError(kind: kind, operation: "fleet", message: "no", status: status)
  }

  func instances() async throws(APIError) -> [Instance] {
    _ = await process.pass(.milliseconds(50))
    if listFails { throw error(.malformedBody) }
    return machines.filter { $0.isListed && !$0.isDeleted }.map { instance($0, named: $0.name, isGone: false) }
  }

  func instance(_ id: String, refresh: Bool) async throws(APIError) -> Instance {
    _ = await process.pass(.milliseconds(50))
    guard let place = machines.firstIndex(where: { $0.id == id }) else { throw error(.status(404)) }
    machines[place].readCount += 1
    let machine = machines[place]
    switch machine.reads {
    case .failing: throw error(.status(503))
    case .failingAtFirst where machine.readCount <= 2: throw error(.connectionLost)
    case .unknownAtFirst where machine.readCount <= 1: throw error(.status(404))
    case .fine, .failingAtFirst, .unknownAtFirst: break
    }
    return instance(machine, named: machine.nameWhenRead ?? machine.name, isGone: machine.isGone || machine.isDeleted)
  }

  private func instance(_ machine: Machine, named name: String, isGone: Bool) -> Instance {
    let created = Date(timeIntervalSince1970: Double(kernel.now.milliseconds / 1000 - machine.age))
    return Instance(
      id: machine.id, name: name, status: isGone ? .deleted : .active,
      created: created.formatted(Date.ISO8601FormatStyle()))
  }

  func deleteInstance(_ id: String) async throws(APIError) {
    _ = await process.pass(.milliseconds(50))
    deleted.append(id)
    guard let place = machines.firstIndex(where: { $0.id == id }) else { throw error(.status(404)) }
    machines[place].stubbornness -= 1
    if machines[place].stubbornness < 0 { machines[place].isDeleted = true }
    if machines[place].stubbornness == 0 { throw error(.status(500)) }
  }

  // MARK: Not used by a reaper

  func computeOfferings() async throws(APIError) -> [ComputeOffering] { [] }
  func computeOffering(_ id: String) async throws(APIError) -> ComputeOffering { throw error(.status(404)) }
  func createInstance(_ request: CreateInstance) async -> Creation { .notSent(error(.status(404))) }
  func volumeOfferings() async throws(APIError) -> [VolumeOffering] { [] }
  func volumeOffering(_ id: String) async throws(APIError) -> VolumeOffering { throw error(.status(404)) }
  func volumes() async throws(APIError) -> [Volume] { [] }
  func volume(_ id: String, refresh: Bool) async throws(APIError) -> Volume { throw error(.status(404)) }
  func sshKeys() async throws(APIError) -> [SSHKey] { [] }
  func models() async throws(APIError) -> [Model] { [] }
  func model(_ id: String) async throws(APIError) -> Model { throw error(.status(404)) }
}
