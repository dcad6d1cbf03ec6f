import TestSupport
import Testing

@testable import Jobs

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct SpecDecoderTests {
  @Test func theSmallestSpecIsACommand() throws {
    let spec = try spec("{\"command\": \"true\", \"resources\": {\"vcpus\": 1}}")
    #expect(spec.command == Located(.script("true"), at: Place(file: "job.json", line: 1, column: 13)))
    #expect(spec.nodes == nil)
  }

  @Test func everyFieldOfVersionOneDecodes() throws {
    let spec = try spec(JSONNodePropertyTests.everything)
    #expect(spec.name?.value == "a")
    #expect(spec.resources?.value.gpuType == ["A100"])
    #expect(spec.resources?.value.prefer == .listed)
    #expect(spec.resources?.value.numGPUs == Resources.Bounds(min: 4, max: 8))
    #expect(spec.resources?.value.maxHourlyPrice == Money.parse("3.1"))
    #expect(spec.nodes?.value == 2)
    #expect(spec.volumes.map(\.value) == ["v"])
    #expect(spec.envs.map(\.name) == ["A", "B"])
    #expect(spec.envs.map(\.value) == ["1", nil])
    #expect(spec.secrets.map(\.value) == ["S"])
    #expect(spec.sshKey?.value == KeyChoice(registered: .name("k"), privateKey: "~/k"))
    #expect(spec.sshUser?.value == "root")
    #expect(spec.files.map(\.source.value) == ["src", "/x"])
    #expect(spec.files.map(\.destination?.value) == [nil, "y"])
    #expect(spec.files.map(\.exclude) == [[], ["*.o"]])
    #expect(spec.workdir?.value == "~/w")
    #expect(spec.setup?.value == "true")
    #expect(spec.command.value == .argv(["a", "b"]))
    #expect(spec.outputs.map(\.source.value) == ["out/*.csv", "c"])
    #expect(spec.outputs.map(\.destination?.value) == [nil, "d"])
    #expect(spec.limits.maxDuration?.value == 5400)
    #expect(spec.limits.maxCost?.value == 4)
    #expect(spec.limits.bootTimeout?.value == 90)
    #expect(spec.limits.outputGrace?.value == 5)
    #expect(spec.retry.on?.value == [.exit(3), .preempted])
    #expect(spec.retry.attempts?.value == 2)
    #expect(spec.teardown?.value == .onSuccess)
    #expect(spec.matrix?.value == [JobSpec.Axis(name: "lr", values: ["1", "2", "true"])])
    #expect(spec.maxParallel?.value == 3)
    #expect(spec.checkpoint?.value == JobSpec.Checkpoint(source: "c", every: 300))
    #expect(spec.notify?.value == [JobSpec.Notice(on: ["end"], channel: .webhook("https://a"))])
    #expect(spec.engine?.value == EngineChoice(.ray))
  }

  @Test func allProblemsComeAtOnceAndInTheOrderOfTheFile() {
    let text = """
      {
        "comand": "true",
        "resources": {"gpu_typ": "A100", "max_hourly_price": 3.5},
        "limits": {"max_duration": "5 min",},
        "nodes": 0
      }
      """
    #expect(
      problems(in: text) == [
        "job.json:1:1: command: is missing; expected a shell script, or a list of a program and its arguments",
        "job.json:2:3: comand: unknown field; did you mean \"command\"?",
        "job.json:3:17: resources.gpu_typ: unknown field; did you mean \"gpu_type\"?",
        "job.json:3:56: resources.max_hourly_price: is a number; expected money in quotes: \"3.5\"",
        "job.json:4:30: limits.max_duration: is the string \"5 min\"; expected a duration such as \"90s\", \"15m\", \"6h\" or \"1d\", or whole seconds as a number",
        "job.json:4:37: limits: a comma before }; expected no comma after the last value",
        "job.json:5:12: nodes: is 0; expected a whole number from 1 to 10000",
      ])
  }

  @Test(arguments: [
    ("[]", "job.json:1:1: spec: is a list; expected an object such as {\"command\": \"…\"}"),
    ("null", "job.json:1:1: spec: is null; expected an object such as {\"command\": \"…\"}"),
    (
      "{\"resources\": {\"vcpus\": 1}}",
      "job.json:1:1: command: is missing; expected a shell script, or a list of a program and its arguments"
    ),
  ])
  func aSpecIsAnObjectWithACommand(text: String, problem: String) {
    #expect(problems(in: text) == [problem])
  }

  @Test(arguments: [
    ("env", "did you mean \"envs\"?"), ("Command2", "did you mean \"command\"?"),
    ("output", "did you mean \"outputs\"?"),
    ("run", "did you mean \"command\"?"), ("num_nodes", "did you mean \"nodes\"?"),
    ("timeout", "did you mean \"limits.max_duration\"?"), ("max_duration", "did you mean \"limits.max_duration\"?"),
    ("gpu_type", "did you mean \"resources.gpu_type\"?"), ("gpus", "did you mean \"resources.num_gpus\"?"),
    ("sshkey", "did you mean \"ssh_key\"?"),
  ])
  func anUnknownFieldNamesTheNearestKnownOne(field: String, suggestion: String) {
    #expect(problems(with: "\"\(field)\": 1") == ["job.json:2:1: \(field): unknown field; \(suggestion)"])
  }

  @Test func aFieldFarFromAllNamesListsThem() {
    let message = problems(with: "\"xylophone\": 1")[0]
    #expect(
      message.hasPrefix("job.json:2:1: xylophone: unknown field; expected one of command, resources, name, nodes"))
    #expect(
      problems(with: "\"retry\": {\"xylophone\": 1}") == [
        "job.json:2:11: retry.xylophone: unknown field; expected one of on, attempts"
      ])
    #expect(
      problems(with: "\"resources\": {\"gpu\": 1}") == [
        "job.json:2:15: resources.gpu: unknown field; did you mean \"gpu_type\"?"
      ])
  }

  @Test(arguments: [
    ("\"\"", 9, "is empty"), ("\"A\"", 9, "is \"A\""), ("\"a_b\"", 9, "is \"a_b\""), ("\"a b\"", 9, "is \"a b\""),
    ("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", 9, "is \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""),
    ("7", 9, "is the number 7"),
    ("null", 9, "is null"), ("true", 9, "is true"), ("[\"a\"]", 9, "is a list"), ("{}", 9, "is an object"),
  ])
  func aNameIsShortAndPlain(value: String, column: Int, wrong: String) {
    #expect(
      problems(with: "\"name\": \(value)") == [
        "job.json:2:\(column): name: \(wrong); expected 1 to 32 of a-z, 0-9 and -"
      ])
    #expect(problems(with: "\"name\": \"a-1\"").isEmpty)
    #expect(problems(with: "\"name\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"").isEmpty)
  }

  @Test(arguments: [
    ("\"nodes\": 0", "2:10: nodes: is 0; expected a whole number from 1 to 10000"),
    ("\"nodes\": 10001", "2:10: nodes: is 10001; expected a whole number from 1 to 10000"),
    ("\"nodes\": -2", "2:10: nodes: is -2; expected a whole number from 1 to 10000"),
    ("\"nodes\": 1.5", "2:10: nodes: is 1.5; expected a whole number from 1 to 10000"),
    ("\"nodes\": 1e99", "2:10: nodes: is 1e99; expected a whole number from 1 to 10000"),
    (
      "\"nodes\": 99999999999999999999", "2:10: nodes: is 99999999999999999999; expected a whole number from 1 to 10000"
    ),
    ("\"nodes\": \"2\"", "2:10: nodes: is the string \"2\"; expected a whole number from 1 to 10000"),
    ("\"volumes\": \"v\"", "2:12: volumes: is the string \"v\"; expected a list, each a volume's id or name"),
    ("\"volumes\": [\"\"]", "2:13: volumes[0]: is empty; expected a volume's id or name"),
    ("\"volumes\": [\"v\", \"v\"]", "2:18: volumes[1]: \"v\" is listed twice; expected each once"),
    ("\"ssh_user\": \"-l root\"", "2:13: ssh_user: is \"-l root\"; expected a login name such as \"ubuntu\""),
    ("\"ssh_user\": \"a@b\"", "2:13: ssh_user: is \"a@b\"; expected a login name such as \"ubuntu\""),
    ("\"ssh_key\": 1", "2:12: ssh_key: is the number 1; expected an object with name, id, private_key"),
    ("\"ssh_key\": {}", "2:12: ssh_key: is empty; expected name or id, private_key, or both"),
    (
      "\"ssh_key\": {\"name\": \"a\", \"id\": \"b\"}", "2:32: ssh_key.id: is given beside name; expected one of the two"
    ),
    (
      "\"ssh_key\": {\"private\": \"a\"}", "2:13: ssh_key.private: unknown field; expected one of name, id, private_key"
    ),
    (
      "\"workdir\": \"\"",
      "2:12: workdir: is empty; expected an absolute path, or one in the home folder such as \"~/lab\""
    ),
    (
      "\"workdir\": \"/a/../b\"",
      "2:12: workdir: is \"/a/../b\"; expected an absolute path, or one in the home folder such as \"~/lab\""
    ),
    (
      "\"workdir\": \"~bob/a\"",
      "2:12: workdir: is \"~bob/a\"; expected an absolute path, or one in the home folder such as \"~/lab\""
    ),
    ("\"setup\": null", "2:10: setup: is null; expected a shell script"),
    ("\"setup\": \"a\\u0000\"", "2:10: setup: holds a NUL character; expected text without NUL"),
  ])
  func aWrongValueSaysWhatWasExpected(member: String, problem: String) {
    #expect(problems(with: member) == ["job.json:" + problem])
  }

  // MARK: resources

  @Test func memoryOfTheGPUsMustAddUp() {
    let wrong = "which num_gpus and vram_per_gpu_in_gb exceed; expected room for"
    #expect(
      problems(with: "\"resources\": {\"vram_per_gpu_in_gb\": 80, \"total_vram_in_gb\": \"..40\"}") == [
        "job.json:2:61: resources.total_vram_in_gb: is at most 40, \(wrong) 80"
      ])
    #expect(
      problems(
        with: "\"resources\": {\"total_vram_in_gb\": \"10..320\", \"num_gpus\": \"8..\", \"vram_per_gpu_in_gb\": 80}")
        == [
          "job.json:2:35: resources.total_vram_in_gb: is at most 320, \(wrong) 640"
        ])
    #expect(
      problems(with: "\"resources\": {\"total_vram_in_gb\": \"..640\", \"num_gpus\": 8, \"vram_per_gpu_in_gb\": 80}")
        .isEmpty)
    let huge = "\"vram_per_gpu_in_gb\": 9223372036854775807, \"num_gpus\": 9223372036854775807"
    #expect(problems(with: "\"resources\": {\"total_vram_in_gb\": \"..640\", \(huge)}").count == 1)
  }

  @Test func anyMachineWillDoIsRefused() {
    let message = "would accept any machine; at least one constraint or max_hourly_price is required"
    #expect(problems(in: "{\"command\": \"true\"}") == ["job.json:1:1: resources: \(message)"])
    #expect(problems(with: "\"resources\": {}") == ["job.json:2:14: resources: \(message)"])
    #expect(problems(with: "\"resources\": {\"prefer\": \"price\"}") == ["job.json:2:14: resources: \(message)"])
    #expect(problems(with: "\"resources\": {\"vcpus\": 1}").isEmpty)
    #expect(problems(with: "\"resources\": {\"max_hourly_price\": \"1\"}").isEmpty)
    #expect(problems(with: "\"resources\": {\"max_price_per_gpu_hour\": \"1\"}").isEmpty)
    #expect(problems(with: "\"resources\": []").map { $0.contains("is a list") } == [true])
  }

  @Test(arguments: [
    ("\"gpu_type\": \"\"", "27: resources.gpu_type: is empty; expected a string or a list of strings"),
    (
      "\"gpu_type\": []", "27: resources.gpu_type: is an empty list, which nothing matches; expected at least one value"
    ),
    ("\"gpu_type\": [1]", "28: resources.gpu_type[0]: is the number 1; expected a string"),
    ("\"gpu_type\": 1", "27: resources.gpu_type: is the number 1; expected a string or a list of strings"),
    (
      "\"prefer\": \"cheap\", \"vcpus\": 1", "25: resources.prefer: is \"cheap\"; expected one of \"price\", \"listed\""
    ),
    (
      "\"prefer\": \"prise\", \"vcpus\": 1",
      "25: resources.prefer: is \"prise\"; expected one of \"price\", \"listed\" (did you mean \"price\"?)"
    ),
    (
      "\"prefer\": \"listed\", \"vcpus\": 1",
      "25: resources.prefer: is \"listed\" without a gpu_type; expected a list of gpu_type to prefer by"
    ),
    (
      "\"num_gpus\": \"8\"",
      "27: resources.num_gpus: is \"8\"; expected a whole number or a range such as \"4..8\", \"40..\" or \"..64\" (a number stands without quotes)"
    ),
    (
      "\"num_gpus\": \"..\"",
      "27: resources.num_gpus: is \"..\"; expected a whole number or a range such as \"4..8\", \"40..\" or \"..64\""
    ),
    (
      "\"num_gpus\": \"4...8\"",
      "27: resources.num_gpus: is \"4...8\"; expected a whole number or a range such as \"4..8\", \"40..\" or \"..64\""
    ),
    (
      "\"num_gpus\": \"4-8\"",
      "27: resources.num_gpus: is \"4-8\"; expected a whole number or a range such as \"4..8\", \"40..\" or \"..64\""
    ),
    (
      "\"num_gpus\": \"-1..\"",
      "27: resources.num_gpus: is \"-1..\"; expected a whole number or a range such as \"4..8\", \"40..\" or \"..64\""
    ),
    (
      "\"num_gpus\": \"8..4\"",
      "27: resources.num_gpus: is \"8..4\", which is empty; expected the smaller number first: \"4..8\""
    ),
    ("\"num_gpus\": -1", "27: resources.num_gpus: is -1; expected a whole number of at least 0"),
    (
      "\"num_gpus\": 0, \"gpu_type\": \"A\"",
      "27: resources.num_gpus: is 0 beside a gpu_type; expected at least 1, or no gpu_type"
    ),
    ("\"vcpus\": 0", "24: resources.vcpus: is 0; expected a whole number of at least 1"),
    (
      "\"vcpus\": [4]",
      "24: resources.vcpus: is a list; expected a whole number or a range such as \"4..8\", \"40..\" or \"..64\""
    ),
    ("\"max_hourly_price\": 2", "35: resources.max_hourly_price: is a number; expected money in quotes: \"2\""),
    (
      "\"max_hourly_price\": \"$2\"",
      "35: resources.max_hourly_price: is \"$2\"; expected a decimal string in US dollars such as \"2.50\""
    ),
    (
      "\"max_hourly_price\": \"2,50\"",
      "35: resources.max_hourly_price: is \"2,50\"; expected a decimal string in US dollars such as \"2.50\""
    ),
    (
      "\"max_hourly_price\": \"-1\"",
      "35: resources.max_hourly_price: is \"-1\"; expected a decimal string in US dollars such as \"2.50\""
    ),
    (
      "\"max_hourly_price\": \"1e2\"",
      "35: resources.max_hourly_price: is \"1e2\"; expected a decimal string in US dollars such as \"2.50\""
    ),
    (
      "\"max_hourly_price\": \"0.00\"",
      "35: resources.max_hourly_price: is 0.00, which nothing costs; expected more than zero"
    ),
    (
      "\"max_price_per_gpu_hour\": true",
      "41: resources.max_price_per_gpu_hour: is true; expected a decimal string in US dollars such as \"2.50\""
    ),
  ])
  func aWrongConstraintSaysWhatWasExpected(member: String, problem: String) {
    #expect(problems(with: "\"resources\": {\(member)}") == ["job.json:2:" + problem])
  }

  @Test(arguments: [
    ("num_gpus", "8", Resources.Bounds(min: 8, max: 8)), ("num_gpus", "8.0", Resources.Bounds(min: 8, max: 8)),
    ("num_gpus", "0", Resources.Bounds(min: 0, max: 0)), ("num_gpus", "\"4..8\"", Resources.Bounds(min: 4, max: 8)),
    ("num_gpus", "\"40..\"", Resources.Bounds(min: 40, max: nil)),
    ("num_gpus", "\"..64\"", Resources.Bounds(min: nil, max: 64)),
  ])
  func aLoneNumberOfGPUsIsExact(field: String, value: String, bounds: Resources.Bounds) throws {
    let spec = try spec("{\"command\": \"true\", \"resources\": {\"\(field)\": \(value)}}")
    #expect(spec.resources?.value.numGPUs == bounds)
  }

  @Test func aLoneNumberOfAnythingElseIsAtLeast() throws {
    let spec = try spec("{\"command\": \"true\", \"resources\": {\"memory_in_gb\": 64, \"vcpus\": \"..8\"}}")
    #expect(spec.resources?.value.memoryInGB == Resources.Bounds(min: 64, max: nil))
    #expect(spec.resources?.value.vcpus == Resources.Bounds(min: nil, max: 8))
  }

  // MARK: envs and secrets

  @Test(arguments: [
    ("\"envs\": [\"A=1\"]", "2:9: envs: is a list; expected an object of names and values"),
    (
      "\"envs\": {\"1A\": \"\"}",
      "2:10: envs.1A: \"1A\" cannot be a variable's name; expected letters, digits and _, not a digit first"
    ),
    (
      "\"envs\": {\"A-B\": \"\"}",
      "2:10: envs.A-B: \"A-B\" cannot be a variable's name; expected letters, digits and _, not a digit first"
    ),
    (
      "\"envs\": {\"\": \"\"}",
      "2:10: envs.: \"\" cannot be a variable's name; expected letters, digits and _, not a digit first"
    ),
    (
      "\"envs\": {\"É\": \"\"}",
      "2:10: envs.É: \"É\" cannot be a variable's name; expected letters, digits and _, not a digit first"
    ),
    ("\"envs\": {\"A\": 0.10}", "2:15: envs.A: is the number 0.10; expected it in quotes: \"0.10\""),
    ("\"envs\": {\"A\": true}", "2:15: envs.A: is true; expected it in quotes: \"true\""),
    (
      "\"envs\": {\"A\": []}",
      "2:15: envs.A: is a list; expected a string, or null to take it from the local environment"
    ),
    ("\"envs\": {\"A\": \"x\\u0000y\"}", "2:15: envs.A: holds a NUL character; expected text without NUL"),
    // A NUL with a combining mark is one Character that does not equal "\0".
    ("\"envs\": {\"A\": \"x\\u0000\\u0301\"}", "2:15: envs.A: holds a NUL character; expected text without NUL"),
    (
      "\"secrets\": {\"A\": \"x\"}",
      "2:12: secrets: is an object; expected a list, each the name of a variable of the local environment"
    ),
    (
      "\"secrets\": [\"A B\"]",
      "2:13: secrets[0]: \"A B\" cannot be a variable's name; expected letters, digits and _, not a digit first"
    ),
    ("\"secrets\": [\"A\", \"A\"]", "2:18: secrets[1]: \"A\" is listed twice; expected each once"),
    (
      "\"envs\": {\"A\": \"1\"}, \"secrets\": [\"A\"]",
      "2:33: secrets[0]: A is in envs too; expected it in one of the two"
    ),
    (
      "\"envs\": {\"A\": null}, \"secrets\": [\"B\", \"A\"]",
      "2:39: secrets[1]: A is in envs too; expected it in one of the two"
    ),
  ])
  func environmentsAreChecked(member: String, problem: String) {
    #expect(problems(with: member) == ["job.json:" + problem])
  }

  @Test func aUsersOwnValueOfAnyNameIsTaken() throws {
    let spec = try spec(
      "\(opening), \"envs\": {\"FCRUN_JOB_ID\": \"mine\", \"_x9\": \"a'b\\\"c\\nd é\", \"EMPTY\": \"\"}}")
    #expect(spec.envs.map(\.value) == ["mine", "a'b\"c\nd é", ""])
  }

  // MARK: files and outputs

  @Test(arguments: [
    ("\"files\": \"src\"", "2:10: files: is the string \"src\"; expected a list of paths or objects with source"),
    ("\"files\": [1]", "2:11: files[0]: is the number 1; expected a path, or an object with source"),
    ("\"files\": [\"\"]", "2:11: files[0]: is empty; expected a path, or an object with source"),
    ("\"files\": [{}]", "2:11: files[0].source: is missing; expected a path relative to the spec's folder"),
    (
      "\"files\": [{\"source\": \"a\", \"dest\": \"b\"}]",
      "2:27: files[0].dest: unknown field; did you mean \"destination\"?"
    ),
    ("\"files\": [\"../a\"]", "2:11: files[0]: \"../a\" leads out with \"..\"; expected a destination beside it"),
    ("\"files\": [\"/etc/hosts\"]", "2:11: files[0]: \"/etc/hosts\" is absolute; expected a destination beside it"),
    (
      "\"files\": [\"~/data\"]",
      "2:11: files[0]: \"~/data\" starts at the home folder; expected a destination beside it"
    ),
    (
      "\"files\": [{\"source\": \"a\", \"destination\": \"/a\"}]",
      "2:42: files[0].destination: \"/a\" is absolute; expected a path inside the workdir"
    ),
    (
      "\"files\": [{\"source\": \"a\", \"destination\": \"b/../../c\"}]",
      "2:42: files[0].destination: \"b/../../c\" leads out with \"..\"; expected a path inside the workdir"
    ),
    (
      "\"files\": [{\"source\": \"a\", \"destination\": \"~/c\"}]",
      "2:42: files[0].destination: \"~/c\" starts at the home folder; expected a path inside the workdir"
    ),
    (
      "\"files\": [{\"source\": \"a\", \"destination\": \"\"}]",
      "2:42: files[0].destination: is empty; expected a path inside the workdir"
    ),
    (
      "\"files\": [\"src\", \"./src/\"]",
      "2:18: files[1]: becomes \"src\", as the entry on line 2 does; expected destinations that differ"
    ),
    (
      "\"files\": [\"a\",\n{\"source\": \"b\", \"destination\": \"a\"}]",
      "3:32: files[1]: becomes \"a\", as the entry on line 2 does; expected destinations that differ"
    ),
    (
      "\"files\": [{\"source\": \"a\", \"exclude\": \"*.o\"}]",
      "2:38: files[0].exclude: is the string \"*.o\"; expected a list, each a pattern as in .gitignore"
    ),
    ("\"files\": [\"a\\u0000b\"]", "2:11: files[0]: holds a NUL character; expected text without NUL"),
    (
      "\"outputs\": \"out\"",
      "2:12: outputs: is the string \"out\"; expected a list of paths, globs or objects with source"
    ),
    ("\"outputs\": [\"/out\"]", "2:13: outputs[0]: \"/out\" is absolute; expected a path or glob inside the workdir"),
    (
      "\"outputs\": [\"../out\"]",
      "2:13: outputs[0]: \"../out\" leads out with \"..\"; expected a path or glob inside the workdir"
    ),
    (
      "\"outputs\": [{\"source\": \"a/../..\", \"destination\": \"b\"}]",
      "2:24: outputs[0]: \"a/../..\" leads out with \"..\"; expected a path or glob inside the workdir"
    ),
    (
      "\"outputs\": [{\"source\": \"a\", \"destination\": \"../b\"}]",
      "2:44: outputs[0].destination: \"../b\" leads out with \"..\"; expected a path inside the spec's folder"
    ),
    (
      "\"outputs\": [{\"destination\": \"b\"}]",
      "2:13: outputs[0].source: is missing; expected a path relative to the workdir"
    ),
    (
      "\"outputs\": [{\"source\": \"a\", \"exclude\": []}]",
      "2:29: outputs[0].exclude: unknown field; expected one of source, destination, nodes"
    ),
    (
      "\"outputs\": [\"a\", \"a\"]",
      "2:18: outputs[1]: becomes \"a\", as the entry on line 2 does; expected destinations that differ"
    ),
    (
      "\"outputs\": [\"*.csv\", \"*.csv\"]",
      "2:22: outputs[1]: becomes \"*.csv\", as the entry on line 2 does; expected destinations that differ"
    ),
  ])
  func pathsStayWhereTheyBelong(member: String, problem: String) {
    #expect(problems(with: member) == ["job.json:" + problem])
  }

  @Test(arguments: [
    "\"files\": [{\"source\": \"../shared\", \"destination\": \"shared\"}, {\"source\": \"/data\", \"destination\": \"data\"}]",
    "\"files\": [\".\"]", "\"files\": [{\"source\": \"src\", \"destination\": \".\"}, \"data\"]",
    "\"files\": [\"a..b\", \"..c\", \"name with \\\"quotes\\\"\\nand é\"]",
    "\"outputs\": [{\"source\": \"*.csv\", \"destination\": \"r\"}, {\"source\": \"*.txt\", \"destination\": \"r\"}]",
  ])
  func ordinaryPathsAreTaken(member: String) {
    #expect(problems(with: member).isEmpty)
  }

  // MARK: command

  @Test(arguments: [
    ("\"\"", "1:13: command: is empty; expected a shell script, or a list of a program and its arguments"),
    ("\" \\n\\t\"", "1:13: command: is empty; expected a shell script, or a list of a program and its arguments"),
    ("[]", "1:13: command: is empty; expected a program and its arguments"),
    ("[\"\", \"a\"]", "1:14: command[0]: is empty; expected a program and its arguments"),
    ("[\"a\", 1]", "1:19: command[1]: is the number 1; expected it in quotes: \"1\""),
    ("[\"a\", \"b\\u0000\"]", "1:19: command[1]: holds a NUL character; expected text without NUL"),
    ("7", "1:13: command: is the number 7; expected a shell script, or a list of a program and its arguments"),
    ("{\"a\": 1}", "1:13: command: is an object; expected a shell script, or a list of a program and its arguments"),
  ])
  func aCommandIsAScriptOrAnArgv(value: String, problem: String) {
    #expect(problems(in: "{\"command\": \(value), \"resources\": {\"vcpus\": 1}}") == ["job.json:" + problem])
  }

  @Test func anArgumentMayBeEmpty() throws {
    #expect(
      try spec("{\"command\": [\"printf\", \"\"], \"resources\": {\"vcpus\": 1}}").command.value
        == .argv(["printf", ""]))
  }

  // MARK: limits, retry, the rest

  private static let duration =
    "expected a duration such as \"90s\", \"15m\", \"6h\" or \"1d\", or whole seconds as a number"

  @Test(arguments: [
    "5 min", "h", "1", "", "1.5h", "-5m", "+5m", "5M", "1m1h", "1h1h", "90s ", "٣s", "1h30", "99999999999s",
  ])
  func aBadDurationSaysHowToWriteOne(text: String) {
    #expect(
      problems(with: "\"limits\": {\"max_duration\": \"\(text)\"}") == [
        "job.json:2:28: limits.max_duration: is the string \"\(text)\"; \(Self.duration)"
      ])
  }

  @Test(arguments: [
    ("\"max_duration\": 0", "2:28: limits.max_duration: is the number 0; expected a duration of 1s to 3650d"),
    ("\"max_duration\": \"0s\"", "2:28: limits.max_duration: is the string \"0s\"; expected a duration of 1s to 3650d"),
    ("\"max_duration\": -5", "2:28: limits.max_duration: is the number -5; expected a duration of 1s to 3650d"),
    ("\"max_duration\": 1e12", "2:28: limits.max_duration: is the number 1e12; expected a duration of 1s to 3650d"),
    ("\"max_duration\": 0.5", "2:28: limits.max_duration: is the number 0.5; \(duration)"),
    ("\"max_duration\": null", "2:28: limits.max_duration: is null; \(duration)"),
    ("\"boot_timeout\": 0", "2:28: limits.boot_timeout: is the number 0; expected a duration of 1s to 3650d"),
    ("\"output_grace\": \"-1s\"", "2:28: limits.output_grace: is the string \"-1s\"; \(duration)"),
    ("\"max_cost\": 5", "2:24: limits.max_cost: is a number; expected money in quotes: \"5\""),
    ("\"max_cost\": \"0\"", "2:24: limits.max_cost: is 0, which nothing costs; expected more than zero"),
    (
      "\"max_cost\": \"-3\"",
      "2:24: limits.max_cost: is \"-3\"; expected a decimal string in US dollars such as \"2.50\""
    ),
    (
      "\"max_time\": 1",
      "2:12: limits.max_time: unknown field; expected one of max_duration, max_cost, boot_timeout, output_grace, idle_gpu"
    ),
  ])
  func limitsThatCannotBeMeantAreRefused(member: String, problem: String) {
    #expect(problems(with: "\"limits\": {\(member)}") == ["job.json:" + problem])
  }

  @Test func noGraceAndOutputsContradictEachOther() {
    #expect(
      problems(with: "\"limits\": {\"output_grace\": 0}, \"outputs\": [\"a\"]") == [
        "job.json:2:28: limits.output_grace: is 0 and leaves no time to fetch the outputs; expected at least 1s, or no outputs"
      ])
    #expect(problems(with: "\"limits\": {\"output_grace\": 0}").isEmpty)
  }

  @Test(arguments: [
    ("\"retry\": {\"attempts\": 0}", "2:23: retry.attempts: is 0; expected a whole number of at least 1"),
    (
      "\"retry\": {\"on\": \"preempted\"}",
      "2:17: retry.on: is the string \"preempted\"; expected a list of no_capacity, boot_failed, preempted, rebooted, lost, out_of_memory, gpu_fault or exit:N with N from 0 to 255"
    ),
    (
      "\"retry\": {\"on\": [\"prempted\"]}",
      "2:18: retry.on[0]: is \"prempted\"; expected no_capacity, boot_failed, preempted, rebooted, lost, out_of_memory, gpu_fault or exit:N with N from 0 to 255 (did you mean \"preempted\"?)"
    ),
    (
      "\"retry\": {\"on\": [\"exit:256\"]}",
      "2:18: retry.on[0]: is \"exit:256\"; expected no_capacity, boot_failed, preempted, rebooted, lost, out_of_memory, gpu_fault or exit:N with N from 0 to 255"
    ),
    (
      "\"retry\": {\"on\": [\"exit:\"]}",
      "2:18: retry.on[0]: is \"exit:\"; expected no_capacity, boot_failed, preempted, rebooted, lost, out_of_memory, gpu_fault or exit:N with N from 0 to 255"
    ),
    (
      "\"retry\": {\"on\": [\"exit:-1\"]}",
      "2:18: retry.on[0]: is \"exit:-1\"; expected no_capacity, boot_failed, preempted, rebooted, lost, out_of_memory, gpu_fault or exit:N with N from 0 to 255"
    ),
    (
      "\"teardown\": \"allways\"",
      "2:13: teardown: is \"allways\"; expected one of \"always\", \"on_success\", \"never\" (did you mean \"always\"?)"
    ),
    ("\"teardown\": false", "2:13: teardown: is false; expected one of \"always\", \"on_success\", \"never\""),
    ("\"engine\": \"slurm\"", "2:11: engine: is \"slurm\"; expected one of \"none\", \"ray\", \"torchrun\", \"mpi\""),
    (
      "\"matrix\": {\"lr\": [1], \"LR\": [2]}",
      "2:23: matrix.LR: \"LR\" is there twice; expected names that differ in more than upper and lower case"
    ),
    ("\"matrix\": {}", "2:11: matrix: is empty; expected at least one list of values"),
    ("\"matrix\": {\"lr\": []}", "2:18: matrix.lr: is empty; expected at least one value"),
    ("\"matrix\": {\"lr\": 1}", "2:18: matrix.lr: is the number 1; expected a list of values"),
    (
      "\"matrix\": {\"l r\": [1]}",
      "2:12: matrix.l r: \"l r\" cannot be a variable's name; expected letters, digits and _, not a digit first"
    ),
    ("\"matrix\": {\"lr\": [null]}", "2:19: matrix.lr[0]: is null; expected a string, a number, true or false"),
    (
      "\"limits\": {\"idle_gpu\": {\"below\": 5}}",
      "2:24: limits.idle_gpu.for: is missing; expected a duration such as \"15m\""
    ),
    (
      "\"limits\": {\"idle_gpu\": {\"below\": 0, \"for\": \"15m\"}}",
      "2:34: limits.idle_gpu.below: is 0; expected a whole number from 1 to 100"
    ),
    ("\"checkpoint\": {\"source\": \"a\"}", "2:15: checkpoint.every: is missing; expected a duration such as \"5m\""),
    ("\"checkpoint\": {\"every\": \"5m\"}", "2:15: checkpoint.source: is missing; expected a path inside the workdir"),
    (
      "\"checkpoint\": {\"source\": \"../a\", \"every\": \"5m\"}",
      "2:26: checkpoint.source: \"../a\" leads out with \"..\"; expected a path inside the workdir"
    ),
    ("\"notify\": [{\"on\": \"end\"}]", "2:12: notify[0]: has neither webhook nor command; expected one of the two"),
    (
      "\"notify\": [{\"on\": \"end\", \"webhook\": \"w\", \"command\": \"c\"}]",
      "2:12: notify[0]: has webhook and command; expected one of the two"
    ),
    ("\"notify\": [{\"webhook\": \"w\"}]", "2:12: notify[0].on: is missing; expected an event or a list of events"),
  ])
  func theRestIsCheckedAsFully(member: String, problem: String) {
    #expect(problems(with: member) == ["job.json:" + problem])
  }

  @Test func aCauseGivenTwiceCountsOnce() throws {
    let spec = try spec(
      "\(opening), \"retry\": {\"on\": [\"exit:7\", \"exit:07\", \"exit:0\", \"exit:255\"]}}")
    #expect(spec.retry.on?.value == [.exit(7), .exit(0), .exit(255)])
  }

  /// Looking for doubles was once quadratic: a list that fits into 1 MiB took minutes.
  @Test(.faults(129), .timeLimit(.minutes(1))) func aLongListIsReadInLinearTime() throws {
    let names = (0..<100_000).map { "\"v\($0)\"" }.joined(separator: ",")
    #expect(try spec("\(opening), \"volumes\": [\(names)]}").volumes.count == 100_000)
  }
}
