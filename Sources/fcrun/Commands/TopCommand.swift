import ArgumentParser
import ForwardCompute
import Jobs
import Remote
import Runner
import Store

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// `fcrun top`: what a job's machines are busy with.
struct TopCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top", abstract: "Show how busy a job's machines are: GPUs, CPU, memory, disk.",
    discussion: """
      On a terminal live, until Ctrl-C or the end of the job; otherwise one sample. Nothing is installed on the machine.

        fcrun top train
        fcrun top train --json --count 0 --interval 10s | jq .gpus
      """)

  @Argument(help: "Id, the beginning of one, or a name.", completion: Completions.jobs)
  var job: String

  @Option(help: ArgumentHelp("Between two samples.", valueName: "duration"))
  var interval = "2s"

  @Option(help: ArgumentHelp("So many samples; 0: until the job is over.", valueName: "N"))
  var count: Int?

  @Flag(help: "Print NDJSON, an object for each node and sample.")
  var json = false

  func run() async throws {
    guard let seconds = Durations.parse(interval), seconds > 0 else {
      throw Failure(
        status: .usage, message: "--interval is \"\(interval)\": expected a duration", next: "--interval 5s")
    }
    let installation = try Installation.openAndLook()
    let record = try installation.job(job)
    let doors = try doors(of: record)
    let isLive = !json && Terminal.isThere
    var left = count ?? (isLive ? 0 : 1)
    let isEndless = left == 0
    var screen = Screen()
    while true {
      let samples = await samples(through: doors)
      try show(samples, isLive, &screen)
      left -= 1
      if left == 0 && !isEndless { return try requireOne(of: samples) }
      try await Task.sleep(for: .seconds(seconds))
      guard let now = try installation.store.job(record.id).state.attempt, now.number == doors[0].attempt.number else {
        return
      }
    }
  }

  private func doors(of record: JobRecord) throws -> [SideDoor] {
    let nodes = record.state.attempt?.machines.map(\.node) ?? [0]
    return try nodes.map { try SideDoor(to: record, node: $0) }
  }

  private func samples(through doors: [SideDoor]) async -> [Sample] {
    await withTaskGroup(of: Sample.self) { group in
      for door in doors { group.addTask { await Sample.take(through: door) } }
      return await group.reduce(into: []) { $0.append($1) }.sorted { $0.node < $1.node }
    }
  }

  private func show(_ samples: [Sample], _ isLive: Bool, _ screen: inout Screen) throws {
    if json {
      for sample in samples { try Output.print(sample.json.text() + "\n") }
    } else if isLive {
      try screen.show(
        samples.flatMap { Bars(isColourful: Terminal.isColourful, width: Terminal.width ?? 80).lines(of: $0) })
    } else {
      for case let sample in samples { if let trouble = sample.trouble { Report.warn(trouble) } }
      try Output.table(header: Sample.header, rows: samples.flatMap(\.rows))
    }
  }

  private func requireOne(of samples: [Sample]) throws {
    guard samples.allSatisfy({ $0.trouble != nil }), let trouble = samples.first?.trouble else { return }
    throw Failure(status: .machineLost, message: trouble)
  }
}

/// What one node is busy with at one moment; what is not known is nil.
struct Sample: Sendable {
  struct GPU: Sendable {
    var index: Int
    var name: String
    /// Percent.
    var use: Double?
    /// MiB.
    var memoryUsed: Double?
    var memoryTotal: Double?
    /// Degrees Celsius and watts.
    var temperature: Double?
    var power: Double?
  }

  let node: Int
  let at: Moment
  var trouble: String?
  /// Percent of all cores.
  var cpu: Double?
  var cores: Int?
  var load: Double?
  /// Bytes.
  var memoryUsed: Double?
  var memoryTotal: Double?
  var diskUsed: Double?
  var diskTotal: Double?
  var gpus: [GPU] = []

  /// Two looks at /proc/stat, a moment apart. In a container the memory is the container's, where it says so.
  private static let script = #"""
    section() { printf '== %s\n' "$1"; }
    section stat; head -n 1 /proc/stat; sleep 0.3 2>/dev/null || sleep 1; head -n 1 /proc/stat
    section cores; nproc 2>/dev/null || grep -c '^processor' /proc/cpuinfo
    section load; cat /proc/loadavg
    section memory; grep -E '^(MemTotal|MemAvailable):' /proc/meminfo
    section limit; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory.current 2>/dev/null
    section disk; case $1 in '~/'*) d=$HOME/${1#'~/'} ;; '~') d=$HOME ;; *) d=$1 ;; esac
    [ -d "$d" ] || d=/; df -kP "$d" | tail -n 1
    section gpus
    if command -v nvidia-smi >/dev/null 2>&1; then
      t=; command -v timeout >/dev/null 2>&1 && t='timeout 8'
      $t nvidia-smi --format=csv,noheader,nounits \
        --query-gpu=index,name,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw 2>/dev/null
    fi
    exit 0
    """#

  static func take(through door: SideDoor) async -> Sample {
    var sample = Sample(node: door.machine.node, at: LiveClock().now())
    do {
      sample.read(try await door.run(script, [door.record.workdir], timeout: 20))
    } catch {
      sample.trouble = (error as? Failure)?.message ?? "\(error)"
    }
    return sample
  }

  init(node: Int, at: Moment) { (self.node, self.at) = (node, at) }

  mutating func read(_ text: String) {
    var sections: [String: [String]] = [:]
    var name = ""
    for line in text.split(separator: "\n").map(String.init) {
      if line.hasPrefix("== ") { name = String(line.dropFirst(3)) } else { sections[name, default: []].append(line) }
    }
    cpu = Self.use(sections["stat"] ?? [])
    cores = sections["cores"]?.first.flatMap { Int($0) }
    load = sections["load"]?.first.flatMap { Self.numbers($0).first }
    readMemory(sections["memory"] ?? [], sections["limit"] ?? [])
    let disk =
      sections["disk"]?.first.map { Self.numbers($0.split(separator: " ").dropFirst().joined(separator: " ")) } ?? []
    if disk.count >= 2 { (diskTotal, diskUsed) = (disk[0] * 1024, disk[1] * 1024) }
    gpus = (sections["gpus"] ?? []).compactMap(Self.gpu)
  }

  private static func numbers(_ text: String) -> [Double] { text.split(separator: " ").compactMap { Double($0) } }

  /// proc_stat(5): user, nice, system, idle, iowait, …; idle are the fourth and the fifth.
  private static func use(_ lines: [String]) -> Double? {
    let looks = lines.map { numbers($0) }
    guard looks.count == 2, looks.allSatisfy({ $0.count >= 5 }) else { return nil }
    let spent = zip(looks[1], looks[0]).map { max(0, $0 - $1) }.prefix(8)
    let all = spent.reduce(0, +)
    return all > 0 ? 100 * (all - spent[3] - spent[4]) / all : nil
  }

  private mutating func readMemory(_ lines: [String], _ limit: [String]) {
    func kilobytes(_ name: String) -> Double? { lines.first { $0.hasPrefix(name) }.flatMap { Self.numbers($0).first } }
    if let total = kilobytes("MemTotal"), let free = kilobytes("MemAvailable") {
      (memoryTotal, memoryUsed) = (total * 1024, (total - free) * 1024)
    }
    guard limit.count == 2, let most = Double(limit[0]), let used = Double(limit[1]), most < memoryTotal ?? .infinity
    else { return }
    (memoryTotal, memoryUsed) = (most, used)
  }

  private static func gpu(_ line: String) -> GPU? {
    let cells = line.split(separator: ",", omittingEmptySubsequences: false).map {
      String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
    guard cells.count == 7, let index = Int(cells[0]) else { return nil }
    return GPU(
      index: index, name: cells[1], use: Double(cells[2]), memoryUsed: Double(cells[3]), memoryTotal: Double(cells[4]),
      temperature: Double(cells[5]), power: Double(cells[6]))
  }
}

// MARK: - As a table, as JSON

extension Sample {
  static let header = [
    Column(title: "NODE", alignment: .right), Column(title: "DEVICE"), Column(title: "USE", alignment: .right),
    Column(title: "MEMORY", alignment: .right), Column(title: "TEMP", alignment: .right, expendable: 2),
    Column(title: "POWER", alignment: .right, expendable: 1), Column(title: "WHAT", expendable: 3),
  ]

  var rows: [[String]] {
    guard trouble == nil else { return [] }
    let machine = [
      "\(node)", "cpu", Self.percent(cpu), Self.share(memoryUsed, memoryTotal), "-", "-",
      about,
    ]
    let disk = [
      "\(node)", "disk", Self.percent(Self.ratio(diskUsed, diskTotal).map { 100 * $0 }),
      Self.share(diskUsed, diskTotal), "-", "-", "",
    ]
    return [machine, disk]
      + gpus.map { gpu in
        [
          "\(node)", "gpu \(gpu.index)", Self.percent(gpu.use),
          Self.share(gpu.memoryUsed.map { $0 * 1_048_576 }, gpu.memoryTotal.map { $0 * 1_048_576 }),
          gpu.temperature.map { "\(Int($0))C" } ?? "-", gpu.power.map { "\(Int($0.rounded()))W" } ?? "-", gpu.name,
        ]
      }
  }

  var about: String {
    "\(cores.map { Counted.text($0, "core") } ?? "? cores"), load \(load.map { "\($0)" } ?? "?")"
  }

  static func percent(_ value: Double?) -> String { value.map { "\(Int($0.rounded()))%" } ?? "-" }

  static func ratio(_ used: Double?, _ total: Double?) -> Double? {
    guard let used, let total, total > 0 else { return nil }
    return used / total
  }

  static func share(_ used: Double?, _ total: Double?) -> String {
    guard let used, let total else { return "-" }
    let gibi = [used, total].map { amount -> String in
      let tenths = Int((amount / 107_374_182.4).rounded())
      return "\(tenths / 10).\(tenths % 10)"
    }
    return "\(gibi[0])/\(gibi[1]) GiB"
  }

  var json: JSONValue {
    func number(_ value: Double?, _ scale: Double = 1) -> JSONValue {
      value.map { .number("\(($0 * scale * 10).rounded() / 10)") } ?? .null
    }
    func whole(_ value: Double?, _ scale: Double = 1) -> JSONValue { value.map { .integer(Int($0 * scale)) } ?? .null }
    return .object(of: [
      ("at", .string(Time.preciseText(at))), ("node", .integer(node)), ("error", trouble.map(JSONValue.string)),
      ("cpu_percent", number(cpu)), ("cores", cores.map(JSONValue.integer) ?? .null),
      ("load", load.map { .number("\($0)") } ?? .null),
      ("memory_used_bytes", whole(memoryUsed)), ("memory_total_bytes", whole(memoryTotal)),
      ("disk_used_bytes", whole(diskUsed)), ("disk_total_bytes", whole(diskTotal)),
      (
        "gpus",
        .array(
          gpus.map { gpu in
            .object(of: [
              ("index", .integer(gpu.index)), ("name", .string(gpu.name)), ("use_percent", number(gpu.use)),
              ("memory_used_bytes", whole(gpu.memoryUsed, 1_048_576)),
              ("memory_total_bytes", whole(gpu.memoryTotal, 1_048_576)),
              ("temperature_celsius", number(gpu.temperature)), ("power_watts", number(gpu.power)),
            ])
          })
      ),
    ])
  }
}

// MARK: - On a terminal

/// A sample as bars.
struct Bars {
  let isColourful: Bool
  let width: Int

  func lines(of sample: Sample) -> [String] {
    guard sample.trouble == nil else { return [cut("node \(sample.node)  \(sample.trouble ?? "")")] }
    let machine = [
      "node \(sample.node)  \(sample.about)",
      line("cpu", sample.cpu.map { $0 / 100 }, ""),
      line(
        "memory", Sample.ratio(sample.memoryUsed, sample.memoryTotal),
        Sample.share(sample.memoryUsed, sample.memoryTotal)),
      line("disk", Sample.ratio(sample.diskUsed, sample.diskTotal), Sample.share(sample.diskUsed, sample.diskTotal)),
    ]
    return machine
      + sample.gpus.flatMap { gpu in
        let scale = 1_048_576.0
        let facts = [gpu.temperature.map { "\(Int($0))C" }, gpu.power.map { "\(Int($0.rounded()))W" }, gpu.name]
          .compactMap { $0 }
        return [
          line("gpu \(gpu.index)", gpu.use.map { $0 / 100 }, facts.joined(separator: " ")),
          line(
            "  memory", Sample.ratio(gpu.memoryUsed, gpu.memoryTotal),
            Sample.share(gpu.memoryUsed.map { $0 * scale }, gpu.memoryTotal.map { $0 * scale })),
        ]
      }
  }

  private func line(_ title: String, _ share: Double?, _ after: String) -> String {
    let length = max(10, min(40, width - 40))
    let full = Int((min(1, max(0, share ?? 0)) * Double(length)).rounded())
    let bar = String(repeating: "#", count: full) + String(repeating: "-", count: length - full)
    let percent = Sample.percent(share.map { $0 * 100 })
    let head = "  " + Output.pad(title, to: 9)
    let tail = " " + String(repeating: " ", count: max(0, 4 - percent.count)) + percent + "  " + Excerpt.escaped(after)
    return head + coloured(bar, share ?? 0) + String(tail.prefix(max(0, width - head.count - length)))
  }

  /// Green while there is room, yellow from 70 %, red from 90 %.
  private func coloured(_ bar: String, _ share: Double) -> String {
    guard isColourful else { return bar }
    return "\u{1B}[\(share >= 0.9 ? 31 : share >= 0.7 ? 33 : 32)m\(bar)\u{1B}[0m"
  }

  private func cut(_ text: String) -> String { String(Excerpt.escaped(text).prefix(width)) }
}

/// Lines at the same place of the terminal, again and again.
struct Screen {
  private var height = 0

  mutating func show(_ lines: [String]) throws {
    let up = height > 0 ? "\u{1B}[\(height)A\r" : ""
    try Output.print(up + "\u{1B}[J" + lines.map { $0 + "\n" }.joined())
    height = lines.count
  }
}
