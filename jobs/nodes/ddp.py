"""One of many processes that train one model together. Rank 0 writes a checkpoint, and all begin from it when there is one."""

import os
import pathlib

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

EPOCHS = int(os.environ.get("EPOCHS", "5"))
CHECKPOINT = pathlib.Path("checkpoints/last.pt")


def main():
    gpu = torch.cuda.is_available()
    dist.init_process_group("nccl" if gpu else "gloo")
    rank, local = dist.get_rank(), int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", local) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    model = DistributedDataParallel(torch.nn.Linear(8, 1).to(device), device_ids=[local] if gpu else None)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    first = 0
    if rank == 0 and CHECKPOINT.exists():
        saved = torch.load(CHECKPOINT, map_location=device)
        model.module.load_state_dict(saved["model"])
        first = saved["epoch"] + 1
    start = torch.tensor(first, device=device)
    dist.broadcast(start, 0)
    for parameter in model.module.parameters():
        dist.broadcast(parameter.data, 0)
    for epoch in range(int(start), EPOCHS):
        data = torch.randn(64, 8, device=device)
        loss = ((model(data) - data.sum(dim=1, keepdim=True)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if rank == 0:
            CHECKPOINT.parent.mkdir(exist_ok=True)
            torch.save({"model": model.module.state_dict(), "epoch": epoch}, CHECKPOINT)
            print(f"epoch {epoch}: loss {loss.item():.4f} on {dist.get_world_size()} processes", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
