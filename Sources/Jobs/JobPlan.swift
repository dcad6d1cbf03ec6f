#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a spec means: every default filled in, the local environment resolved. Stored with the job; secrets only by name.
package struct JobPlan: Codable, Sendable, Equatable {
  /// `[a-z0-9-]{1,32}`
  package var name: String
  /// Absolute path of the spec.
  package var file: String
  /// Absolute path of the spec's folder: outputs land below it.
  package var root: String
  /// How many machines of one offering, at least 1.
  package var nodes: Int
  package var resources: Resources
  package var volumes: [VolumeChoice]
  /// Sorted by name.
  package var envs: [Variable]
  /// Names whose values the local environment holds; never the values.
  package var secrets: [String]
  /// nil: the registered key whose private half is found on this machine.
  package var sshKey: KeyChoice?
  /// nil: what the API says, else `root`, then `ubuntu`.
  package var sshUser: String?
  package var files: [FilePlan]
  /// Absolute, or `~/…`; nil: `~/fcrun/<job>`.
  package var workdir: String?
  package var setup: String?
  package var command: Command
  package var outputs: [OutputPlan]
  package var limits: Limits
  package var retry: Retry
  package var teardown: Teardown
  package var checkpoint: CheckpointPlan?
  /// nil: none.
  package var engine: EngineChoice?
  /// nil: it fails.
  package var onNodeLoss: NodeLoss?
  /// Which job of a sweep this is; nil: a job by itself.
  package var task: SweepTask?
  /// Nodes that run many tasks in place of one command; nil: they run the command.
  package var fleet: Fleet?

  package struct Variable: Codable, Sendable, Equatable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// A volume as the spec names it, to be looked up with ``JobPlan/resolve(volumes:ownInstances:)``.
  package struct VolumeChoice: Codable, Sendable, Equatable {
    package var idOrName: String
    /// `volumes[0]`
    package var field: String
    package var place: Place

    package init(idOrName: String, field: String, place: Place) {
      self.idOrName = idOrName
      self.field = field
      self.place = place
    }
  }

  package struct FilePlan: Codable, Sendable, Equatable {
    /// Absolute local path.
    package var source: String
    /// Relative to the workdir; `.` is the workdir itself.
    package var destination: String
    /// In `.gitignore` syntax.
    package var exclude: [String]
    /// Field and place of the source, for what is found out later, such as a source that does not exist.
    package var field: String
    package var place: Place

    package var line: Int { place.line }
    package var column: Int { place.column }

    /// `message` about this entry's source, in the form of every error of a spec.
    package func problem(_ message: String) -> SpecProblem { SpecProblem(at: place, path: field, message: message) }

    package init(source: String, destination: String, exclude: [String], field: String, place: Place) {
      self.source = source
      self.destination = destination
      self.exclude = exclude
      self.field = field
      self.place = place
    }
  }

  package struct OutputPlan: Codable, Sendable, Equatable {
    /// Path or glob relative to the workdir.
    package var source: String
    /// Relative to ``JobPlan/root``: what it becomes, or for a glob the folder it goes into. nil: the same relative name.
    package var destination: String?
    /// Of a task: the folder of its own below ``JobPlan/root`` that this starts from, so that no task overwrites another's.
    package var folder: String?
    /// nil: any.
    package var nodes: OutputNodes?
    package var field: String
    package var place: Place

    package init(source: String, destination: String?, nodes: OutputNodes? = nil, field: String, place: Place) {
      self.source = source
      self.destination = destination
      self.nodes = nodes
      self.field = field
      self.place = place
    }
  }

  /// What is fetched while the command runs, and put back before the next attempt's.
  package struct CheckpointPlan: Codable, Sendable, Equatable {
    /// Path or glob relative to the workdir.
    package var source: String
    /// Seconds.
    package var every: Int

    package init(source: String, every: Int) {
      self.source = source
      self.every = every
    }
  }

  package init(
    name: String, file: String, root: String, nodes: Int = 1, resources: Resources, volumes: [VolumeChoice] = [],
    envs: [Variable] = [], secrets: [String] = [], sshKey: KeyChoice? = nil, sshUser: String? = nil,
    files: [FilePlan] = [], workdir: String? = nil, setup: String? = nil, command: Command,
    outputs: [OutputPlan] = [], limits: Limits = Limits(), retry: Retry = Retry(), teardown: Teardown = .always
  ) {
    self.name = name
    self.file = file
    self.root = root
    self.nodes = nodes
    self.resources = resources
    self.volumes = volumes
    self.envs = envs
    self.secrets = secrets
    self.sshKey = sshKey
    self.sshUser = sshUser
    self.files = files
    self.workdir = workdir
    self.setup = setup
    self.command = command
    self.outputs = outputs
    self.limits = limits
    self.retry = retry
    self.teardown = teardown
  }

  /// Seconds a machine of `offering` may take until its first login: as written, else three times the offering's longest
  /// boot time and at least ten minutes.
  package func bootTimeout(for offering: Offering) -> Int {
    // What the API states is not ours to trust: a boot time of years must not overflow.
    limits.bootTimeout ?? max(600, 3 * min(max(0, offering.maxBootSeconds ?? 0), Durations.longest / 3))
  }
}

/// Seconds, and US dollars for the whole run, all attempts together.
package struct Limits: Codable, Sendable, Equatable {
  /// From launch, `setup` included, for each attempt.
  package var maxDuration: Int?
  package var maxCost: Decimal?
  /// Only when written; see ``JobPlan/bootTimeout(for:)``.
  package var bootTimeout: Int?
  package var outputGrace: Int
  package var idleGPU: IdleLimit?

  package static let defaultOutputGrace = 60

  package init(
    maxDuration: Int? = nil, maxCost: Decimal? = nil, bootTimeout: Int? = nil,
    outputGrace: Int = Self.defaultOutputGrace, idleGPU: IdleLimit? = nil
  ) {
    self.maxDuration = maxDuration
    self.maxCost = maxCost
    self.bootTimeout = bootTimeout
    self.outputGrace = outputGrace
    self.idleGPU = idleGPU
  }
}

/// When a job counts as idle: no GPU of it was used more than this for so long.
package struct IdleLimit: Codable, Sendable, Equatable {
  /// Percent of utilization, 1…100.
  package var below: Int
  /// Seconds.
  package var duration: Int

  package static let defaultBelow = 5

  package init(below: Int, duration: Int) {
    self.below = below
    self.duration = duration
  }
}

package struct Retry: Codable, Sendable, Equatable {
  package var on: [RetryCause]
  /// The first one counts.
  package var attempts: Int

  package init(on: [RetryCause] = [.noCapacity, .bootFailed], attempts: Int = 3) {
    self.on = on
    self.attempts = attempts
  }
}
