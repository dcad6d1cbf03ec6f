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
