import Remote
import SSH

/// A tree into the workdir: what differs there is sent over several channels at once, and the machine's hash of every byte compared.
///
/// Small files go in archives, large ones in pieces that any channel may carry. What is there already, of an earlier upload or of one that was
/// cut, is hashed on both sides and left alone where it is the same.
@SSHLoop
final class UploadVerb {
  /// A larger file goes in pieces.
  nonisolated static let large = 8 << 20
  /// One channel is held to sshd's window of 2 MiB for each round trip. sshd allows ten sessions, of which others need some.
  nonisolated static let mostLanes = 4

  private let verb: Upload
  private let ways: Ways
  private let progress: ProgressMeter
  private let meter = LinkMeter()
  private var queue = UploadQueue(UploadTree())
  private var lanes: [UploadLane] = []
  /// Questions that one lane may have open: the first is there before the others, which are to have something to ask, too.
  private var share = 1
  /// The server allows no more of them.
  private var isRefused = false

  init(_ verb: Upload, on ways: Ways, tell: @escaping @SSHLoop (WorkerEvent.Kind) -> Void) {
    (self.verb, self.ways, progress) = (verb, ways, ProgressMeter(tell))
  }

  func perform() async throws -> Transferred {
    defer { close() }
    let (tree, ground) = try await survey()
    queue = UploadQueue(tree)
    meter.canPack = ground.hasZstd && Zstd.isHere
    progress.begin(totalBytes: tree.totalBytes, totalFiles: tree.fileCount)
    if ground.isOld { try await keepWhatIsTheSame() }
    try await work()
    try await sendAgainWhatIsWrong()
    queue.finish(isOld: ground.isOld)
    try await work(widening: false)
    progress.flush()
    return Transferred(files: tree.fileCount, bytes: tree.totalBytes)
  }

  private func close() {
    for lane in lanes { lane.close() }
    ways.close()
  }

  /// Many files take a while to look at, and so does the way to the machine and back.
  private func survey() async throws -> (UploadTree, UploadLane.Ground) {
    let sources = verb.sources
    let scan = Task.detached { try UploadTree.scan(sources) }
    let lane = try await openLane(turn: "0", on: ways.first)
    return (try await scan.value, try await lane.ground())
  }

  private func openLane(turn: String, on session: Session, isExtra: Bool = false) async throws -> UploadLane {
    let remote = try await Conversation.start(
      Script.upload, [verb.control, verb.workdir, turn], on: session, isExtra: isExtra)
    let lane = UploadLane(remote)
    lanes.append(lane)
    return lane
  }

  private func keepWhatIsTheSame() async throws {
    queue.lookFirst()
    try await work()
    queue.openParts()
    try await work()
    queue.lookAtParts()
    try await work()
    queue.lookCloser()
    try await work()
    queue.sendTheRest()
    progress.add(bytes: queue.keptBytes, files: queue.keptFiles)
  }

  private func sendAgainWhatIsWrong() async throws {
    guard !queue.wrong.isEmpty else { return }
    queue.sendAgain()
    try await work()
    guard let still = queue.wrong.first else { return }
    throw Failure(kind: .integrity, message: "\(still.shown) arrived with another sha256 than it was sent with, twice")
  }

  // MARK: Lanes

  /// Until nothing is left to do, by all lanes there are, and by more of them while there is much; or by the first in order.
  private func work(widening: Bool = true) async throws {
    share = widening ? max(1, (queue.asking + Self.mostLanes - 1) / Self.mostLanes) : .max
    try await withThrowingTaskGroup(of: Void.self) { group in
      for lane in widening ? lanes : Array(lanes.prefix(1)) { group.addTask { try await self.serve(lane) } }
      if widening { group.addTask { try await self.widen() } }
      try await group.waitForAll()
    }
  }

  private func widen() async throws {
    let turn = try await lanes[0].ground().turn
    async let near: Void = widen(by: Self.mostLanes - lanes.count, turn) { self.ways.first }
    async let far: Void = ways.isWorthAnother(queue.bytes) ? widen(by: Self.mostLanes, turn, ways.another) : ()
    _ = try await (near, far)
  }

  /// While there is enough to do, and as long as the server takes one more.
  private func widen(by count: Int, _ turn: String, _ session: @escaping @SSHLoop () async throws -> Session)
    async throws
  {
    guard count > 0, queue.isWorthAnotherLane else { return }
    guard let lane = try? await openLane(turn: turn, on: session(), isExtra: true) else {
      isRefused = true
      return
    }
    async let more: Void = widen(by: count - 1, turn, session)
    try await serve(lane)
    try await more
  }

  /// Whether another lane can take what this one leaves.
  private var isShared: Bool { lanes.count > 1 || (!isRefused && queue.isWorthAnotherLane) }

  private func serve(_ lane: UploadLane) async throws {
    let (sent, note) = AsyncStream.makeStream(of: UploadRequest.Sent.self)
    let (heard, tell) = AsyncStream.makeStream(of: Void.self)
    let hearing = Task {
      defer { tell.finish() }
      for await request in sent {
        do { try await self.hear(lane, request) } catch {
          lane.giveUp()
          throw error
        }
        tell.yield()
      }
    }
    defer { hearing.cancel() }
    var answers = heard.makeAsyncIterator()
    var open = 0
    while !lane.isOver {
      if queue.asking > 0, open >= share, isShared {
        guard await answers.next() != nil else { break }
        open -= 1
      } else {
        guard let request = queue.next(quantum: meter.quantum) else { break }
        note.yield(try await send(request, lane))
        open += 1
      }
    }
    note.finish()
    try await withTaskCancellationHandler {
      try await hearing.value
    } onCancel: {
      hearing.cancel()
    }
  }

  private func send(_ request: UploadRequest, _ lane: UploadLane) async throws -> UploadRequest.Sent {
    let feed = queue.feed(for: request)
    if feed != nil { meter.begin() }
    let own = queue.own(request)
    let isPacked = if let feed { try await meter.isWorthPacking(feed) } else { false }
    let bytes = try await lane.write(queue.written(request, feed, isPacked: isPacked)) { self.progress.add(bytes: $0) }
    return UploadRequest.Sent(request: request, feed: feed, bytes: bytes, own: own)
  }

  /// The answers come in the order of the requests.
  private func hear(_ lane: UploadLane, _ sent: UploadRequest.Sent) async throws {
    let answer = try await lane.answer()
    meter.arrived(sent.bytes)
    progress.add(files: try queue.take(answer, to: sent, own: try await sent.own?.value ?? []))
  }
}
