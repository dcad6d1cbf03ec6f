"""Many trials over a cluster: Ray puts each where there is room, and runs it again when its machine goes."""

import itertools
import json
import random
import time

import ray

ray.init()


@ray.remote(num_cpus=1, max_retries=3)  # num_gpus=1 where a trial needs one
def trial(rate, seed):
    """Your training goes here; what it returns is compared."""
    chance = random.Random(f"{rate} {seed}")
    time.sleep(1)
    return {"rate": rate, "seed": seed, "loss": (rate - 0.03) ** 2 + chance.random() / 1000}


results = ray.get([trial.remote(rate, seed) for rate, seed in itertools.product([0.1, 0.03, 0.01], range(4))])
best = min(results, key=lambda result: result["loss"])
print(f"{len(results)} trials on {len(ray.nodes())} machines; the best: {best}", flush=True)
with open("best.json", "w") as file:
    json.dump(best, file)
