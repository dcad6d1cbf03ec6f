import Jobs
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

/// fcrun's state on this machine: `$FCRUN_HOME`, its store and the jobs' folders.
struct Installation: Sendable {
  let home: String
  let store: JobStore
  /// Six characters that mark what is rented from here in every name: `FCRUN_OWNER`, or made once for a state folder.
  let owner: String

  /// Opens the state folder, making it (0700) when it is missing.
  /// - Throws: ``Failure`` when it cannot be used as it is.
  static func open() throws -> Installation {
    let home = try folder()
    let named = try namedOwner()
    let store: JobStore
    do {
      store = try JobStore(home: home)
      return Installation(
        home: home, store: store, owner: try named ?? store.meta("owner") { RandomName.make(6) })
    } catch {
      throw Failure(
        status: .failed, message: "\(error)",
        next: "repair or move \(home)/fcrun.db away; machines are found without it: fcrun reap --owner any --dry-run")
    }
  }

  /// As ``open()``, for a command that is no submit: beside it, machines that appeared late are looked for.
  static func openAndLook() throws -> Installation {
    let installation = try open()
    LateMachines.lookBeside(installation)
    return installation
  }

  /// The mark that the environment gives, so that another computer can say which machines are meant.
  /// - Throws: ``Failure`` 78 for one that would not be read back from a name.
  private static func namedOwner() throws -> String? {
    guard let text = Context.environment("FCRUN_OWNER") else { return nil }
    guard MachineName.isOwner(text) else {
      throw Failure(
        status: .notConfigured, message: "FCRUN_OWNER is \"\(text)\": expected six of a-z and 0-9",
        next: "set it to six such characters, or not at all")
    }
    return text
  }

  /// For reap, whose truth is in the names: a store that cannot be used is told, and is as if it knew no job.
  ///
  /// Which machines are this installation's is in the store too, so without it only `FCRUN_OWNER` can say.
  static func openOrWithoutStore() throws -> Installation {
    let owner = try namedOwner()
    do { return try open() } catch let failure as Failure {
      Report.warn("warning: \(failure.message); going on from the machines' names alone")
      return Installation(home: try folder(), store: try JobStore.empty(), owner: owner ?? "")
    }
  }

  static func folder() throws -> String {
    guard let home = Context.environment("FCRUN_HOME") ?? defaultHome else {
      throw Failure(status: .notConfigured, message: "neither FCRUN_HOME nor HOME is set", next: "set FCRUN_HOME")
    }
    try makePrivate(home)
    return home
  }

  private static var defaultHome: String? {
    if let state = Context.environment("XDG_STATE_HOME") { return state + "/fcrun" }
    return Context.environment("HOME").map { $0 + "/.local/state/fcrun" }
  }

  private static func makePrivate(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw Failure(
        status: .failed, message: "the state folder \(path) cannot be made: \(error)", next: "set FCRUN_HOME")
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_uid == geteuid() else {
      throw Failure(
        status: .failed, message: "the state folder \(path) is another user's", next: "set FCRUN_HOME to one of yours")
    }
    guard status.st_mode & 0o022 == 0 else {
      throw Failure(
        status: .failed, message: "the state folder \(path) can be written by others", next: "chmod 700 \(path)")
    }
  }

  /// Folders of jobs that the store does not know: the database was deleted, or another one was put in its place.
  var unknownFolders: [String] {
    let folders = (try? FileManager.default.contentsOfDirectory(atPath: home + "/jobs")) ?? []
    return folders.filter { folder in
      if case .failure(.unknownJob) = Result(catching: { () throws(StoreError) in try store.job(folder) }) {
        true
      } else {
        false
      }
    }.sorted()
  }

  /// They may have machines, and nothing here would say so.
  func warnAboutUnknownFolders() {
    let unknown = unknownFolders
    guard let first = unknown.first else { return }
    let others = unknown.count > 1 ? " and \(unknown.count - 1) more" : ""
    Report.warn(
      "warning: \(home)/jobs holds \(first)\(others), and \(home)/fcrun.db knows nothing of it: was the database deleted? "
        + "its machines, if there are any: fcrun reap \(unknown.prefix(20).joined(separator: " "))")
  }

  func folder(of job: String) -> String { "\(home)/jobs/\(job)" }

  func hasFolder(of job: String) -> Bool { FileManager.default.fileExists(atPath: folder(of: job)) }

  func makeFolder(of job: String) throws {
    try FileManager.default.createDirectory(
      atPath: folder(of: job), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  var checkpoints: LocalCheckpoints {
    let home = home
    return LocalCheckpoints { "\(home)/jobs/\($0)/checkpoint" }
  }

  /// Where one node's streams lie. That it could not be made shows when the first log is opened.
  func makeLogFolder(_ job: String, _ attempt: Int, _ node: Int) -> String {
    let path = "\(folder(of: job))/attempt-\(attempt)/node-\(node)"
    try? FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    return path
  }

  /// - Throws: ``Failure`` when neither a job nor a sweep, or more than one, is meant.
  func subject(_ reference: String) throws -> Subject {
    do { return try store.subject(reference) } catch { throw Failure(status: .usage, message: "\(error)") }
  }

  /// - Throws: ``Failure`` when no job, or more than one, is meant.
  func job(_ reference: String) throws -> JobRecord {
    do {
      return try store.find(reference)
    } catch {
      throw Failure(status: .usage, message: "\(error)")
    }
  }

  /// Whether some process drives the job now.
  func isDriven(_ job: String) -> Bool { Lease.isHeld(folder: folder(of: job)) }
}
