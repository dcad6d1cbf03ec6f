#!/bin/bash
# How long it takes until a command has said what it has to say: fcrun, and other programs that rent machines.
#
#   Benchmarks/startup.sh                  the release in .build/release, 21 rounds, a table on stdout
#   WRITE=1 Benchmarks/startup.sh          the table into docs/benchmarks.md, the figures into docs/startup.json
#   ROUNDS=5 FCRUN=/usr/local/bin/fcrun Benchmarks/startup.sh
#   PEERS=~/peers Benchmarks/startup.sh    where sky, dstack, modal, hf and vastai are installed, or will be
#
# They come from PyPI, each in a venv of its own; gh is the one in PATH. What cannot be had is said, and left out.
# All run in turn, round after round, so that whatever else the computer does meets all of them alike.
set -euo pipefail
cd "$(dirname "$0")/.."

fcrun=$(realpath "${FCRUN:-.build/release/fcrun}")
rounds=${ROUNDS:-21}
jobs=${JOBS:-100000}
peers=${PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/fcrun-bench}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '%s\n' "$*" >&2; }

# Commands by their place, with what each is called in the table and which state folder it has.
names=() commands=() homes=()
add() { names+=("$1"); homes+=("$2"); commands+=("$3"); }

# One venv for each, because their dependencies do not agree.
peer() {
  local program=$1 package=$2 venv=$peers/$1 version
  if [ ! -x "$venv/bin/$program" ]; then
    say "installing $package"
    python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "$package" >&2 || true
  fi
  if [ -x "$venv/bin/$program" ]; then
    version=$("$venv/bin/pip" show "$package" 2>/dev/null | sed -n 's/^Version: //p')
    add "\`$program --help\` ($package $version)" "$work/empty" "$venv/bin/$program --help"
  else
    say "$package cannot be installed here: left out"
  fi
}

# A job that has run here, so many times: every row is one that a real submit wrote.
finished() {
  say "making $jobs finished jobs"
  FCRUN_HOME=$work/full "$fcrun" submit --local --yes jobs/hello.json >/dev/null 2>"$work/log" || {
    cat "$work/log" >&2
    exit 1
  }
  python3 - "$work/full/fcrun.db" "$jobs" <<'END'
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
kept = [row[1] for row in store.execute("PRAGMA table_info(jobs)") if row[1] not in ("id", "created_at", "submit_id")]
store.execute(
    f"""WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
    INSERT INTO jobs (id, created_at, {', '.join(kept)})
    SELECT printf('%016x', n), created_at - n, {', '.join(kept)} FROM jobs, number""",
    (int(sys.argv[2]) - 1,),
)
store.commit()
END
}

# Seconds from start to end, and of the processor: the first is what a person waits, the second does not depend on the neighbours.
TIMEFORMAT='%3R %3U %3S'
once() {
  { time HOME=$work/home FCRUN_HOME=${homes[$1]} ${commands[$1]} >"$work/out" 2>&1 </dev/null; } 2>"$work/time"
}

measure() {
  local round place
  for ((round = 0; round <= rounds; round++)); do
    for place in "${!commands[@]}"; do
      once "$place" || { cat "$work/out" >&2; say "failed: ${commands[$place]}"; exit 1; }
      # The first round fills the caches.
      [ "$round" = 0 ] || cat "$work/time" >>"$work/times.$place"
    done
  done
}

# The table on stdout; with WRITE=1 into docs/benchmarks.md instead, and the figures in milliseconds beside it.
report() {
  for place in "${!commands[@]}"; do printf '%s\t%s\n' "${names[$place]}" "$work/times.$place"; done >"$work/names"
  python3 - "$work/names" "${WRITE:-}" <<'END'
import json, re, statistics, sys

def figures(name, times):
    rounds = [[1000 * float(word) for word in line.split()] for line in open(times)]
    waited, worked = [row[0] for row in rounds], [row[1] + row[2] for row in rounds]
    return {
        "command": name.replace("`", ""),
        "median_ms": statistics.median(waited), "fastest_ms": min(waited),
        "cpu_median_ms": statistics.median(worked), "cpu_fastest_ms": min(worked),
    }

rows = [(name, figures(name, times)) for name, times in (line.rstrip("\n").split("\t") for line in open(sys.argv[1]))]
table = ["| command | median ms | fastest | median CPU ms | fastest |", "|---|--:|--:|--:|--:|"] + [
    f"| {name} | " + " | ".join(f"{row[key]:.0f}" for key in list(row)[1:]) + " |" for name, row in rows
]
if sys.argv[2]:
    page = "docs/benchmarks.md"
    marks = r"(<!-- make bench-startup writes from here -->\n).*?(\n<!-- to here -->)"
    text, count = re.subn(marks, lambda m: m[1] + "\n" + "\n".join(table) + "\n" + m[2], open(page).read(), flags=re.S)
    assert count == 1, f"{page} has no marks for the table"
    open(page, "w").write(text)
    json.dump({"rounds": len(open(f"{sys.argv[1][:-5]}times.0").readlines()), "figures": [row for _, row in rows]},
              open("docs/startup.json", "w"), indent=2)
    open("docs/startup.json", "a").write("\n")
else:
    print("\n".join(table))
END
}

mkdir -p "$work/home" "$work/empty"
chmod 700 "$work/empty"
finished
add '`true`, what starting any program takes' "$work/empty" /bin/true
add '`fcrun --help`' "$work/empty" "$fcrun --help"
add '`fcrun ps`, no job' "$work/empty" "$fcrun ps"
add "\`fcrun ps\`, $jobs finished jobs" "$work/full" "$fcrun ps"
add "\`fcrun ps -a -n 20\`, $jobs finished jobs" "$work/full" "$fcrun ps -a -n 20"
add "\`fcrun ps -a\`, all of $jobs finished jobs" "$work/full" "$fcrun ps -a"
if command -v gh >/dev/null; then
  add "\`gh --help\` ($(gh --version | sed -n 's/^gh version \([^ ]*\).*/\1/p'))" "$work/empty" "$(command -v gh) --help"
else
  say 'gh is not in PATH: left out'
fi
peer sky skypilot
peer dstack dstack
peer modal modal
peer hf huggingface_hub
peer vastai vastai
measure
report
