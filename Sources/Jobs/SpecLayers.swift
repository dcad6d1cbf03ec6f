/// What lies under a spec and over it, before it is decoded: a profile of the config file below, options of the command line above.
///
/// From the lowest to the highest: `defaults`, the spec, `set`, `envs`.
package struct SpecLayers: Sendable {
  /// Partial specs that fill in what the spec leaves out; the first that says something wins.
  package var defaults: [SpecNode]
  /// `--set path=value`; later ones win.
  package var set: [(path: String, value: String)]
  /// `--env-file` and `--env`; later ones win.
  package var envs: [Variable]

  package init(defaults: [SpecNode] = [], set: [(path: String, value: String)] = [], envs: [Variable] = []) {
    self.defaults = defaults
    self.set = set
    self.envs = envs
  }

  /// A variable of the command's environment; nil takes the value from the local one, as `null` in a spec does.
  package struct Variable: Sendable, Equatable {
    package var name: String
    package var value: String?
    package var place: Place
    package var valuePlace: Place

    package init(name: String, value: String?, place: Place, valuePlace: Place) {
      self.name = name
      self.value = value
      self.place = place
      self.valuePlace = valuePlace
    }

    /// The `number`-th `--env` of the command line, counted from 1.
    package init(name: String, value: String?, option number: Int) {
      let place = Place(file: SpecOverrides.envOption, line: number, column: 1)
      let column = value == nil ? 1 : name.unicodeScalars.count + 2
      self.init(
        name: name, value: value, place: place,
        valuePlace: Place(file: SpecOverrides.envOption, line: number, column: column))
    }
  }

  /// The spec with everything laid over and under it, and all that is wrong so far.
  package func applied(to spec: SpecNode.Parsed) -> SpecNode.Parsed {
    guard let node = spec.node else { return spec }
    let filled = defaults.reduce(node) { $0.filled(from: $1) }
    var whole = spec
    switch SpecOverrides.apply(set: set, envs: envs, to: filled) {
    case .success(let overlaid): whole.node = overlaid
    case .failure(let wrong): whole.problems += wrong.problems
    }
    return whole
  }
}

extension SpecNode {
  /// This value, and of `defaults` what it does not say: objects are merged, anything else stands as it is.
  func filled(from defaults: SpecNode) -> SpecNode {
    guard case .object(var members) = value, case .object(let others) = defaults.value else { return self }
    for other in others {
      if let index = members.firstIndex(where: { $0.key == other.key }) {
        members[index].node = members[index].node.filled(from: other.node)
      } else {
        members.append(other)
      }
    }
    return SpecNode(.object(members), at: place)
  }
}
