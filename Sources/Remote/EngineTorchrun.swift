extension EngineRecipe {
  /// torchrun on every node, with the flags that every version takes: its ranks follow ours, and the address is a number.
  ///
  /// It answers 1 whatever its ranks ended with, so each rank leaves its own code behind; the first of a node counts.
  package static let torchrun = EngineRecipe(
    port: 29500,
    environment: { cluster, rank in
      [
        ("MASTER_ADDR", cluster.nodes[0].ip), ("MASTER_PORT", "29500"), ("NODE_RANK", "\(rank)"),
        ("NNODES", "\(cluster.nodes.count)"), ("NPROC_PER_NODE", "\(max(1, cluster.gpusPerNode))"),
      ].map { Launch.Variable(name: $0.0, value: $0.1) }
    },
    prepare: { _, _ in
      #"""
      command -v torchrun >/dev/null 2>&1 && exit 0
      fcrun_say "there is no torchrun in PATH on node $FCRUN_NODE_RANK; install PyTorch in the image or in setup"
      exit 127
      """#
    },
    command: { _, _ in
      #"""
      torchrun --nnodes="$NNODES" --nproc_per_node="$NPROC_PER_NODE" --node_rank="$NODE_RANK" \
        --master_addr="$MASTER_ADDR" --master_port="$MASTER_PORT" --no_python \
        /bin/sh -c '\#(rank)' fcrun "$fcrun_launch" "$fcrun_control"
      fcrun_r=$?
      if [ $fcrun_r != 0 ] && [ -f "$fcrun_control/rank/code" ] && read -r fcrun_own fcrun_rank <"$fcrun_control/rank/code"; then
        fcrun_say "rank $fcrun_rank ended with exit code $fcrun_own"
        exit "$fcrun_own"
      fi
      exit $fcrun_r
      """#
    })

  /// One process of torchrun; arguments: launch folder, control folder. torchrun signals it alone, so it hands the signal on.
  /// No single quote may be in it.
  private static let rank = #"""
    /bin/sh -c ". \"\$2/go.user\"" sh command "$1" & p=$!
    trap "kill -s TERM $p 2>/dev/null" TERM
    wait $p; r=$?
    while kill -s 0 $p 2>/dev/null; do wait $p; r=$?; done
    [ $r = 0 ] || ! mkdir "$2/rank" 2>/dev/null || echo "$r ${RANK:-0}" >"$2/rank/code"
    exit $r
    """#
}
