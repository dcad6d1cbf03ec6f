import Jobs
import Testing

/// The schema that editors read, against the decoder.
@Suite struct SchemaTests {
  private let validator: SchemaValidator

  init() throws {
    // As it is printed, not as it is built.
    let parsed = JSONNode.parse(SpecSchema.document.json(), file: "schema.json")
    #expect(parsed.problems.isEmpty)
    validator = SchemaValidator(schema: try #require(parsed.node))
  }

  private func judged(_ text: String) throws -> (schema: [String], decoder: [String]) {
    let parsed = YAMLNode.parse(text, file: "job.yaml")
    let node = try #require(parsed.node, "\(parsed.problems)")
    switch SpecDecoder.decode(parsed) {
    case .success: return (validator.problems(node), [])
    case .failure(let wrong): return (validator.problems(node), wrong.problems.map(\.description))
    }
  }

  private func member(_ text: String) -> String {
    (text.hasPrefix("command") ? "" : "command: x\n") + (text.hasPrefix("resources") ? "" : "resources: {vcpus: 1}\n")
      + text + "\n"
  }

  @Test(arguments: [
    "command: x", "command: [a, '', \"b c\"]", "resources: {gpu_type: A100}", "resources: {gpu_type: [A100, h100]}",
    "resources: {num_gpus: 0}", "resources: {num_gpus: 4..8}", "resources: {vcpus: ..64}",
    "resources: {memory_in_gb: 40..}",
    "resources: {max_hourly_price: \"24.50\"}", "resources: {max_price_per_gpu_hour: \"0.5\"}",
    "resources: {gpu_type: A, prefer: listed}", "name: a-1", "nodes: 1.0", "nodes: 10000", "volumes: [a, b]",
    "volumes: []",
    "envs: {A: '', _b1: null}", "envs: {}", "secrets: [A]", "ssh_key: k", "ssh_key: {id: k}",
    "ssh_key: {private_key: ~/k}",
    "ssh_user: ubuntu", "files: [a, {source: b, destination: c, exclude: [d]}]", "workdir: ~/lab", "workdir: /x",
    "setup: ''", "outputs: [a, '*.csv', {source: b, destination: c}]", "limits: {}",
    "limits: {max_duration: 1h30m, boot_timeout: 90s, output_grace: 0, max_cost: '5'}", "limits: {max_duration: 5400}",
    "limits: {output_grace: 0s}", "retry: {on: [no_capacity, 'exit:255'], attempts: 1}", "retry: {}", "teardown: never",
    "matrix: {lr: [1, '2', true]}\nmax_parallel: 2", "checkpoint: {source: c, every: 5m}",
    "notify: [{on: end, webhook: x}, {on: [a, b], command: y}]", "engine: torchrun",
    "engine: {name: ray, version: 2.60.0}", "nodes: 2\non_node_loss: continue",
    "outputs: [{source: a, nodes: every}, {source: b, nodes: head}]", "$schema: x.json",
  ])
  func whatTheDecoderTakesTheSchemaTakes(text: String) throws {
    let judged = try judged(member(text))
    #expect(judged.schema.isEmpty)
    #expect(judged.decoder.isEmpty)
  }

  @Test(arguments: [
    "command: ''", "command: []", "command: 8", "command: [1]", "command: null", "resources: {}", "resources: []",
    "resources: {gpu_type: []}", "resources: {gpu_type: 4090}", "resources: {num_gpus: -1}",
    "resources: {num_gpus: 1.5}",
    "resources: {num_gpus: '8'}", "resources: {vcpus: 0}", "resources: {vcpus: '..'}", "resources: {vcpus: [1]}",
    "resources: {max_hourly_price: 24.50}", "resources: {max_hourly_price: '0.00'}",
    "resources: {max_hourly_price: '$5'}",
    "resources: {max_hourly_price: '-1'}", "resources: {vcpus: 1, prefer: fast}", "resources: {gpu: 1}", "name: A",
    "name: ''", "name: 0123456789012345678901234567890123456789", "nodes: 0", "nodes: 10001", "nodes: '2'",
    "volumes: a",
    "volumes: [a, a]", "volumes: ['']", "envs: {A: 1}", "envs: {1A: x}", "envs: [A]", "secrets: [A, A]",
    "secrets: [1A]",
    "ssh_key: {}", "ssh_key: {id: a, name: b}", "ssh_key: {path: a}", "ssh_user: -x", "ssh_user: a b", "files: x",
    "files: [{destination: a}]", "files: [{source: a, to: b}]", "files: [1]", "workdir: ''", "setup: 1",
    "outputs: [{}]",
    "limits: {max_duration: 5 min}", "limits: {max_duration: 0}", "limits: {max_duration: 0s}", "limits: {max_cost: 5}",
    "limits: {max_duration: ''}", "limits: {max_duration: 1m1h}", "limits: {timeout: 1}", "retry: {on: no_capacity}",
    "retry: {on: [never]}", "retry: {on: ['exit:']}", "retry: {attempts: 0}", "teardown: maybe", "matrix: {}",
    "matrix: {lr: []}", "matrix: {lr: [null]}", "matrix: {1: [a]}", "checkpoint: {source: c}",
    "checkpoint: c", "notify: [{on: end}]", "notify: [{on: end, webhook: a, command: b}]", "notify: [{webhook: a}]",
    "engine: spark", "engine: {name: spark}", "engine: {version: '2'}", "engine: {name: ray, version: latest}",
    "on_node_loss: stop", "outputs: [{source: a, nodes: 2}]", "$schema: 1", "comand: x", "run: x",
  ])
  func whatTheDecoderRefusesTheSchemaRefuses(text: String) throws {
    let judged = try judged(member(text))
    #expect(!judged.schema.isEmpty)
    #expect(!judged.decoder.isEmpty)
  }

  @Test func aSpecNeedsACommandAndResources() throws {
    for text in ["command: x\n", "resources: {vcpus: 1}\n", "[]\n", "x\n"] {
      let judged = try judged(text)
      #expect(!judged.schema.isEmpty && !judged.decoder.isEmpty, "\(text)")
    }
  }

  /// A value that no field can have, at each place that the schema names: the decoder must have a look at every one.
  @Test func theDecoderReadsEveryFieldOfTheSchema() throws {
    for (object, fields) in SpecSchema.objects {
      for field in fields {
        let list = object.hasSuffix("[]")
        let name = String(object.prefix { $0 != "[" })
        let wrong = "{\(field.name): {\"?\": {\"?\": 1}}}"
        let text = name.isEmpty ? wrong : "{\(name): \(list ? "[\(wrong)]" : wrong)}"
        let place = [name.isEmpty ? "" : name + (list ? "[0]." : "."), field.name].joined()
        let told = try judged(text).decoder.filter { $0.contains(" \(place)") && !$0.contains(" is missing") }
        #expect(!told.isEmpty, "\(place) is not read")
        #expect(told.allSatisfy { !$0.contains("\(place): unknown field") }, "\(told)")
      }
    }
  }

  @Test func everyFieldIsDescribed() {
    for (_, fields) in SpecSchema.objects {
      for field in fields { #expect(field.about.hasSuffix("."), "\(field.name)") }
      #expect(Set(fields.names).count == fields.count)
    }
  }
}
