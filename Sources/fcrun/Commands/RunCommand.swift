import ArgumentParser
import Jobs
import Runner

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `fcrun run`: a job without a file. The options make the nodes that a file would, and from there it is a submit.
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a command on a rented machine without a job file.",
    usage: "fcrun run [options] -- <command> ...",
    discussion: """
      One word after -- is a script for the shell, several are a program and its arguments.

        fcrun run --gpu H100:8 --max-hourly-price 20 --upload . -- python train.py
        fcrun run --max-hourly-price 1 -- 'nvidia-smi && df -h'
      """)

  @OptionGroup(title: "The machine") var machine: MachineOptions
  @OptionGroup(title: "The job") var job: WorkOptions
  @OptionGroup(title: "Over all of these") var layers: LayerOptions
  @OptionGroup(title: "Many at once") var sweep: SweepOptions
  @OptionGroup(title: "How it is run") var options: SubmitOptions

  @Argument(parsing: .postTerminator, help: "What runs on the machine.")
  var command: [String] = []

  func run() async throws {
    let signals = SignalInbox()
    guard !command.isEmpty else {
      throw Failure(
        status: .usage, message: "there is no command", next: "fcrun run --max-hourly-price 2 -- python train.py")
    }
    let source = source()
    let work = try source.work(try layers.layers(), sweep: try sweep.source())
    try await Submission(work: work, source: source, options: options, signals: signals).run()
  }

  private func source() -> SpecSource {
    var flags = SpecFlags(shown: "fcrun run")
    let problems = machine.write(into: &flags)
    job.write(into: &flags)
    flags.text(job.name ?? defaultName, "--name", at: "name")
    flags.command(command)
    return SpecSource(
      shown: "fcrun run", path: FileManager.default.currentDirectoryPath + "/.fcrun-run",
      parsed: SpecNode.Parsed(node: flags.node, problems: problems), bytes: Array((flags.node.value.json() + "\n").utf8)
    )
  }

  /// `python -u train.py --lr 1` is `train`.
  private var defaultName: String {
    let words = command.dropFirst().first { !$0.hasPrefix("-") } ?? command.first
    return command.count == 1 ? "run" : JobPlan.defaultName(file: "/" + (words ?? "run"))
  }
}

struct MachineOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A type of GPU, and how many: H100, H100:8, H100:4..8. Repeatable: any of these.", valueName: "TYPE[:N]"))
  var gpu: [String] = []

  @Option(help: ArgumentHelp("Memory of one GPU in GB, at least this, or a range.", valueName: "GB"))
  var vram: String?

  @Option(help: ArgumentHelp("Virtual CPUs, at least this many, or a range.", valueName: "N"))
  var vcpus: String?

  @Option(help: ArgumentHelp("Main memory in GB, at least this, or a range.", valueName: "GB"))
  var memory: String?

  @Option(help: ArgumentHelp("Disk in GB, at least this, or a range.", valueName: "GB"))
  var storage: String?

  @Option(help: ArgumentHelp("The most USD for one machine and hour.", valueName: "USD"))
  var maxHourlyPrice: String?

  @Option(help: "Repeatable: any of these.")
  var region: [String] = []

  @Option(help: "Repeatable: any of these.")
  var provider: [String] = []

  @Option(
    help: ArgumentHelp("Exactly this offering. Repeatable: any of these.", valueName: "ID"),
    completion: Completions.offerings)
  var offering: [String] = []

  @Option(help: ArgumentHelp("How many machines.", valueName: "N"))
  var nodes: String?

  @Option(help: ArgumentHelp("A volume to attach, by id or name. Repeatable.", valueName: "VOLUME"))
  var volume: [String] = []

  @Option(help: ArgumentHelp("The registered key to use, by id or name.", valueName: "KEY"))
  var sshKey: String?

  @Option(help: ArgumentHelp("The login name.", valueName: "USER"))
  var sshUser: String?

  /// - Returns: what is wrong already.
  func write(into flags: inout SpecFlags) -> [SpecProblem] {
    let problems = flags.gpus(gpu, "--gpu")
    flags.value(vram, "--vram", at: "resources", "vram_per_gpu_in_gb")
    flags.value(vcpus, "--vcpus", at: "resources", "vcpus")
    flags.value(memory, "--memory", at: "resources", "memory_in_gb")
    flags.value(storage, "--storage", at: "resources", "storage_in_gb")
    flags.value(maxHourlyPrice, "--max-hourly-price", at: "resources", "max_hourly_price")
    flags.texts(region, "--region", at: "resources", "region")
    flags.texts(provider, "--provider", at: "resources", "provider")
    flags.texts(offering, "--offering", at: "resources", "offering_id")
    flags.value(nodes, "--nodes", at: "nodes")
    flags.texts(volume, "--volume", at: "volumes")
    flags.text(sshKey, "--ssh-key", at: "ssh_key")
    flags.text(sshUser, "--ssh-user", at: "ssh_user")
    return problems
  }
}

struct WorkOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The job's name; else that of what is run.", valueName: "NAME"))
  var name: String?

  @Option(
    help: ArgumentHelp(
      "What to upload; . is this folder. .gitignore is honoured. Repeatable.", valueName: "PATH[:DEST]"))
  var upload: [String] = []

  @Option(help: ArgumentHelp("A path or glob to fetch at the end. Repeatable.", valueName: "PATH[:DEST]"))
  var output: [String] = []

  @Option(
    help: ArgumentHelp("A variable of the local environment that only the command gets. Repeatable.", valueName: "NAME")
  )
  var secret: [String] = []

  @Option(help: ArgumentHelp("A shell script that runs before the command.", valueName: "SCRIPT"))
  var setup: String?

  @Option(help: ArgumentHelp("The folder on the machine in which the command runs.", valueName: "PATH"))
  var workdir: String?

  @Option(help: ArgumentHelp("How long it may run, as 90s, 15m or 6h.", valueName: "TIME"))
  var maxDuration: String?

  @Option(help: ArgumentHelp("The most USD for the whole run.", valueName: "USD"))
  var maxCost: String?

  @Option(help: ArgumentHelp("always, on_success or never: what happens to the machine at the end.", valueName: "WHEN"))
  var teardown: String?

  @Option(
    help: ArgumentHelp(
      "no_capacity, boot_failed, preempted, rebooted, lost, out_of_memory, gpu_fault or exit:N starts another attempt. Repeatable.",
      valueName: "CAUSE"))
  var retry: [String] = []

  @Option(help: ArgumentHelp("How many attempts in all.", valueName: "N"))
  var attempts: String?

  func write(into flags: inout SpecFlags) {
    flags.transfers(upload, "--upload", at: "files")
    flags.transfers(output, "--output", at: "outputs")
    flags.texts(secret, "--secret", at: "secrets")
    flags.text(setup, "--setup", at: "setup")
    flags.text(workdir, "--workdir", at: "workdir")
    flags.value(maxDuration, "--max-duration", at: "limits", "max_duration")
    flags.value(maxCost, "--max-cost", at: "limits", "max_cost")
    flags.text(teardown, "--teardown", at: "teardown")
    flags.texts(retry, "--retry", at: "retry", "on")
    flags.value(attempts, "--attempts", at: "retry", "attempts")
  }
}
