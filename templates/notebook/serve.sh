#!/bin/sh
# Serves notebooks/ on port 8888 of the machine itself. Only the tunnel leads there, so there is no password beside it.
set -eu
cd notebooks
if command -v jupyter >/dev/null; then
  exec jupyter lab --no-browser --allow-root --ip 127.0.0.1 --port "${PORT:-8888}" --IdentityProvider.token=
fi
echo "there is no jupyter here; serving the files only" >&2
exec python3 -m http.server --bind 127.0.0.1 "${PORT:-8888}"
