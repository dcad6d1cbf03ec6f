import TestSupport

// A plan as one line, so that a run is repeated as it was, whatever is measured next time:
//   kill:fcrun:fdatasync:7 then time:1.25 failpoint:after-delete by all

extension Plan: CustomStringConvertible {
  package var description: String {
    let later = resumes.isEmpty ? [] : ["then"] + resumes.map(\.description)
    let many = nodes == 1 ? [] : ["on", "\(nodes)"]
    return ([strike.description] + later + ["by", resumesAll ? "all" : "id"] + many).joined(separator: " ")
  }

  /// - Throws: ``Unmet`` for a word that is not understood.
  package init(_ text: String) throws {
    var words = text.split(separator: " ").map(String.init)[...]
    strike = try Strike(words.popFirst() ?? "")
    while let word = words.popFirst() {
      switch word {
      case "then": break
      case "by": resumesAll = words.popFirst() == "all"
      case "on": nodes = words.popFirst().flatMap(Int.init) ?? 1
      default: resumes.append(try Blow(word))
      }
    }
  }
}

extension Strike: CustomStringConvertible {
  package var description: String {
    switch self {
    case .blow(let blow): blow.description
    case .post(let cuts): "post:" + cuts.map(\.description).joined(separator: ",")
    case .ssh(let cuts): "ssh:" + cuts.map(\.description).joined(separator: ",")
    }
  }

  fileprivate init(_ word: String) throws {
    let cuts = { try word.split(separator: ":", maxSplits: 1)[1].split(separator: ",").map { try Cut(String($0)) } }
    switch word.prefix(4) {
    case "post": self = .post(try cuts())
    case "ssh:": self = .ssh(try cuts())
    default: self = .blow(try Blow(word))
    }
  }
}

extension Blow: CustomStringConvertible {
  package var description: String {
    switch self {
    case .failpoint(let place): "failpoint:\(place)"
    case .time(let seconds): "time:\(seconds)"
    case .kill(let site): "kill:\(site)"
    case .fail(let site, let error): "fail:\(site):\(error)"
    }
  }

  fileprivate init(_ word: String) throws {
    let parts = word.split(separator: ":").map(String.init)
    switch (parts.first, parts.count) {
    case ("failpoint", 2...): self = .failpoint(parts.dropFirst().joined(separator: ":"))
    case ("time", 2): self = .time(Double(parts[1]) ?? 0)
    case ("kill", 4): self = .kill(try Site(parts[1...3]))
    case ("fail", 5): self = .fail(try Site(parts[1...3]), with: parts[4])
    default: throw Unmet("\(word) is no blow")
    }
  }
}

extension Site: CustomStringConvertible {
  package var description: String { "\(program.rawValue):\(call):\(nth)" }

  fileprivate init(_ parts: ArraySlice<String>) throws {
    let parts = Array(parts)
    guard let program = Program(rawValue: parts[0]), let nth = Int(parts[2]) else {
      throw Unmet("\(parts.joined(separator: ":")) is no site")
    }
    self.init(program: program, call: parts[1], nth: nth)
  }
}

extension Cut: CustomStringConvertible {
  package var description: String { "\(way.rawValue)/\(after)/\(resets ? "reset" : "end")" }

  fileprivate init(_ text: String) throws {
    let parts = text.split(separator: "/").map(String.init)
    guard parts.count == 3, let way = Way(rawValue: parts[0]), let after = Int(parts[1]) else {
      throw Unmet("\(text) is no cut")
    }
    self.init(way, after: after, resets: parts[2] == "reset")
  }
}
