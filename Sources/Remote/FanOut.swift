/// The first node passes its workdir on to the others, over their own network: scripts for ``Exec``.
///
/// Nothing is trusted because it came this way: each node's upload follows, which hashes what is there and sends what differs. So whatever
/// fails here costs time only. A node unpacks beside its workdir, and takes what it has over the connection of whoever asked for it:
/// a sender that is left over from a dead connection writes where nobody looks.
package enum FanOut {
  /// On the first node: a key for this once. Prints the public half.
  package static func mint(in control: String) -> String {
    begin([control]) + #"""
      for tool in ssh ssh-keygen tar; do command -v $tool >/dev/null 2>&1 || { echo "there is no $tool" >&2; exit 1; }; done
      rm -rf "$p/fan-out"; mkdir -p "$p/fan-out" && cd "$p/fan-out" || exit 1
      ssh-keygen -q -t ed25519 -N '' -C fcrun -f key </dev/null || exit 1
      cat key.pub
      """#
  }

  /// On another node: lets the first one in, for unpacking and nothing else (sshd(8), `restrict` and `command`).
  /// - Parameter number: one that was not there before.
  package static func letIn(_ publicKey: String, of job: String, as number: String, in control: String) -> String {
    let key = publicKey.split(whereSeparator: \.isWhitespace).prefix(2).joined(separator: " ")
    let command = unpack(number, control).replacing("\"", with: "\\\"")
    return begin([control, number, "restrict,command=\"\(command)\" \(key)", mark(job)]) + #"""
      command -v tar >/dev/null 2>&1 || exit 1
      rm -rf "$p"/fan-out.*; mkdir -p "$p/fan-out.$2" && mkdir -p ~/.ssh && cd ~/.ssh || exit 1
      \#(forget)
      printf '\n%s %s\n' "$3" "$4" >>authorized_keys
      """#
  }

  /// On the first node: sends to all of them at once. Prints a line for each that has all of it: `ok IP PORT`.
  package static func send(_ workdir: String, to peers: [Cluster.Node], as number: String, in control: String) -> String
  {
    let known = peers.map { "\($0.sshPort == 22 ? $0.ip : "[\($0.ip)]:\($0.sshPort)") \($0.hostKey)\n" }.joined()
    let targets = peers.map { "\($0.ip) \($0.sshPort) \($0.user)" }
    return begin([control, known, workdir, unpack(number, control)] + targets) + #"""
      cd "$p/fan-out" && printf %s "$2" >known_hosts || exit 1
      place "$3"; W=$p; what=$4; shift 4
      for peer; do
        (set -- $peer
          tar -C "$W" -cf - . | ssh -F /dev/null -i key -p "$2" -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=known_hosts \
            -o StrictHostKeyChecking=yes -o ConnectTimeout=5 -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o LogLevel=ERROR \
            "$3@$1" "$what" >/dev/null && echo "ok $1 $2") &
      done
      wait
      """#
  }

  /// On another node: what has come is the workdir, unless there is one already.
  package static func take(_ workdir: String, as number: String, in control: String) -> String {
    begin([control, number, workdir]) + #"""
      N=$p/fan-out.$2
      place "$3"
      (umask "$u"; mkdir -p "${p%/*}"); rmdir "$p" 2>/dev/null
      [ -e "$p" ] || mv -T "$N" "$p"
      """#
  }

  /// On every node, whatever came of it, also in a process that was killed: nobody is let in any more, and no key is left.
  package static func end(of job: String, in control: String) -> String {
    begin([control, "", "", mark(job)]) + #"""
      rm -rf "$p"/fan-out "$p"/fan-out.*
      cd ~/.ssh 2>/dev/null || exit 0
      \#(forget)
      """#
  }

  /// What the first node may run on another one. No name in it needs more quotes: the control folder is fcrun's own.
  private static func unpack(_ number: String, _ control: String) -> String {
    "tar -C \"\(control.replacing("~/", with: "$HOME/"))/fan-out.\(number)\" -xpof -"
  }

  /// `$4` is the mark. In the file itself, which keeps its owner and mode, and only once the rest of it is written beside it: on a full disk
  /// nobody must be locked out.
  private static let forget = #"""
    if grep -qsF " $4" authorized_keys; then
        grep -vF " $4" authorized_keys >fcrun.keys; r=$?
        [ $r -le 1 ] && printf '\n' >>fcrun.keys && cat fcrun.keys >authorized_keys; rm -f fcrun.keys
      fi
    """#

  private static func mark(_ job: String) -> String { "fcrun-fan-out-\(job)" }

  private static func begin(_ words: [String]) -> String {
    "set -- \(words.map { Shell.quoted($0) }.joined(separator: " "))\n" + #"""
      place() { case $1 in '~/'*) p=$HOME/${1#'~/'} ;; *) p=$1 ;; esac; }
      place "$1"
      u=$(umask); umask 077

      """#
  }
}
