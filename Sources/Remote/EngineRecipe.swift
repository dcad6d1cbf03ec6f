/// What brings the nodes of a job together, as what is done on each of them. All of it runs under the supervisor of the node, so that
/// it is started at most once, outlives our connection, and ends with the command.
package struct EngineRecipe: Sendable {
  /// Open between all nodes, or nothing is started; the engine may use others beside it.
  package var port: Int
  /// Makes what the nodes share, once, in the control folder of the first node, and prints it. For ``Exec``, after ``mint(in:)``.
  var mintScript: String?
  /// In the environment of the command, unless the user has a value of his own.
  package var environment: @Sendable (_ cluster: Cluster, _ rank: Int) -> [Launch.Variable]
  /// After `setup`, and told as a part of it: waits for the others, for a limited time.
  var prepare: @Sendable (_ cluster: Cluster, _ rank: Int) -> String
  /// In place of the command; `fcrun_user` in it runs what the user wrote.
  var command: @Sendable (_ cluster: Cluster, _ rank: Int) -> String

  /// What ``Launch`` takes for a node.
  package func wrapping(_ cluster: Cluster, _ rank: Int) -> Launch.Engine {
    Launch.Engine(
      prepare: Self.words + prepare(cluster, rank) + "\nexit 0\n", command: Self.words + command(cluster, rank) + "\n")
  }

  /// nil: the nodes share nothing.
  package func mint(in control: String) -> String? {
    mintScript.map { "set -- \(Shell.quoted(control))\n" + Self.place + $0 }
  }

  private static let place = #"""
    case $1 in '~/'*) p=$HOME/${1#'~/'} ;; *) p=$1 ;; esac
    umask 077
    mkdir -p "$p" && cd "$p" || exit 1

    """#

  /// Shared words; `$2` is the launch folder and `$4` the control folder when they are read. Names of ours begin with `fcrun_`, others
  /// may be the user's.
  static let words = #"""
    fcrun_launch=$2 fcrun_control=$4 fcrun_stop=
    fcrun_user() { /bin/sh -c '. "$2/go.user"' sh command "$fcrun_launch"; }
    fcrun_say() { printf 'fcrun: %s\n' "$*" >&2; }
    # What was started here and left to itself is known by the folder of its outputs; what this shell still waits for is not meant.
    fcrun_parent() { { read -r fcrun_t <"/proc/$1/stat"; } 2>/dev/null && set -- ${fcrun_t##*) } && fcrun_parent=$2; }
    fcrun_marked() {
      grep -lsF "FCRUN_OUTPUT_DIR=$fcrun_control/outputs" /proc/[0-9]*/environ | while read -r fcrun_p; do
        fcrun_p=${fcrun_p#/proc/}; fcrun_p=${fcrun_p%/environ}
        fcrun_parent "$fcrun_p" || continue
        while [ "$fcrun_parent" -gt 1 ]; do
          [ "$fcrun_parent" != $$ ] || continue 2
          fcrun_parent "$fcrun_parent" || break
        done
        printf '%s\n' "$fcrun_p"
      done
    }
    # Who becomes another program has no environment for a moment: nobody is there when nobody is there twice.
    fcrun_others() {
      fcrun_m=$(fcrun_marked)
      [ -n "$fcrun_m" ] || fcrun_m=$(fcrun_marked)
      [ -z "$fcrun_m" ] || printf '%s\n' "$fcrun_m"
    }
    # Ends what runs on beside the command: TERM, and KILL for what is still there after some seconds.
    fcrun_clear() {
      fcrun_n=0
      fcrun_left=$(fcrun_others)
      [ -z "$fcrun_left" ] || kill -s TERM $fcrun_left 2>/dev/null
      while fcrun_left=$(fcrun_others) && [ -n "$fcrun_left" ] && [ $fcrun_n -lt 25 ]; do
        fcrun_n=$((fcrun_n + 1)); sleep 0.2 2>/dev/null || sleep 1
      done
      [ -z "$fcrun_left" ] || kill -s KILL $fcrun_left 2>/dev/null
    }
    # Until the supervisor ends it, or what is given fails.
    fcrun_serve() {
      trap 'fcrun_stop=1' TERM
      while [ -z "$fcrun_stop" ]; do
        "$@" || return 1
        sleep 3 & wait $! 2>/dev/null
      done
      return 0
    }
    # How long nodes wait for each other, their setup may take more or less time.
    fcrun_patience=${FCRUN_ENGINE_WAIT:-600}

    """#

}
