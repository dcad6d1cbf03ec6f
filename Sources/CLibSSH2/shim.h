// The system's libssh2, found through pkg-config; nothing of it is vendored.
#pragma once
#include <libssh2.h>
