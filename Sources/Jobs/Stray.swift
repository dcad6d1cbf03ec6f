extension JobState {
  /// Whether a living instance that carries one of this job's names is wanted by nobody.
  ///
  /// The cloud may execute a POST late, or twice: then an instance shows under a name whose attempt is over, or beside the
  /// one that the attempt works with. A driver that still looks for a name, or that is about to adopt what it finds, has no
  /// strays under it.
  package func isStray(_ id: String, named name: MachineName) -> Bool {
    // Not by its number: a machine that was handed over carries the number of the attempt that asked for it.
    guard let machine = attempt?.machines.first(where: { MachineName($0.name) == name }) else {
      return past.contains { $0.names.contains { MachineName($0) == name } } || attempt == nil && isOver
    }
    // Where all are given back, whatever its driver does not know yet is wanted by nobody either.
    guard isReleasing || machine.post == .made else { return false }
    // Of several that were made for one POST the first is worked with.
    return isReleasing ? !machine.instances.contains { $0.id == id } : machine.id != id
  }

  private var isOver: Bool { if case .finished = phase { true } else { false } }
}
