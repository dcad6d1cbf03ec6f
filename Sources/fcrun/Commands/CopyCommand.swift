import ArgumentParser
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

/// `fcrun cp`: files from and to a job's machine while it is there.
struct CopyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cp", abstract: "Copy files from a job's machine, or to it, while it is there.",
    discussion: """
      A place on the machine is JOB:path, relative to the job's workdir, or from / or ~/. Nothing is seen half-written:
      files are renamed to their place when their sha256 has been compared.

        fcrun cp train:checkpoints/last.pt .
        fcrun cp 'train:logs/*.csv' logs/
        fcrun cp data train:data             a folder, whatever its ignore files say
      """)

  @Argument(help: ArgumentHelp("What to copy.", valueName: "from"), completion: Completions.places)
  var source: String

  @Argument(help: ArgumentHelp("Where to.", valueName: "to"), completion: Completions.places)
  var destination: String

  @Option(help: "Rank of the node.")
  var node = 0

  @OptionGroup var output: OutputOptions

  func run() async throws {
    let installation = try Installation.openAndLook()
    let copied: Transferred
    switch (RemotePlace(source), RemotePlace(destination)) {
    case (let from?, nil):
      copied = try await Download(from: from, to: destination, copy: copy(with: from.job, installation)).run()
    case (nil, let to?):
      copied = try await UploadOfOne(source: source, to: to, copy: copy(with: to.job, installation)).run()
    case (nil, nil), (.some, .some):
      throw Failure(
        status: .usage, message: "expected one place on a machine, and one here: \(source) and \(destination)",
        next: "fcrun cp JOB:path . or fcrun cp file JOB:path")
    }
    try show(copied)
  }

  private func copy(with job: String, _ installation: Installation) throws -> Copy {
    let record = try installation.job(job)
    let door = try SideDoor(to: record, node: node)
    let console = Console(output.json ? .quiet : .text, folder: installation.folder(of: record.id))
    return Copy(door: door, console: console)
  }

  private func show(_ copied: Transferred) throws {
    for refused in copied.refused { Report.warn("warning: not copied: \(refused)") }
    if output.json {
      return try Output.json(
        .object(of: [
          ("files", .integer(copied.files)), ("bytes", .integer(copied.bytes)),
          ("refused", .array(copied.refused.map(JSONValue.string))),
        ]))
    }
    _ = StandardStream.write(
      "fcrun: \(Counted.text(copied.files, "file")), \(Bytes.text(copied.bytes))\n", to: STDERR_FILENO)
  }
}

/// `JOB:path`.
struct RemotePlace {
  let job: String
  let path: String

  /// nil for a local path: one without a colon, or with a slash before it, as in scp(1).
  init?(_ text: String) {
    guard let colon = text.firstIndex(of: ":"), colon != text.startIndex, !text[..<colon].contains("/") else {
      return nil
    }
    job = String(text[..<colon])
    let path = String(text[text.index(after: colon)...])
    self.path = path.isEmpty ? "." : path
  }

  var components: [String] { path.split(separator: "/").map(String.init).filter { $0 != "." } }

  /// - Throws: ``Failure`` 64.
  func requireNoWayUp() throws {
    guard !components.contains("..") else {
      throw Failure(status: .usage, message: "\(path): expected a path without ..")
    }
  }

  /// A folder on the machine, and the way from there.
  func parts(workdir: String) -> (folder: String, rest: String) {
    if path.hasPrefix("/") { return ("/", components.joined(separator: "/")) }
    if components.first == "~" { return ("~", components.dropFirst().joined(separator: "/")) }
    return (workdir, components.joined(separator: "/"))
  }
}

private struct Copy {
  let door: SideDoor
  let console: Console

  func ask(_ verb: Request.Verb) async throws -> Transferred {
    let answer = try await door.ask(verb) { [console, job = door.record.id, node = door.machine.node] event in
      if case .progress(let progress) = event {
        console.tell(.progress(job: job, verb: "copying", node: node, progress))
      }
    }
    console.clear()
    await console.drain()
    await door.close()
    guard case .transferred(let transferred) = answer else {
      throw Failure(status: .failed, message: "the SSH worker answered out of turn")
    }
    return transferred
  }
}

private struct Download {
  let from: RemotePlace
  let to: String
  let copy: Copy

  func run() async throws -> Transferred {
    try from.requireNoWayUp()
    let (folder, rest) = from.parts(workdir: copy.door.record.workdir)
    let (root, destination) = try place(ofCopyOf: rest)
    let copied = try await copy.ask(
      .collect(
        Collect(
          control: copy.door.control, workdir: folder,
          outputs: [Collect.Output(source: rest.isEmpty ? "." : rest, destination: destination)], outputFolder: nil,
          root: root, partial: "\(root)/.fcrun-cp-\(RandomName.make(8))")))
    guard copied.missing.isEmpty else {
      throw Failure(
        status: .usage, message: "\(from.path) is not there on node \(copy.door.machine.node)",
        next: "fcrun ssh \(from.job) -- ls")
    }
    return copied
  }

  /// As cp(1): into a folder that is there, else to the name itself.
  private func place(ofCopyOf rest: String) throws -> (root: String, destination: String) {
    let here = to.hasPrefix("/") ? to : FileManager.default.currentDirectoryPath + "/" + to
    let exists = FileManager.default.fileExists(atPath: here)
    let isFolder = FileManager.default.fileExists(atPath: here + "/.")
    if rest.isEmpty || rest.contains(where: { "*?[".contains($0) }) {
      guard !exists || isFolder else {
        throw Failure(status: .usage, message: "\(to) is a file: expected a folder for what is copied")
      }
      return (here, ".")
    }
    if isFolder || to.hasSuffix("/") { return (here, String(rest.split(separator: "/").last ?? "")) }
    let parts = here.split(separator: "/")
    let parent = "/" + parts.dropLast().joined(separator: "/")
    guard FileManager.default.fileExists(atPath: parent) else {
      throw Failure(status: .usage, message: "the folder \(parent) does not exist", next: "mkdir -p \(parent)")
    }
    return (parent, String(parts.last ?? ""))
  }
}

private struct UploadOfOne {
  let source: String
  let to: RemotePlace
  let copy: Copy

  func run() async throws -> Transferred {
    try to.requireNoWayUp()
    let here = source.hasPrefix("/") ? source : FileManager.default.currentDirectoryPath + "/" + source
    guard FileManager.default.fileExists(atPath: here) else {
      throw Failure(status: .usage, message: "\(source) does not exist")
    }
    let (folder, name) = try await place(named: here.split(separator: "/").last.map(String.init) ?? "")
    let mark = ".fcrun-cp-\(RandomName.make(8))"
    let control = "~/.fcrun/\(copy.door.record.id)/\(mark)"
    let upload = Upload(
      control: control, workdir: folder,
      sources: [Upload.Source(source: here, destination: "\(mark)/\(name)", exclude: [], isWhole: true)])
    do {
      let copied = try await copy.ask(.upload(upload))
      _ = try await copy.door.run(Self.settle, [folder, mark, name, control])
      return copied
    } catch {
      _ = try? await copy.door.run(Self.forget, [folder, mark, control])
      throw error
    }
  }

  /// As cp(1): into a folder that is there, else to the name itself.
  private func place(named local: String) async throws -> (folder: String, name: String) {
    let (base, rest) = to.parts(workdir: copy.door.record.workdir)
    let whole = rest.isEmpty ? base : base == "/" ? "/" + rest : base + "/" + rest
    let isFolder = try await copy.door.run(Self.look, [whole]).hasPrefix("folder")
    if isFolder || rest.isEmpty || to.path.hasSuffix("/") { return (whole, local) }
    let parts = rest.split(separator: "/")
    let parent = parts.dropLast().joined(separator: "/")
    return (parent.isEmpty ? base : base == "/" ? "/" + parent : base + "/" + parent, String(parts.last ?? ""))
  }

  private static let words = #"""
    place() { case $1 in '~') p=$HOME ;; '~/'*) p=$HOME/${1#'~/'} ;; /*) p=$1 ;; *) p=$HOME/$1 ;; esac; }

    """#

  private static let look = words + #"place "$1"; if [ -d "$p" ]; then echo folder; fi"#

  /// Renames what has been compared to its place; a folder that is there already is filled, file by file.
  private static let settle =
    words + #"""
      place "$4"; rm -rf "$p"
      place "$1"; cd "$p" || exit 1
      N=./$3; T=./$2/$3
      fail() { echo "$1" >&2; rm -rf "./$2"; exit 1; }
      if [ -d "$T" ] && [ ! -L "$T" ]; then
        if [ -e "$N" ] && [ ! -d "$N" ]; then fail "$3 is a file on the machine, and a folder here" "$2"; fi
        if [ -d "$N" ]; then
          N=$(pwd)/$N; export N
          (
            cd "$T" || exit 1
            find . -type d -exec sh -c 'for d; do mkdir -p "$N/$d" || exit 1; done' sh {} + &&
              find . ! -type d -exec sh -c 'for f; do mv -f "$f" "$N/$f" || exit 1; done' sh {} +
          ) || fail "the files cannot be put into $3" "$2"
        else mv "$T" "$N" || fail "$3 cannot be written" "$2"; fi
      else
        if [ -d "$N" ]; then fail "$3 is a folder on the machine, and a file here" "$2"; fi
        mv -f "$T" "$N" || fail "$3 cannot be written" "$2"
      fi
      rm -rf "./$2"
      """#

  private static let forget = words + #"place "$3"; rm -rf "$p"; place "$1"; cd "$p" && rm -rf "./$2""#
}
