"""GPU memory really moves: the ground that disaggregated serving stands on."""

import pytest

SIZE = 64 << 20


def test_ucx_lists_the_cuda_transports(container, component):
    """Without cuda_copy NIXL takes GPU memory for host memory and dies; without cuda_ipc GPUs of one machine go by way of the host."""
    component("ucx")
    listed = container.output("ucx_info", "-d")
    for transport in ("cuda_copy", "cuda_ipc"):
        assert f"Transport: {transport}" in listed


@pytest.mark.parametrize("processes", [1, 2])
def test_nixl_moves_gpu_memory_with_its_content(inside, component, processes, measured):
    """NIXL can be installed and do nothing (ai-dynamo/dynamo#9911); and it must not need PyTorch, which slim images lack."""
    component("nixl")
    seen = inside("transfer.py", str(SIZE), "0", "0", str(processes))
    assert (seen["state"], seen["equal"]) == ("DONE", True)
    measured("gigabytes_per_second", seen["gigabytes_per_second"])


@pytest.mark.parametrize("processes", [1, 2])
def test_nixl_moves_memory_from_one_gpu_to_another(inside, component, two_gpus, processes, measured):
    """Prefill and decode sit on different GPUs: the way between them is the one that counts."""
    component("nixl")
    seen = inside("transfer.py", str(SIZE), "0", "1", str(processes))
    assert (seen["state"], seen["equal"]) == ("DONE", True)
    measured("gigabytes_per_second", seen["gigabytes_per_second"])
