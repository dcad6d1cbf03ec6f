import ForwardCompute
import Jobs
import Remote
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A sweep about to be stored: its record, and a job for each task that is run.
struct SweepSubmission {
  var sweep: SweepRecord
  var jobs: [JobRecord]

  /// - Parameters:
  ///   - first: the record of a job of this sweep, for what all of them have in common.
  ///   - tasks: those that are run.
  init(_ plan: SweepPlan, running tasks: [JobPlan], like first: JobRecord, failsFast: Bool) {
    let id = RandomName.make(16)
    sweep = SweepRecord(
      id: id, name: plan.name, tasks: plan.tasks.compactMap(\.task), maxParallel: plan.maxParallel,
      maxCost: plan.maxCost, failsFast: failsFast, root: plan.tasks[0].root, createdAt: first.createdAt,
      submitID: first.arrangement.submitID)
    jobs = tasks.map { task in
      var job = first
      job.context = JobContext(id: RandomName.make(16), owner: first.context.owner, plan: task)
      job.sweep = id
      job.arrangement.submitID = nil
      return job
    }
  }
}

extension SweepPlan {
  /// What would be sent for the first task; all are checked.
  /// - Throws: ``Failure`` 64 for a source that cannot be sent.
  func scan(shown: String) throws -> UploadTree {
    let tree = try tasks[0].scan(shown: shown)
    var seen = [tasks[0].files]
    for task in tasks where !seen.contains(task.files) {
      seen.append(task.files)
      _ = try task.scan(shown: shown)
    }
    return tree
  }

  /// The tasks whose outputs are not all there.
  var unfinished: [JobPlan] { tasks.filter { !$0.hasOutputs } }
}

extension JobPlan {
  /// Everything that the job would fetch is there already; where it names no outputs, what it put into FCRUN_OUTPUT_DIR is.
  var hasOutputs: Bool {
    guard !outputs.isEmpty else { return Self.isFilled(root + "/\(name)-outputs") }
    return outputs.allSatisfy { output in
      let folder = output.folder.map { "\(root)/\($0)" } ?? root
      let source = output.source
      guard source.contains(where: { "*?[".contains($0) }) else {
        return FileManager.default.fileExists(atPath: "\(folder)/\(output.destination ?? source)")
      }
      // The matches of a pattern go into the destination by their last names.
      let last = source.split(separator: "/").last.map(String.init) ?? source
      return Self.matches(output.destination.map { "\($0)/\(last)" } ?? source, in: folder)
    }
  }

  private static func isFilled(_ folder: String) -> Bool {
    (try? FileManager.default.contentsOfDirectory(atPath: folder))?.isEmpty == false
  }

  /// glob(7), component by component, so that nothing in the folder's own path is read as a pattern.
  private static func matches(_ pattern: String, in folder: String) -> Bool {
    let steps = pattern.split(separator: "/", maxSplits: 1).map(String.init)
    guard let step = steps.first else { return true }
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
      fnmatch(step, $0, FNM_PERIOD) == 0
    }
    return steps.count == 1 ? !names.isEmpty : names.contains { matches(steps[1], in: "\(folder)/\($0)") }
  }
}
