import ArgumentParser
import ForwardCompute
import Jobs

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

/// A job to start from: the folder of that name in `templates/`, carried in the program (`EmbeddedTemplates`).
struct Template: Sendable {
  var name: String
  var files: [File]

  struct File: Sendable {
    /// Relative to the job's folder.
    var path: String
    var text: String
  }

  /// What its `job.yaml` says in its first line.
  var about: String {
    let first = files.first { $0.path == "job.yaml" }?.text.split(separator: "\n").first ?? ""
    return String(first.drop { $0 == "#" || $0 == " " })
  }
}

/// `fcrun init`: the files of a new job.
struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Write the files of a new job, from a template.",
    discussion: """
      Never overwrites anything.

        fcrun init --list
        fcrun init --template torchrun my-job
      """)

  private static let first = "training"

  @Option(
    help: ArgumentHelp("Which one; training when it is left out.", valueName: "NAME"),
    completion: Completions.templates)
  var template: String?

  @Flag(help: "List the templates.")
  var list = false

  @OptionGroup var output: OutputOptions

  @Argument(
    help: "The folder to write into; made when it is missing. This one when it is left out.", completion: .directory)
  var folder = "."

  func run() throws {
    if list { return try tell() }
    let template = try chosen()
    try refuseToOverwrite(template)
    for file in template.files { try write(file) }
    try tell(template)
  }

  private func tell() throws {
    let all = EmbeddedTemplates.all
    if output.json {
      let items = all.map { JSONValue.object(of: [("name", .string($0.name)), ("about", .string($0.about))]) }
      return try Output.json(.object(of: [("data", .array(items))]))
    }
    try Output.table(
      header: [Column(title: "TEMPLATE"), Column(title: "FOR", room: .wraps)], rows: all.map { [$0.name, $0.about] })
  }

  private func chosen() throws -> Template {
    let name = template ?? Self.first
    if let template = EmbeddedTemplates.all.first(where: { $0.name == name }) { return template }
    let names = EmbeddedTemplates.all.map(\.name)
    let meant = EditDistance.nearest(to: name, in: names).map { "did you mean \($0)?" }
    throw Failure(
      status: .usage,
      message: "there is no template \(name); \(meant ?? "expected one of \(names.joined(separator: ", "))")",
      next: "fcrun init --list")
  }

  private func path(of file: String) -> String { folder == "." ? file : "\(folder)/\(file)" }

  private func refuseToOverwrite(_ template: Template) throws {
    var status = stat()
    let there = template.files.map { path(of: $0.path) }.filter { lstat(LocalText.absolute($0), &status) == 0 }
    guard let first = there.first else { return }
    let more = there.count > 1 ? " and \(there.count - 1) more of the template's files are" : " is"
    throw Failure(
      status: .usage, message: "\(first)\(more) there already; nothing was written",
      next: "give the name of a new folder")
  }

  /// Made only where there is none: what appeared since is left alone.
  private func write(_ file: Template.File) throws {
    let shown = path(of: file.path)
    let path = LocalText.absolute(shown)
    let parent = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
    do { try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true) } catch {
      throw Failure(status: .failed, message: "the folder of \(shown) cannot be made: \(error)")
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure(shown) }
    defer { close(descriptor) }
    guard StandardStream.write(file.text, to: descriptor) == 0 else { throw failure(shown) }
  }

  private func failure(_ shown: String) -> Failure {
    Failure(status: .failed, message: "\(shown) cannot be written: \(String(cString: strerror(errno)))")
  }

  private func tell(_ template: Template) throws {
    let files = template.files.map { path(of: $0.path) }
    let job = path(of: "job.yaml")
    if output.json {
      return try Output.json(
        .object(of: [
          ("template", .string(template.name)), ("job", .string(job)), ("files", .array(files.map { .string($0) })),
        ]))
    }
    try Output.print(files.map { $0 + "\n" }.joined())
    let next =
      "next:\n  fcrun plan \(job)\n  fcrun submit --local \(job)    on a simulated cloud, for nothing\n  fcrun submit \(job)\n"
    _ = StandardStream.write(next, to: STDERR_FILENO)
  }
}
