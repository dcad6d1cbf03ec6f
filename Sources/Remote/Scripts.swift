// What runs on the machine: POSIX sh and coreutils, nothing to install. Each script gets everything as arguments, never as text in the script;
// `$1` is a random marker that opens and closes its answer, because a login shell may print before it.

package enum Script {
  /// Shared words. `place` puts the absolute path of its argument into `p`.
  private static let words = #"""
    M=$1
    say() { printf '%s\n' "$*"; }
    end() { printf '%s\n' "$M $1"; exit "$1"; }
    fail() { say "$*" >&2; end 1; }
    place() { case $1 in '~') p=$HOME ;; '~/'*) p=$HOME/${1#'~/'} ;; /*) p=$1 ;; *) p=$HOME/$1 ;; esac; }

    """#

  /// Shared by the supervisor and those who ask about it. A zombie is not alive: pid 1 of a container may never reap.
  private static let liveness = #"""
    born() { [ -r "/proc/$1/stat" ] && sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
    boot() { cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo none; }
    alive() {
      kill -s 0 "$1" 2>/dev/null || return 1
      [ -r "/proc/$1/stat" ] || { [ ! -r /proc/self/stat ]; return; }
      [ "$(born "$1")" = "$2" ] || return 1
      case $(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null) in Z* | X*) return 1 ;; esac
    }

    """#

  /// `report` prints one line: what the records say. `exit` is read again after "dead": the job may have ended between the two looks.
  private static let report = #"""
    exited() { read -r code phase ending out err rest <exit && say "exited $code $phase $ending $out $err"; }
    report() {
      if [ -f exit ]; then exited; return; fi
      [ -d begin ] || { say notBegun; return; }
      n=0
      while [ ! -f sup ] && [ ! -f exit ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.02 2>/dev/null || sleep 1; done
      if [ -f exit ]; then exited; return; fi
      [ -f sup ] || { say 'lost the supervisor died before it could write its record'; return; }
      read -r pid start booted <sup
      if [ "$booted" != "$(boot)" ]; then say 'lost the machine was rebooted'
      elif alive "$pid" "$start"; then say running
      elif [ -f exit ]; then exited
      elif [ -f child ] && read -r phase cpid cstart <child && alive "$cpid" "$cstart"; then
        say 'lost the supervisor was killed; the command still runs, but nobody will know its result'
      else say 'lost the supervisor and the command are dead, and no result is on record'; fi
    }
    wake() { for f in w.*; do [ -p "$f" ] && echo x 1<>"$f"; done; }

    """#

  /// `watch SECONDS` returns when `exit` is there, when the other side is gone (1), or after SECONDS (0: never). Prints a beat every 4 s.
  ///
  /// Registered before `exit` is looked at, so no wake-up is lost; asleep in read(2) on a FIFO, so nothing is polled.
  private static let watch = #"""
    watch() {
      F=w.$$.$M
      (umask 077; mkfifo "$F") && exec 8<>"$F" || return 2
      exec 3<&0
      (trap 'kill $s 2>/dev/null; exit' TERM; while :; do sleep 4 8>&- 3<&- & s=$!; wait $s || exit; echo t >&8; done) >/dev/null & T=$!
      (cat <&3 >/dev/null; echo q >&8) >/dev/null & Q=$!
      trap 'rm -f "$F"; kill $T $Q 2>/dev/null' EXIT
      trap 'exit 1' HUP INT TERM PIPE
      beats=0 gone=0
      while [ ! -f exit ]; do
        read -r x <&8 || :
        case $x in
          q) gone=1; break ;;
          t)
            beats=$((beats + 1))
            [ "$1" -gt 0 ] && [ $((beats * 4)) -ge "$1" ] && break
            [ $((beats % 2)) = 0 ] && [ -d begin ] && case $(report) in lost*) break ;; esac
            [ -d "$C" ] || break
            say "beat $(wc -c <stdout 2>/dev/null) $(wc -c <stderr 2>/dev/null)" ;;
        esac
      done
      return $gone
    }

    """#

  /// Arguments: marker, command. Both streams begin after the marker, the exit code follows it again.
  package static let exec =
    words + #"""
      printf '%s\n' "$M"; printf '%s\n' "$M" >&2
      /bin/sh -c "$2" </dev/null
      r=$?
      printf '\n%s %s\n' "$M" $r
      """#

  /// Files into the workdir, as one of several that do so at once; arguments: marker, control folder, workdir, the upload's number or 0 to
  /// take the workdir for a new one. Answer to 0: the number, and words for what is there: `old` files, `zstd`.
  ///
  /// What a dead connection left behind may still write, late, over files that were checked since. So whoever writes for another number ends
  /// now, and whoever has not begun to never will: first a process is on record, then it looks whether it is over, then it writes; whoever
  /// takes the workdir writes that and looks for the process in the other order, so that one of them sees the other. Only the process on
  /// record and its own children write: stopped, it makes no more of them.
  ///
  /// Then it serves requests, a line each and what belongs to it; the answer to each ends with a line `done`. BLOCK counts 64 KiB. Content is
  /// LENGTH bytes, or with PACKED 1 any number of zstd's frames, each after a line with its length, and a line `0`.
  ///
  /// - `look NAMES PLAIN`, so many bytes of names ended by NUL: mode, time of change and name of each regular file, a line `digests`, sha256 and name of each
  /// - `tar LENGTH PACKED NAMES PLAIN`, content, names: unpacks, and says the sha256 of each name; PLAIN 1: no name has a newline in it
  /// - `open KEY SIZE NAME`, so many bytes of a name: a part of that size, with what is in its place already
  /// - `hash KEY BLOCK LENGTH NAME`, a name: the sha256 of that piece of the part, or of the file when there is none, and the size of all of it
  /// - `put KEY BLOCK LENGTH PACKED`, content: the sha256 of that piece of the part as it is read back
  /// - `close KEY MODE TIME NAME`, a name: puts the part in its place
  /// - `clear`: nothing of parts is left
  package static let upload =
    words + liveness + digests + #"""
      place "$2"; C=$p; place "$3"; W=$p; T=$4
      export LC_ALL=C
      say "$M"
      umask=$(umask); umask 077
      children() { sed -n 's/^\([0-9]*\) .*) [^XZ] '"$1"' .*/\1/p' /proc/[0-9]*/stat 2>/dev/null; }
      stopped() { case $(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null) in [RSD]*) return 1 ;; esac; }
      end_writer() {
        while alive "$1" "$2"; do
          kill -s STOP "$1" 2>/dev/null
          if stopped "$1"; then
            c=$(children "$1")
            kill -s KILL ${c:-"$1"} 2>/dev/null
          fi
          sleep 0.02 2>/dev/null || sleep 1
        done
      }
      claim() {
        mkdir -p "$C" && chmod 700 "$C" && cd "$C" || fail "cannot make the control folder $C"
        T=1
        while [ -d "up.$T" ]; do T=$((T + 1)); done
        until mkdir "up.$T" 2>/dev/null; do
          [ -d "up.$T" ] || fail "cannot write to $C"
          T=$((T + 1))
        done
        for u in up.*; do
          [ "$u" = "up.$T" ] && continue
          : >"$u/over" || fail "cannot write to $C"
          for w in "$u"/w.*; do
            [ -f "$w" ] && read -r pid start <"$w" || continue
            end_writer "$pid" "$start"
          done
        done
        facts=$T
        [ -z "$(ls -A "$W" 2>/dev/null | head -n 1)" ] || facts="$facts old"
        ! command -v zstd >/dev/null 2>&1 || facts="$facts zstd"
        say "$facts"
      }
      [ "$T" != 0 ] || claim
      U=$C/up.$T
      printf '%s %s\n' $$ "$(born $$)" >"$U/$M.tmp" && mv -f "$U/$M.tmp" "$U/w.$M" || fail "cannot write to $C"
      going() { [ ! -f "$U/over" ] || exit 1; }
      no() {
        free=$(df -kP . 2>/dev/null | tail -n 1 | tr -s ' ' | cut -d' ' -f4)
        case $free in
          [0-9] | [0-9][0-9]) fail "the files cannot be written into $W: no space is left there ($free KiB)" ;;
          *) fail "the files cannot be written into $W" ;;
        esac
      }
      if dd if=/dev/null of=/dev/null bs=1 count=0 iflag=fullblock,count_bytes oflag=seek_bytes status=none 2>/dev/null; then direct=1; else direct=0; fi
      names() { head -c "$1" >"$U/n.$M" || fail "cannot write to $C"; }
      name() { N=$(head -c "$1"; echo .); N=./${N%.}; }
      content() {
        if [ "$2" = 0 ]; then head -c "$1"
        else while read -r n && [ "$n" -gt 0 ]; do head -c "$n"; done | zstd -dcq; fi
      }
      put() {
        if [ $direct = 0 ]; then content "$3" "$4" | dd of="$P/$1" bs=65536 seek="$2" conv=notrunc 2>/dev/null
        elif [ "$4" = 0 ]; then
          dd of="$P/$1" bs=262144 count="$3" seek=$(($2 * 65536)) iflag=fullblock,count_bytes oflag=seek_bytes conv=notrunc status=none
        else content "$3" "$4" | dd of="$P/$1" bs=262144 seek=$(($2 * 65536)) iflag=fullblock oflag=seek_bytes conv=notrunc status=none; fi
      }
      hash() { dd if="$1" bs=65536 skip="$2" count=$((($3 + 65535) / 65536)) 2>/dev/null | digest || fail "cannot hash a part in $W"; }
      found() {
        if [ -f "$P/$1" ]; then F=$P/$1
        elif [ -f "$N" ] && [ ! -L "$N" ]; then F=$N
        else F=/dev/null; fi
      }
      # As a rule all that is asked of are regular files, and stat says so of all at once.
      known() {
        if [ "$1" = 1 ] && xargs -0 stat -c '%f %a %Y %n' <"$U/n.$M" >"$U/s.$M" 2>/dev/null &&
          [ -z "$(sed -n '/^8/!{p;q;}' "$U/s.$M")" ]; then
          cut -d' ' -f2- "$U/s.$M"
          mv -f "$U/n.$M" "$U/r.$M"
        else
          regular <"$U/n.$M" >"$U/r.$M"
          [ ! -s "$U/r.$M" ] || xargs -0 stat -c '%a %Y %n' <"$U/r.$M" 2>/dev/null
        fi
      }
      regular() { xargs -0 sh -c 'for f; do if [ -f "$f" ] && [ ! -L "$f" ]; then printf "%s\0" "$f"; fi; done' fcrun; }
      open() {
        [ -d "$P" ] || mkdir -p "$P" 2>/dev/null || no
        if [ ! -f "$P/$1" ] && [ -f "$N" ] && [ ! -L "$N" ]; then
          cp --reflink=auto "$N" "$P/$1" 2>/dev/null || cp "$N" "$P/$1" || no
          chmod 600 "$P/$1"
        fi
        : >>"$P/$1" || no
        dd if=/dev/null of="$P/$1" bs=1 seek="$2" count=0 2>/dev/null || no
      }
      close() {
        (umask "$umask"; mkdir -p "${N%/*}") || no
        found "$1"
        [ "$F" != /dev/null ] || fail "$N has vanished"
        chmod "$2" "$F" && TZ=UTC0 touch -t "$3" "$F" || no
        [ "$F" != "$N" ] || return 0
        [ ! -L "$N" ] || rm -f "$N"
        [ ! -d "$N" ] || fail "$N is a folder there"
        mv -f "$F" "$N" || no
      }
      entered=
      while read -r what a b c d; do
        going
        [ -n "$entered" ] || { (umask "$umask"; mkdir -p "$W") && cd "$W" && entered=1 || fail "cannot make the workdir $W"; }
        P=.fcrun-parts
        case $what in
          look)
            names "$a"
            known "$b"
            say digests
            if [ -s "$U/r.$M" ]; then digests "$b" <"$U/r.$M"; fi ;;
          tar)
            content "$a" "$b" | (umask "$umask"; exec tar -xpof -) || no
            names "$c"
            [ "$c" = 0 ] || digests "$d" <"$U/n.$M" || fail "cannot hash the files in $W" ;;
          open) name "$c"; open "$a" "$b" ;;
          hash) name "$d"; found "$a"; hash "$F" "$b" "$c"; say $(($(wc -c <"$F"))) ;;
          put) [ -d "$P" ] || mkdir -p "$P" 2>/dev/null || no; put "$a" "$b" "$c" "$d" || no; hash "$P/$a" "$b" "$c" ;;
          close) name "$d"; close "$a" "$b" "$c" ;;
          clear) rm -rf "$P" ;;
          *) fail "an upload has no $what" ;;
        esac
        say 'done'
      done
      rm -f "$U/n.$M" "$U/r.$M" "$U/s.$M" "$U/w.$M"
      end 0
      """#

  /// `digests PLAIN` hashes the NUL-separated names on stdin, `digest` what is on stdin. openssl(1) has the processor's own instructions for it
  /// and is many times faster, but does not escape the newline in a name: PLAIN 1 promises that there is none.
  private static let digests = #"""
    digests() {
      if [ "$1" = 1 ] && command -v openssl >/dev/null 2>&1; then set -- openssl dgst -sha256 -r
      elif command -v sha256sum >/dev/null 2>&1; then set -- sha256sum --
      elif command -v shasum >/dev/null 2>&1; then set -- shasum -a 256 --
      else set -- openssl dgst -sha256 -r; fi
      LC_ALL=C xargs -0 "$@"
    }
    digest() {
      if command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r
      elif command -v sha256sum >/dev/null 2>&1; then sha256sum
      else shasum -a 256; fi
    }

    """#

  /// Arguments: marker, control folder, workdir, seconds to live (0: for ever), grace, 1 when an upload made
  /// the control folder. Stdin: a tar archive with the files of ``LaunchFiles``.
  package static let launch =
    words + liveness + report + #"""
      u=$(umask); umask 077
      place "$2"; C=$p; place "$3"; W=$p
      say "$M"
      if [ "$6" = 1 ] && [ ! -d "$C" ]; then
        cat >/dev/null
        say 'lost the machine has lost its disk since the upload'
        end 0
      fi
      mkdir -p "$C" && chmod 700 "$C" && cd "$C" || fail "cannot make the control folder $C"
      if [ ! -d begin ]; then
        (umask "$u"; mkdir -p "$W") || fail "cannot make the workdir $W"
        L=$C/l.$M
        # Whoever has won the gate meanwhile tidies up what others brought: no failure, the command has begun.
        mkdir "$L" && LC_ALL=C tar -xpof - -C "$L" || { rm -rf "$L"; [ -d begin ] || fail "cannot write to $C"; }
        set -- "$L/supervisor" "$C" "$L" "$W" "$u" "$4" "$5"
        if command -v setsid >/dev/null 2>&1; then setsid /bin/sh "$@" </dev/null >>"$C/sup.log" 2>&1 &
        else (trap '' HUP; exec /bin/sh "$@" </dev/null >>"$C/sup.log" 2>&1) & fi
        n=0
        while [ ! -f sup ] && [ ! -f exit ] && [ $n -lt 500 ]; do n=$((n + 1)); sleep 0.02 2>/dev/null || sleep 1; done
        [ -d begin ] || fail "the supervisor did not start: $(tail -n 3 sup.log 2>/dev/null)"
      fi
      report
      end 0
      """#

  /// Runs setup and command at most once; arguments: control folder, launch folder, workdir, umask, seconds to live, grace.
  package static let supervisor =
    #"""
    #!/bin/sh
    # fcrun's supervisor of one job: takes the gate, runs setup and command, writes the record `exit`.
    C=$1 L=$2 W=$3 U=$4 LIFE=$5 GRACE=$6
    cd "$C" && P=$(pwd -P) && C=$P || exit 125
    umask 077
    trap '' HUP INT QUIT

    """# + liveness + #"""
      wake() { for f in w.*; do [ -p "$f" ] && echo x 1<>"$f"; done; }
      # How many processes the kernel has killed for memory: of this cgroup (cgroups(7)), and of the whole host (proc_vmstat(5)).
      ooms() {
        n=0
        while IFS=: read -r id names path; do
          case $names in
            '') f=/sys/fs/cgroup$path/memory.events; [ -r "$f" ] || f=/sys/fs/cgroup/memory.events ;;
            memory) f=/sys/fs/cgroup/memory$path/memory.oom_control; [ -r "$f" ] || f=/sys/fs/cgroup/memory/memory.oom_control ;;
            *) continue ;;
          esac
          k=$(sed -n 's/^oom_kill //p' "$f" 2>/dev/null)
          n=$((n + ${k:-0}))
        done 2>/dev/null </proc/self/cgroup
        k=$(sed -n 's/^oom_kill //p' /proc/vmstat 2>/dev/null)
        printf '%s %s\n' "$n" "${k:-0}"
      }
      # The only gate: exactly one winner, for ever. A loser leaves nothing behind, its copy of the secrets least of all.
      mkdir begin 2>/dev/null || { rm -rf "$L"; exit 0; }
      why=exited groups= timer= killer= interrupted=
      trap 'interrupted=1; [ $why = exited ] && why=stopped' TERM
      trap 'interrupted=1; [ $why = exited ] && why=timedOut' USR1
      # Room for the result, taken now: a disk that the job fills must not swallow it.
      printf '%120s\n' '' >exit.tmp
      : >>stdout; : >>stderr; mkdir -p outputs
      say() { printf '%s\n' "$2" >"$1.tmp" && mv -f "$1.tmp" "$1"; }
      say sup "$$ $(born $$) $(boot)"
      ooms=$(ooms 2>/dev/null)
      for f in l.*; do [ "$f" = "${L##*/}" ] || rm -rf "$f"; done

      # after SECONDS COMMAND: in the background, leaves no sleeper behind when it is ended early.
      after() { (trap 'kill $s 2>/dev/null; exit' TERM; sleep "$1" & s=$!; wait $s || exit; trap - TERM; eval "$2") & }
      # Becomes the leader of a process group, with the signals as a login shell has them: shells start what is in the background deaf to INT and QUIT.
      own() {
        if env --default-signal=INT true 2>/dev/null; then set -- env --default-signal=HUP,INT,QUIT "$@"
        elif command -v perl >/dev/null 2>&1; then set -- perl -e '$SIG{$_} = "DEFAULT" for qw(HUP INT QUIT); exec @ARGV' "$@"; fi
        if command -v setsid >/dev/null 2>&1; then exec setsid "$@"
        elif command -v perl >/dev/null 2>&1; then exec perl -e 'setpgrp(0, 0); exec @ARGV' "$@"
        else exec timeout 0 "$@"; fi
      }
      # TERM to the process group, to the process itself while it is not yet its leader; KILL after the grace.
      finish() {
        [ -z "$killer" ] || return 0
        g=$GRACE; [ -f stop ] && read -r g <stop
        kill -s TERM -- "-$P" 2>/dev/null || kill -s TERM "$P" 2>/dev/null
        after "$g" "kill -s KILL -- -$P 2>/dev/null || kill -s KILL $P" ; killer=$!
      }
      # phase NAME: runs it and leaves its exit code in `rc`.
      phase() {
        (own /bin/sh "$L/run" "$1" "$L" "$W" "$C" "$U") </dev/null >>"$2" 2>>stderr & P=$!
        groups="$groups $P"
        say child "$1 $P $(born $P)"
        rc=
        while :; do
          [ $why = exited ] || finish
          interrupted=
          wait $P; r=$?
          # A wait that a signal cut short tells nothing; one that finds nobody left tells what was known before.
          [ $r = 127 ] && [ -n "$rc" ] && break
          rc=$r
          [ -n "$interrupted" ] || break
        done
        [ -z "$killer" ] || kill -s TERM $killer 2>/dev/null; killer=
      }
      # Whoever is left of the process groups, and whoever still holds the log files, ends now: the logs are final afterwards.
      # The shell itself reads a pipe byte by byte: it is given only what matters.
      members() {
        for g in $groups; do
          cat /proc/[0-9]*/stat 2>/dev/null | sed -n "s/^\([0-9]*\) .*) [^XZ] [0-9]* $g .*/\1/p"
        done
      }
      say_pid() { printf '%s\n' "$1"; }
      holders() {
        ls -l /proc/[0-9]*/fd/1 /proc/[0-9]*/fd/2 2>/dev/null | grep -F " -> $C/std" | while read -r line; do
          case $line in *" -> $C/stdout" | *" -> $C/stderr") line=${line#*" /proc/"}; say_pid "${line%%/*}" ;; esac
        done
      }
      sweep() {
        for g in $groups; do kill -s KILL -- "-$g" 2>/dev/null; done
        n=0
        while left=$(members; holders) && [ -n "$left" ] && [ $n -lt 100 ]; do
          for pid in $left; do [ "$pid" = $$ ] || kill -s KILL "$pid" 2>/dev/null; done
          n=$((n + 1)); sleep 0.02 2>/dev/null || sleep 1
        done
      }
      # The record, over the room kept for it; again until the disk takes it.
      record() {
        text=$(printf '%-118s .' "$1")
        n=0
        while [ $n -lt 600 ]; do
          printf '%s\n' "$text" 1<>exit.tmp 2>/dev/null && [ "$(cat exit.tmp 2>/dev/null)" = "$text" ] && {
            sync exit.tmp 2>/dev/null || sync
            mv -f exit.tmp exit && return
          }
          n=$((n + 1)); sleep 1
        done
      }

      case $LIFE in 0) ;; *) after "$LIFE" "kill -s USR1 $$"; timer=$! ;; esac
      at=command
      [ -f "$L/go.setup" ] && { at=setup; phase setup stderr; }
      if [ $at = command ] || { [ "$rc" = 0 ] && [ $why = exited ]; }; then at=command; phase command stdout; fi
      trap '' TERM USR1
      [ -z "$timer" ] || kill -s TERM $timer 2>/dev/null
      rm -f "$L/env"
      sweep
      [ "$rc" = 0 ] || [ "$(ooms 2>/dev/null)" = "$ooms" ] || say ooms "$ooms $(ooms 2>/dev/null)"
      record "$rc $at $why $(($(wc -c <stdout))) $(($(wc -c <stderr)))"
      wake
      """#

  /// Becomes setup or command. Arguments: phase, launch folder, workdir, control folder, umask.
  ///
  /// After `eval` only `$1…` are sure to be ours: the job's environment may hold any name.
  package static let run = #"""
    umask "$5"
    cd "$3" || exit 126
    FCRUN_OUTPUT_DIR=$4/outputs FCRUN_HOSTFILE=$4/hostfile FCRUN_NODE_IFACE=
    if [ -r /proc/net/route ]; then
      while read -r fcrun_iface fcrun_to fcrun_rest; do
        case $fcrun_to in
          00000000) FCRUN_NODE_IFACE=$fcrun_iface; break ;;
          Destination) ;;
          *) FCRUN_NODE_IFACE=${FCRUN_NODE_IFACE:-$fcrun_iface} ;;
        esac
      done </proc/net/route
    fi
    unset fcrun_iface fcrun_to fcrun_rest
    FCRUN_NODE_IFACE=${FCRUN_NODE_IFACE:-lo}
    export FCRUN_OUTPUT_DIR FCRUN_HOSTFILE FCRUN_NODE_IFACE
    case $1 in
      setup) eval "$(cat "$2/env")" ;;
      *) eval "$(cat "$2/env"; rm -f "$2/env")" ;;
    esac
    # As MPI and its like read it: as many slots as GPUs, or as cores where there are none.
    fcrun_slots=${FCRUN_GPUS_PER_NODE:-0}
    [ "$fcrun_slots" != 0 ] || fcrun_slots=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
    printf '%s\n' "${FCRUN_NODE_IPS-}" | sed "s/\$/ slots=$fcrun_slots/" >"$4/hostfile"
    unset fcrun_slots
    . "$2/go.$1"
    """#

  /// Arguments: marker, control folder.
  package static let status =
    words + liveness + report + #"""
      place "$2"; C=$p
      say "$M"
      if cd "$C" 2>/dev/null; then report; else say notBegun; fi
      end 0
      """#

  /// Are the GPUs there? `none` without nvidia-smi, else `gpus N TEXT`, or `dead TEXT`, with the first that nvidia-smi says
  /// beside its list: on stdout, as its failures are. For ``Exec``.
  package static let gpus = #"""
    command -v nvidia-smi >/dev/null 2>&1 || { echo none; exit 0; }
    if command -v timeout >/dev/null 2>&1; then out=$(timeout 40 nvidia-smi -L 2>&1); else out=$(nvidia-smi -L 2>&1); fi
    r=$?
    said=$(printf '%s\n' "$out" | grep '[^[:space:]]' | grep -v '^GPU [0-9]' | head -n 1)
    if [ $r != 0 ]; then printf 'dead exit code %s%s\n' $r "${said:+: $said}"; exit 0; fi
    printf 'gpus %s %s\n' "$(printf '%s\n' "$out" | grep -c '^GPU [0-9]')" "$said"
    """#

  /// The utilization of each GPU in percent, a line for each (nvidia-smi(1)). For ``Exec``.
  package static let utilization =
    "nvidia-smi --query-gpu=utilization.gpu --format=csv,noheader,nounits"

  /// Why did a command of this control folder fail? A line for each sign of the machine: `oom TEXT`, `hostoom TEXT` (somebody was
  /// killed for memory on this host) and `gpu TEXT`. For ``Exec``.
  package static func diagnosis(control: String) -> String {
    "set -- \(Shell.quoted(control))\n" + #"""
      case $1 in '~/'*) p=$HOME/${1#'~/'} ;; *) p=$1 ;; esac
      cd "$p" || exit 1
      limit() { if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }
      if [ -f ooms ] && read -r a b c d <ooms; then
        [ "$c" -le "$a" ] || printf 'oom the kernel killed %s of its processes for memory\n' "$((c - a))"
        [ "$d" -le "$b" ] || printf 'hostoom the kernel killed for memory, processes: %s\n' "$((d - b))"
      fi
      if [ -f sup ] && read -r pid start booted <sup; then
        since=$((start / $(getconf CLK_TCK 2>/dev/null || echo 100)))
        limit 5 dmesg 2>/dev/null | sed -n 's/^\[ *\([0-9]*\)\.[0-9]*\] *\(.*\)/\1 \2/p' | while read -r at text; do
          [ "$at" -ge "$since" ] || continue
          case $text in
            *'Out of memory: Kill'* | *'emory cgroup out of memory'*) printf 'oom %s\n' "$text" ;;
            *'NVRM: Xid'*)
              code=${text#*'): '}
              case ${code%%,*} in 48 | 62 | 63 | 64 | 74 | 79 | 92 | 94 | 95 | 119 | 120) printf 'gpu %s\n' "$text" ;; esac ;;
          esac
        done
      fi
      if command -v nvidia-smi >/dev/null 2>&1; then
        out=$(limit 10 nvidia-smi -L 2>&1); r=$?; out=$(printf '%s\n' "$out" | grep '[^[:space:]]')
        [ $r = 0 ] || printf 'gpu nvidia-smi: %s\n' "$(printf '%s\n' "${out:-exit code $r}" | head -n 1)"
        case $out in *'GPU is lost'* | *'fallen off the bus'* | *'Unable to determine the device handle'*)
          printf 'gpu nvidia-smi: %s\n' "$(printf %s "$out" | head -n 1)" ;;
        esac
      fi
      exit 0
      """#
  }

  /// Arguments: marker, control folder, grace. Before the launch it takes the gate, so that nothing can start any more.
  package static let stop =
    words + liveness + report + watch + #"""
      umask 077
      place "$2"; C=$p
      say "$M"
      mkdir -p "$C" && cd "$C" || fail "cannot make the control folder $C"
      if mkdir begin 2>/dev/null; then
        : >>stdout; : >>stderr
        printf '130 command stopped 0 0 .\n' >exit.$M && mv -f exit.$M exit || fail "cannot write to $C"
        wake
      elif [ ! -f exit ]; then
        printf '%s\n' "$3" >stop.$M && mv -f stop.$M stop
        case $(report) in
          running)
            read -r pid start booted <sup
            kill -s TERM "$pid"
            watch $((${3%.*} + 20)) ;;
          lost*rebooted) ;;
          lost*)
            if [ -f child ] && read -r phase pid start <child && alive "$pid" "$start"; then
              kill -s TERM -- "-$pid" 2>/dev/null
              n=0
              while alive "$pid" "$start" && [ $n -lt "$((${3%.*} + 1))" ]; do n=$((n + 1)); sleep 1; done
              kill -s KILL -- "-$pid" 2>/dev/null
            fi ;;
        esac
      fi
      # What has left the process group and the logs behind still has the folder of its outputs in its environment.
      [ ! -f exit ] || grep -lsF "FCRUN_OUTPUT_DIR=$C/outputs" /proc/[0-9]*/environ | while read -r p; do
        p=${p#/proc/}; kill -s KILL "${p%/environ}" 2>/dev/null
      done
      report
      end 0
      """#

  /// Arguments: marker, control folder. Prints beats with both sizes, at the end the report and both sizes.
  package static let observe =
    words + liveness + report + watch + #"""
      place "$2"; C=$p
      say "$M"
      if ! cd "$C" 2>/dev/null; then say notBegun; end 0; fi
      if [ -d begin ]; then
        say "beat $(wc -c <stdout 2>/dev/null) $(wc -c <stderr 2>/dev/null)"
        watch 0
        if [ ! -d "$C/begin" ]; then say 'lost the records on the machine are gone'; end 0; fi
        say "sizes $(wc -c <stdout 2>/dev/null) $(wc -c <stderr 2>/dev/null)"
      fi
      report
      end 0
      """#

  /// Arguments: marker, control folder, first byte of stdout and of stderr (from 1). Both streams begin after the marker; ends with stdin.
  package static let tail =
    words + #"""
      place "$2"
      cd "$p" || exit 1
      n=0
      while [ ! -f stderr ] && [ $n -lt 500 ]; do n=$((n + 1)); sleep 0.02 2>/dev/null || sleep 1; done
      s=; tail -s 0.1 -c 1 /dev/null 2>/dev/null && s='-s 0.1'
      printf '%s\n' "$M"; printf '%s\n' "$M" >&2
      exec 3<&0
      tail -c "+$3" $s -f stdout 2>/dev/null 3<&- & a=$!
      tail -c "+$4" $s -f stderr >&2 2>/dev/null 3<&- & b=$!
      trap 'kill $a $b 2>/dev/null' EXIT
      trap 'exit 1' HUP INT TERM PIPE
      cat <&3 >/dev/null
      """#

  /// Arguments: marker, control folder, workdir, 1 for the output folder too, patterns… Answer: sections, each opened by a line `marker name`:
  /// `matches N` (names, each ended by NUL), then for each domain (`w` workdir, `o` output folder) `refused D` (names), `large D` (names of files
  /// that ``fetch`` is for) and `facts D` (a line for each of them), `tar D` (archives), `files D` (names) and `hashes D` (a line for each of `files`). Ends with 3 where
  /// a name went away meanwhile.
  package static let pack =
    words + digests + #"""
      place "$2"; C=$p; place "$3"; W=$p; O=$4
      shift 4
      say "$M"
      section() { printf '%s\n' "$M $*"; }
      T=$C/c.$M
      (umask 077; mkdir -p "$C" && mkdir "$T") || fail "cannot write to $C"
      trap 'rm -rf "$T"' EXIT
      trap 'exit 1' HUP INT TERM PIPE
      # One match: told to the other side, and noted as a root. A link that was asked for by name stands for what it leads to.
      found() {
        f=./${1#./}
        printf '%s\0' "$f"
        if [ -L "$f" ] && [ -d "$f" ]; then printf '%s\0' "$f/." >>"$T/roots"
        elif [ -L "$f" ] && [ -f "$f" ]; then printf '%s\0' "$f" >>"$T/links"
        else printf '%s\0' "$f" >>"$T/roots"; fi
      }
      there() { [ -e "$1" ] || [ -L "$1" ]; }
      matches() {
        if there "./$1"; then found "$1"; return; fi
        case $1 in
          *'**'*)
            if command -v bash >/dev/null 2>&1; then
              bash -c 'shopt -s globstar nullglob; IFS=; for f in $1; do printf "%s\0" "$f"; done' fcrun "$1" >"$T/glob"
            else
              find . -path "./$(printf %s "$1" | sed 's/\*\*\//*/g; s/\*\*/*/g')" -print0 >"$T/glob"
            fi
            cat "$T/glob" >>"$T/roots"; cat "$T/glob" ;;
          *)
            IFS=; set -- $1; unset IFS
            for g; do ! there "./$g" || found "$g"; done ;;
        esac
      }
      # One look at each file: its size is asked for once, so that it is either large or not.
      T=$T; export T; export note='o=$0; for f; do printf "%s\0" "$f"; done >>"$o"'
      sort_out() {
        for f in large files others odd; do : >"$T/$f"; done
        [ ! -s "$T/roots" ] || <"$T/roots" xargs -0 sh -c 'find "$@" \( -type f -size "+$large" -exec sh -c "$note" "$T/large" {} + \
          -o -type f -exec sh -c "$note" "$T/files" {} + -o \( -type d -o -type l \) -exec sh -c "$note" "$T/others" {} + \
          -o -exec sh -c "$note" "$T/odd" {} + \)' fcrun
      }
      # 8 MiB, in blocks of 512; without stat(1) nothing can be told of a large file, and it goes as any other.
      large=16384; stat -c %s / >/dev/null 2>&1 || large=99999999999999
      export large
      pack() {
        : >>"$T/roots"; : >>"$T/links"
        sort_out
        cat "$T/others" "$T/files" >"$T/all"
        cat "$T/links" >>"$T/files"
        section refused $1; cat "$T/odd"
        section large $1; cat "$T/large"
        section facts $1
        if [ -s "$T/large" ]; then LC_ALL=C xargs -0 stat -c '%s %a %Y %y %z' <"$T/large" || unread "$T/large" "the outputs could not be looked at"; fi
        section tar $1
        if [ -s "$T/all" ]; then archive "$T/all" || unread "$T/all" "tar could not read the outputs"; fi
        if [ -s "$T/links" ]; then archive "$T/links" -h || unread "$T/links" "tar could not read the outputs"; fi
        section files $1; cat "$T/files"
        section hashes $1
        plain=1; [ "$(tr -cd '\n' <"$T/files" | wc -c)" -eq 0 ] || plain=0
        if [ -s "$T/files" ]; then digests $plain <"$T/files" || unread "$T/files" "the outputs could not be hashed"; fi
      }
      # A name that is there no more: the tree changed while it was read, and may be whole the next time.
      unread() {
        gone=$(<"$1" xargs -0 sh -c 'for f; do [ -e "$f" ] || [ -L "$f" ] || printf gone; done' fcrun)
        [ -z "$gone" ] || end 3
        fail "$2"
      }
      # GNU tar says 1 when a file changed meanwhile; the hashes will tell.
      archive() {
        if tar --null -cf /dev/null -T /dev/null 2>/dev/null; then LC_ALL=C tar $2 --no-recursion --null -cf - -T "$1" || [ $? = 1 ]
        else LC_ALL=C xargs -0 tar $2 --no-recursion -cf - <"$1"; fi
      }
      if cd "$W" 2>/dev/null; then
        i=0
        for pattern; do section matches $i; matches "$pattern"; i=$((i + 1)); done
        pack w
      fi
      if [ "$O" = 1 ] && cd "$C/outputs" 2>/dev/null; then
        rm -f "$T/roots" "$T/links"
        printf './.\0' >"$T/roots"
        pack o
      fi
      end 0
      """#

  /// Pieces of large outputs; arguments: marker, control folder, workdir. Serves requests, a line each and then NAME bytes of a name:
  ///
  /// - `get DOMAIN BLOCK LENGTH NAME`: LENGTH bytes from that block of 64 KiB on, and the line `hash` answers
  /// - `hash DOMAIN BLOCK LENGTH NAME`: the sha256 of these bytes, read once more
  /// - `facts DOMAIN - - NAME`: the line that ``pack`` told of it
  package static let fetch =
    words + digests + #"""
      place "$2"; C=$p; place "$3"; W=$p
      export LC_ALL=C
      say "$M"
      if dd if=/dev/null of=/dev/null bs=1 count=0 iflag=fullblock,count_bytes status=none 2>/dev/null; then direct=1; else direct=0; fi
      piece() {
        if [ $direct = 1 ]; then dd if="$N" bs=65536 skip="$1" count="$2" iflag=fullblock,count_bytes status=none
        else dd if="$N" bs=65536 skip="$1" count=$((($2 + 65535) / 65536)) 2>/dev/null | head -c "$2"; fi
      }
      while read -r what d block length name; do
        N=$(head -c "$name"; echo .); N=${N%.}
        case $d in o) cd "$C/outputs" ;; *) cd "$W" ;; esac || fail "the outputs have gone"
        case $what in
          get)
            piece "$block" "$length" || fail "$N could not be read"
            [ $(($(wc -c <"$N"))) -ge $((block * 65536 + length)) ] || fail "$N has become shorter while it was fetched"
            piece "$block" "$length" | digest || fail "$N could not be hashed" ;;
          hash) piece "$block" "$length" | digest || fail "$N could not be hashed" ;;
          facts) stat -c '%s %a %Y %y %z' "$N" || fail "$N has gone while it was fetched" ;;
          *) fail "a fetch has no $what" ;;
        esac
      done
      end 0
      """#
}
