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
typedef ssize_t (*fcrun_send_callback)(libssh2_socket_t socket, const void *buffer, size_t length, int flags, void **abstract);

// One spelling for both generations: 1.11.1 deprecates the untyped callback_set.
static inline void fcrun_set_socket_callbacks(LIBSSH2_SESSION *session, fcrun_receive_callback receive, fcrun_send_callback send) {
#if LIBSSH2_VERSION_NUM >= 0x010b01
  libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_RECV, (libssh2_cb_generic *)receive);
  libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_SEND, (libssh2_cb_generic *)send);
#else
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, (void *)receive);
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_SEND, (void *)send);
#endif
}
