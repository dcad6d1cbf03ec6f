/// The files that the launch script unpacks for the supervisor.
package enum LaunchFiles {
  package struct File: Sendable {
    package var name: String
    package var mode: UInt16
    package var content: [UInt8]
  }

  /// - Throws: ``Failure`` `badRequest` for what no POSIX shell can hold.
  package static func files(for launch: Launch) throws(Failure) -> [File] {
    var files = [
      File(name: "supervisor", mode: 0o700, content: Array(Script.supervisor.utf8)),
      File(name: "run", mode: 0o700, content: Array(Script.run.utf8)),
      File(name: "env", mode: 0o600, content: try environment(launch.environment)),
    ]
    // Around setup and command stands the engine, where there is one, and runs them under other names.
    let names =
      launch.engine == nil ? (setup: "go.setup", command: "go.command") : (setup: "go.own", command: "go.user")
    if let setup = launch.setup { files += script(setup, phase: "setup", go: names.setup) }
    switch launch.command {
    case .script(let text): files += script(text, phase: "command", go: names.command)
    case .argv(let argv): files.append(File(name: names.command, mode: 0o600, content: try exec(argv)))
    }
    if let engine = launch.engine {
      files.append(File(name: "go.setup", mode: 0o600, content: Array((ownSetup + engine.prepare).utf8)))
      files.append(File(name: "go.command", mode: 0o600, content: Array(engine.command.utf8)))
    }
    return files
  }

  private static let ownSetup = #"[ ! -f "$2/go.own" ] || /bin/sh -c '. "$2/go.own"' sh setup "$2" || exit"# + "\n"

  /// `command` in front takes from `export` the power to end the shell when a name is read-only (bash's UID).
  private static func environment(_ variables: [Launch.Variable]) throws(Failure) -> [UInt8] {
    var lines: [UInt8] = []
    for variable in variables {
      guard Shell.isName(variable.name) else {
        throw Failure(
          kind: .badRequest,
          message:
            "environment: \(Shell.quoted(variable.name)) is no name of a shell variable; expected [A-Za-z_][A-Za-z0-9_]*"
        )
      }
      guard !variable.value.utf8.contains(0) else {
        throw Failure(kind: .badRequest, message: "environment: the value of \(variable.name) holds a NUL byte")
      }
      lines += Array("command export \(variable.name)=".utf8) + Shell.quoted(Array(variable.value.utf8)) + [0x0A]
    }
    return lines
  }

  /// With `#!` the kernel picks the interpreter, otherwise bash where there is one.
  private static func script(_ text: String, phase: String, go name: String) -> [File] {
    let go =
      text.utf8.starts(with: "#!".utf8)
      ? "exec \"$2/\(phase)\"\n"
      : "if command -v bash >/dev/null 2>&1; then exec bash \"$2/\(phase)\"; else exec /bin/sh \"$2/\(phase)\"; fi\n"
    return [
      File(name: phase, mode: 0o700, content: Array(text.utf8)),
      File(name: name, mode: 0o600, content: Array(go.utf8)),
    ]
  }

  private static func exec(_ argv: [String]) throws(Failure) -> [UInt8] {
    guard let program = argv.first, !program.isEmpty else {
      throw Failure(kind: .badRequest, message: "command: an argv needs at least the program's name")
    }
    guard !argv.contains(where: { $0.utf8.contains(0) }) else {
      throw Failure(kind: .badRequest, message: "command: a word of the argv holds a NUL byte")
    }
    // `exec -- PROGRAM` is not understood by every dash, and only a leading dash would need it.
    let dash = program.hasPrefix("-") ? "-- " : ""
    return Array("exec \(dash)".utf8) + Array(argv.map { Shell.quoted(Array($0.utf8)) }.joined(separator: [0x20])) + [
      0x0A
    ]
  }
}
