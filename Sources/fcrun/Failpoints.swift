#if FCRUN_FAILPOINTS
  // Debug builds only: the ports of the driver, with named places between the calls at which this process can be made
  // to die as by `kill -9`. A release build has none of it; `make torture-real` looks.

  import ForwardCompute
  import Jobs
  import Remote
  import Runner
  import Store
  import Synchronization

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #else
    import Darwin
  #endif

  /// `FCRUN_FAILPOINT=before-post`, `after-commit:launching`, `after-instance:3`: SIGKILL at that place, the third time
  /// it is passed.
  ///
  /// Places are `before-` and `after-` with `commit:STATE`, a call of the API that the driver makes (`post`, `delete`,
  /// `instance`, `instances`, `offering`, `offerings`) or a verb of SSH (`connect`, `upload`, `launch`, `follow`, `stop`,
  /// `collect`).
  final class Failpoints: Sendable {
    /// nil where the environment names no place.
    static let ofThisProcess = Context.environment("FCRUN_FAILPOINT").map { Failpoints($0) }

    private let place: String
    private let left: Mutex<Int>

    init(_ text: String) {
      let parts = text.split(separator: ":").map(String.init)
      let count = parts.last.flatMap(Int.init)
      place = parts.dropLast(count == nil ? 0 : 1).joined(separator: ":")
      left = Mutex(count ?? 1)
    }

    func pass(_ place: String) {
      guard place == self.place else { return }
      let isDue = left.withLock { left in
        left -= 1
        return left == 0
      }
      if isDue { kill(getpid(), SIGKILL) }
    }

    func around(_ world: World) -> World {
      var world = world
      world.api = FailingAPI(api: world.api, points: self)
      world.hosts = FailingHosts(hosts: world.hosts, points: self)
      return world
    }

    func around(_ journal: any Journal) -> any Journal { FailingJournal(journal: journal, points: self) }
  }

  private struct FailingJournal: Journal {
    let journal: any Journal
    let points: Failpoints

    func job(_ id: String) throws(StoreError) -> JobRecord { try journal.job(id) }

    func commit(_ job: JobRecord, event: String, at now: Moment) async throws(StoreError) {
      points.pass("before-commit:\(job.state.word)")
      try await journal.commit(job, event: event, at: now)
      points.pass("after-commit:\(job.state.word)")
    }

    func handOver(
      _ job: JobRecord, at now: Moment, event: (_ heir: String) -> String
    ) throws(StoreError) -> JobRecord? {
      points.pass("before-handover")
      defer { points.pass("after-handover") }
      return try journal.handOver(job, at: now, event: event)
    }
  }

  private struct FailingHosts: Hosts {
    let hosts: any Hosts
    let points: Failpoints

    func connect(_ link: Link) async -> Result<Connected, Remote.Failure> {
      points.pass("before-connect")
      defer { points.pass("after-connect") }
      return await hosts.connect(link)
    }

    func perform(
      _ verb: Request.Verb, on link: Link, watching: @escaping @Sendable (WorkerEvent.Kind) -> Void
    ) async -> WorkerEvent.Kind {
      points.pass("before-\(verb.word)")
      defer { points.pass("after-\(verb.word)") }
      return await hosts.perform(verb, on: link, watching: watching)
    }

    func close(_ machine: String) async { await hosts.close(machine) }
  }

  /// Only what the driver itself asks has places.
  private struct FailingAPI: ForwardComputeAPI {
    let api: any ForwardComputeAPI
    let points: Failpoints

    func computeOfferings() async throws(APIError) -> [ComputeOffering] {
      points.pass("before-offerings")
      defer { points.pass("after-offerings") }
      return try await api.computeOfferings()
    }

    func computeOffering(_ id: String) async throws(APIError) -> ComputeOffering {
      points.pass("before-offering")
      defer { points.pass("after-offering") }
      return try await api.computeOffering(id)
    }

    func instances() async throws(APIError) -> [Instance] {
      points.pass("before-instances")
      defer { points.pass("after-instances") }
      return try await api.instances()
    }

    func instance(_ id: String, refresh: Bool) async throws(APIError) -> Instance {
      points.pass("before-instance")
      defer { points.pass("after-instance") }
      return try await api.instance(id, refresh: refresh)
    }

    func createInstance(_ request: CreateInstance) async -> Creation {
      points.pass("before-post")
      defer { points.pass("after-post") }
      return await api.createInstance(request)
    }

    func deleteInstance(_ id: String) async throws(APIError) {
      points.pass("before-delete")
      defer { points.pass("after-delete") }
      try await api.deleteInstance(id)
    }

    func volumeOfferings() async throws(APIError) -> [VolumeOffering] { try await api.volumeOfferings() }
    func volumeOffering(_ id: String) async throws(APIError) -> VolumeOffering { try await api.volumeOffering(id) }
    func volumes() async throws(APIError) -> [Volume] { try await api.volumes() }
    func volume(_ id: String, refresh: Bool) async throws(APIError) -> Volume {
      try await api.volume(id, refresh: refresh)
    }
    func sshKeys() async throws(APIError) -> [SSHKey] { try await api.sshKeys() }
    func models() async throws(APIError) -> [Model] { try await api.models() }
    func model(_ id: String) async throws(APIError) -> Model { try await api.model(id) }
    func document(_ read: Read) async throws(APIError) -> Document { try await api.document(read) }
  }
#endif
