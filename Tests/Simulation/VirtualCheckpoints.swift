import Jobs
import Runner
import Store

/// What a fetched checkpoint holds: the run that wrote it, and how far that was.
struct CheckpointContent: Equatable {
  var source: RunID
  var place: RunPlace
  /// Bytes of its log at the time: how far the command had come.
  var progress: Int64
}

/// The checkpoints in the state folder: one that is complete counts, for each node the newest.
struct VirtualCheckpoints: Checkpoints {
  static let source = "ckpt"

  let process: VirtualProcess
  private var kernel: Kernel { process.kernel }

  func newest(of job: String, node: Int) -> StoredCheckpoint? {
    kernel.files.checkpoints[node].map { StoredCheckpoint(folder: Self.folder(node), takenAt: $0.takenAt) }
  }

  func begin(of job: String, node: Int) -> (folder: String, partial: String) {
    kernel.files.begunCheckpoints[node] = nil
    return (Self.folder(node), "")
  }

  func complete(_ folder: String, of job: String, node: Int, takenAt: Moment) async throws {
    let done: Void? = await process.call("checkpoint of node \(node)") { [kernel] in
      if let content = kernel.files.begunCheckpoints[node] { kernel.keep(content, of: node, takenAt) }
    }
    if done == nil { throw CancellationError() }
  }

  static func folder(_ node: Int) -> String { "/checkpoints/node-\(node)" }
}

extension Kernel {
  fileprivate func keep(_ content: CheckpointContent, of node: Int, _ takenAt: Moment) {
    if content.place.node != node { violate("I8: a checkpoint of node \(content.place.node) is kept for node \(node)") }
    if let old = files.checkpoints[node]?.content,
      (old.place.attempt, old.progress) > (content.place.attempt, content.progress)
    {
      violate("I8: a checkpoint of node \(node) is kept that is older than the last one")
    }
    files.checkpoints[node] = (content, takenAt)
  }

  /// What an attempt begins with is the newest checkpoint that was complete.
  func checkPutBack(_ folders: [String], at place: RunPlace) {
    guard disk.record.context.plan.checkpoint != nil, let newest = files.checkpoints[place.node] else { return }
    if !folders.contains(VirtualCheckpoints.folder(place.node)) {
      violate(
        "I8: attempt \(place.attempt) begins on node \(place.node) without the checkpoint of \(newest.content.place)")
    }
  }
}
