// The volumes that a plan names, looked up among those that exist.

extension JobPlan {
  /// The volumes of this plan out of `volumes` (all that the account has), in the plan's order.
  ///
  /// Wrong, each with its place in the spec: a volume that does not exist or whose name is not unique, volumes that are not
  /// all in one provider's region, one without multi-mount that is mounted elsewhere or wanted by several nodes.
  /// A mount by one of `ownInstances`, as on resume, is not elsewhere.
  package func resolve(
    volumes existing: [AttachedVolume], ownInstances: Set<String> = []
  ) -> Result<[AttachedVolume], SpecProblems> {
    var problems: [SpecProblem] = []
    var resolved: [AttachedVolume] = []
    for choice in volumes {
      switch choice.find(in: existing) {
      case .success(let volume):
        let message = obstacle(volume, beside: resolved, ownInstances)
        if let message { problems.append(choice.problem(message)) }
        resolved.append(volume)
      case .failure(let wrong): problems += wrong.problems
      }
    }
    return problems.isEmpty ? .success(resolved) : .failure(SpecProblems(problems))
  }

  private func obstacle(
    _ volume: AttachedVolume, beside others: [AttachedVolume], _ ownInstances: Set<String>
  ) -> String? {
    if others.contains(where: { $0.id == volume.id }) {
      return "volume \(volume.name) is listed twice; expected it once"
    }
    if let other = others.first(where: { !$0.isBeside(volume) }) {
      return "\(volume.inWords) and \(other.inWords) are apart; expected volumes of one provider and region"
    }
    guard !volume.supportsMultiMount else { return nil }
    if let instance = volume.mountedBy, !ownInstances.contains(instance) {
      return
        "volume \(volume.name) is mounted by \(instance) and cannot be mounted twice; expected a free volume (mounted_by)"
    }
    guard nodes > 1 else { return nil }
    return
      "volume \(volume.name) can be mounted by one machine only, nodes is \(nodes); expected one with multi-mount, or 1 node"
  }
}

extension JobPlan.VolumeChoice {
  /// By id, then by name.
  fileprivate func find(in volumes: [AttachedVolume]) -> Result<AttachedVolume, SpecProblems> {
    if let volume = volumes.first(where: { $0.id == idOrName }) { return .success(volume) }
    let named = volumes.filter { $0.name == idOrName }
    if named.count == 1 { return .success(named[0]) }
    guard named.isEmpty else {
      let ids = named.map(\.id).joined(separator: ", ")
      return .failure(
        SpecProblems([problem("\(quoted(idOrName)) is the name of \(named.count) volumes; expected an id: \(ids)")]))
    }
    return .failure(SpecProblems([problem("\(quoted(idOrName)) does not exist; \(suggestion(volumes))")]))
  }

  fileprivate func problem(_ message: String) -> SpecProblem { SpecProblem(at: place, path: field, message: message) }

  private func suggestion(_ volumes: [AttachedVolume]) -> String {
    if volumes.isEmpty { return "expected a volume of this account, which has none" }
    if let near = EditDistance.nearest(to: idOrName, in: volumes.flatMap { [$0.id, $0.name] }) {
      return "did you mean \(quoted(near))?"
    }
    return "expected one of \(volumes.prefix(8).map(\.name).joined(separator: ", "))"
  }
}

extension AttachedVolume {
  /// `volume scratch (shadeform us-east-1)`
  fileprivate var inWords: String { "volume \(name) (\(provider) \(region))" }

  fileprivate func isBeside(_ other: AttachedVolume) -> Bool {
    provider.lowercased() == other.provider.lowercased() && region.lowercased() == other.region.lowercased()
  }
}
