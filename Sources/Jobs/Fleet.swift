/// The tasks of a sweep on one cluster: one job whose engine runs each of them where there is room.
package struct Fleet: Codable, Sendable, Equatable {
  /// In the order of their indices; never empty.
  package var tasks: [Task]
  /// nil: as many as the machines have room for.
  package var maxParallel: Int?

  package struct Task: Codable, Sendable, Equatable {
    package var task: SweepTask
    /// Its name as a job of a sweep.
    package var name: String
    package var command: Command
    package var envs: [JobPlan.Variable]
    package var outputs: [JobPlan.OutputPlan]
  }

  /// Where the engine leaves what the tasks bring, in the workdir of the first node; all of it goes below ``JobPlan/root``.
  package static let place = ".fcrun-tasks"

  /// What each printed and how it ended lies below ``JobPlan/root`` in this folder.
  package static func folder(of job: String) -> String { "\(job)-tasks" }
}

extension JobPlan {
  /// One job for all of the tasks, which differ in nothing but what a task may have of its own.
  /// - Parameter tasks: each as a job of a sweep.
  init(fleet tasks: [JobPlan], of name: String, maxParallel: Int?) {
    self = tasks[0]
    self.name = name
    task = nil
    // What differs is a task's own: setup is done once for each machine.
    envs = envs.filter { variable in tasks.allSatisfy { $0.envs.contains(variable) } }
    fleet = Fleet(
      tasks: tasks.compactMap { plan in
        plan.task.map {
          Fleet.Task(task: $0, name: plan.name, command: plan.command, envs: plan.envs, outputs: plan.outputs)
        }
      }, maxParallel: maxParallel)
    outputs = [
      OutputPlan(
        source: Fleet.place, destination: ".", nodes: .head, field: "outputs",
        place: Place(file: file, line: 1, column: 1))
    ]
    // A task whose machine is gone is the engine's to start again.
    onNodeLoss = onNodeLoss ?? .continue
  }
}
