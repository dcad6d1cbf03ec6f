import ForwardCompute
import Foundation

/// Rents the cheapest machine that there is for as long as it takes to boot, gives it back, and proves that it is gone.
///
///     eval "$(fcrun sim | sed 's/^/export /')"    # a simulated cloud, in another terminal
///     swift run rent
@main
struct Rent {
  static func main() async throws {
    let rent = try Rent(environment: ProcessInfo.processInfo.environment)
    let offering = try await rent.cheapestOffering()
    print(
      "renting \(offering.instanceType) of \(offering.provider) in \(offering.region) at $\(offering.hourlyPrice)/h")
    let machine = try await rent.create(offering)
    print("\(machine) is asked for")
    do {
      let instance = try await rent.waitUntilActive(machine)
      print("\(machine) is active at \(instance.ip ?? "an address that is not known"), port \(instance.sshPort)")
    } catch {
      print("\(machine) did not come up: \(error)")
    }
    try await rent.giveBack(machine)
    print("\(machine) is gone")
  }

  private let api: any ForwardComputeAPI

  init(environment: [String: String]) throws {
    let client = try HTTPForwardCompute(
      baseURL: environment["FORWARD_COMPUTE_BASE_URL"] ?? "https://app.forwardcompute.ai",
      apiKey: environment["FORWARD_COMPUTE_API_KEY"])
    api = RetryingForwardCompute(client, limiter: RequestLimiter())
  }

  func cheapestOffering() async throws -> ComputeOffering {
    let offerings = try await api.computeOfferings().filter(\.available)
    guard let cheapest = offerings.min(by: { $0.hourlyPrice < $1.hourlyPrice }) else { throw Trouble.nothingToRent }
    return cheapest
  }

  func create(_ offering: ComputeOffering) async throws -> String {
    let name = "rent-example-\(UInt32.random(in: 0 ... .max))"
    switch await api.createInstance(CreateInstance(name: name, offeringID: offering.id)) {
    case .created(let id, _): return id
    case .notSent(let error), .rejected(let error), .rateLimited(let error, _): throw error
    case .ambiguous(let error): return try await find(name, after: error)
    }
  }

  /// Never asks a second time: the machine may exist, and its name says so.
  func find(_ name: String, after error: APIError) async throws -> String {
    for _ in 0..<60 {
      if let found = try await api.instances().first(where: { $0.name == name }) { return found.id }
      try await Task.sleep(for: .seconds(1))
    }
    throw error
  }

  func waitUntilActive(_ id: String) async throws -> Instance {
    for _ in 0..<600 {
      let instance = try await api.instance(id, refresh: true)
      if instance.status == .active { return instance }
      try await Task.sleep(for: .seconds(1))
    }
    throw Trouble.notActiveInTime
  }

  /// An accepted DELETE proves nothing: the machine has to be read back as gone.
  func giveBack(_ id: String) async throws {
    for _ in 0..<600 {
      do throws(APIError) {
        try await api.deleteInstance(id)
        if try await api.instance(id, refresh: true).status == .deleted { return }
      } catch {
        guard error.status != 404 else { return }
        print("again: \(error)")
      }
      try await Task.sleep(for: .seconds(1))
    }
    throw Trouble.notProvedGone(id)
  }

  enum Trouble: Error {
    case nothingToRent
    case notActiveInTime
    case notProvedGone(String)
  }
}
