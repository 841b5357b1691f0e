"""The real dynamo.trtllm over the stub of TensorRT-LLM: both orders of work hand over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ..stack import Model


def start(model: Model, strategy: str, **prefill_options: tuple[str, ...]) -> None:
    """Both workers, and an answer."""
    order = ("--disaggregation-strategy", strategy)
    model.worker("--disaggregation-mode", "prefill", *order, **prefill_options)
    model.worker("--disaggregation-mode", "decode", *order)
    model.wait_for_answer()


@pytest.mark.parametrize("strategy", ["decode_first", "prefill_first"])
def test_the_kv_cache_is_handed_over(model: Model, strategy: str):
    start(model, strategy)
    assert model.ask("Hi", tokens=3) == (200, ["transferred", "w2001", "w2002"])
    with ThreadPoolExecutor(48) as pool:
        words = list(pool.map(lambda number: model.first_word(f"prompt {number}"), range(96)))
    assert words == ["transferred"] * 96


@pytest.mark.parametrize("strategy", ["decode_first", "prefill_first"])
def test_wrong_content_is_noticed(model: Model, strategy: str):
    """The test above proves something only because this one fails the check."""
    start(model, strategy, options=("--env", "STAND_IN_FAULT=corrupt"))
    assert model.first_word() == "corrupt"


def test_an_aggregated_worker_computes_locally(model: Model):
    model.worker("--publish-events-and-metrics")
    model.wait_for_answer()
    assert model.first_word() == "local"
