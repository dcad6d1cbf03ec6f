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
