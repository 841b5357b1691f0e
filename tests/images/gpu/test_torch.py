"""PyTorch on the GPU, where the image has it."""

PRODUCT = """
import torch
a = torch.arange(1 << 20, dtype=torch.float32, device="cuda").reshape(1024, 1024) % 7
print(torch.cuda.is_available(), bool(torch.equal((a @ a).cpu(), a.cpu() @ a.cpu())))
"""


def test_torch_computes_on_the_gpu_what_it_computes_on_the_cpu(container, package):
    """A torch built for another CUDA imports well and finds no GPU."""
    package("torch")
    assert container.python(PRODUCT, seconds=120).splitlines()[-1] == "True True"


def test_two_gpus_add_up_a_tensor(inside, package, two_gpus):
    """Tensor parallelism fails with two copies of NCCL in one process (ai-dynamo/dynamo#1408)."""
    package("torch")
    assert inside("all_reduce.py", seconds=180) == [[0, 3.0, 3.0], [1, 3.0, 3.0]]
