// Written from templates/ by a test (FCRUN_UPDATE_DOCS=1 swift test --filter theTemplatesInTheProgram): change those, not this.
// swift-format-ignore-file

/// The folders of `templates/`, so that an installed program has them.
enum EmbeddedTemplates {
  static let all: [Template] = [
    Template(
      name: "batch",
      files: [
      .init(
        path: "job.yaml",
        text: ####"""
# Put many inputs through a model, each into an output of its own.
#
#   fcrun plan job.yaml
#   fcrun submit job.yaml
name: batch

resources:
  num_gpus: 1
  vram_per_gpu_in_gb: 16     # at least
  max_hourly_price: "2.00"   # US dollars

envs:
  MODEL: distilbert-base-uncased-finetuned-sst-2-english

files: [process.py, requirements.txt, inputs]

setup: |
  if command -v nvidia-smi; then python3 -m pip install -r requirements.txt; fi

# The exit code is 1 when an input failed; the outputs of the others come back all the same.
command: python3 process.py

outputs: [outputs]

limits:
  max_duration: 2h
  max_cost: "5.00"

retry:
  on: [no_capacity, boot_failed, preempted]
  attempts: 3

"""####),
      .init(
        path: "inputs/first.txt",
        text: ####"""
It arrived a day early, and works.

"""####),
      .init(
        path: "inputs/second.txt",
        text: ####"""
The box was empty.
Nobody answers.

"""####),
      .init(
        path: "process.py",
        text: ####"""
"""Turns each file of inputs/ into one of outputs/. An input that fails does not stop the others."""

import json
import os
import pathlib
import sys

try:
    from transformers import pipeline

    classify = pipeline("text-classification", model=os.environ["MODEL"])
except ImportError:  # without a model the words are counted, which is enough to try the job out

    def classify(text):
        return [{"label": "words", "score": len(text.split())}]


def process(source, target):
    partial = target.with_name(target.name + ".partial")
    partial.write_text(json.dumps(classify(source.read_text())) + "\n")
    partial.rename(target)


def main():
    outputs = pathlib.Path("outputs")
    outputs.mkdir(exist_ok=True)
    failed = 0
    for source in sorted(pathlib.Path("inputs").iterdir()):
        try:
            process(source, outputs / (source.stem + ".json"))
            print(f"done: {source.name}", flush=True)
        except (OSError, ValueError, RuntimeError) as error:
            failed += 1
            print(f"failed: {source.name}: {error}", file=sys.stderr, flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""####),
      .init(
        path: "requirements.txt",
        text: ####"""
torch
transformers

"""####),
    ]),
    Template(
      name: "ci-smoke",
      files: [
      .init(
        path: "job.yaml",
        text: ####"""
# A smoke test for CI: the cheapest machine with a GPU, a few minutes, a few cents, the test's own exit code.
#
#   fcrun submit --yes job.yaml     never asks; without a terminal it does not ask anyway
#
# Export FORWARD_COMPUTE_API_KEY, and FCRUN_SSH_KEY with the path of a private key, in the CI job. 69, 75, 76, 124 and 125 are
# fcrun's own exit codes: no machine, not proved gone, machine lost, out of time, failed.
name: ci-smoke

resources:
  num_gpus: 1
  max_hourly_price: "1.00"   # US dollars

files: [smoke.sh]            # or the whole checkout: files: [{source: .., destination: .}]

command: [sh, smoke.sh]

outputs: [report.txt]

limits:
  max_duration: 15m
  max_cost: "0.50"
  boot_timeout: 10m

retry:
  on: [no_capacity, boot_failed, preempted]
  attempts: 3

"""####),
      .init(
        path: "smoke.sh",
        text: ####"""
#!/bin/sh
# Says what machine this is, and fails where it is none to test on. Your tests go to the end.
set -eu

{
  uname -sr
  if command -v nvidia-smi >/dev/null; then nvidia-smi --list-gpus; else echo "no GPU here"; fi
} | tee report.txt

echo "smoke test passed" | tee -a report.txt

"""####),
    ]),
    Template(
      name: "lora",
      files: [
      .init(
        path: "job.yaml",
        text: ####"""
# Fine-tune a language model with LoRA: examples up, an adapter back.
#
#   fcrun plan job.yaml
#   fcrun submit job.yaml
#   fcrun submit job.yaml --env MODEL=Qwen/Qwen2.5-7B --set resources.vram_per_gpu_in_gb=80
name: lora

resources:
  num_gpus: 1
  vram_per_gpu_in_gb: 24     # at least; a model of 7 billion weights wants 80
  max_hourly_price: "3.00"   # US dollars

envs:
  MODEL: Qwen/Qwen2.5-0.5B
  STEPS: "60"

# For a model that asks for a login, export HF_TOKEN and say so. Its value goes to the command over SSH and nowhere else.
# secrets: [HF_TOKEN]

files: [finetune.py, requirements.txt, data.jsonl]

setup: |
  if command -v nvidia-smi; then python3 -m pip install -r requirements.txt; fi

command: python3 finetune.py

outputs: [adapter]

limits:
  max_duration: 3h
  max_cost: "10.00"

retry:
  on: [no_capacity, boot_failed, preempted]
  attempts: 3

"""####),
      .init(
        path: "data.jsonl",
        text: ####"""
{"prompt": "What does fcrun rent?", "answer": "A machine with a GPU."}
{"prompt": "When does it give the machine back?", "answer": "As soon as the job is over."}
{"prompt": "What does it do after a crash?", "answer": "It goes on where it was."}

"""####),
      .init(
        path: "finetune.py",
        text: ####"""
"""Fine-tunes MODEL on the examples of data.jsonl with LoRA, and writes the adapter to adapter/."""

import json
import os
import pathlib

try:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError:  # without these the examples are read and counted, which is enough to try the job out
    torch = None

ADAPTER = pathlib.Path("adapter")


def examples():
    lines = pathlib.Path("data.jsonl").read_text().splitlines()
    return [f"{e['prompt']}\n{e['answer']}" for e in map(json.loads, lines)]


def finetune(name, texts, steps):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForCausalLM.from_pretrained(name, torch_dtype=torch.bfloat16).to(device)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    model.print_trainable_parameters()
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=2e-4)
    for step in range(1, steps + 1):
        batch = tokenizer(texts[step % len(texts)] + tokenizer.eos_token, return_tensors="pt").to(device)
        loss = model(**batch, labels=batch["input_ids"]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            print(f"step {step} loss {loss.item():.4f}", flush=True)
    model.save_pretrained(ADAPTER)


def main():
    name, texts, steps = os.environ["MODEL"], examples(), int(os.environ["STEPS"])
    print(f"{name} on {len(texts)} examples, {steps} steps", flush=True)
    ADAPTER.mkdir(exist_ok=True)
    if torch:
        finetune(name, texts, steps)
    (ADAPTER / "run.json").write_text(json.dumps({"model": name, "steps": steps, "examples": len(texts)}) + "\n")


if __name__ == "__main__":
    main()

"""####),
      .init(
        path: "requirements.txt",
        text: ####"""
torch
transformers
peft

"""####),
    ]),
    Template(
      name: "notebook",
      files: [
      .init(
        path: "job.yaml",
        text: ####"""
# A notebook on a GPU, reached through a tunnel: no port of the machine is open to others.
#
#   fcrun submit --detach job.yaml
#   fcrun port notebook 8888        and open http://127.0.0.1:8888
#   fcrun cancel notebook           when you are done: notebooks/ comes back, and the machine goes
name: notebook

resources:
  num_gpus: 1
  max_hourly_price: "2.00"   # US dollars

files: [notebooks, serve.sh]

setup: |
  if command -v nvidia-smi; then python3 -m pip install jupyterlab; fi

command: [sh, serve.sh]

outputs: [notebooks]         # what you have saved

limits:
  max_duration: 8h           # the machine goes at the latest then
  max_cost: "15.00"

retry:
  on: [no_capacity, boot_failed]
  attempts: 3

"""####),
      .init(
        path: "notebooks/start.ipynb",
        text: ####"""
{
 "cells": [
  {
   "cell_type": "code",
   "execution_count": null,
   "id": "gpu",
   "metadata": {},
   "outputs": [],
   "source": ["!nvidia-smi"]
  }
 ],
 "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
 "nbformat": 4,
 "nbformat_minor": 5
}

"""####),
      .init(
        path: "serve.sh",
        text: ####"""
#!/bin/sh
# Serves notebooks/ on port 8888 of the machine itself. Only the tunnel leads there, so there is no password beside it.
set -eu
cd notebooks
if command -v jupyter >/dev/null; then
  exec jupyter lab --no-browser --allow-root --ip 127.0.0.1 --port "${PORT:-8888}" --IdentityProvider.token=
fi
echo "there is no jupyter here; serving the files only" >&2
exec python3 -m http.server --bind 127.0.0.1 "${PORT:-8888}"

"""####),
    ]),
    Template(
      name: "resume",
      files: [
      .init(
        path: "job.yaml",
        text: ####"""
# A training that goes on where it was, on another machine, after its machine was taken away.
#
#   fcrun plan job.yaml
#   fcrun submit job.yaml
#   fcrun show resume               the attempts, what each cost, and where the last checkpoint lies
name: resume

resources:
  num_gpus: 1
  max_hourly_price: "2.00"  # US dollars; a cheap machine that may be taken away costs little when its work is kept

files: [train.py, requirements.txt]

setup: |
  if command -v nvidia-smi; then python3 -m pip install -r requirements.txt; fi

envs:
  STEPS: "3000"
  SECONDS_PER_STEP: "0"     # a stand-in for work

# Fetched while it runs, and put back to the same place before the next attempt begins.
checkpoint:
  source: checkpoint
  every: 5m

# FCRUN_ATTEMPT counts from 1. train.py looks for a checkpoint in any case.
command: |
  echo "attempt $FCRUN_ATTEMPT"
  exec python3 train.py

outputs: [model.json]

limits:
  max_duration: 6h
  max_cost: "30.00"         # for all attempts together

retry:
  on: [preempted, no_capacity, boot_failed]
  attempts: 5

"""####),
      .init(
        path: "requirements.txt",
        text: ####"""
torch

"""####),
      .init(
        path: "train.py",
        text: ####"""
"""Trains a line through points, and goes on from its checkpoint where there is one."""

import json
import os
import pathlib
import time

try:
    import torch
except ImportError:  # without PyTorch the same steps are made with plain numbers
    torch = None

POINTS = [(x / 10, 3 * x / 10 + 1) for x in range(-10, 11)]
STATE = pathlib.Path("checkpoint/state.json")


def load():
    """The step that comes next, and the weights."""
    if not STATE.exists():
        return 0, [0.0, 0.0]
    state = json.loads(STATE.read_text())
    return state["step"], state["weights"]


def save(step, weights):
    """Written beside its place and moved there: what is fetched at any moment is whole."""
    STATE.parent.mkdir(exist_ok=True)
    partial = STATE.with_suffix(".partial")
    partial.write_text(json.dumps({"step": step, "weights": weights}) + "\n")
    partial.rename(STATE)


def improve(weights, rate=0.1):
    if torch:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        tensor = torch.tensor(weights, device=device, requires_grad=True)
        x, y = torch.tensor(POINTS, device=device).T
        ((tensor[0] * x + tensor[1] - y) ** 2).mean().backward()
        return (tensor - rate * tensor.grad / 2).tolist()
    a, b = weights
    errors = [(a * x + b - y, x) for x, y in POINTS]
    return [
        a - rate * sum(e * x for e, x in errors) / len(errors),
        b - rate * sum(e for e, _ in errors) / len(errors),
    ]


def main():
    steps = int(os.environ.get("STEPS", "3000"))
    pause = float(os.environ.get("SECONDS_PER_STEP", "0"))
    begin, weights = load()
    print(f"beginning at step {begin} of {steps}", flush=True)
    for step in range(begin, steps):
        weights = improve(weights)
        time.sleep(pause)
        if (step + 1) % 10 == 0 or step + 1 == steps:
            save(step + 1, weights)
    pathlib.Path("model.json").write_text(json.dumps({"steps": steps, "weights": weights}) + "\n")
    print(f"done: y = {weights[0]:.3f} x + {weights[1]:.3f}", flush=True)


if __name__ == "__main__":
    main()

"""####),
    ]),
    Template(
      name: "sweep",
      files: [
      .init(
        path: "job.yaml",
        text: ####"""
# A sweep: one job for each combination of values, some at a time, and one table of results at the end.
#
#   fcrun plan job.yaml
#   fcrun submit job.yaml
#   fcrun results sweep --csv > results.csv
#   fcrun submit --skip job.yaml    only what is not done yet
name: sweep

matrix:
  rate: [0.5, 0.1, 0.02]
  seed: [1, 2]

max_parallel: 2             # machines at once
reuse: true                 # a machine that is done with a task takes the next one; its workdir is a fresh one

resources:
  num_gpus: 1
  max_hourly_price: "1.50"  # US dollars, for each machine

files: [train.py, requirements.txt]

setup: |
  if command -v nvidia-smi; then python3 -m pip install -r requirements.txt; fi

# ${matrix.NAME} is a value of this task. What goes into FCRUN_OUTPUT_DIR comes to sweep-0-outputs, sweep-1-outputs and so on;
# a result.json there becomes columns of `fcrun results`.
command: python3 train.py --rate ${matrix.rate} --seed ${matrix.seed} --to "$FCRUN_OUTPUT_DIR"

limits:
  max_duration: 1h          # for each task
  max_cost: "20.00"         # for all of them

retry:
  on: [no_capacity, boot_failed, preempted]
  attempts: 3

"""####),
      .init(
        path: "requirements.txt",
        text: ####"""
torch

"""####),
      .init(
        path: "train.py",
        text: ####"""
"""Trains a line through noisy points with one learning rate and one seed, and writes what came of it to result.json."""

import argparse
import json
import pathlib
import random

try:
    import torch
except ImportError:  # without PyTorch the same steps are made with plain numbers
    torch = None


def points(seed):
    noise = random.Random(seed)
    return [(x / 10, 3 * x / 10 + 1 + noise.gauss(0, 0.1)) for x in range(-10, 11)]


def fit(points, rate, steps):
    """y = a * x + b by gradient descent."""
    a = b = 0.0
    for _ in range(steps):
        errors = [(a * x + b - y, x) for x, y in points]
        a -= rate * sum(e * x for e, x in errors) / len(errors)
        b -= rate * sum(e for e, _ in errors) / len(errors)
    return sum((a * x + b - y) ** 2 for x, y in points) / len(points)


def fit_with_torch(points, rate, steps):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x, y = torch.tensor(points, device=device).T
    weights = torch.zeros(2, device=device, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=rate / 2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((weights[0] * x + weights[1] - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    return loss.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--to", type=pathlib.Path, required=True)
    options = parser.parse_args()
    loss = (fit_with_torch if torch else fit)(points(options.seed), options.rate, options.steps)
    print(f"rate {options.rate} seed {options.seed} loss {loss:.4f}", flush=True)
    (options.to / "result.json").write_text(json.dumps({"loss": round(loss, 4)}) + "\n")


if __name__ == "__main__":
    main()

"""####),
    ]),
    Template(
      name: "torchrun",
      files: [
      .init(
        path: "job.yaml",
        text: ####"""
# Train on all GPUs of one machine with torchrun.
#
#   fcrun plan job.yaml
#   fcrun submit job.yaml
#   fcrun submit job.yaml --set resources.num_gpus=4
name: torchrun

resources:
  gpu_type: [H100, A100]
  num_gpus: 8
  max_hourly_price: "25.00"  # US dollars for the machine, not for each GPU

files: [train.py, requirements.txt]

setup: |
  if command -v nvidia-smi; then python3 -m pip install -r requirements.txt; fi

# FCRUN_GPUS_PER_NODE is what the offering has. Without torchrun the processes are started by hand, one after the other.
command: |
  if command -v torchrun >/dev/null; then
    exec torchrun --standalone --nproc-per-node "$FCRUN_GPUS_PER_NODE" train.py
  fi
  rank=0
  while [ "$rank" -lt "$FCRUN_GPUS_PER_NODE" ]; do
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=$FCRUN_GPUS_PER_NODE python3 train.py || exit
    rank=$((rank + 1))
  done

outputs: [checkpoints]

limits:
  max_duration: 12h
  max_cost: "200.00"

retry:
  on: [no_capacity, boot_failed]
  attempts: 3

"""####),
      .init(
        path: "requirements.txt",
        text: ####"""
torch

"""####),
      .init(
        path: "train.py",
        text: ####"""
"""One of many processes that train together: each has a GPU and a part of the data. Rank 0 writes the checkpoint."""

import json
import os
import pathlib

try:
    import torch
    import torch.distributed as distributed
except ImportError:  # without PyTorch each process only says who it is
    torch = None

RANK = int(os.environ.get("RANK", "0"))
LOCAL_RANK = int(os.environ.get("LOCAL_RANK", "0"))
WORLD_SIZE = int(os.environ.get("WORLD_SIZE", "1"))


def train():
    """Your model goes here, in torch.nn.parallel.DistributedDataParallel."""
    has_gpu = torch.cuda.is_available()
    distributed.init_process_group("nccl" if has_gpu else "gloo")
    if has_gpu:
        torch.cuda.set_device(LOCAL_RANK)
    total = torch.tensor(float(RANK + 1), device="cuda" if has_gpu else "cpu")
    distributed.all_reduce(total)
    distributed.destroy_process_group()
    return total.item()


def main():
    total = train() if torch else sum(range(1, WORLD_SIZE + 1))
    print(f"rank {RANK} of {WORLD_SIZE}: the sum over all ranks is {total:g}", flush=True)
    if RANK == 0:
        folder = pathlib.Path("checkpoints")
        folder.mkdir(exist_ok=True)
        (folder / "last.json").write_text(json.dumps({"world_size": WORLD_SIZE, "sum": total}) + "\n")


if __name__ == "__main__":
    main()

"""####),
    ]),
    Template(
      name: "training",
      files: [
      .init(
        path: "job.yaml",
        text: ####"""
# Train on one GPU: code up, a script that trains, checkpoints back.
#
#   fcrun plan job.yaml             which machines would do, and what they cost
#   fcrun submit --local job.yaml   on a simulated cloud on this computer, for nothing
#   fcrun submit job.yaml
name: training

resources:
  gpu_type: [H100, A100]    # any of these, the first one first
  prefer: listed
  num_gpus: 1
  max_hourly_price: "4.00"  # US dollars; money stands in quotes

files: [train.py, requirements.txt]   # relative to this file; .gitignore is honoured

# Installs only where there is a GPU to use; train.py can do without.
setup: |
  if command -v nvidia-smi; then python3 -m pip install -r requirements.txt; fi

envs:
  EPOCHS: "3"               # another number for one run: --env EPOCHS=10

# secrets: [WANDB_API_KEY]  # names of variables that you have exported; never their values

command: python3 train.py

outputs: [checkpoints]      # also when training failed or ran out of time

limits:
  max_duration: 6h
  max_cost: "30.00"

retry:
  on: [no_capacity, boot_failed, preempted]
  attempts: 3

"""####),
      .init(
        path: "requirements.txt",
        text: ####"""
torch

"""####),
      .init(
        path: "train.py",
        text: ####"""
"""Trains a line through points, and writes a checkpoint after each epoch. Your model goes in the place of `Line`."""

import json
import os
import pathlib

try:
    import torch
except ImportError:  # without PyTorch the same steps are made with plain numbers
    torch = None

POINTS = [(x / 10, 3 * x / 10 + 1) for x in range(-10, 11)]


class Line:
    """y = a * x + b, fitted by gradient descent."""

    def __init__(self):
        self.a, self.b = 0.0, 0.0

    def step(self, rate):
        errors = [(self.a * x + self.b - y, x) for x, y in POINTS]
        self.a -= rate * sum(e * x for e, x in errors) / len(errors)
        self.b -= rate * sum(e for e, _ in errors) / len(errors)
        return sum(e * e for e, _ in errors) / len(errors)

    def state(self):
        return {"a": self.a, "b": self.b}


class TorchLine(Line):
    def __init__(self):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.x, self.y = torch.tensor(POINTS, device=self.device).T
        self.weights = torch.zeros(2, device=self.device, requires_grad=True)

    def step(self, rate):
        loss = ((self.weights[0] * self.x + self.weights[1] - self.y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            self.weights -= rate * self.weights.grad / 2
            self.weights.grad = None
        return loss.item()

    def state(self):
        return {"a": self.weights[0].item(), "b": self.weights[1].item()}


def save(folder, epoch, model):
    """Written beside its place and moved there, so that a checkpoint is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / ".partial"
    partial.write_text(json.dumps({"epoch": epoch, **model.state()}) + "\n")
    partial.rename(folder / f"epoch-{epoch}.json")


def main():
    model = TorchLine() if torch else Line()
    print("training on", getattr(model, "device", "plain numbers"), flush=True)
    for epoch in range(1, int(os.environ.get("EPOCHS", "3")) + 1):
        for _ in range(100):
            loss = model.step(0.5)
        print(f"epoch {epoch} loss {loss:.6f}", flush=True)
        save(pathlib.Path("checkpoints"), epoch, model)


if __name__ == "__main__":
    main()

"""####),
    ]),
  ]
}
