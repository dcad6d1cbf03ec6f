#!/bin/sh
# Fits y = w·x + b to points.csv by gradient descent, in POSIX sh, so that it runs on any machine.
# Integers only: w and b are thousandths.
set -eu

here=$(dirname "$0")
epochs=${EPOCHS:-20}
every=${CHECKPOINT_EVERY:-5}
out=${OUT:-out}
w=0
b=0

mkdir -p "$out/checkpoints"
echo "epoch,loss" >"$out/metrics.csv"

epoch=1
while [ "$epoch" -le "$epochs" ]; do
  gradient_w=0
  gradient_b=0
  loss=0
  count=0
  while IFS=, read -r x y; do
    error=$((w * x + b - y * 1000))
    gradient_w=$((gradient_w + error * x))
    gradient_b=$((gradient_b + error))
    loss=$((loss + error / 10 * (error / 10) / 10000))
    count=$((count + 1))
  done <"$here/data/points.csv"
  w=$((w - gradient_w / count / 40))
  b=$((b - gradient_b / count / 40))

  echo "epoch $epoch of $epochs: loss $((loss / count)), w $w, b $b (thousandths)"
  echo "$epoch,$((loss / count))" >>"$out/metrics.csv"
  if [ $((epoch % every)) -eq 0 ]; then
    checkpoint="$out/checkpoints/epoch-$epoch"
    mkdir -p "$checkpoint"
    printf 'w=%s\nb=%s\n' "$w" "$b" >"$checkpoint/weights.txt"
    echo "saved $checkpoint" >&2
  fi
  epoch=$((epoch + 1))
done
