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
