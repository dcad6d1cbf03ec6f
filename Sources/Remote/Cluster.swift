/// The nodes of one attempt as they can reach each other: what every node is told, and what an engine is made from.
package struct Cluster: Sendable, Equatable {
  package var job: String
  /// By rank.
  package var nodes: [Node]
  /// 0 where the offering does not say.
  package var gpusPerNode: Int
  /// What the head has made for the others, see ``EngineRecipe/mint``; never stored.
  package var shared: String?

  package struct Node: Sendable, Equatable {
    /// At which the other nodes reach it.
    package var ip: String
    /// The network interface that holds ``ip`` there; nil where it is not known.
    package var interface: String?
    /// Bits of the network that ``ip`` is in; nil where it is not known.
    package var prefix: Int?
    /// At which sshd listens for the other nodes.
    package var sshPort: Int
    package var user: String
    /// `ssh-ed25519 AAAA…`
    package var hostKey: String

    package init(ip: String, interface: String?, prefix: Int?, sshPort: Int, user: String, hostKey: String) {
      self.ip = ip
      self.interface = interface
      self.prefix = prefix
      self.sshPort = sshPort
      self.user = user
      self.hostKey = hostKey
    }
  }

  package init(job: String, nodes: [Node], gpusPerNode: Int, shared: String? = nil) {
    self.job = job
    self.nodes = nodes
    self.gpusPerNode = gpusPerNode
    self.shared = shared
  }

  /// What node `rank` is told of itself and the others (multinode.md 6).
  package func environment(of rank: Int) -> [Launch.Variable] {
    let node = nodes[rank]
    let interfaces = nodes.count > 1 ? ["GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"] : []
    return [
      Launch.Variable(name: "FCRUN_NODE_RANK", value: "\(rank)"),
      Launch.Variable(name: "FCRUN_NUM_NODES", value: "\(nodes.count)"),
      Launch.Variable(name: "FCRUN_NODE_IPS", value: nodes.map(\.ip).joined(separator: "\n")),
      Launch.Variable(name: "FCRUN_HEAD_IP", value: nodes[0].ip),
      Launch.Variable(name: "FCRUN_NODE_IP", value: node.ip),
      Launch.Variable(name: "FCRUN_GPUS_PER_NODE", value: "\(gpusPerNode)"),
    ]
      + (["FCRUN_NODE_IFACE"] + interfaces).compactMap { name in
        node.interface.map { Launch.Variable(name: name, value: $0) }
      }
  }

  /// The one network that all nodes are in, `10.0.0.0/24`; nil where there is none, or none is known.
  package var network: String? {
    let networks = nodes.map { node in node.prefix.flatMap { Self.network(of: node.ip, bits: $0) } }
    guard let first = networks.first ?? nil, networks.allSatisfy({ $0 == first }) else { return nil }
    return first
  }

  private static func network(of ip: String, bits: Int) -> String? {
    let parts = ip.split(separator: ".", omittingEmptySubsequences: false).map { UInt32($0) }
    guard parts.count == 4, (1...32).contains(bits), !parts.contains(nil), parts.allSatisfy({ $0! < 256 }) else {
      return nil
    }
    let address = parts.reduce(0) { $0 << 8 | $1! }
    let network = address & (UInt32.max << UInt32(32 - bits))
    return [24, 16, 8, 0].map { "\(network >> $0 & 255)" }.joined(separator: ".") + "/\(bits)"
  }
}

// MARK: - How they find each other

/// What a node says of itself: the address that our connection came to, which is its own also behind a translated one.
package struct NodeFacts: Sendable, Equatable {
  package var ip: String
  package var interface: String?
  package var prefix: Int?
  package var sshPort: Int

  /// From the answer of ``Script/whereabouts``; nil when it says nothing.
  package init?(_ text: String) {
    let words = text.split(separator: "\n").last { $0.hasPrefix("node ") }?.split(separator: " ").map(String.init) ?? []
    guard words.count == 5, let port = Int(words[2]) else { return nil }
    ip = words[1]
    sshPort = port
    interface = words[3] == "-" ? nil : words[3]
    prefix = Int(words[4])
  }
}

extension Script {
  /// Where is this node? `node IP PORT INTERFACE PREFIX`, a dash for what is not known. For ``Exec``.
  package static let whereabouts = #"""
    set -- $SSH_CONNECTION
    [ $# = 4 ] || exit 0
    ip=${3#::ffff:} port=$4 interface=- prefix=-
    if command -v ip >/dev/null 2>&1; then
      set -- $(ip -o addr show 2>/dev/null | while read -r n device family address rest; do
        case $address in "$ip"/*) printf '%s %s\n' "$device" "${address#*/}"; break ;; esac
      done)
      interface=${1:--} prefix=${2:--}
    elif [ -r /proc/net/route ]; then
      while read -r device to rest; do case $to in 00000000) interface=$device; break ;; esac; done </proc/net/route
    fi
    printf 'node %s %s %s %s\n' "$ip" "$port" "$interface" "$prefix"
    """#

  /// Can this node open a TCP connection to each of the others? A line for each: `ok IP` or `no IP WHY`. For ``Exec``.
  ///
  /// Each node listens at `port` while it tries the others, so all of them are to be asked at once. Without Python nobody can
  /// listen, and the others' sshd is tried.
  /// - Parameters:
  ///   - own: the address to listen at, or where it is not of the node itself, all.
  ///   - limit: seconds.
  ///   - peers: the others, with the port of their sshd.
  package static func reach(
    at own: String, port: Int, within limit: Int, peers: [(ip: String, sshPort: Int)]
  ) -> String {
    let words = ["\(port)", "\(limit)", own] + peers.map { "\($0.ip) \($0.sshPort)" }
    return "set -- \(words.map { Shell.quoted($0) }.joined(separator: " "))\n" + #"""
      command -v python3 >/dev/null 2>&1 && exec python3 -c '\#(reachProgram)' "$@"
      limit=$2; shift 3
      command -v bash >/dev/null 2>&1 || exit 0
      for peer; do
        if timeout "$limit" bash -c 'exec 3<>"/dev/tcp/$1/$2"' sh $peer 2>/dev/null; then echo "ok ${peer% *}"
        else echo "no ${peer% *} not its sshd at port ${peer#* }"; fi
      done
      """#
  }

  /// No single quote may be in it.
  private static let reachProgram = #"""
    import socket, sys, threading, time
    port, limit = int(sys.argv[1]), float(sys.argv[2])
    own, peers = sys.argv[3], [word.split()[0] for word in sys.argv[4:]]
    end = time.monotonic() + limit
    visits = threading.Semaphore(0)
    def listen():
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try: door.bind((own, port))
        except OSError: door.bind(("", port))
        door.listen(256)
        def serve():
            while True:
                visitor, _ = door.accept()
                visitor.recv(1)
                visitor.close()
                visits.release()
        threading.Thread(target=serve, daemon=True).start()
    def knock(peer):
        why = "no answer"
        while time.monotonic() < end:
            try:
                socket.create_connection((peer, port), timeout=3).close()
                return "ok " + peer
            except OSError as error:
                why = "%s" % (error.strerror or error)
                time.sleep(0.1)
        return "no %s %s" % (peer, why)
    try:
        listen()
        listens = True
    except OSError:
        listens = False
    said = {}
    def ask(peer): said[peer] = knock(peer)
    threads = [threading.Thread(target=ask, args=(peer,)) for peer in peers]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    for peer in peers: print(said[peer], flush=True)
    if listens:
        for peer in peers:
            if not visits.acquire(timeout=max(0, end - time.monotonic())): break
    """#
}
