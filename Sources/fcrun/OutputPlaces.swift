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

extension JobPlan {
  /// What is in the way of outputs already, and would be only after the machine is paid for. Whether an output is a file or a
  /// folder is not known yet; that all above it are folders is.
  var outputProblems: [SpecProblem] {
    nodeFolders.flatMap { node in
      (outputs + tasksOutputs).compactMap { output in
        obstacle(to: node + output.foldersAbove, mustBeWritable: true).map {
          SpecProblem(at: output.place, path: output.field, message: $0)
        }
      }
        + folders.compactMap { obstacle(to: node + [$0], mustBeWritable: false) }.map {
          SpecProblem(file: file, line: 1, column: 1, path: "name", message: $0)
        }
    }
  }

  private var tasksOutputs: [OutputPlan] { fleet?.tasks.flatMap(\.outputs) ?? [] }

  /// That come by themselves.
  private var folders: [String] {
    let ofTasks = fleet.map { [Fleet.folder(of: name)] + $0.tasks.map { "\($0.name)-outputs" } }
    return ["\(name)-outputs"] + (ofTasks ?? [])
  }

  /// Below ``root``: node 0 has no folder of its own.
  private var nodeFolders: [[String]] { [[]] + (1..<max(1, nodes)).map { ["node-\($0)"] } }

  /// Why nothing can be put into the folder `path` below ``root``, of which the last folders may be missing.
  private func obstacle(to path: [String], mustBeWritable: Bool) -> String? {
    var place = root
    for name in path {
      let next = "\(place)/\(name)"
      var status = stat()
      guard lstat(next, &status) == 0 else { break }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: place = next
      case S_IFLNK:
        return
          "\(next) is a symbolic link, and outputs go through none; expected a folder; name or mount the folder itself"
      default: return "\(next) is no folder; expected one to put outputs into; move it away or name another destination"
      }
    }
    guard mustBeWritable, access(place, W_OK | X_OK) != 0 else { return nil }
    return "outputs cannot be written into \(place): \(String(cString: strerror(errno))); expected a folder of yours; "
      + "change its mode or name another destination"
  }
}

extension JobPlan.OutputPlan {
  /// Of the destination, as far as the spec alone says it.
  fileprivate var foldersAbove: [String] {
    let isPattern = SpecPaths.isGlob(source)
    let below = SpecPaths.components(destination ?? source)
    let literal = destination == nil ? below.prefix { !SpecPaths.isGlob($0) } : below[...]
    let isAllFolders = isPattern && (destination != nil || literal.count < below.count)
    return SpecPaths.components(folder ?? "") + (isAllFolders ? literal : literal.dropLast())
  }
}
