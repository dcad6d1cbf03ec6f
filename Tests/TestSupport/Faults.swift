#if canImport(Testing)
  import Foundation
  package import Testing

  #if canImport(Glibc)
    import Glibc
  #elseif canImport(Musl)
    import Musl
  #else
    import Darwin
  #endif

  extension Trait where Self == FaultTrait {
    /// Says that a test, or each test of a suite, shows what fcrun does about these faults of ``NumberedFault/all``.
    package static func faults(_ numbers: Int...) -> Self { FaultTrait(numbers: numbers) }
  }

  /// Notes each test that ran to its end in the file that `FCRUN_FAULT_LEDGER` names: `make test` reads there which faults
  /// have a test. A test that was skipped notes nothing; one that failed does, but fails the run.
  package struct FaultTrait: TestTrait, SuiteTrait, TestScoping {
    package let numbers: [Int]
    package var isRecursive: Bool { true }

    init(numbers: [Int]) {
      let unknown = numbers.filter { NumberedFault.numbered($0) == nil }
      precondition(
        unknown.isEmpty && !numbers.isEmpty, "there are no faults \(unknown); see Tests/TestSupport/Faults.swift")
      self.numbers = numbers
    }

    package func provideScope(
      for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
      try await function()
      try FaultLedger.note(numbers, shownBy: "\(test.id)")
    }
  }

  /// Which faults have been shown in this run: lines of a fault's number, a tab and a test.
  package enum FaultLedger {
    /// One write(2) with O_APPEND: several processes may note at once.
    static func note(_ numbers: [Int], shownBy test: String) throws {
      guard let path = ProcessInfo.processInfo.environment["FCRUN_FAULT_LEDGER"] else { return }
      let lines = Array(numbers.map { "\($0)\t\(test)\n" }.joined().utf8)
      let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      defer { if descriptor >= 0 { close(descriptor) } }
      guard descriptor >= 0, write(descriptor, lines, lines.count) == lines.count else {
        throw Unmet("\(path) cannot be written: \(String(cString: strerror(errno)))")
      }
    }

    /// The faults that `text`, the contents of a ledger, names.
    package static func numbers(in text: String) -> Set<Int> {
      Set(text.split(separator: "\n").compactMap { Int($0.prefix { $0 != "\t" }) })
    }
  }
#endif

/// Something that goes wrong, and what fcrun promises then.
package struct NumberedFault: Sendable {
  package var number: Int
  /// What happens.
  package var event: String
  /// What fcrun does about it.
  package var promise: String
  /// Why no test of this repository shows it; nil for nearly all.
  package var outOfScope: String?

  init(_ number: Int, _ event: String, _ promise: String, outOfScope: String? = nil) {
    (self.number, self.event, self.promise, self.outOfScope) = (number, event, promise, outOfScope)
  }

  /// Faults of one kind.
  package struct Section: Sendable {
    package var title: String
    package var faults: [NumberedFault]
  }

  /// Every fault, in the order of its number.
  package static let all: [NumberedFault] = sections.flatMap(\.faults)

  package static func numbered(_ number: Int) -> NumberedFault? { all.first { $0.number == number } }

  package static let sections = [
    Section(title: "fcrun dies", faults: died),
    Section(title: "The API", faults: api),
    Section(title: "Getting a machine", faults: machine),
    Section(title: "SSH and the machine", faults: ssh),
    Section(title: "Pre-emption", faults: preemption),
    Section(title: "This computer", faults: computer),
    Section(title: "Security", faults: security),
  ]

  private static let died: [NumberedFault] = [
    NumberedFault(
      1, "fcrun dies before the intent to rent is on disk",
      "No request was made and nothing exists; the same command may be run again."),
    NumberedFault(
      2, "fcrun dies after the intent is on disk, before a byte of the request left",
      "Whether it left is unknown to the next process, so it looks for the name first and never posts it again."),
    NumberedFault(
      3, "fcrun dies after POST left, before the answer",
      "The next process finds the machine by its name and takes it over."),
    NumberedFault(
      4, "fcrun dies after the answer was read, before the id is on disk",
      "As for 3: the name is on disk, and leads to the machine."),
    NumberedFault(
      5, "fcrun dies while the machine boots",
      "The next process goes on asking by id; the deadline counts from the first request, not from the restart."),
    NumberedFault(
      6, "fcrun dies while it waits for SSH",
      "It connects anew; a host key that was pinned is insisted on, one that was not yet is pinned then."),
    NumberedFault(
      7, "fcrun dies in the middle of the upload",
      "The upload is made again; the command starts only after every file was read back by hash."),
    NumberedFault(
      8, "fcrun dies after it asked for the command to start, before it heard that it did",
      "It asks again; the gate on the machine opens once, so the command starts once."),
    NumberedFault(
      9, "fcrun dies while logs come in",
      "Following goes on at the size of the log file; no byte is lost or repeated."),
    NumberedFault(
      10, "fcrun dies after the command ended, before the result is on disk",
      "The record on the machine is read again."),
    NumberedFault(
      11, "fcrun dies while outputs come in",
      "They come into a folder of their own; only complete and verified ones are renamed to their places."),
    NumberedFault(
      12, "fcrun dies after DELETE left, before the proof",
      "The job is still in releasing or proving; the next process goes on there."),
    NumberedFault(
      13, "fcrun dies between the proof and its record",
      "The proof is made again and recorded."),
    NumberedFault(
      14, "the process that resumes dies too, again and again",
      "Starting and resuming are one code path; any number of deaths leads to the same end."),
    NumberedFault(
      15, "only the process that holds the SSH connection dies",
      "It is started again, and following goes on where it was; the job notices nothing."),
    NumberedFault(
      16, "the computer loses power",
      "Each state is synced to disk before the next thing is done in the world."),
  ]

  private static let api: [NumberedFault] = [
    NumberedFault(
      17, "POST times out, and the machine was made",
      "The outcome is unknown: the name is looked for and the machine taken over; it is never posted again."),
    NumberedFault(
      18, "POST times out, and nothing was made",
      "Nothing shows under the name for a minute: it counts as no capacity, and a new attempt has a new name."),
    NumberedFault(
      19, "POST is executed late, after it was given up",
      "The name stays watched for a day; a machine that shows up under it is deleted."),
    NumberedFault(
      20, "the connection breaks after the request left, or the answer is cut",
      "Unknown, as for 17. Only what failed before a byte of the request left counts as not sent."),
    NumberedFault(
      21, "POST is answered 2xx without an id, or with something unreadable",
      "Unknown, as for 17; not a failure."),
    NumberedFault(
      22, "POST is answered with provider_error although the machine was made",
      "Unknown, as for 17."),
    NumberedFault(
      23, "429, with or without a usable Retry-After",
      "Reads wait as told, within bounds; DELETE keeps its own pace; all keep below a rate; a refused POST gets a new name."
    ),
    NumberedFault(
      24, "5xx for hours",
      "Reads go on to their deadline and DELETE goes on for ever; the report names the machine and its price."),
    NumberedFault(
      25, "JSON that is malformed, deep, endless, or has wrong types",
      "Size and depth have limits; the error names the place; nothing is concluded from it."),
    NumberedFault(
      26, "a status that the API does not document",
      "It is shown as it is and waited out; it never ends anything."),
    NumberedFault(
      27, "a read that is stale",
      "Reads ask for fresh answers, and what is final needs two reads that agree."),
    NumberedFault(
      28, "a status that goes back and forth",
      "A machine is given up only when what speaks against it was read twice."),
    NumberedFault(
      29, "the list does not show a new machine yet",
      "Absence is believed only after a window that is longer than the lag."),
    NumberedFault(
      30, "the list does not show a living machine",
      "Reading by id wins; absence from the list alone is never proof of deletion."),
    NumberedFault(
      31, "the list is empty or invalid with 200",
      "Unreadable is unknown: nothing is concluded, and the settle window is not over."),
    NumberedFault(
      32, "the list comes in pages that do not end or are missing",
      "A list that says there is more is unknown, not whole."),
    NumberedFault(
      33, "404 right after the machine was made",
      "It is not gone until the lag is over."),
    NumberedFault(
      34, "DELETE is answered 404",
      "No proof: the machine is read and looked for in the list."),
    NumberedFault(
      35, "DELETE is answered 500, try again later",
      "It is repeated for ever with growing pauses, and as told by the answer."),
    NumberedFault(
      36, "DELETE is refused while the machine is creating",
      "It is repeated until it is accepted."),
    NumberedFault(
      37, "DELETE is accepted and the machine stays deleting",
      "DELETE is repeated; after ten minutes the job ends with 75 and names the machine; resume goes on."),
    NumberedFault(
      38, "DELETE is answered 2xx and nothing happens",
      "The machine is read after it, found alive, and DELETE repeated."),
    NumberedFault(
      39, "a machine comes back after it was deleted",
      "Two reads are needed as proof; a name that is watched is deleted again when it shows up."),
    NumberedFault(
      40, "the price rises between the offer and the request",
      "The price is read again once the machine is made; above the cap it is given back at once."),
    NumberedFault(
      41, "the balance is used up when the machine is asked for",
      "The job ends with 77 and says so; nothing is left behind."),
    NumberedFault(
      42, "the balance runs out while the job runs",
      "The machine counts as lost; what came of the logs is kept, and nothing new is rented."),
    NumberedFault(
      43, "the API key is revoked while the job runs",
      "The job goes on over SSH; where DELETE is refused the machine is named and stays on record for resume."),
    NumberedFault(
      44, "a job is resumed with another account's key",
      "It is refused: nothing is concluded about machines of another account."),
    NumberedFault(
      45, "the API redirects",
      "It is refused, and the key goes nowhere else."),
    NumberedFault(
      46, "the certificate is self-signed, expired or of another name, or TLS is too old",
      "The connection is refused; there is no switch to allow it."),
    NumberedFault(
      47, "the API accepts and does not answer, or a byte at a time",
      "Each request has a deadline for the whole answer."),
    NumberedFault(
      48, "the server's clock is off",
      "Times of the server decide nothing."),
    NumberedFault(
      49, "two machines have one name",
      "The oldest is taken, and the others are deleted."),
    NumberedFault(
      50, "somebody deletes the machine in the console",
      "The job ends as lost; nothing is rented again unless the job file asks for it."),
    NumberedFault(
      51, "the API answers with control characters or huge texts",
      "They are escaped and cut where they are shown."),
    NumberedFault(
      52, "a client library that creates and waits in one call",
      "POST is one request, and its answer is on disk before anything else is asked."),
  ]

  private static let machine: [NumberedFault] = [
    NumberedFault(
      53, "nothing is in stock: at the offer, at the request, or after it",
      "The next offering is tried, after the last attempt's machine is proved gone."),
    NumberedFault(
      54, "a machine that stays creating",
      "It is given back when boot_timeout is over."),
    NumberedFault(
      55, "a machine whose status is error",
      "It is given back, and the next offering is tried."),
    NumberedFault(
      56, "an active machine without an address",
      "It is asked again until boot_timeout."),
    NumberedFault(
      57, "the address or port changes",
      "The machine is read again before each connection, and the pinned host key must match."),
    NumberedFault(
      58, "another machine has the address",
      "Its host key is not the pinned one: nothing is sent to it."),
    NumberedFault(
      59, "the login name is not known",
      "The API's ssh_user is taken, else root and ubuntu are tried in turn."),
    NumberedFault(
      60, "the machine reboots while the job runs",
      "The job ends as lost; the command is not started again on that machine."),
    NumberedFault(
      61, "two processes rent the same offering",
      "Each has names of its own; a lease keeps one process on one job."),
    NumberedFault(
      62, "fewer GPUs than offered, or a broken driver",
      "nvidia-smi is asked before the upload: fewer GPUs, or a dead driver, end the attempt as boot_failed."),
  ]

  private static let ssh: [NumberedFault] = [
    NumberedFault(
      63, "connections are refused until the machine is up",
      "They are tried again with growing pauses until boot_timeout."),
    NumberedFault(
      64, "the key is not installed yet, and sshd punishes attempts",
      "A refused key is tried again six seconds later; one key is shown."),
    NumberedFault(
      65, "the host key is not the pinned one",
      "Nothing is sent; both fingerprints are told, and the machine is given back."),
    NumberedFault(
      66, "somebody is between at the first connection",
      "The first host key is pinned, and shown by fcrun show; every later connection must have it."),
    NumberedFault(
      67, "a banner that is garbage, long, endless, or of version 1",
      "The connection fails within its deadline."),
    NumberedFault(
      68, "packets that attack libssh2",
      "Only a confined process without the API key reads them; when it crashes or hangs it is ended, and the machine given back."
    ),
    NumberedFault(
      69, "a connection that stalls without an end",
      "Silence past its deadline ends the worker, and the connection is made again."),
    NumberedFault(
      70, "the connection is cut in the middle of a transfer",
      "Logs go on at the byte where they were, files at the piece, and are compared by hash."),
    NumberedFault(
      71, "bytes change on the way or on disk",
      "Each file is compared by sha256 on the other side; a mismatch is tried once more, then fails."),
    NumberedFault(
      72, "a slow connection",
      "Progress is what counts: a transfer that moves is not given up."),
    NumberedFault(
      73, "an sshd with few sessions, without SFTP, or with a forced command",
      "One connection and plain exec are enough; what answers otherwise is an error that says so."),
    NumberedFault(
      74, "the machine's disk is full",
      "The message is the machine's own; the job fails, and the machine is given back."),
    NumberedFault(
      75, "a machine without the usual tools",
      "POSIX sh and what is on every distribution are enough; what is missing is named."),
    NumberedFault(
      76, "a login shell that prints or reads along",
      "Answers stand between marks; everything before is ignored."),
    NumberedFault(
      77, "a line without end, or no newline at the end",
      "Logs are bytes, not lines."),
    NumberedFault(
      78, "binary logs",
      "The file gets the exact bytes; a terminal gets a view without control sequences."),
    NumberedFault(
      79, "a flood of logs",
      "Memory stays bounded, and the job is slowed down rather than a byte lost."),
    NumberedFault(
      80, "the order of stdout and stderr",
      "They are two files; each is in order, and between them none is promised."),
    NumberedFault(
      81, "the command leaves processes behind or closes its stdout",
      "The supervisor waits for the command alone; deleting the machine ends the rest."),
    NumberedFault(
      82, "the command is killed for want of memory",
      "The exit code is 137, the command's own; a kill that the kernel reports makes the outcome out_of_memory."),
    NumberedFault(
      83, "the supervisor is killed",
      "The job never counts as running for ever: it ends as lost, and says whether the command still runs."),
    NumberedFault(
      84, "the command dies by a signal",
      "The exit code is 128 + n."),
    NumberedFault(
      85, "the channel closes without an exit status",
      "It is never a success: only the record on the machine is the result."),
    NumberedFault(
      86, "the command ends between two looks",
      "The record is read again before anything is called dead."),
    NumberedFault(
      87, "the machine's clock jumps",
      "No decision depends on it."),
    NumberedFault(
      88, "the machine's HOME is empty after a restart",
      "The job ends as lost; the command is not started again."),
    NumberedFault(
      89, "two attempts on one volume",
      "Each attempt has its own control folder, and its own gate."),
    NumberedFault(
      90, "the machine cannot start another process",
      "An error of the machine: the connection is tried again."),
  ]

  private static let preemption: [NumberedFault] = [
    NumberedFault(
      91, "the machine is taken away while the job runs",
      "The job ends as preempted with the logs that came; a new attempt only if the job file asks for it."),
    NumberedFault(
      92, "SSH is dead and the API says active",
      "It is tried for five minutes, then the machine is given back."),
    NumberedFault(
      93, "the API says deleted and SSH still answers",
      "Neither is believed alone; the machine is deleted and proved gone."),
    NumberedFault(
      94, "the machine is taken away while outputs come in",
      "What is incomplete never gets its final name; the job does not count as a success."),
    NumberedFault(
      95, "a notice before the machine is taken away",
      "A supervisor that is told to end passes it on to the command and records how it ended."),
    NumberedFault(
      96, "the machine is taken away while it is deleted",
      "It is proved gone, as always."),
  ]

  private static let computer: [NumberedFault] = [
    NumberedFault(
      97, "this computer's disk is full",
      "No intent on disk, no POST. Later the job goes on as far as it can, and the machine is given back in any case."),
    NumberedFault(
      98, "the database is locked",
      "Writers wait for each other in short transactions."),
    NumberedFault(
      99, "the database is damaged or of another version",
      "Nothing is created; reap works from the names alone."),
    NumberedFault(
      100, "the state folder is on a network file system, read-only, missing or writable by others",
      "It is made, or refused with the reason; files are 0600 in folders of 0700."),
    NumberedFault(
      101, "the computer sleeps",
      "Deadlines count the sleep; afterwards connections are made again, and what is overdue is given back first."),
    NumberedFault(
      102, "the wall clock is wrong or jumps",
      "Deadlines are kept with a clock that nobody sets."),
    NumberedFault(
      103, "two processes on one job",
      "One drives it; the other is told which process that is."),
    NumberedFault(
      104, "the owner of a job is dead, and its process id is another's now",
      "The lock is the kernel's and went with the owner; the process id is only shown."),
    NumberedFault(
      105, "the owner of a job is stopped, and somebody takes over",
      "resume --take-over ends it; whatever an older owner still writes is refused by its epoch."),
    NumberedFault(
      106, "SIGINT, SIGTERM, SIGHUP, once or twice",
      "DELETE is the first thing that is done; the second signal leaves at once and says how to go on."),
    NumberedFault(
      107, "stdout is closed, slow or not a terminal",
      "The job, its log files and its end do not depend on it."),
    NumberedFault(
      108, "few descriptors, little memory",
      "It works, or says what is missing."),
    NumberedFault(
      109, "another version of fcrun",
      "An older record is migrated; a newer one is refused."),
    NumberedFault(
      110, "no HOME, an odd locale, umask 000",
      "It works or says why; files are 0600 all the same."),
    NumberedFault(
      111, "the state folder is lost for ever",
      "The name says whose it is and until when: reap takes it from the list alone."),
    NumberedFault(
      112, "a wait that never ends",
      "Everything that waits has a deadline."),
  ]

  private static let security: [NumberedFault] = [
    NumberedFault(
      113, "outputs with .., absolute paths, links or twins in their names",
      "Nothing is written outside the folder: each step is opened without following links."),
    NumberedFault(
      114, "the machine swaps a file for a link, FIFO or device while it is fetched",
      "Only regular files, folders and safe links are made, under new names."),
    NumberedFault(
      115, "the machine reports absurd sizes, or entries without end",
      "Entries, names and lines are limited, the time is output_grace, and absurd sizes are refused."),
    NumberedFault(
      116, "the machine sends files that were not asked for",
      "They are refused."),
    NumberedFault(
      117, "uploads with links that lead outside, sockets, or files that change meanwhile",
      "Links outside and special files are refused; a file that changes is found by its hash."),
    NumberedFault(
      118, "shell words in fields, variables and file names",
      "Whatever is given reaches the command as the same bytes, and is never run."),
    NumberedFault(
      119, "secrets in command lines and environments",
      "No process carries a secret in its arguments; the worker has an empty environment."),
    NumberedFault(
      120, "secrets in logs, database and error texts",
      "Only names are stored; values are masked in the logs, also across chunks."),
    NumberedFault(
      121, "state that others can read or prepare",
      "Folders are 0700, files are 0600, and what others could have written is refused."),
    NumberedFault(
      122, "control sequences in logs, answers and file names",
      "A terminal gets none but colours; files keep the bytes."),
    NumberedFault(
      123, "workflow commands of a CI system in the logs",
      "The runner is told to obey nothing while the job's output is printed."),
    NumberedFault(
      124, "the API answers with ids that are paths",
      "Ids are checked before they are part of a URL."),
    NumberedFault(
      125, "a proxy in the environment",
      "The key is sent over https only, to the API's own host; proxies of the environment are not used."),
    NumberedFault(
      126, "a dependency that was changed",
      "Versions are pinned by hash."),
    NumberedFault(
      127, "keys that were not meant for the machine",
      "One key is offered, and the agent is never forwarded."),
    NumberedFault(
      128, "the user's known_hosts",
      "It is neither read nor written; each job has its own."),
    NumberedFault(
      129, "a job file that is a bomb",
      "Size and depth are limited, and there is nothing that expands."),
    NumberedFault(
      130, "reap meets machines of others",
      "It takes only names of its own kind that are its own or overdue, and reads each again before it deletes."),
  ]
}
