"""Tensor and pipeline parallelism: nothing is split here, but flags and GPUs must fit as in a real engine."""

import logging
import os

log = logging.getLogger(__name__)


def check(tensor: int, pipeline: int) -> None:
    """Log what was asked for. Where the variable STAND_IN_GPUS says how many GPUs the worker has, they must be exactly those."""
    log.info("tensor parallel %d, pipeline parallel %d", tensor, pipeline)
    told = os.environ.get("STAND_IN_GPUS")
    if told is not None and int(told) != tensor * pipeline:
        raise ValueError(
            f"tensor parallel {tensor} x pipeline parallel {pipeline} is not the {told} GPUs of this worker"
        )
