import Foundation

/// A wall clock that is wrong for one program: a library that comes before the C library.
///
/// `CLOCK_SHIFT` is the seconds by which it is off. With `CLOCK_JUMPS` it is off by that every other second only.
package enum WallClock {
  /// Absolute path of a C compiler; nil where there is none.
  package static let compiler: String? = {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":") + ["/usr/bin"]
    let places = ["cc", "clang", "gcc"].flatMap { name in folders.map { "\($0)/\(name)" } }
    return places.first { FileManager.default.isExecutableFile(atPath: $0) }
  }()

  /// C, for `cc -shared -fPIC`.
  package static let source = #"""
    #define _GNU_SOURCE
    #include <stdlib.h>
    #include <sys/syscall.h>
    #include <sys/time.h>
    #include <time.h>
    #include <unistd.h>
    static long shift(const struct timespec *at) {
      const char *by = getenv("CLOCK_SHIFT");
      return !by || (getenv("CLOCK_JUMPS") && at->tv_sec % 2) ? 0 : atol(by);
    }
    int clock_gettime(clockid_t id, struct timespec *at) {
      int r = syscall(SYS_clock_gettime, id, at);
      if (r == 0 && id == CLOCK_REALTIME) at->tv_sec += shift(at);
      return r;
    }
    int gettimeofday(struct timeval *restrict at, void *restrict zone) {
      struct timespec now;
      int r = clock_gettime(CLOCK_REALTIME, &now);
      at->tv_sec = now.tv_sec;
      at->tv_usec = now.tv_nsec / 1000;
      return r;
    }
    time_t time(time_t *at) {
      struct timespec now;
      clock_gettime(CLOCK_REALTIME, &now);
      if (at) *at = now.tv_sec;
      return now.tv_sec;
    }
    """#
}
