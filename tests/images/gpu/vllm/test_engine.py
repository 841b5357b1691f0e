"""vLLM on the GPU."""

import pytest

pytestmark = pytest.mark.timeout(1200)  # a model takes minutes to load


def test_vllm_takes_the_gpu_for_its_platform(container, package):
    """Where vLLM sees no GPU it ends with 'Failed to infer device type', and only when a model is served."""
    package("vllm")
    program = "from vllm.platforms import current_platform as p; print(p.is_cuda(), p.get_device_name())"
    assert container.python(program, seconds=180).splitlines()[-1].startswith("True ")


def test_vllm_completes_a_prompt(complete, package):
    package("vllm")
    words = ["--served-model-name", "tried", "--max-model-len", "1024", "--enforce-eager"]
    assert complete(lambda model: ["dynamo.vllm", "--model", model, *words]).strip()


def test_vllm_completes_a_prompt_on_two_gpus(complete, package, two_gpus):
    """Two copies of NCCL, or too little shared memory, show only here (ai-dynamo/dynamo#1408)."""
    package("vllm")
    words = [
        "--served-model-name",
        "tried",
        "--max-model-len",
        "1024",
        "--enforce-eager",
        "--tensor-parallel-size",
        "2",
    ]
    assert complete(lambda model: ["dynamo.vllm", "--model", model, *words]).strip()
