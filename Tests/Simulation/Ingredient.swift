import Jobs
import Simulator

/// One thing that goes wrong in a seed. A script is a list of them, so that those which do not matter can be left out.
package struct Ingredient: Sendable {
  /// As it is printed, with its numbers.
  package let name: String
  /// The kind, for counting.
  package let kind: String
  let effect: Effect

  enum Effect: Sendable {
    case cloud(@Sendable (inout Knobs) -> Void)
    /// Knobs that are turned at a moment and back at another.
    case cloudBetween(Duration, Duration, @Sendable (inout Knobs) -> Void)
    case machines(@Sendable (Kernel) -> Void)
    case crash(process: Int, call: Int, VirtualProcess.Death, cutsPower: Bool)
    case stop(process: Int, call: Int, Duration)
    /// Another process takes the job over by force, after a while, whatever this one is doing.
    case takeover(process: Int, after: Duration)
    case skew(process: Int, Duration)
    case secretsGone(process: Int)
    case stateLost(afterProcess: Int)
    case signal(Signal, Duration)
    case cancel(Duration)
    case disk(percent: Double)
    /// No commit succeeds from this phase on.
    case diskFull(from: String)
  }
}

/// How an ingredient is drawn.
struct Recipe: Sendable {
  let kind: String
  /// The faults of reliability.md (a) that it stands for.
  let faults: [Int]
  let chance: Double
  let make: @Sendable (inout Dice) -> (name: String, effect: Ingredient.Effect)

  func draw(_ dice: inout Dice) -> Ingredient {
    let (name, effect) = make(&dice)
    return Ingredient(name: name.isEmpty ? kind : "\(kind) \(name)", kind: kind, effect: effect)
  }
}

extension Recipe {
  static let all: [Recipe] = cloudFaults + cloudDelays + cloudHabits + machineFaults + processFaults + userFaults

  // MARK: - The cloud

  private static func fault(
    _ kind: String, _ faults: [Int], chance: Double = 0.17,
    _ knob: any WritableKeyPath<Knobs, Simulator.Fault> & Sendable
  ) -> Recipe {
    Recipe(kind: kind, faults: faults, chance: chance) { dice in
      let fault = dice.fault()
      let name = fault.times.map { "the first \($0)" } ?? "\(Int(fault.percent)) %"
      return (name, .cloud { $0[keyPath: knob] = fault })
    }
  }

  private static let cloudFaults: [Recipe] = [
    fault("boot_error", [55], \.bootError), fault("boot_stuck", [54], \.bootStuck),
    fault("unknown_status", [26], \.unknownStatus), fault("active_error", [55], \.activeError),
    fault("preempt", [91], \.preempt), fault("restart", [60], \.restart), fault("flap", [28], \.flap),
    fault("move_address", [57], \.moveAddress), fault("change_host_key", [65], \.changeHostKey),
    fault("out_of_capacity", [53], \.outOfCapacity), fault("insufficient_balance", [41], \.insufficientBalance),
    fault("create_without_id", [21], \.createWithoutID), fault("create_late", [17], \.createLate),
    fault("create_reset", [17, 20], \.createReset), fault("create_cut", [20], \.createCut),
    fault("create_fails", [22], \.createFails), fault("create_lost", [18], \.createLost),
    fault("create_refused", [18], \.createRefused), fault("create_silent", [18, 47], \.createSilent),
    fault("create_queued", [19], \.createQueued), fault("create_twice", [49], \.createTwice),
    fault("price_change", [40], \.priceChange), fault("refresh_stale", [27], \.refreshStale),
    fault("list_drops", [30], \.listDrops), fault("list_empty", [31], \.listEmpty),
    fault("list_unreadable", [31], \.listUnreadable), fault("reads_reset", [20], \.readsReset),
    fault("reads_cut", [20], \.readsCut), fault("reads_flicker", [27, 33], \.readsFlicker),
    fault("reads_fail", [24], \.readsFail),
    fault("reads_limited", [23], \.readsLimited), fault("creates_limited", [23], \.createsLimited),
    fault("deletes_limited", [23], \.deletesLimited), fault("delete_stuck", [37], chance: 0.02, \.deleteStuck),
    fault("delete_refused", [35], \.deleteRefused), fault("delete_forgotten", [38], \.deleteForgotten),
    fault("delete_reset", [20], \.deleteReset), fault("delete_fails", [35], \.deleteFails),
    fault("deletes_lost", [38], \.deletesLost), fault("deleted_returns", [39], \.deletedReturns),
  ]

  private static func delay(
    _ kind: String, _ faults: [Int], upTo longest: Double, chance: Double = 0.2,
    _ knob: any WritableKeyPath<Knobs, Span> & Sendable
  ) -> Recipe {
    Recipe(kind: kind, faults: faults, chance: chance) { dice in
      let span = dice.span(longest)
      return ("\(span.low)…\(span.high) ms", .cloud { $0[keyPath: knob] = span })
    }
  }

  private static let cloudDelays: [Recipe] = [
    delay("list_lag", [29], upTo: 58, \.listLagSeconds), delay("cache_lag", [27], upTo: 60, \.cacheLagSeconds),
    delay("new_not_found", [33], upTo: 58, \.newNotFoundSeconds), delay("ip_late", [56], upTo: 60, \.ipLateSeconds),
    delay("sshd_late", [63], upTo: 300, \.sshdLateSeconds), delay("key_late", [64], upTo: 120, \.keyLateSeconds),
    delay("slow_delete", [37], upTo: 120, \.deleteSeconds),
    delay("very_slow_delete", [37], upTo: 7_200, chance: 0.01, \.deleteSeconds),
    delay("queued_for", [19], upTo: 36_000, \.createQueuedSeconds),
    delay("latency", [47], upTo: 40, \.latencySeconds), delay("boot_takes", [54], upTo: 900, \.bootSeconds),
    delay("returns_after", [39], upTo: 3_600, \.deletedReturnsSeconds),
    delay("mishap_after", [91], upTo: 600, \.preemptSeconds), delay("restart_after", [60], upTo: 600, \.restartSeconds),
  ]

  private static func habit(_ kind: String, _ faults: [Int], _ turn: @escaping @Sendable (inout Knobs) -> Void)
    -> Recipe
  {
    Recipe(kind: kind, faults: faults, chance: 0.15) { _ in ("", .cloud(turn)) }
  }

  private static func spell(_ kind: String, _ faults: [Int], _ turn: @escaping @Sendable (inout Knobs) -> Void)
    -> Recipe
  {
    Recipe(kind: kind, faults: faults, chance: 0.06) { dice in
      let from = dice.number(0, 600)
      let until = from + dice.number(1, dice.happens(0.2) ? 21_600 : 300)
      return ("\(Int(from))…\(Int(until)) s", .cloudBetween(.seconds(from), .seconds(until), turn))
    }
  }

  private static let cloudHabits: [Recipe] = [
    habit("deleted_visible", [34]) { $0.deletedVisibleSeconds = Span(0, 20) },
    habit("deleted_in_list", [34]) { $0.deletedInList = true },
    habit("delete_refused_while_creating", [36]) { $0.deleteRefusedWhileCreating = true },
    habit("ssh_user_absent", [59]) { $0.sshUserAbsent = true },
    habit("reuse_address", [58]) { $0.reuseAddress = true },
    habit("unique_names", [49]) { $0.uniqueNames = true },
    habit("answers_id_only", [21]) { $0.createAnswer = "id" },
    habit("html_errors", [21]) { $0.htmlErrors = true },
    habit("queued_says_failure", [19]) { $0.createQueuedAnswer = "failure" },
    habit("failure_is_provider_error", [22]) { ($0.createFailsStatus, $0.createFailsType) = (400, "provider_error") },
    habit("preempted_is_error", [91]) { $0.preemptStatus = "error" },
    habit("preempted_is_active", [92]) { $0.preemptStatus = "active" },
    habit("preempted_is_gone", [91]) { $0.preemptStatus = "gone" },
    spell("key_revoked", [43]) { $0.keyRevoked = true },
    spell("forbidden", [43]) { $0.forbidden = true },
    spell("outage", [24]) {
      $0.readsFail = .always; $0.deleteFails = .always; $0.createRefused = .always
    },
    Recipe(kind: "balance", faults: [42], chance: 0.04) { dice in
      let money = "\(Int(dice.number(1, 500)))"
      return ("0.\(money)", .cloud { $0.balance = "0.\(money)" })
    },
  ]

  // MARK: - Machines and the way to them

  private static let machineFaults: [Recipe] = [
    Recipe(kind: "connections_break", faults: [69, 70], chance: 0.3) { dice in
      let percent = dice.number(1, 25)
      return ("\(Int(percent)) %", .machines { $0.lossPercent = percent })
    },
    Recipe(kind: "remote_script_killed", faults: [90], chance: 0.1) { dice in
      let percent = dice.number(1, 25)
      return ("\(Int(percent)) %", .machines { $0.remoteFailurePercent = percent })
    },
    Recipe(kind: "gpus_dead", faults: [55], chance: 0.1) { dice in
      let percent = dice.number(5, 100)
      return ("\(Int(percent)) %", .machines { $0.deadGPUPercent = percent })
    },
    Recipe(kind: "gpus_silent", faults: [], chance: 0.1) { dice in
      let percent = dice.number(5, 100)
      return ("\(Int(percent)) %", .machines { $0.silentGPUPercent = percent })
    },
    at("supervisor_killed", [83]) { kernel in
      for host in kernel.hosts.values {
        for control in host.runs.keys where host.runs[control]?.record(at: kernel.now) == nil {
          host.runs[control]?.unsupervisedSince = kernel.now
        }
      }
    },
    at("disk_wiped", [88]) { kernel in
      for machine in kernel.cloud.machines where machine.power == .on {
        kernel.host(machine.id).wipe()
        kernel.cloud.reboot(machine.id, now: kernel.now.milliseconds)
      }
    },
    at("deleted_in_the_console", [50]) { kernel in
      guard let ours = kernel.cloud.living.first(where: { !kernel.witness.foreign.contains($0.id) }) else { return }
      _ = kernel.cloud.delete(ours.id, now: kernel.now.milliseconds)
    },
  ]

  private static func at(_ kind: String, _ faults: [Int], _ what: @escaping @Sendable (Kernel) -> Void) -> Recipe {
    Recipe(kind: kind, faults: faults, chance: 0.05) { dice in
      let after = Duration.seconds(dice.number(0, 900))
      return ("after \(Int(after.seconds)) s", .machines { kernel in kernel.after(after) { what(kernel) } })
    }
  }

  // MARK: - fcrun's own computer

  private static func crash(_ number: Int) -> Recipe {
    Recipe(
      kind: "crash", faults: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16],
      chance: number == 0 ? 0.9 : number < 3 ? 0.6 : 0.3
    ) {
      dice in
      let (call, effect) = (dice.whole(1...(dice.happens(0.5) ? 12 : 50)), dice.one(of: VirtualProcess.Death.allCases))
      let cutsPower = dice.happens(0.3)
      return (
        "of process \(number) at its call \(call), \(effect.rawValue)\(cutsPower ? ", power cut" : "")",
        .crash(process: number, call: call, effect, cutsPower: cutsPower)
      )
    }
  }

  private static let processFaults: [Recipe] =
    (0..<10).map(crash) + [
      Recipe(kind: "stopped", faults: [101, 105], chance: 0.1) { dice in
        let (process, call) = (dice.whole(0...3), dice.whole(1...40))
        let length = Duration.seconds(dice.number(1, dice.happens(0.3) ? 40_000 : 120))
        return (
          "process \(process) at call \(call) for \(Int(length.seconds)) s",
          .stop(process: process, call: call, length)
        )
      },
      Recipe(kind: "taken_over", faults: [103, 105], chance: 0.1) { dice in
        let (process, after) = (dice.whole(0...2), Duration.seconds(dice.number(0, 400)))
        return ("process \(process) after \(Int(after.seconds)) s", .takeover(process: process, after: after))
      },
      Recipe(kind: "clock_off", faults: [48, 102], chance: 0.15) { dice in
        let process = dice.whole(0...4)
        let days = dice.happens(0.3) ? 3_650.0 : 1.0
        let skew = Duration.seconds(dice.number(-days, days) * 86_400)
        return ("process \(process) by \(Int(skew.seconds)) s", .skew(process: process, skew))
      },
      Recipe(kind: "secret_missing", faults: [120], chance: 0.05) { dice in
        let process = dice.whole(0...3)
        return ("process \(process)", .secretsGone(process: process))
      },
      Recipe(kind: "commits_fail", faults: [97, 98], chance: 0.1) { dice in
        let percent = dice.number(1, 40)
        return ("\(Int(percent)) %", .disk(percent: percent))
      },
      Recipe(kind: "disk_full", faults: [97], chance: 0.05) { dice in
        let phase = dice.one(of: ["creating", "booting", "uploading", "launching", "running", "releasing"])
        return ("from \(phase)", .diskFull(from: phase))
      },
      Recipe(kind: "state_folder_lost", faults: [111], chance: 0.05) { dice in
        let process = dice.whole(0...3)
        return ("after process \(process)", .stateLost(afterProcess: process))
      },
    ]

  private static let userFaults: [Recipe] = [
    Recipe(kind: "signal", faults: [106], chance: 0.25) { dice in
      let (signal, after) = (dice.one(of: Signal.allCases), Duration.seconds(dice.number(0, 400)))
      return ("\(signal.name) after \(Int(after.seconds)) s", .signal(signal, after))
    },
    Recipe(kind: "cancel", faults: [106], chance: 0.1) { dice in
      let after = Duration.seconds(dice.number(0, 400))
      return ("after \(Int(after.seconds)) s", .cancel(after))
    },
  ]
}
