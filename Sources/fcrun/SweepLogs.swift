import Dispatch
import Jobs
import Store

/// What all tasks of a sweep wrote, each line with its task before it.
struct SweepLogs: Sendable {
  let installation: Installation
  let selection: LogSelection
  let form: LinePrinter.Form
  let filter: LineFilter
  /// Only so many lines of each file.
  let last: Int?
  private let queue = DispatchQueue(label: "sweep logs")

  init(
    _ installation: Installation, _ selection: LogSelection, _ form: LinePrinter.Form, _ filter: LineFilter, last: Int?
  ) {
    (self.installation, self.selection, self.form, self.filter, self.last) =
      (installation, selection, form, filter, last)
  }

  func print(_ sweep: SweepRecord, follow: Bool) async throws {
    let tasks = try installation.store.tasks(of: sweep.id)
    guard follow else {
      for task in tasks { await printer(of: task).finish(selection.files(of: task)) }
      return
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in tasks { group.addTask { try await self.follow(task) } }
      try await group.waitForAll()
    }
  }

  private func follow(_ task: JobRecord) async throws {
    let printer = printer(of: task)
    guard !task.isOver else { return await printer.finish(selection.files(of: task)) }
    _ = try await Watch(installation: installation, printer: printer, selection: selection).untilOver(task.id)
  }

  private func printer(of task: JobRecord) -> LinePrinter {
    LinePrinter(
      folder: installation.folder(of: task.id), form: form, filter: filter, last: last, of: task, on: queue)
  }
}
