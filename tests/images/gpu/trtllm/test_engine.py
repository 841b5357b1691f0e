"""TensorRT-LLM on the GPU."""

import pytest

pytestmark = pytest.mark.timeout(1200)  # a model takes minutes to load


def test_tensorrt_llm_sees_the_gpu(container, package):
    """Its wheel is NVIDIA's own, for one CUDA and one torch; a moved package shows when it is imported."""
    package("tensorrt-llm")
    program = "import tensorrt_llm, torch; print(tensorrt_llm.__version__, torch.cuda.get_device_name())"
    assert container.python(program, seconds=300).splitlines()[-1]


def test_tensorrt_llm_completes_a_prompt(complete, package):
    package("tensorrt-llm")
    words = ["--served-model-name", "tried", "--max-seq-len", "1024"]
    assert complete(lambda model: ["dynamo.trtllm", "--model-path", model, *words]).strip()


def test_tensorrt_llm_completes_a_prompt_on_two_gpus(complete, package, two_gpus):
    """Two copies of NCCL, or too little shared memory, show only here (ai-dynamo/dynamo#1408)."""
    package("tensorrt-llm")
    words = ["--served-model-name", "tried", "--max-seq-len", "1024", "--tensor-parallel-size", "2"]
    assert complete(lambda model: ["dynamo.trtllm", "--model-path", model, *words]).strip()
