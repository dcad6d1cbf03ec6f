/// The fields of version 1, object by object, in the order of its reference: the decoder takes their names from here, `fcrun schema`
/// prints them, and the tables of `docs/job-file.md` are written from them.
package enum SpecSchema {
  static let variableName = "^[A-Za-z_][A-Za-z0-9_]*$"

  private static let variable = SpecShape.text("variable name", pattern: variableName)
  private static let words = SpecShape.either([.text(), .list(of: .text(), least: 1)])
  private static let path = SpecShape.text("path")

  package static let spec: [SpecField] = [
    SpecField(
      "command", .either([.text("shell script"), .list(of: .anyText(), least: 1)]),
      "What runs on the machine: a script for the shell, or a program and its arguments, which no shell reads.",
      otherwise: ""),
    SpecField(
      "resources", .object(resources, least: 1),
      "Which machines will do. At least one constraint or max_hourly_price is required.", otherwise: ""),
    SpecField(
      "name", .text("1 to 32 of a-z, 0-9 and -", pattern: "^[a-z0-9-]{1,32}$"),
      "Shown in lists, and part of the instance's name.", otherwise: "the file's name"),
    SpecField(
      "nodes", .integer(least: 1, most: SpecReader.mostNodes),
      "How many machines of the same offering: all of them or none.", otherwise: "1"),
    SpecField(
      "volumes", .list(of: .text(), isDistinct: true),
      "Existing volumes to attach, by id or name. They pin provider and region."),
    SpecField(
      "envs", .map(of: .either([.anyText(), .null]), names: variableName),
      "The environment of the command; null takes a value from where fcrun runs. The API sees it: no secrets here."),
    SpecField(
      "secrets", .list(of: variable, isDistinct: true),
      "Names of variables that are set where fcrun runs. Their values reach the command over SSH and nothing else."),
    SpecField(
      "ssh_key", .either([.text(), .object(sshKey, least: 1, atMostOneOf: ["name", "id"])]),
      "Which registered key opens the machine: an id or a name.",
      otherwise: "the one whose private half is in the agent or in `~/.ssh`"),
    SpecField(
      "ssh_user", .text(pattern: "^[^-\\s@:][^\\s@:]*$"), "The login name.",
      otherwise: "as the API says, else `root`, then `ubuntu`"),
    SpecField(
      "files", .list(of: .either([path, .object(file)])),
      "What is uploaded before setup. .gitignore and .fcrunignore are honoured."),
    SpecField(
      "workdir", path, "The folder the command runs in: absolute, or in the home folder of the machine.",
      otherwise: "`~/fcrun/<job>`"),
    SpecField(
      "setup", .anyText("shell script"),
      "A shell script that runs before the command; when it fails, the command does not run."),
    SpecField(
      "outputs", .list(of: .either([path, .object(output)])),
      "Paths or globs that are fetched at the end, also when the command failed, ran out of time or was cancelled."),
    SpecField("limits", .object(limits), "How long the run may take, and what it may cost.", otherwise: "see there"),
    SpecField(
      "retry", .object(retry), "What starts another attempt on another machine, and how often.",
      otherwise: "on `no_capacity` and `boot_failed`, 3 attempts"),
    SpecField(
      "teardown", .word(Teardown.allCases.map(\.rawValue)),
      "What happens to the machine at the end. A kept one goes on costing.", otherwise: "`\"always\"`"),
    SpecField(
      "matrix", .map(of: .list(of: .either([.anyText(), .number, .flag]), least: 1), names: variableName, least: 1),
      "One job for each combination of the values."),
    SpecField("max_parallel", .integer(least: 1), "How many jobs of a sweep run at once.", otherwise: "4"),
    SpecField(
      "reuse", .flag, "Jobs of a sweep follow one another on the same machines: boot is paid once for each.",
      otherwise: "`false`"),
    SpecField(
      "checkpoint", .object(checkpoint), "What is fetched while the job runs, and put back before the next attempt."),
    SpecField("notify", .list(of: .object(notice, oneOf: ["webhook", "command"])), "Who is told of events."),
    SpecField(
      "engine", .either([.word(Engine.allCases.map(\.rawValue)), .object(engine)]), "What brings the nodes together.",
      otherwise: "`\"none\"`"),
    SpecField(
      "on_node_loss", .word(NodeLoss.allCases.map(\.rawValue)),
      "What the loss of one of several nodes means: the end of the attempt, or that the others go on.",
      otherwise: "`\"fail\"`"),
    SpecField("$schema", .text(), "Where a schema of this file is, for editors. fcrun does not read it."),
  ]

  package static let resources: [SpecField] = [
    SpecField("gpu_type", words, "Any of these, such as H100; upper and lower case are alike.", otherwise: "any"),
    SpecField(
      "prefer", .word(Resources.Preference.allCases.map(\.rawValue)),
      "How to choose among those that match: the cheapest, or in the order of gpu_type.", otherwise: "`\"price\"`"),
    SpecField("provider", words, "Any of these.", otherwise: "any"),
    SpecField("region", words, "Any of these.", otherwise: "any"),
    SpecField("deployment_type", words, "Any of these.", otherwise: "any"),
    SpecField("interconnect", words, "Any of these.", otherwise: "any"),
    SpecField("instance_type", words, "Any of these.", otherwise: "any"),
    SpecField("offering_id", words, "Any of these offerings.", otherwise: "any"),
    SpecField("num_gpus", .range(least: 0), "GPUs of one machine; a number means exactly that many.", otherwise: "any"),
    SpecField(
      "vram_per_gpu_in_gb", .range(least: 1), "Memory of one GPU; a number means at least that much.", otherwise: "any"),
    SpecField(
      "total_vram_in_gb", .range(least: 1), "Memory of all GPUs; a number means at least that much.", otherwise: "any"),
    SpecField("vcpus", .range(least: 1), "Virtual CPUs; a number means at least that many.", otherwise: "any"),
    SpecField("memory_in_gb", .range(least: 1), "Main memory; a number means at least that much.", otherwise: "any"),
    SpecField("storage_in_gb", .range(least: 1), "Disk; a number means at least that much.", otherwise: "any"),
    SpecField("max_hourly_price", .money, "For one machine and hour.", otherwise: "any"),
    SpecField("max_price_per_gpu_hour", .money, "For one GPU and hour.", otherwise: "any"),
  ]

  package static let limits: [SpecField] = [
    SpecField("max_duration", .duration(least: 1), "From launch, setup included, for each attempt."),
    SpecField("max_cost", .money, "For the whole run, all attempts together; for all tasks of a sweep."),
    SpecField(
      "boot_timeout", .duration(least: 1), "How long a machine may take until it can be used.",
      otherwise: "3 times the offering's longest boot time, at least 10 minutes"),
    SpecField(
      "output_grace", .duration(least: 0), "How long outputs are fetched after the end.", otherwise: "60 seconds"),
    SpecField("idle_gpu", .object(idleGPU), "Ends a job whose GPUs do nothing."),
  ]

  package static let idleGPU: [SpecField] = [
    SpecField(
      "below", .integer(least: 1, most: 100), "Percent of utilization that no GPU reaches.", otherwise: "5"),
    SpecField("for", .duration(least: 1), "For how long.", otherwise: ""),
  ]

  package static let retry: [SpecField] = [
    SpecField(
      "on",
      .list(
        of: .text(
          "cause", pattern: "^(\(RetryCause.words.map(\.key).joined(separator: "|"))|exit:0*[0-9]{1,3})$")),
      "Causes: \(RetryCause.list), or exit:N for the command's own exit code.",
      otherwise: "`no_capacity` and `boot_failed`"),
    SpecField("attempts", .integer(least: 1), "How many attempts in all, the first included.", otherwise: "3"),
  ]

  package static let file: [SpecField] = [
    SpecField("source", path, "Relative to the folder of the job file.", otherwise: ""),
    SpecField("destination", path, "What it becomes below the workdir.", otherwise: "the same relative name"),
    SpecField("exclude", .list(of: .text(), isDistinct: true), "Patterns as in .gitignore."),
  ]

  package static let output: [SpecField] = [
    SpecField("source", .text("path or glob"), "Relative to the workdir.", otherwise: ""),
    SpecField("destination", path, "Relative to the folder of the job file.", otherwise: "the same relative name"),
    SpecField(
      "nodes", .word(OutputNodes.allCases.map(\.rawValue)),
      "Of several nodes: from any that has it, from the first only, or every one must have it.",
      otherwise: "`\"any\"`"),
  ]

  package static let engine: [SpecField] = [
    SpecField("name", .word(Engine.allCases.map(\.rawValue)), "As above.", otherwise: ""),
    SpecField(
      "version", .text("version", pattern: "^[0-9][0-9A-Za-z.+-]*$"),
      "Of ray: the version to install on each machine where another one, or none, is there.",
      otherwise: "what is there, nothing is installed"),
    SpecField(
      "gpus_per_task", .integer(least: 0), "Of ray in a sweep: GPUs that a task has for itself.",
      otherwise: "1 where the machines have GPUs"),
    SpecField(
      "cpus_per_task", .integer(least: 1), "Of ray in a sweep: cores that a task counts for.", otherwise: "1"),
  ]

  package static let sshKey: [SpecField] = [
    SpecField("name", .text(), "The registered key's name."),
    SpecField("id", .text(), "The registered key's id."),
    SpecField("private_key", path, "The private half on this computer.", otherwise: "looked for"),
  ]

  package static let checkpoint: [SpecField] = [
    SpecField("source", path, "Relative to the workdir.", otherwise: ""),
    SpecField("every", .duration(least: 1), "How often it is fetched.", otherwise: ""),
  ]

  package static let notice: [SpecField] = [
    SpecField("on", .either([.text(), .list(of: .text(), isDistinct: true)]), "An event, or several.", otherwise: ""),
    SpecField("webhook", .text("address"), "Where a POST is sent."),
    SpecField("command", .text("shell script"), "What runs here."),
  ]

  /// The schema as a document of JSON Schema 2020-12.
  package static var document: SpecNode.Value {
    .object(
      of: [
        ("$schema", .string("https://json-schema.org/draft/2020-12/schema")), ("$id", .string("urn:fcrun:job:1")),
        ("title", .string("A job of fcrun, version 1")),
      ] + SpecShape.object(spec).schema)
  }

  /// The objects by the path they have in a spec; `[]` is any entry of a list.
  package static let objects: [(path: String, fields: [SpecField])] = [
    ("", spec), ("resources", resources), ("ssh_key", sshKey), ("files[]", file), ("outputs[]", output),
    ("limits", limits),
    ("retry", retry), ("checkpoint", checkpoint), ("notify[]", notice), ("engine", engine),
  ]

  /// A table of the reference.
  package static func table(_ fields: [SpecField], isLinked: Bool) -> String {
    let rows = fields.map { field in
      let name = isLinked ? "[`\(field.name)`](#\(anchor(field.name)))" : "`\(field.name)`"
      return "| \(name) | \(field.shape.words) | \(field.about) | \(field.isRequired ? "an error" : field.otherwise) |"
    }
    return (["| field | value | meaning | when left out |", "|---|---|---|---|"] + rows).joined(separator: "\n") + "\n"
  }

  /// The heading of the reference that tells more.
  private static func anchor(_ name: String) -> String {
    switch name {
    case "ssh_key", "ssh_user": "ssh_key-and-ssh_user"
    case "max_parallel": "matrix"
    case "notify": "not-yet"
    case "$schema": "in-an-editor"
    default: name
    }
  }
}
