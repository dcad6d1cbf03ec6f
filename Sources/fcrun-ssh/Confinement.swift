import SSH

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What this process may not do: it talks to a rented, possibly hostile machine through a C library.
enum Confinement {
  static func apply() {
    // Ctrl-C and a closing terminal reach the whole foreground group; fcrun decides what they mean.
    for number in [SIGPIPE, SIGINT, SIGHUP] { signal(number, SIG_IGN) }
    LibSSH2.forbidDumps()
    #if os(Linux)
      limit(__rlimit_resource_t(RLIMIT_CORE.rawValue), to: 0)
      limit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), to: 1024)
      limit(__rlimit_resource_t(RLIMIT_AS.rawValue), to: 16 << 30)
    #else
      var none = rlimit(rlim_cur: 0, rlim_max: 0)
      setrlimit(RLIMIT_CORE, &none)
    #endif
  }

  #if os(Linux)
    private static func limit(_ resource: __rlimit_resource_t, to value: UInt) {
      var now = rlimit()
      guard getrlimit(resource, &now) == 0 else { return }
      var wanted = rlimit(rlim_cur: min(value, now.rlim_max), rlim_max: min(value, now.rlim_max))
      setrlimit(resource, &wanted)
    }
  #endif
}
