extension JobPlan {
  /// The fields of the spec in which this plan asks for something else than `other`, by their names there; empty when both
  /// ask for the same.
  ///
  /// What was written counts, not where: the spec may lie in another folder, its fields in another order.
  package func differences(from other: JobPlan) -> [String] {
    let pair = Pair(one: self.inNoFolder, other: other.inNoFolder)
    let fields = pair.work + pair.machine + pair.resources + pair.ending
    let names = fields.compactMap(\.self) + pair.variables
    return names.isEmpty && pair.one != pair.other ? ["the spec"] : names
  }

  /// Without places, and with local paths as seen from the spec's folder.
  private var inNoFolder: JobPlan {
    var plan = self
    let nowhere = Place(file: "", line: 0, column: 0)
    plan.file = ""
    plan.root = ""
    plan.sshKey?.privateKey = sshKey?.privateKey.map(withoutRoot)
    for index in plan.files.indices {
      (plan.files[index].place, plan.files[index].field) = (nowhere, "")
      plan.files[index].source = withoutRoot(files[index].source)
    }
    plan.outputs = plan.outputs.inNoFolder
    plan.fleet?.tasks =
      fleet?.tasks.map { task in
        var task = task
        task.outputs = task.outputs.inNoFolder
        return task
      } ?? []
    for index in plan.volumes.indices { (plan.volumes[index].place, plan.volumes[index].field) = (nowhere, "") }
    return plan
  }

  private func withoutRoot(_ path: String) -> String {
    let folder = root.hasSuffix("/") ? root : root + "/"
    return path == root ? "." : path.hasPrefix(folder) ? String(path.dropFirst(folder.count)) : path
  }
}

extension [JobPlan.OutputPlan] {
  fileprivate var inNoFolder: [JobPlan.OutputPlan] {
    map { output in
      var output = output
      (output.place, output.field) = (Place(file: "", line: 0, column: 0), "")
      return output
    }
  }
}

private struct Pair {
  let one: JobPlan
  let other: JobPlan

  /// `name` when both plans have another value there.
  private func differs<Value: Equatable>(_ name: String, _ path: KeyPath<JobPlan, Value>) -> String? {
    one[keyPath: path] == other[keyPath: path] ? nil : name
  }

  var work: [String?] {
    [
      differs("name", \.name), differs("command", \.command), differs("setup", \.setup), differs("files", \.files),
      differs("outputs", \.outputs), differs("workdir", \.workdir), differs("secrets", \.secrets),
      differs("matrix", \.fleet),
    ]
  }

  var machine: [String?] {
    [
      differs("nodes", \.nodes), differs("engine", \.engine), differs("on_node_loss", \.onNodeLoss),
      differs("volumes", \.volumes), differs("ssh_key", \.sshKey),
      differs("ssh_user", \.sshUser),
    ]
  }

  var resources: [String?] {
    [
      differs("resources.gpu_type", \.resources.gpuType), differs("resources.prefer", \.resources.prefer),
      differs("resources.provider", \.resources.provider), differs("resources.region", \.resources.region),
      differs("resources.deployment_type", \.resources.deploymentType),
      differs("resources.interconnect", \.resources.interconnect),
      differs("resources.instance_type", \.resources.instanceType),
      differs("resources.offering_id", \.resources.offeringID), differs("resources.num_gpus", \.resources.numGPUs),
      differs("resources.vram_per_gpu_in_gb", \.resources.vramPerGPUInGB),
      differs("resources.total_vram_in_gb", \.resources.totalVRAMInGB), differs("resources.vcpus", \.resources.vcpus),
      differs("resources.memory_in_gb", \.resources.memoryInGB),
      differs("resources.storage_in_gb", \.resources.storageInGB),
      differs("resources.max_hourly_price", \.resources.maxHourlyPrice),
      differs("resources.max_price_per_gpu_hour", \.resources.maxPricePerGPUHour),
    ]
  }

  var ending: [String?] {
    [
      differs("limits.max_duration", \.limits.maxDuration), differs("limits.max_cost", \.limits.maxCost),
      differs("limits.boot_timeout", \.limits.bootTimeout), differs("limits.output_grace", \.limits.outputGrace),
      differs("limits.idle_gpu", \.limits.idleGPU), differs("retry.on", \.retry.on),
      differs("retry.attempts", \.retry.attempts), differs("teardown", \.teardown),
      differs("checkpoint", \.checkpoint),
    ]
  }

  /// `envs.EPOCHS` for each variable with another value, or that only one of the two has.
  var variables: [String] {
    let names = Set((one.envs + other.envs).map(\.name)).sorted()
    return names.filter { value(of: $0, in: one) != value(of: $0, in: other) }.map { "envs.\($0)" }
  }

  private func value(of name: String, in plan: JobPlan) -> String? { plan.envs.first { $0.name == name }?.value }
}
