"""The part of torch.cuda that dynamo.trtllm asks."""

import os


def is_available() -> bool:
    """There is no CUDA here."""
    return False


def device_count() -> int:
    """GPUs that the engine stood in for would see; 0 makes dynamo.trtllm refuse to start without --gpus-per-node."""
    return int(os.environ.get("STAND_IN_GPUS", "1"))
