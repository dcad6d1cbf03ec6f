/// Where the members of an archive of outputs go: the naming rule of the job spec.
package struct OutputMap: Sendable {
  private struct Root: Sendable {
    var path: [[UInt8]]
    var target: [[UInt8]]
    /// Of its output: where `target` starts.
    var folder: [[UInt8]]
  }

  private var roots: [Root] = []
  private let outputs: [(source: [[UInt8]], destination: [[UInt8]]?, folder: [[UInt8]])]

  /// - Throws: ``Failure`` `badRequest` for a place outside the workdir or the root.
  package init(_ outputs: [Collect.Output]) throws(Failure) {
    var parsed: [(source: [[UInt8]], destination: [[UInt8]]?, folder: [[UInt8]])] = []
    for output in outputs {
      guard let folder = Path.components((output.folder ?? "").utf8) else { throw Self.outside(output.folder ?? "") }
      guard let source = Path.components(output.source.utf8) else {
        throw Self.outside(output.source)
      }
      guard let destination = output.destination else {
        parsed.append((source, nil, folder))
        continue
      }
      guard let place = Path.components(destination.utf8) else { throw Self.outside(destination) }
      parsed.append((source, place, folder))
    }
    self.outputs = parsed
  }

  private static func outside(_ path: String) -> Failure {
    Failure(kind: .badRequest, message: "outputs: \(path) leads outside; expected a relative path without ..")
  }

  /// Notes that the machine found `path` for the output `index`.
  /// - Returns: false when there is no such output or the path is not allowed.
  package mutating func add(match path: [UInt8], of index: Int) -> Bool {
    guard outputs.indices.contains(index), let path = Path.components(path) else { return false }
    let (source, destination, folder) = outputs[index]
    let target: [[UInt8]]
    switch destination {
    case nil: target = path
    case .some(let place): target = path == source ? place : place + path.suffix(1)
    }
    roots.append(Root(path: path, target: target, folder: folder))
    return true
  }

  /// The places of a member, without repetition; empty when nobody asked for it.
  package func places(of member: [[UInt8]], isFolder: Bool) -> [[[UInt8]]] {
    var places: [[[UInt8]]] = []
    for root in roots where member.starts(with: root.path) {
      var place = root.target + member.dropFirst(root.path.count)
      // `.` takes a folder's contents; a single file keeps its name there.
      if place.isEmpty, !isFolder, let name = member.last { place = [name] }
      place = root.folder + place
      if !places.contains(place) { places.append(place) }
    }
    return places
  }
}
