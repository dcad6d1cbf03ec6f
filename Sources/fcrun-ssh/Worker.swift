import Remote
import SSH

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Takes requests, runs each as a task of its own on the loop, and sees to it that each ends in exactly one final event.
@SSHLoop
final class Worker {
  private var open: [Int: Task<Void, Never>] = [:]
  private var session: Session?
  private var again: (@SSHLoop () async throws -> Session)?
  private var isConnecting = false
  /// Control folders in which something was seen to have begun: when that is gone, the records were lost.
  private var begun: Set<String> = []

  nonisolated init() {}

  func receive(_ line: [UInt8]) {
    guard line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else { return }
    do {
      start(try Wire.decode(Request.self, from: line))
    } catch {
      let id = (try? Wire.decode(Identity.self, from: line))?.id ?? -1
      emit(id, .failed(Failure(kind: .badRequest, message: Self.explain(error))))
    }
  }

  private struct Identity: Decodable { var id: Int }

  private static func explain(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    let context: DecodingError.Context? =
      switch error {
      case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
        .dataCorrupted(let context):
        context
      @unknown default: nil
      }
    let place = (context?.codingPath ?? []).map(\.stringValue).joined(separator: ".")
    return "not a request\(place.isEmpty ? "" : " at \(place)"): \(context?.debugDescription ?? "\(error)")"
  }

  private func start(_ request: Request) {
    if case .cancel(let cancel) = request.verb {
      open[cancel.request]?.cancel()
      return
    }
    guard open[request.id] == nil else {
      return emit(request.id, .failed(Failure(kind: .badRequest, message: "the request \(request.id) is still open")))
    }
    open[request.id] = Task {
      let end = await finalEvent(of: request)
      open[request.id] = nil
      emit(request.id, end)
    }
  }

  private func finalEvent(of request: Request) async -> WorkerEvent.Kind {
    do {
      return try await perform(request)
    } catch let failure as Failure {
      return .failed(Task.isCancelled ? Self.cancelled : failure)
    } catch is CancellationError {
      return .failed(Self.cancelled)
    } catch let error as SSHError {
      return .failed(Failure(error))
    } catch {
      return .failed(Failure(kind: .remote, message: "\(error)"))
    }
  }

  private static let cancelled = Failure(kind: .cancelled, message: "the request was given up")

  private func perform(_ request: Request) async throws -> WorkerEvent.Kind {
    let tell: @SSHLoop (WorkerEvent.Kind) -> Void = { self.emit(request.id, $0) }
    switch request.verb {
    case .connect(let verb): return .connected(try await connect(verb))
    case .exec(let verb): return .executed(try await ExecVerb.perform(verb, on: try connected()))
    case .upload(let verb): return .transferred(try await UploadVerb(verb, on: try ways(), tell: tell).perform())
    case .launch(let verb): return .status(noted(try await JobVerbs.launch(verb, on: try connected()), verb.control))
    case .status(let verb): return .status(noted(try await JobVerbs.status(verb, on: try connected()), verb.control))
    case .stop(let verb): return .status(noted(try await JobVerbs.stop(verb, on: try connected()), verb.control))
    case .follow(let verb):
      return .status(noted(try await FollowVerb(verb, on: try connected(), tell: tell).perform(), verb.control))
    case .collect(let verb): return .transferred(try await CollectVerb(verb, on: try ways(), tell: tell).perform())
    case .forward(let verb):
      try await ForwardVerb(verb, on: try connected(), tell: tell).perform()
      preconditionFailure("a tunnel ends in an error")
    case .cancel: preconditionFailure("a cancel is no task")
    }
  }

  private func connect(_ verb: Connect) async throws -> Connected {
    guard session == nil, !isConnecting else {
      throw Failure(kind: .badRequest, message: "already connected; one worker holds one connection")
    }
    isConnecting = true
    defer { isConnecting = false }
    let (session, connected) = try await ConnectVerb.perform(verb)
    self.session = session
    again = { try await ConnectVerb.again(verb, connected) }
    return connected
  }

  private func ways() throws -> Ways {
    guard let again else { _ = try connected(); preconditionFailure("connected, and no way to do it again") }
    return Ways(try connected(), connect: again)
  }

  private func connected() throws(Failure) -> Session {
    guard let session else { throw Failure(kind: .badRequest, message: "not connected yet; ask `connect` first") }
    return session
  }

  /// "Not begun" after a beginning was seen means that the records are gone: at most once wins, nothing is started again.
  private func noted(_ status: JobStatus, _ control: String) -> JobStatus {
    if status == .notBegun {
      return begun.contains(control) ? .lost(reason: "the records on the machine are gone") : status
    }
    begun.insert(control)
    return status
  }

  private func emit(_ id: Int, _ kind: WorkerEvent.Kind) {
    let line = Array((Wire.line(WorkerEvent(id: id, kind: kind)) + "\n").utf8)
    var written = 0
    while written < line.count {
      let count = line.withUnsafeBytes { write(1, $0.baseAddress?.advanced(by: written), line.count - written) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { _exit(0) }
      written += count
    }
  }
}

extension Failure {
  init(_ error: SSHError) {
    let kind: Kind =
      switch error.kind {
      case .refused: .refused
      case .timedOut: .timedOut
      case .dropped: .dropped
      case .hostKeyChanged: .hostKeyChanged
      case .notAuthenticated: .notAuthenticated
      case .keyUnusable: .keyUnusable
      case .channelClosed, .failed: .remote
      }
    self.init(kind: kind, message: error.description)
  }
}
