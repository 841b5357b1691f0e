"""Add up a tensor over the first two GPUs by NCCL, as tensor parallelism does; prints what each of them got, as JSON."""

import json
import tempfile

import torch
import torch.distributed
import torch.multiprocessing


def add(rank, folder, answers):
    torch.cuda.set_device(rank)
    # A file to meet at: a port could be taken, and whoever holds a store of that kind must be the last to end.
    torch.distributed.init_process_group("nccl", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    value = torch.full((1 << 20,), float(rank + 1), device="cuda")
    torch.distributed.all_reduce(value)
    answers.put([rank, value.min().item(), value.max().item()])
    torch.distributed.barrier(device_ids=[rank])
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    answers = torch.multiprocessing.get_context("fork").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(add, args=(folder, answers), nprocs=2, start_method="fork")
        print(json.dumps(sorted(answers.get() for _ in range(2))))
