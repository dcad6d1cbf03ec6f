import Remote
import SSH

/// Launch, status and stop: each is one script and its one line of answer.
enum JobVerbs {
  @SSHLoop
  static func launch(_ verb: Launch, on session: Session) async throws -> JobStatus {
    var archive: [UInt8] = []
    for file in try LaunchFiles.files(for: verb) {
      archive += TarWriter.header(
        path: Array(file.name.utf8), kind: .file(size: file.content.count), mode: file.mode, modified: 0)
      archive += file.content + TarWriter.padding(after: file.content.count)
    }
    let life = verb.maxDuration.map { Shell.seconds(max($0, 0.001)) } ?? "0"
    return try await status(
      Script.launch,
      [verb.control, verb.workdir, life, Shell.seconds(verb.grace), verb.isUploaded == true ? "1" : "0"],
      input: archive + TarWriter.end,
      on: session)
  }

  @SSHLoop
  static func status(_ verb: Status, on session: Session) async throws -> JobStatus {
    try await status(Script.status, [verb.control], on: session)
  }

  @SSHLoop
  static func stop(_ verb: Stop, on session: Session) async throws -> JobStatus {
    try await status(Script.stop, [verb.control, Shell.seconds(verb.grace)], on: session)
  }

  @SSHLoop
  private static func status(
    _ script: String, _ arguments: [String], input: [UInt8]? = nil, on session: Session
  ) async throws -> JobStatus {
    let lines = try await Conversation.ask(script, arguments, input: input, on: session)
    guard let status = lines.reversed().lazy.compactMap(JobStatus.init(report:)).first else {
      throw Failure(kind: .remote, message: "the machine's answer is not understood: \(lines.suffix(3))")
    }
    return status
  }
}
