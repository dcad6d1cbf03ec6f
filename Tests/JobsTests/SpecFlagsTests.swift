import Jobs
import Testing

/// A job without a file: options make the nodes that a file would, and the same decoder judges them.
@Suite struct SpecFlagsTests {
  private func flags(_ fill: (inout SpecFlags) -> Void) -> SpecFlags {
    var flags = SpecFlags(shown: "fcrun run")
    fill(&flags)
    return flags
  }

  private func problems(_ fill: (inout SpecFlags) -> Void) -> [String] {
    let all = flags { flags in
      flags.command(["true"])
      flags.value("1", "--vcpus", at: "resources", "vcpus")
      fill(&flags)
    }
    switch SpecDecoder.decode(SpecNode.Parsed(node: all.node)) {
    case .success: return []
    case .failure(let wrong): return wrong.problems.map(\.description)
    }
  }

  @Test func theOptionsMakeTheSpecThatAFileWouldHave() throws {
    let made = flags { flags in
      #expect(flags.gpus(["H100:8", "A100"], "--gpu").isEmpty)
      flags.value("20", "--max-hourly-price", at: "resources", "max_hourly_price")
      flags.transfers([".", "src:code"], "--upload", at: "files")
      flags.transfers(["out"], "--output", at: "outputs")
      flags.value("2", "--nodes", at: "nodes")
      flags.value("5400", "--max-duration", at: "limits", "max_duration")
      flags.text(nil, "--setup", at: "setup")
      flags.texts([], "--secret", at: "secrets")
      flags.command(["python", "train.py", "--lr", "0.1"])
    }
    let written = """
      resources: {gpu_type: [H100, A100], num_gpus: 8, max_hourly_price: 20}
      files: [., {source: src, destination: code}]
      outputs: [out]
      nodes: 2
      limits: {max_duration: 5400}
      command: [python, train.py, --lr, "0.1"]
      """
    #expect(unplaced(made.node) == YAMLNode.parse(written, file: "job.yaml").node.map(unplaced))
    let spec = try SpecDecoder.decode(SpecNode.Parsed(node: made.node)).get()
    #expect(spec.resources?.value.maxHourlyPrice == Money.parse("20"))
    #expect(spec.command.value == .argv(["python", "train.py", "--lr", "0.1"]))
    // What is kept beside the job's logs reads back as the same.
    let kept = JSONNode.parse(made.node.value.json(), file: "spec.json")
    #expect(kept.node.map(unplaced) == unplaced(made.node))
  }

  @Test func oneWordIsAScript() throws {
    let made = flags { $0.command(["a && b"]) }
    #expect(made.node["command"]?.value == .string("a && b"))
    #expect(flags { $0.command([]) }.node["command"] == nil)
  }

  @Test func mistakesNameTheOption() {
    let told = problems { flags in
      flags.value("-5", "--max-hourly-price", at: "resources", "max_hourly_price")
      flags.value("soon", "--max-duration", at: "limits", "max_duration")
      flags.transfers(["a", "../x", "b:../y"], "--upload", at: "files")
      flags.texts(["preempted", "never"], "--retry", at: "retry", "on")
      flags.text("A", "--name", at: "name")
      flags.text("sometimes", "--teardown", at: "teardown")
    }
    #expect(
      told == [
        "--name:1:1: name: is \"A\"; expected 1 to 32 of a-z, 0-9 and -",
        "--max-hourly-price:1:1: resources.max_hourly_price: is \"-5\"; expected a decimal string in US dollars such as \"2.50\"",
        "--upload:2:1: files[1]: \"../x\" leads out with \"..\"; expected a destination beside it",
        "--upload:3:3: files[2].destination: \"../y\" leads out with \"..\"; expected a path inside the workdir",
        "--max-duration:1:1: limits.max_duration: is the string \"soon\"; expected a duration such as \"90s\", \"15m\", \"6h\" or \"1d\", or whole seconds as a number",
        "--retry:2:1: retry.on[1]: is \"never\"; expected no_capacity, boot_failed, preempted, rebooted, lost, out_of_memory, gpu_fault or exit:N with N from 0 to 255",
        "--teardown:1:1: teardown: is \"sometimes\"; expected one of \"always\", \"on_success\", \"never\"",
      ])
  }

  @Test func differentNumbersOfGPUsAreAMistake() {
    var flags = SpecFlags(shown: "fcrun run")
    #expect(
      flags.gpus(["H100:8", "A100:4"], "--gpu").map(\.description) == [
        "--gpu:2:6: resources.num_gpus: is 4, and 8 before; expected one number of GPUs for all types"
      ])
    #expect(
      problems { _ = $0.gpus(["H100:x"], "--gpu") }.first?.hasPrefix("--gpu:1:6: resources.num_gpus: is \"x\"") == true)
    #expect(
      problems { _ = $0.gpus([":8"], "--gpu") }.first?.hasPrefix("--gpu:1:1: resources.gpu_type[0]: is empty") == true)
  }
}
