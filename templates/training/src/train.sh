#!/bin/sh
# Put your training here. It starts in the workdir, beside src/, and what it leaves in checkpoints/ comes back.
set -eu

if command -v nvidia-smi >/dev/null; then
  nvidia-smi
else
  echo "no nvidia-smi on this machine" >&2
fi

epoch=1
while [ "$epoch" -le "${EPOCHS:-3}" ]; do
  echo "epoch $epoch"
  mkdir -p "checkpoints/epoch-$epoch"
  echo "epoch=$epoch" >"checkpoints/epoch-$epoch/state.txt"
  epoch=$((epoch + 1))
done
