import Remote
import SSH

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Puts the members of the machine's archives where the spec wants them, and compares what came with what the machine hashed.
@SSHLoop
final class Intake {
  private let extraction: Extraction
  private var map: OutputMap
  private let outputFolder: [[UInt8]]
  private let progress: ProgressMeter

  private(set) var found: Set<Int> = []
  private(set) var files = 0
  private(set) var bytes = 0
  private(set) var refused: [String] = []
  /// Names of the section `files`, in the order of their hashes.
  var listed: [[[UInt8]]] = []
  /// What is fetched in pieces, afterwards.
  private(set) var large: [LargeOutput] = []
  private var largeNames: [[UInt8]] = []

  private var members = 0
  /// Matches, refused files and files with a hash.
  private var names = 0
  /// For each domain and path: the sha256 of what came, and where it lies.
  private var received: [String: (digest: [UInt8], place: [[UInt8]])] = [:]
  private var current: Writing?

  private struct Writing {
    var key: String
    var places: [[[UInt8]]]
    var descriptors: [Int32]
    var digest = FileDigest()
    var modified: Int
  }

  init(_ extraction: Extraction, map: OutputMap, outputFolder: [[UInt8]], progress: ProgressMeter) {
    (self.extraction, self.map, self.outputFolder, self.progress) = (extraction, map, outputFolder, progress)
  }

  private func countName() throws(Failure) {
    names += 1
    guard names <= 2 * CollectVerb.mostMembers else {
      throw Failure(kind: .remote, message: "the machine names more than \(2 * CollectVerb.mostMembers) outputs")
    }
  }

  func match(_ name: [UInt8], _ index: Int) throws(Failure) {
    try countName()
    guard map.add(match: name, of: index) else {
      throw Failure(kind: .remote, message: "the machine names an output that was not asked for: \(name.shown)")
    }
    found.insert(index)
  }

  /// Only the first are told: there may be millions.
  func refuse(_ name: [UInt8], _ why: String) {
    if refused.count < CollectVerb.mostRefusalsTold { refused.append("\(name.shown): \(why)") }
  }

  func list(_ name: [UInt8]) throws(Failure) {
    try countName()
    guard let path = Place.components(name) else {
      throw Failure(kind: .remote, message: "the machine lists a file outside: \(name.shown)")
    }
    listed.append(path)
  }

  // MARK: Large files

  func listLarge(_ name: [UInt8]) throws(Failure) {
    try countName()
    largeNames.append(name)
  }

  /// A line for each name, in their order.
  func describeLarge(_ facts: [[UInt8]], _ domain: String) throws(Failure) {
    guard facts.count == largeNames.count else {
      throw Failure(
        kind: .remote,
        message: "the machine describes \(facts.count) of \(Counted.text(largeNames.count, "large output"))")
    }
    for (name, facts) in zip(largeNames, facts) {
      guard let path = Place.components(name), let output = LargeOutput(name, facts, domain) else {
        throw Failure(kind: .remote, message: "the machine lists a file outside: \(name.shown)")
      }
      let places = try places(of: path, isFolder: false, domain)
      let key = Self.key(path, domain)
      guard received[key] == nil, !places.isEmpty else { continue }
      received[key] = ([], places[0])
      large.append(output.at(places))
    }
    largeNames = []
  }

  /// It has all come.
  func finish(_ output: LargeOutput) throws(Failure) {
    let places = output.places
    try extraction.place(part: output.part, at: places[0], mode: output.mode, modified: output.modified)
    for place in places.dropFirst() { try extraction.copy(places[0], to: place, mode: output.mode) }
    files += 1
    bytes += output.size
    progress.add(files: 1)
  }

  // MARK: Members

  func take(_ event: TarReader.Event, _ domain: String) throws(Failure) {
    switch event {
    case .member(let member): try begin(member, domain)
    case .content(let part): try append(part)
    case .endOfFile: try endFile()
    }
  }

  private func begin(_ member: TarReader.Member, _ domain: String) throws(Failure) {
    members += 1
    guard members <= CollectVerb.mostMembers else {
      throw Failure(kind: .remote, message: "the outputs have more than \(CollectVerb.mostMembers) members")
    }
    current = nil
    let key = Self.key(member.path, domain)
    // Outputs that overlap name the same file twice.
    if received[key] != nil { return }
    let places = try places(of: member.path, isFolder: member.kind == .folder, domain)
    switch member.kind {
    case .folder: for place in places { try extraction.makeFolder(place, mode: member.mode) }
    case .link(let target): try link(member, target, places)
    case .hardLink(let target): try copy(member, target, places, domain)
    case .file: try create(member, key, places)
    }
  }

  private func places(of path: [[UInt8]], isFolder: Bool, _ domain: String) throws(Failure) -> [[[UInt8]]] {
    let places = domain == "o" ? path.isEmpty ? [] : [outputFolder + path] : map.places(of: path, isFolder: isFolder)
    guard !places.contains(where: { $0.first == Extraction.parts }) else {
      throw Failure(kind: .remote, message: "an output may not be named \(Extraction.parts.shown)")
    }
    return places
  }

  private static func key(_ path: [[UInt8]], _ domain: String) -> String {
    // Latin-1 keeps any bytes apart.
    domain + "/" + String(String.UnicodeScalarView(Place.joined(path).map { Unicode.Scalar($0) }))
  }

  private func create(_ member: TarReader.Member, _ key: String, _ places: [[[UInt8]]]) throws(Failure) {
    var writing = Writing(key: key, places: [], descriptors: [], modified: member.modified)
    for place in places {
      writing.descriptors.append(try extraction.createFile(place, mode: member.mode))
      writing.places.append(place)
    }
    current = writing
  }

  private func append(_ part: ArraySlice<UInt8>) throws(Failure) {
    guard current != nil else { return }
    current?.digest.update(part)
    for (place, descriptor) in zip(current?.places ?? [], current?.descriptors ?? []) {
      try extraction.write(part, to: descriptor, place)
    }
    bytes += part.count
    progress.add(bytes: part.count)
  }

  private func endFile() throws(Failure) {
    guard let writing = current else { return }
    current = nil
    for (place, descriptor) in zip(writing.places, writing.descriptors) {
      try extraction.finish(descriptor, modified: writing.modified, place)
    }
    received[writing.key] = (writing.digest.hexadecimal(), writing.places.first ?? [])
    files += 1
    progress.add(files: 1)
  }

  private func link(_ member: TarReader.Member, _ target: [UInt8], _ places: [[[UInt8]]]) throws(Failure) {
    for place in places {
      guard Place.isSafeLink(at: place, to: target) else {
        refuse(Place.joined(member.path), "a symbolic link to \(target.shown), which leads outside")
        continue
      }
      try extraction.makeLink(place, target: target)
    }
  }

  private func copy(_ member: TarReader.Member, _ target: [UInt8], _ places: [[[UInt8]]], _ domain: String)
    throws(Failure)
  {
    guard let path = Place.components(target), let original = received[Self.key(path, domain)] else {
      return refuse(Place.joined(member.path), "a hard link to \(target.shown), which was not sent")
    }
    for place in places { try extraction.copy(original.place, to: place, mode: member.mode) }
    received[Self.key(member.path, domain)] = original
    files += 1
  }

  // MARK: Hashes

  func check(_ digest: [UInt8], at position: Int, _ domain: String) throws(Failure) {
    guard listed.indices.contains(position) else {
      throw Failure(kind: .integrity, message: "the machine hashed more files than it listed")
    }
    let path = listed[position]
    guard let here = received[Self.key(path, domain)] else {
      throw Failure(kind: .integrity, message: "\(Place.joined(path).shown) was listed but not sent")
    }
    guard here.digest == digest else {
      throw Failure(
        kind: .integrity, message: "\(Place.joined(path).shown) arrived with another sha256 than the machine has")
    }
  }

  func checkCount(_ count: Int) throws(Failure) {
    guard count == listed.count else {
      throw Failure(kind: .integrity, message: "the machine hashed \(count) of \(Counted.text(listed.count, "file"))")
    }
  }
}
