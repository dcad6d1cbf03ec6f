// The lines that fcrun and its worker exchange. A person can type the requests and read the events:
// each is one JSON object on one line. Bulk bytes never travel here, they go straight to and from files.

/// What fcrun asks of the worker that holds one connection to one machine.
///
/// On the wire `{"id": 7, "launch": {…}}`: the verb is the key. `id` is chosen by the asker and comes back on every event.
package struct Request: Sendable, Equatable {
  package var id: Int
  package var verb: Verb

  package init(id: Int, verb: Verb) {
    self.id = id
    self.verb = verb
  }

  package enum Verb: Sendable, Equatable {
    case connect(Connect)
    case exec(Exec)
    case upload(Upload)
    case launch(Launch)
    case status(Status)
    case follow(Follow)
    case stop(Stop)
    case collect(Collect)
    case forward(Forward)
    /// Gives up an open request: it ends in `failed` with kind `cancelled`.
    case cancel(Cancel)
  }
}

/// Opens the connection. Asked once, first; every other verb needs it. Answered by ``Connected``.
package struct Connect: Codable, Sendable, Equatable {
  package var host: String
  package var port: Int
  /// Login names in the order to try, a pause of 6 s between two (PerSourcePenalties of OpenSSH 9.8 and later).
  package var users: [String]
  package var key: Key
  /// The host key of an earlier connection to this machine, `ssh-ed25519 AAAA…`; another one is refused.
  package var pin: String?
  /// Seconds for TCP, key exchange and authentication together.
  package var timeout: Double
  /// Seconds without a sign of life after which the open connection counts as broken.
  package var silence: Double

  /// Where the private half of the registered key is.
  package enum Key: Codable, Sendable, Equatable {
    case file(path: String, passphrase: String?)
    /// Held by the agent at `SSH_AUTH_SOCK`; the public key in base64, as the second word of a `.pub` file.
    case agent(publicKey: String, socket: String)
  }

  package init(
    host: String, port: Int, users: [String], key: Key, pin: String?, timeout: Double, silence: Double = 15
  ) {
    self.host = host
    self.port = port
    self.users = users
    self.key = key
    self.pin = pin
    self.timeout = timeout
    self.silence = silence
  }
}

package struct Connected: Codable, Sendable, Equatable {
  /// `ssh-ed25519 AAAA…`, to be pinned.
  package var hostKey: String
  /// `SHA256:…` as OpenSSH prints it.
  package var fingerprint: String
  package var user: String

  package init(hostKey: String, fingerprint: String, user: String) {
    self.hostKey = hostKey
    self.fingerprint = fingerprint
    self.user = user
  }
}

/// Runs a short command and returns what it printed (each stream cut at 1 MiB). For small questions, not for the job.
package struct Exec: Codable, Sendable, Equatable {
  package var command: String
  package var timeout: Double

  package init(command: String, timeout: Double) {
    self.command = command
    self.timeout = timeout
  }
}

package struct Executed: Codable, Sendable, Equatable {
  package var exitCode: Int
  package var stdout: String
  package var stderr: String

  package init(exitCode: Int, stdout: String, stderr: String) {
    self.exitCode = exitCode
    self.stdout = stdout
    self.stderr = stderr
  }
}

/// Sends files into the workdir: tar over one channel, each file's sha256 checked on the other side. May be asked again.
package struct Upload: Codable, Sendable, Equatable {
  /// Folder of the supervisor's records on the machine, `~/` allowed in front.
  package var control: String
  /// Folder the command will run in, `~/` allowed in front; made when missing.
  package var workdir: String
  package var sources: [Source]

  package struct Source: Codable, Sendable, Equatable {
    /// Absolute local path of a file or folder.
    package var source: String
    /// What it becomes, relative to the workdir. `.` puts a folder's contents into the workdir itself.
    package var destination: String
    /// Patterns in `.gitignore` syntax, on top of `.gitignore` and `.fcrunignore`.
    package var exclude: [String]
    /// All of it: ignore files are files like any other.
    package var isWhole: Bool?

    package init(source: String, destination: String, exclude: [String], isWhole: Bool? = nil) {
      self.source = source
      self.destination = destination
      self.exclude = exclude
      self.isWhole = isWhole
    }
  }

  package init(control: String, workdir: String, sources: [Source]) {
    self.control = control
    self.workdir = workdir
    self.sources = sources
  }
}

/// Answer to ``Upload`` and, with `missing`, to ``Collect``.
package struct Transferred: Codable, Sendable, Equatable {
  package var files: Int
  package var bytes: Int
  /// Output patterns that matched nothing.
  package var missing: [String]
  /// Outputs that were found but not fetched, with the reason: sockets, devices, links that lead outside.
  package var refused: [String]

  package init(files: Int, bytes: Int, missing: [String] = [], refused: [String] = []) {
    self.files = files
    self.bytes = bytes
    self.missing = missing
    self.refused = refused
  }
}

/// Starts setup and command under the supervisor, at most once for a control folder however often it is asked. Answered by ``JobStatus``.
package struct Launch: Codable, Sendable, Equatable {
  package var control: String
  package var workdir: String
  /// The command's environment, secrets included. Written to a 0600 file through the connection, nowhere else.
  package var environment: [Variable]
  package var setup: String?
  package var command: Command
  /// Seconds from launch, `setup` included; the supervisor then ends the process group itself.
  package var maxDuration: Double?
  /// Seconds between TERM and KILL.
  package var grace: Double
  /// An upload has made the control folder. A machine that does not have it any more has lost its disk, and with it the
  /// record of whether the command ever started: nothing is started then.
  package var isUploaded: Bool?
  /// Runs around setup and command; nil: they run by themselves.
  package var engine: Engine?

  /// Scripts for the shell that ``Script/run`` is.
  package struct Engine: Codable, Sendable, Equatable {
    /// After setup, in its phase.
    package var prepare: String
    /// In place of the command, which is `$2/go.user` for it.
    package var command: String

    package init(prepare: String, command: String) {
      self.prepare = prepare
      self.command = command
    }
  }

  package struct Variable: Codable, Sendable, Equatable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  package enum Command: Codable, Sendable, Equatable {
    case script(String)
    case argv([String])
  }

  package init(
    control: String, workdir: String, environment: [Variable], setup: String?, command: Command, maxDuration: Double?,
    grace: Double, isUploaded: Bool? = nil, engine: Engine? = nil
  ) {
    self.control = control
    self.workdir = workdir
    self.environment = environment
    self.setup = setup
    self.command = command
    self.maxDuration = maxDuration
    self.grace = grace
    self.isUploaded = isUploaded
    self.engine = engine
  }
}

/// Asks where the command stands. Answered by ``JobStatus``.
package struct Status: Codable, Sendable, Equatable {
  package var control: String

  package init(control: String) { self.control = control }
}

package enum JobStatus: Codable, Sendable, Equatable {
  case notBegun
  case running
  case exited(ExitRecord)
  /// Begun, no end on record and nothing alive that could write one: host rebooted, supervisor killed, records gone.
  case lost(reason: String)
}

/// The atomic `exit` file: the job's result. Never derived from a channel's exit status (libssh2 says 0 when none came).
package struct ExitRecord: Codable, Sendable, Equatable {
  package enum Phase: String, Codable, Sendable { case setup, command }
  package enum Ending: String, Codable, Sendable {
    /// By itself, with `code`.
    case exited
    /// Ended by the supervisor at `maxDuration`.
    case timedOut
    /// Ended by ``Stop``.
    case stopped
  }
  /// 128 + n for signal n.
  package var code: Int
  package var phase: Phase
  package var ending: Ending
  package var stdoutBytes: Int
  package var stderrBytes: Int

  package init(code: Int, phase: Phase, ending: Ending, stdoutBytes: Int, stderrBytes: Int) {
    self.code = code
    self.phase = phase
    self.ending = ending
    self.stdoutBytes = stdoutBytes
    self.stderrBytes = stderrBytes
  }
}

/// Appends both streams to local files from the sizes these files have, until the exit record is there and all bytes of it are local.
///
/// Takes an exclusive lock on both files first and holds it for life. `log` events tell each new size, after the bytes are in the file. Answered by ``JobStatus``.
package struct Follow: Codable, Sendable, Equatable {
  package var control: String
  /// Absolute local paths; made (0600) when missing.
  package var stdout: String
  package var stderr: String
  /// Secrets to be replaced by as many asterisks, also across chunks.
  package var mask: [String]

  package init(control: String, stdout: String, stderr: String, mask: [String]) {
    self.control = control
    self.stdout = stdout
    self.stderr = stderr
    self.mask = mask
  }
}

/// Ends the command's process group: TERM, then KILL after `grace` seconds. Before the launch it makes a later launch impossible. Answered by ``JobStatus``.
package struct Stop: Codable, Sendable, Equatable {
  package var control: String
  package var grace: Double

  package init(control: String, grace: Double) {
    self.control = control
    self.grace = grace
  }
}

/// Fetches outputs: into `partial`, verified by sha256, then renamed to their place below `root`. Answered by ``Transferred``.
package struct Collect: Codable, Sendable, Equatable {
  package var control: String
  package var workdir: String
  package var outputs: [Output]
  /// Where the contents of `FCRUN_OUTPUT_DIR` (`<control>/outputs`) go below `root`, when there are any.
  package var outputFolder: String?
  /// Absolute local folder; nothing can land outside it.
  package var root: String
  /// Absolute local folder for what is not yet verified; on the file system of `root` it is renamed to its place, else copied
  /// beside it first.
  package var partial: String
  /// The asker writes it to disk itself: sync(2) would hold up what else goes over the connection.
  package var isLeftInCache: Bool?

  package struct Output: Codable, Sendable, Equatable {
    /// Path or glob relative to the workdir.
    package var source: String
    /// What it becomes, relative to `root`; nil: the same relative name. With a glob: the folder that the matches go into.
    package var destination: String?
    /// The folder below `root` that the place starts from; nil: `root` itself.
    package var folder: String?

    package init(source: String, destination: String?, folder: String? = nil) {
      self.source = source
      self.destination = destination
      self.folder = folder
    }
  }

  package init(
    control: String, workdir: String, outputs: [Output], outputFolder: String?, root: String, partial: String,
    isLeftInCache: Bool? = nil
  ) {
    self.control = control
    self.workdir = workdir
    self.outputs = outputs
    self.outputFolder = outputFolder
    self.root = root
    self.partial = partial
    self.isLeftInCache = isLeftInCache
  }
}

/// Carries every connection to a local listener to a port of the machine, until it is given up or the connection is gone: it ends
/// in ``Failure`` only.
package struct Forward: Codable, Sendable, Equatable {
  /// Descriptor of a listening socket that the worker was started with. Connections wait there while no worker has it.
  package var listener: Int
  /// As seen from the machine.
  package var host: String
  package var port: Int

  package init(listener: Int, host: String, port: Int) {
    self.listener = listener
    self.host = host
    self.port = port
  }
}

package struct Cancel: Codable, Sendable, Equatable {
  /// The `id` of the request to give up.
  package var request: Int

  package init(request: Int) { self.request = request }
}

/// What the worker tells about the request `id`.
///
/// On the wire `{"id": 7, "progress": {…}}`; `connected`, `executed`, `transferred`, `status` and `failed` end the request.
package struct WorkerEvent: Sendable, Equatable {
  package var id: Int
  package var kind: Kind

  package init(id: Int, kind: Kind) {
    self.id = id
    self.kind = kind
  }

  package enum Kind: Sendable, Equatable {
    case progress(Progress)
    case log(LogGrowth)
    /// A connection of ``Forward`` that the machine did not take.
    case refused(Refused)
    case connected(Connected)
    case executed(Executed)
    case transferred(Transferred)
    case status(JobStatus)
    case failed(Failure)
  }
}

package struct Progress: Codable, Sendable, Equatable {
  package var bytes: Int
  /// nil when not known beforehand.
  package var totalBytes: Int?
  package var files: Int
  package var totalFiles: Int?

  package init(bytes: Int, totalBytes: Int?, files: Int, totalFiles: Int?) {
    self.bytes = bytes
    self.totalBytes = totalBytes
    self.files = files
    self.totalFiles = totalFiles
  }
}

package struct LogGrowth: Codable, Sendable, Equatable {
  package enum Stream: String, Codable, Sendable, CaseIterable { case stdout, stderr }
  package var stream: Stream
  /// Size of the local file now.
  package var size: Int

  package init(stream: Stream, size: Int) {
    self.stream = stream
    self.size = size
  }
}

package struct Refused: Codable, Sendable, Equatable {
  package var port: Int
  package var message: String

  package init(port: Int, message: String) {
    self.port = port
    self.message = message
  }
}

/// Why a request could not be done.
package struct Failure: Codable, Sendable, Equatable, Error {
  package enum Kind: String, Codable, Sendable {
    /// Nobody listens there yet, no route, or the TCP connection was reset before SSH spoke.
    case refused
    /// The deadline of the request passed.
    case timedOut
    /// The connection was there and is gone; the worker is of no more use.
    case dropped
    case hostKeyChanged
    /// The server does not accept this key for any of the users, perhaps not yet.
    case notAuthenticated
    /// The private key cannot be read or used: wrong passphrase, RSA with a libssh2 too old.
    case keyUnusable
    /// A local file could not be read or written.
    case local
    /// A remote step failed: no space, no permission, a missing tool.
    case remote
    /// The remote script ended without its answer and without a word: killed, as by an OOM killer. Asking again may help.
    case unanswered
    /// Hashes differ between the two sides, after one more try.
    case integrity
    case cancelled
    case badRequest
  }
  package var kind: Kind
  package var message: String

  package init(kind: Kind, message: String) {
    self.kind = kind
    self.message = message
  }
}
