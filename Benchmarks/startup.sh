#!/bin/bash
# How long it takes until a command has said what it has to say: fcrun, and other programs that rent machines.
#
#   Benchmarks/startup.sh                  the release in .build/release, 21 rounds, a table on stdout
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

# Of the numbers on stdin, in seconds: a row's cells, in milliseconds.
figures() {
  sort -n | awk '
    { time[NR] = $1 * 1000 }
    END {
      median = NR % 2 ? time[(NR + 1) / 2] : (time[NR / 2] + time[NR / 2 + 1]) / 2
      printf "%.0f | %.0f", median, time[1]
    }'
}

table() {
  local place times
  echo '| command | median ms | fastest | median CPU ms | fastest |'
  echo '|---|--:|--:|--:|--:|'
  for place in "${!commands[@]}"; do
    times=$work/times.$place
    echo "| ${names[$place]} | $(cut -d' ' -f1 "$times" | figures) | $(awk '{ print $2 + $3 }' "$times" | figures) |"
  done
}

mkdir -p "$work/home" "$work/empty"
chmod 700 "$work/empty"
finished
add '`true`, what starting any program takes' "$work/empty" /bin/true
add '`fcrun --help`' "$work/empty" "$fcrun --help"
add '`fcrun ps`, no job' "$work/empty" "$fcrun ps"
add "\`fcrun ps\`, $jobs finished jobs" "$work/full" "$fcrun ps"
add "\`fcrun ps -a -n 20\`, $jobs finished jobs" "$work/full" "$fcrun ps -a -n 20"
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
table
