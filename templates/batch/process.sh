#!/bin/sh
# Turns each file of inputs/ into one of outputs/. An input that fails does not stop the others; it is told at the end.
set -u

mkdir -p outputs
failed=0
for input in inputs/*; do
  name=$(basename "$input")
  if wc <"$input" >"outputs/$name.partial"; then
    mv "outputs/$name.partial" "outputs/$name"
    echo "done: $name"
  else
    failed=$((failed + 1))
    echo "failed: $name" >&2
  fi
done
[ "$failed" -eq 0 ]
