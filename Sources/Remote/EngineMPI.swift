extension EngineRecipe {
  /// The user's own mpirun on the first node. It reaches the others with a key that was made for this job, and lies on that node only.
  package static let mpi = EngineRecipe(
    port: 29500,
    mintScript: #"""
      command -v ssh-keygen >/dev/null 2>&1 || { echo 'there is no ssh-keygen; install openssh-client in the image' >&2; exit 1; }
      mkdir -p mpi && cd mpi || exit 1
      [ -s key.pub ] || { rm -f key key.pub; ssh-keygen -q -t ed25519 -N '' -C fcrun -f key </dev/null; } || exit 1
      cat key.pub
      """#,
    environment: { cluster, _ in
      var variables = [
        ("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        // Only the first node opens connections, so no other needs the key.
        ("OMPI_MCA_plm_rsh_no_tree_spawn", "1"),
      ]
      if let network = cluster.network {
        variables += [("OMPI_MCA_btl_tcp_if_include", network), ("OMPI_MCA_oob_tcp_if_include", network)]
      }
      return variables.map { Launch.Variable(name: $0.0, value: $0.1) }
    },
    prepare: { cluster, rank in agent + (rank == 0 ? logIn(cluster) : letIn(cluster)) },
    command: { cluster, rank in rank == 0 ? mpirun : serve(cluster) })

  /// orted dies on a node that does not have the file with which mpirun reached it, so each has it.
  private static let agent = #"""
    umask 077
    mkdir -p "$fcrun_control/mpi" && cd "$fcrun_control/mpi" || exit 1
    printf '#!/bin/sh\nexec ssh -F "%s/config" "$@"\n' "$fcrun_control/mpi" >rsh && chmod 700 rsh || exit 1

    """#

  /// The first node: what it knows of the others, and patience until all of them let it in.
  private static func logIn(_ cluster: Cluster) -> String {
    let known = cluster.nodes.map { "\($0.sshPort == 22 ? $0.ip : "[\($0.ip)]:\($0.sshPort)") \($0.hostKey)\n" }
    let hosts = cluster.nodes.map { "Host \($0.ip)\n  Port \($0.sshPort)\n  User \($0.user)\n" }
    return """
      cat >known_hosts <<'fcrun'
      \(known.joined())fcrun
      cat >config <<'fcrun'
      \(hosts.joined())fcrun

      """ + patience
  }

  private static let patience = #"""
    cat >>config <<fcrun
    Host *
      IdentityFile "$fcrun_control/mpi/key"
      UserKnownHostsFile "$fcrun_control/mpi/known_hosts"
      IdentitiesOnly yes
      BatchMode yes
      StrictHostKeyChecking yes
      ConnectTimeout 5
      ServerAliveInterval 5
      ServerAliveCountMax 3
      LogLevel ERROR
    fcrun
    fcrun_end=$(($(date +%s) + fcrun_patience))
    for fcrun_ip in $FCRUN_NODE_IPS; do
      [ "$fcrun_ip" != "$FCRUN_NODE_IP" ] || continue
      until ./rsh "$fcrun_ip" true </dev/null >/dev/null 2>why; do
        if [ "$(date +%s)" -ge $fcrun_end ]; then
          fcrun_say "node 0 could not log in to $fcrun_ip within $fcrun_patience s: $(tail -n 1 why)"
          exit 1
        fi
        sleep 0.3 2>/dev/null || sleep 1
      done
    done
    """#

  /// The other nodes let the first one in.
  private static func letIn(_ cluster: Cluster) -> String {
    let key = (cluster.shared ?? "").split(whereSeparator: \.isWhitespace).prefix(2).joined(separator: " ")
    return """
      mkdir -p ~/.ssh || exit 1
      grep -qsF \(Shell.quoted(key)) ~/.ssh/authorized_keys ||
        printf '\\n%s\\n' \(Shell.quoted("\(key) \(mark(cluster))")) >>~/.ssh/authorized_keys || exit 1
      """
  }

  private static let mpirun = #"""
    : "${OMPI_MCA_plm_rsh_agent=$fcrun_control/mpi/rsh}" "${OMPI_MCA_orte_default_hostfile=$FCRUN_HOSTFILE}"
    export OMPI_MCA_plm_rsh_agent OMPI_MCA_orte_default_hostfile
    trap : TERM
    fcrun_user; fcrun_r=$?
    rm -rf "$fcrun_control/mpi"
    exit $fcrun_r
    """#

  private static func serve(_ cluster: Cluster) -> String {
    """
    fcrun_serve true
    umask 077
    cd ~/.ssh && grep -vF \(Shell.quoted(" " + mark(cluster))) authorized_keys >fcrun.keys
    cat fcrun.keys >authorized_keys; rm -f fcrun.keys
    exit 143
    """
  }

  private static func mark(_ cluster: Cluster) -> String { "fcrun-\(cluster.job)" }
}
