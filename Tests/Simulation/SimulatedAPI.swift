import ForwardCompute
import Jobs
import Simulator

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The API of the pure cloud model, as the client's wire types: classified by the client's own rules.
struct SimulatedAPI: ForwardComputeAPI {
  let process: VirtualProcess
  private var kernel: Kernel { process.kernel }

  init(process: VirtualProcess) { self.process = process }

  private static let patience = Duration.seconds(30)

  func computeOfferings() async throws(APIError) -> [ComputeOffering] {
    try await read("list offerings") { $0.offerings(now: $1) }.map(ComputeOffering.init)
  }

  func computeOffering(_ id: String) async throws(APIError) -> ComputeOffering {
    ComputeOffering(try await read("show offering") { $0.offering(id, now: $1) })
  }

  func instances() async throws(APIError) -> [Instance] {
    let now = kernel.now
    let shown = try await read("list instances") { $0.instances(now: $1) }
    kernel.witness.listedAt = now
    kernel.witness.shownInList = Set(shown.filter { $0.status != "deleted" }.map(\.id))
    return shown.map(Instance.init)
  }

  func instance(_ id: String, refresh: Bool) async throws(APIError) -> Instance {
    Instance(try await read("show instance") { $0.instance(id, refresh: refresh, now: $1) })
  }

  func deleteInstance(_ id: String) async throws(APIError) {
    _ = try await read("DELETE \(id)", onSending: { kernel.checkDelete(of: id, by: process) }) {
      $0.delete(id, now: $1)
    }
  }

  func createInstance(_ request: CreateInstance) async -> Creation {
    let simulated = SimCreateRequest(
      name: request.name, offeringID: request.offeringID, sshKeyID: request.sshKeyID,
      volumeIDs: request.volumeIDs ?? [], envs: [])
    if "\(request)".contains(VirtualSecrets.canary) { kernel.violate("I10: a secret is sent to the API") }
    let answer: Simulator.Answer<SimCreation>
    do throws(APIError) {
      answer = try await ask("POST \(request.name)", onSending: { kernel.checkPost(of: request.name, by: process) }) {
        $0.create(simulated, now: $1)
      }
    } catch {
      return .ambiguous(error)
    }
    return creation(answer)
  }

  private func creation(_ answer: Simulator.Answer<SimCreation>) -> Creation {
    switch answer.seen {
    case .value(let creation, _):
      creation.id.map { .created(id: $0, instance: nil) } ?? .ambiguous(error(.malformedBody, "no id"))
    case .refused(let refusal):
      refusal.status == 429
        ? .rateLimited(error(refusal), retryAfter: .seconds(1))
        : refusal.isDefinite ? .rejected(error(refusal)) : .ambiguous(error(refusal))
    case .reset, .cut: .ambiguous(error(.connectionLost, "reset"))
    case .unreadable: .ambiguous(error(.malformedBody, "unreadable"))
    case .silence: .ambiguous(error(.timedOut, "silence"))
    }
  }

  // MARK: - Not used by a job

  func volumeOfferings() async throws(APIError) -> [VolumeOffering] { [] }
  func volumeOffering(_ id: String) async throws(APIError) -> VolumeOffering { throw error(.status(404), "none") }
  func volumes() async throws(APIError) -> [Volume] { [] }
  func volume(_ id: String, refresh: Bool) async throws(APIError) -> Volume { throw error(.status(404), "none") }
  func sshKeys() async throws(APIError) -> [SSHKey] { [] }
  func models() async throws(APIError) -> [Model] { [] }
  func model(_ id: String) async throws(APIError) -> Model { throw error(.status(404), "none") }

  // MARK: - One call

  private func ask<Value>(
    _ name: @autoclosure () -> String, onSending: @escaping () -> Void = {},
    _ operation: @escaping (inout CloudModel, Int64) -> Simulator.Answer<Value>
  ) async throws(APIError) -> Simulator.Answer<Value> {
    if !process.isDead { onSending() }
    let answer = await process.call(name()) {
      return operation(&kernel.cloud, kernel.now.milliseconds)
    }
    guard let answer else { throw error(.cancelled, "given up") }
    let isSilent = if case .silence = answer.seen { true } else { false }
    let takes = isSilent ? Self.patience : .milliseconds(answer.after + kernel.between(5, 120))
    guard await process.pass(min(takes, Self.patience)) else { throw error(.cancelled, "given up") }
    if takes >= Self.patience { throw error(.timedOut, "silence") }
    return answer
  }

  private func read<Value>(
    _ name: @autoclosure () -> String, onSending: @escaping () -> Void = {},
    _ operation: @escaping (inout CloudModel, Int64) -> Simulator.Answer<Value>
  ) async throws(APIError) -> Value {
    switch try await ask(name(), onSending: onSending, operation).seen {
    case .value(let value, _): return value
    case .refused(let refusal): throw error(refusal)
    case .reset, .cut: throw error(.connectionLost, "reset")
    case .unreadable: throw error(.malformedBody, "unreadable")
    case .silence: throw error(.timedOut, "silence")
    }
  }

  private func error(_ kind: APIError.Kind, _ message: String) -> APIError {
    let status: Int? = if case .status(let status) = kind { status } else { nil }
    return APIError(kind: kind, operation: "simulated", message: message, status: status)
  }

  private func error(_ refusal: Refusal) -> APIError {
    APIError(
      kind: .status(refusal.status), operation: "simulated", message: refusal.message, status: refusal.status,
      type: refusal.html ? nil : APIErrorType(rawValue: refusal.type))
  }
}

extension Refusal {
  fileprivate var isDefinite: Bool {
    !html && (400..<500).contains(status)
      && ["validation_error", "authentication_error", "unauthorized", "forbidden", "not_found", "insufficient_balance"]
        .contains(type)
  }
}

extension ComputeOffering {
  init(_ offering: SimOffering) {
    self.init(
      id: offering.id, available: offering.available, deploymentType: offering.deploymentType,
      hourlyPrice: offering.hourlyPrice, pricePerGPUHour: offering.pricePerGPUHour,
      instanceType: offering.instanceType, provider: offering.provider, region: offering.region,
      bootTime: offering.bootSeconds.map { BootTime(minSeconds: $0.lowerBound, maxSeconds: $0.upperBound) },
      configuration: Configuration(gpuType: offering.hardware?.gpuType, numGPUs: offering.hardware?.numGPUs))
  }
}

extension Instance {
  init(_ instance: SimInstance) {
    self.init(
      id: instance.id, name: instance.name, status: InstanceStatus(rawValue: instance.status),
      sshPort: instance.sshPort, sshUser: instance.sshUser, ip: instance.ip,
      created: Date(timeIntervalSince1970: Double(instance.created) / 1000)
        .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
  }
}
