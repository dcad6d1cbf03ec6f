import Foundation
import TestSupport

/// One job that does nothing: what is left is what the tool takes.
extension CloudJobs {
  private static let work = "a job that does nothing, less boot and deletion"

  /// By fcrun and by a script that a careful person would write: from its start until it asks for the deletion, less the time that the machine
  /// boots, and how many requests each sends until it has ended.
  func noOp(rounds: Int) throws -> (Verdict, [Figure]) {
    let job = try write(
      "noop.json",
      #"{"resources": {"max_hourly_price": "30.00"}, "command": "true", "limits": {"max_duration": "10m"}, "retry": {"attempts": 1}}"#
    )
    let script = try write("baseline.sh", Self.baseline)
    return try withCloud { environment in
      let (own, theirs) = (Requests(environment), Requests(environment))
      let contest = Contest(
        work: Self.work, link: .loopback,
        fcrun: { try own.counting([Binaries.fcrun, "submit", job, "--yes"]) },
        others: [
          Contender(name: "curl, ssh master, rsync", goal: 1) { try theirs.counting(["/bin/sh", script]) }
        ])
      let verdict = try contest.judge(rounds: rounds)
      let name = "requests to the API of a job that does nothing"
      return (
        verdict,
        [
          Figure(work: name, link: "", value: median(own.counts), unit: "", goal: median(theirs.counts) - 1),
          Figure(work: name + ", of the script", link: "", value: median(theirs.counts), unit: "", goal: nil),
        ]
      )
    }
  }

  /// Picks the cheapest, creates, polls, connects once, sends, runs, fetches, deletes and sees it gone.
  private static let baseline = #"""
    set -eu
    api() { curl -sS -f -X "$1" -H "Authorization: Bearer $FORWARD_COMPUTE_API_KEY" -H 'Content-Type: application/json' ${3:+-d "$3"} "$FORWARD_COMPUTE_BASE_URL$2"; }
    field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }
    W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
    api GET '/v1/spot/compute/offerings?available=true' >"$W/offerings"
    offering=$(tr '{' '\n' <"$W/offerings" | sed -n 's/.*"hourly_price":"\{0,1\}\([0-9.]*\).*"id":"\([^"]*\)".*/\1 \2/p' | sort -n | head -n 1 | cut -d' ' -f2)
    key=$(api GET /v1/spot/ssh-keys/ | field id)
    id=$(api POST /v1/spot/instances/ "{\"name\":\"b$$\",\"offering_id\":\"$offering\",\"ssh_key_id\":\"$key\"}" | field id)
    while :; do
      api GET "/v1/spot/instances/$id" >"$W/i"
      grep -q '"status":"active"' "$W/i" && break
      sleep 0.1
    done
    port=$(field ssh_port <"$W/i"); user=$(field ssh_user <"$W/i"); host=$(field ip <"$W/i")
    S="ssh -F none -i $FCRUN_SSH_KEY -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ControlPath=$W/m -p $port"
    $S -o ControlMaster=yes -o ControlPersist=30 -fN "$user@$host"
    mkdir "$W/in" "$W/out"
    rsync -a -e "$S" "$W/in/" "$user@$host:work/"
    $S "$user@$host" 'cd work && true' >"$W/log"
    rsync -a -e "$S" "$user@$host:work/" "$W/out/"
    $S -O exit "$user@$host" 2>/dev/null
    api DELETE "/v1/spot/instances/$id" >/dev/null
    while api GET "/v1/spot/instances/$id" >"$W/i" 2>/dev/null && ! grep -q '"status":"deleted"' "$W/i"; do sleep 0.1; done
    """#
}

/// What the cloud was asked by programs that ran one after the other.
private final class Requests {
  private(set) var counts: [Double] = []
  private let environment: [String: String]

  init(_ environment: [String: String]) { self.environment = environment }

  /// - Returns: what the program took, but for the boot and for what came after it had asked for the deletion.
  func counting(_ words: [String]) throws -> Usage {
    let before = try log().count
    var usage = try Program.run(words, environment: environment)
    let end = Date()
    let new = try log().dropFirst(before)
    counts.append(Double(new.count))
    guard let deletion = new.first(where: { $0.method == "DELETE" }) else { throw Unmet("nothing was deleted") }
    usage.seconds -= try end.timeIntervalSince(deletion.moment) + CloudJobs.boot
    return usage
  }

  private func log() throws -> [Request] {
    let decoder = JSONDecoder()
    return try decoder.decode([Request].self, from: CloudJobs.get("/_sim/requests", environment))
  }

  private struct Request: Decodable {
    var time: String
    var method: String

    var moment: Date {
      get throws { try Date(time, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)) }
    }
  }
}
