// The system's libssh2, found through pkg-config; nothing of it is vendored.
#pragma once
#include <libssh2.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

// prctl(2) is variadic, which Swift does not import.
static inline void fcrun_forbid_dumps(void) {
#ifdef __linux__
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

typedef ssize_t (*fcrun_receive_callback)(libssh2_socket_t socket, void *buffer, size_t length, int flags, void **abstract);

// One spelling for both generations: 1.11.1 deprecates the untyped callback_set.
static inline void fcrun_set_receive_callback(LIBSSH2_SESSION *session, fcrun_receive_callback callback) {
#if LIBSSH2_VERSION_NUM >= 0x010b01
  libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_RECV, (libssh2_cb_generic *)callback);
#else
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, (void *)callback);
#endif
}
