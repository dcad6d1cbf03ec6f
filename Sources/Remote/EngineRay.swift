extension EngineRecipe {
  /// A Ray cluster: the head, the others beside it, and the command plainly on the head once all of them are alive. Nobody without the
  /// job's token gets in.
  ///
  /// - Parameters:
  ///   - version: of Ray, installed where another one is there, or none; nil: what is there is used.
  ///   - tasks: what the cluster runs in place of the command.
  package static func ray(version: String?, tasks: RayTasks? = nil) -> EngineRecipe {
    let find = "fcrun_want=\(Shell.quoted(version ?? ""))\n" + self.find
    return EngineRecipe(
      port: 6379,
      mintScript: #"""
        [ -s token ] || { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >token.new && mv -f token.new token; } || exit 1
        cat token
        """#,
      environment: { cluster, _ in
        [
          ("RAY_ADDRESS", "\(cluster.nodes[0].ip):6379"), ("RAY_AUTH_MODE", "token"),
          ("RAY_AUTH_TOKEN", (cluster.shared ?? "").filter { !$0.isWhitespace }),
          ("RAY_USAGE_STATS_ENABLED", "0"), ("PYTHONUNBUFFERED", "1"),
          // A silent node costs seconds: with Ray's own values it is 7 minutes.
          ("RAY_grpc_client_keepalive_time_ms", "10000"), ("RAY_grpc_client_keepalive_timeout_ms", "10000"),
        ].map { Launch.Variable(name: $0.0, value: $0.1) } + (tasks == nil ? [] : ofTasks)
      },
      prepare: { _, rank in find + install + start + (rank == 0 ? head : worker) },
      command: { _, rank in rank > 0 ? find + serve : find + interpreter + (tasks?.script ?? "") + drive })
  }

  /// A task is a process of its own below Ray's: who ends the small one would leave the large one beside its second try. So what is short
  /// of memory is the kernel's to end, and what outlives its parent is ended with it.
  private static let ofTasks = [
    ("RAY_memory_monitor_refresh_ms", "0"), ("RAY_task_oom_retries", "0"),
    ("RAY_kill_child_processes_on_worker_exit_with_raylet_subreaper", "true"),
  ].map { Launch.Variable(name: $0.0, value: $0.1) }

  /// Ray that was installed here is used.
  private static let find = #"""
    fcrun_venv=$HOME/.fcrun/ray-$fcrun_want
    fcrun_use() { [ ! -f "$fcrun_venv/whole" ] || { PATH=$fcrun_venv/bin:$PATH; export PATH; }; }
    fcrun_use

    """#

  /// In an environment of its own, in which what the machine has can be imported.
  private static let install = #"""
    if [ -n "$fcrun_want" ] && [ "$(ray --version 2>/dev/null | sed 's/.* //')" != "$fcrun_want" ]; then
      fcrun_say "installing Ray $fcrun_want on node $FCRUN_NODE_RANK"
      rm -rf "$fcrun_venv"
      python3 -m venv --system-site-packages "$fcrun_venv" >&2 &&
        "$fcrun_venv/bin/python" -m pip install -q --disable-pip-version-check "ray==$fcrun_want" >&2 &&
        : >"$fcrun_venv/whole" ||
        { fcrun_say "Ray $fcrun_want could not be installed on node $FCRUN_NODE_RANK"; exit 1; }
      fcrun_use
    fi
    if ! command -v ray >/dev/null 2>&1; then
      fcrun_say "there is no ray in PATH on node $FCRUN_NODE_RANK; install it in the image or in setup, or name its version in engine"
      exit 127
    fi

    """# + interpreter

  /// The one that Ray was installed for.
  private static let interpreter = #"""
    fcrun_python=$(sed -n '1s/^#! *//p' "$(command -v ray)" 2>/dev/null)
    [ -x "$fcrun_python" ] || fcrun_python=python3

    """#

  /// Ports that do not change, except where nodes share one computer, as in tests.
  private static let start = #"""
    fcrun_ports='--node-manager-port=7001 --object-manager-port=7002 --dashboard-agent-grpc-port=7003 --runtime-env-agent-port=7004
      --metrics-export-port=7005 --dashboard-agent-listen-port=7006 --min-worker-port=7100 --max-worker-port=7199'
    case $FCRUN_NODE_IP in 127.*) fcrun_ports= ;; esac
    fcrun_start() {
      timeout -k 5 120 env -u RAY_ADDRESS ray start --node-ip-address="$FCRUN_NODE_IP" $fcrun_ports "$@" \
        </dev/null >"$fcrun_control/ray.log" 2>&1
    }
    fcrun_failed() {
      fcrun_say "$1"
      tail -n 20 "$fcrun_control/ray.log" >&2
      fcrun_clear
      exit 1
    }

    """#

  private static let head = #"""
    fcrun_start --head --port=6379 --dashboard-host=127.0.0.1 ||
      fcrun_failed 'Ray did not start on node 0'
    "$fcrun_python" -c '
    import os, sys, time, ray
    want = set(sys.argv[2:])
    end = time.time() + float(sys.argv[1])
    ray.init(address=os.environ["RAY_ADDRESS"], logging_level="ERROR", log_to_driver=False)
    while True:
        missing = want - {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
        if not missing: break
        if time.time() > end: sys.exit("these nodes did not join within %s s: %s" % (sys.argv[1], " ".join(sorted(missing))))
        time.sleep(0.3)
    ' "$fcrun_patience" $FCRUN_NODE_IPS </dev/null >"$fcrun_control/ray.log" 2>&1 || fcrun_failed 'the Ray cluster is not complete'
    """#

  private static let worker = #"""
    "$fcrun_python" -c '
    import socket, sys, time
    end = time.time() + float(sys.argv[1])
    while True:
        try: socket.create_connection((sys.argv[2], 6379), timeout=5).close(); break
        except OSError as error:
            if time.time() > end: sys.exit("no Ray at %s within %s s: %s" % (sys.argv[2], sys.argv[1], error))
            time.sleep(0.2)
    ' "$fcrun_patience" "$FCRUN_HEAD_IP" >"$fcrun_control/ray.log" 2>&1 || fcrun_failed "node $FCRUN_NODE_RANK waits for the head in vain"
    fcrun_start --address="$FCRUN_HEAD_IP:6379" || fcrun_start --address="$FCRUN_HEAD_IP:6379" ||
      fcrun_failed "node $FCRUN_NODE_RANK could not join the Ray cluster"
    """#

  private static let drive = #"""
    trap : TERM
    fcrun_user; fcrun_r=$?
    fcrun_clear
    rm -f "$fcrun_control/token"
    exit $fcrun_r
    """#

  private static let serve = #"""
    fcrun_raylet=$(for fcrun_p in $(fcrun_others); do
      read -r fcrun_name <"/proc/$fcrun_p/comm" && [ "$fcrun_name" = raylet ] && echo "$fcrun_p"
    done 2>/dev/null | head -n 1)
    fcrun_alive() { read -r fcrun_name <"/proc/${fcrun_raylet:-0}/comm"; } 2>/dev/null
    fcrun_serve fcrun_alive && fcrun_clear && exit 143
    fcrun_say "Ray has ended on node $FCRUN_NODE_RANK"
    fcrun_clear
    exit 1
    """#
}
