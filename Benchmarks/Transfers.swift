import Foundation
import Remote
import TestSupport

/// Files up and down.
struct Transfers {
  let machine: Machine
  let folder: String
  let sizes: Sizes

  private static let control = "~/c/job"
  private static let links = [Link.loopback, Link(roundTrip: 0.02), Link(roundTrip: 0.1)]

  func contests() throws -> [Contest] {
    try prepareSources()
    var contests = Self.links.prefix(2).map(connect)
    contests += Self.links.map { smallFiles(over: $0, count: sizes.files) }
    contests += try Self.links.dropFirst().map { try fewFiles(over: $0) }
    contests += try Self.links.map { try bigFileUp(over: $0) }
    contests += Self.links.map(bigFileDown)
    contests += [Link.loopback, Link(roundTrip: 0.02, rate: 12.5e6)].map(text)
    contests += Self.links.prefix(2).map(again)
    contests += Self.links.prefix(2).map(changed)
    return contests
  }

  // MARK: Sources

  private func prepareSources() throws {
    try Program.shell(
      """
      cd '\(folder)'
      mkdir -p big many few text
      head -c \(sizes.megabytes << 20) /dev/urandom >big/data
      i=0
      head -c \(sizes.files * 4096) /dev/urandom | split -a 3 -b 4096000 - part.
      for p in part.*; do mkdir "many/$p"; split -a 4 -b 4096 "$p" "many/$p/f"; rm "$p"; done
      mkdir few/d; head -c 819200 /dev/urandom | split -a 4 -b 4096 - few/d/f
      """)
    try writeText(sizes.megabytes << 20, to: folder + "/text/data")
  }

  /// Lines as a training run logs them: what zstd makes a third or less of.
  private func writeText(_ count: Int, to path: String) throws {
    guard FileManager.default.createFile(atPath: path, contents: nil),
      let file = FileHandle(forWritingAtPath: path)
    else { throw Unmet("cannot write \(path)") }
    var state: UInt64 = 1
    var left = count
    while left > 0 {
      var block = ""
      while block.utf8.count < 1 << 20 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        block +=
          "step \(state >> 44) loss \(state >> 33 & 0xFFFFF) lr 0.0003 grad_norm \(state >> 50) tokens/s 14\(state >> 54)\n"
      }
      let part = Data(block.utf8.prefix(left))
      try file.write(contentsOf: part)
      left -= part.count
    }
    try file.close()
  }

  // MARK: fcrun

  private func connect(over link: Link) -> Contest {
    Contest(
      work: "connect, authenticate, first byte", link: link, repeats: 10,
      fcrun: {
        let worker = try Worker.connected(to: machine, over: link)
        try worker.perform(.exec(Exec(command: "true", timeout: 20)))
        return try worker.end()
      },
      others: [
        Contender(name: "ssh host true", goal: link == .loopback ? 4 : 1.9) {
          try Program.run(machine.ssh(over: link, "true"))
        }
      ])
  }

  private func upload(_ name: String, over link: Link) throws -> Usage {
    let worker = try Worker.connected(to: machine, over: link)
    try worker.perform(
      .upload(
        Upload(
          control: Self.control, workdir: "~/files",
          sources: [.init(source: "\(folder)/\(name)", destination: name, exclude: [], isWhole: true)])))
    return try worker.end()
  }

  private func fresh() throws { _ = try machine.emptied("files") }

  private func arrived(_ name: String) -> () throws -> Void {
    { try Program.shell("diff -rq '\(folder)/\(name)' '\(machine.home)/files/\(name)'") }
  }

  private func uploading(
    _ work: String, _ name: String, over link: Link, _ others: [Contender], repeats: Int = 1
  ) -> Contest {
    Contest(
      work: work, link: link, prepare: fresh, verify: arrived(name), repeats: repeats,
      fcrun: { try upload(name, over: link) },
      others: others)
  }

  // MARK: Others

  private func scp(_ name: String, over link: Link, goal: Double?) -> Contender {
    Contender(name: "scp -r", goal: goal) {
      try Program.run(
        ["/usr/bin/scp"] + machine.options + [
          "-q", "-r", "-P", "\(try machine.port(over: link))", "\(folder)/\(name)",
          "\(machine.host):\(machine.home)/files/",
        ])
    }
  }

  private func sftp(_ name: String, over link: Link, goal: Double?) throws -> Contender {
    let batch = folder + "/batch-\(name)"
    try Data("put -r \(folder)/\(name) \(machine.home)/files/\n".utf8).write(to: URL(filePath: batch))
    return Contender(name: "sftp put -r", goal: goal) {
      try Program.run(
        ["/usr/bin/sftp"] + machine.options + [
          "-q", "-P", "\(try machine.port(over: link))", "-b", batch, machine.host,
        ])
    }
  }

  private func rsync(_ name: String, over link: Link, goal: Double?) -> Contender {
    Contender(name: "rsync -a", goal: goal) {
      try Program.run([
        "/usr/bin/rsync", "-a", "-e", try machine.sshWord(over: link), "\(folder)/\(name)",
        "\(machine.host):\(machine.home)/files/",
      ])
    }
  }

  private func tar(_ name: String, over link: Link, goal: Double?) -> Contender {
    Contender(name: "tar | ssh tar", goal: goal) {
      let there = try machine.sshWord(over: link) + " \(machine.host)"
      return try Program.run([
        "/bin/sh", "-c", "tar -C '\(folder)' -cf - \(name) | \(there) 'tar -C ~/files -xf -'",
      ])
    }
  }

  private func cat(_ name: String, over link: Link) -> Contender {
    Contender(name: "ssh -c aes128-gcm 'cat >'", goal: nil) {
      try Program.run(
        machine.ssh(
          over: link, "mkdir -p ~/files/\(name) && cat >~/files/\(name)/data", extra: ["-c", "aes128-gcm@openssh.com"]),
        stdin: "\(folder)/\(name)/data")
    }
  }

  // MARK: Contests

  /// rsync compares times of change by the second, and two rounds may be in one: milliseconds, taken for seconds.
  private static func aged(_ file: String) -> String {
    "touch -d \"@$(($(date +%s%N) / 1000000 % 1000000000))\" '\(file)'"
  }

  private func smallFiles(over link: Link, count: Int) -> Contest {
    let isNear = link == .loopback
    var others = [
      rsync("many", over: link, goal: isNear ? 1.5 : 1.7), tar("many", over: link, goal: 1),
    ]
    if isNear { others.insert(scp("many", over: link, goal: 5), at: 0) }
    return uploading("\(count) files of 4 KiB up", "many", over: link, others)
  }

  /// One after the other they take minutes for ten thousand.
  private func fewFiles(over link: Link) throws -> Contest {
    uploading(
      "200 files of 4 KiB up", "few", over: link,
      [scp("few", over: link, goal: 30), try sftp("few", over: link, goal: 30), rsync("few", over: link, goal: 1.7)])
  }

  private func bigFileUp(over link: Link) throws -> Contest {
    uploading(
      "\(sizes.megabytes) MiB of random bytes up", "big", over: link,
      [
        scp("big", over: link, goal: goal(link, 1, 1.8, 4)), try sftp("big", over: link, goal: nil),
        rsync("big", over: link, goal: nil), cat("big", over: link),
      ])
  }

  private func goal(_ link: Link, _ near: Double, _ middle: Double, _ far: Double) -> Double {
    link.roundTrip == 0 ? near : link.roundTrip < 0.05 ? middle : far
  }

  private func bigFileDown(over link: Link) -> Contest {
    let got = folder + "/got"
    return Contest(
      work: "\(sizes.megabytes) MiB of random bytes down", link: link,
      prepare: {
        try Program.shell(
          "rm -rf '\(got)'; mkdir '\(got)'; mkdir -p '\(machine.home)/files/down'; "
            + "cmp -s '\(folder)/big/data' '\(machine.home)/files/down/data' || cp '\(folder)/big/data' '\(machine.home)/files/down/data'"
        )
      },
      verify: { try Program.shell("cmp '\(folder)/big/data' '\(got)/data'") },
      fcrun: {
        let worker = try Worker.connected(to: machine, over: link)
        try worker.perform(
          .collect(
            Collect(
              control: Self.control, workdir: "~/files", outputs: [.init(source: "down/data", destination: "data")],
              outputFolder: nil, root: got, partial: got + "/.partial", isLeftInCache: true)))
        return try worker.end()
      },
      others: [
        Contender(name: "scp -r", goal: goal(link, 1, 1.3, 3)) {
          try Program.run(
            ["/usr/bin/scp"] + machine.options + [
              "-q", "-r", "-P", "\(try machine.port(over: link))", "\(machine.host):\(machine.home)/files/down/data",
              got + "/",
            ])
        },
        Contender(name: "ssh cat", goal: nil) {
          try Program.run(machine.ssh(over: link, "cat ~/files/down/data"), stdout: got + "/data")
        },
      ])
  }

  private func text(over link: Link) -> Contest {
    uploading(
      "\(sizes.megabytes) MiB of text up", "text", over: link,
      [scp("text", over: link, goal: link.rate == nil ? 1 : 2)])
  }

  private func again(over link: Link) -> Contest {
    let file = "\(folder)/many/part.aaa/faaaa"
    return Contest(
      work: "1 of \(sizes.files) files changed, up again", link: link,
      prepare: {
        try Program.shell(
          "mkdir -p '\(machine.home)/files'; rsync -a --delete '\(folder)/many' '\(machine.home)/files/'; "
            + "head -c 4096 /dev/urandom >'\(file)'; \(Self.aged(file))")
      },
      verify: arrived("many"),
      fcrun: { try upload("many", over: link) },
      others: [rsync("many", over: link, goal: 1)])
  }

  private func changed(over link: Link) -> Contest {
    let file = "\(folder)/big/data"
    return Contest(
      work: "\(sizes.megabytes) MiB of which 1 MiB changed, up again", link: link,
      prepare: {
        try Program.shell(
          "mkdir -p '\(machine.home)/files'; rsync -a --delete '\(folder)/big' '\(machine.home)/files/'; "
            + "head -c 1048576 /dev/urandom | dd of='\(file)' bs=1048576 seek=\(sizes.megabytes / 3) conv=notrunc status=none; "
            + "\(Self.aged(file))")
      },
      verify: arrived("big"),
      fcrun: { try upload("big", over: link) },
      others: [rsync("big", over: link, goal: nil)])
  }
}
