"""What clients of a disaggregated deployment get: streams, completions, errors that say what is wrong, metrics."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from .deployed import Deployed, up


@pytest.fixture(scope="module")
def trtllm_disagg(verbs, client) -> Iterator[Deployed]:
    with up(verbs, client, "trtllm-disagg", "ngc-test-trtllm") as deployed:
        yield deployed


@pytest.fixture(params=["vllm_disagg", "trtllm_disagg"])
def disagg(request) -> Deployed:
    """A disaggregated deployment of each engine."""
    deployed: Deployed = request.getfixturevalue(request.param)
    return deployed


def test_every_one_of_many_answers_at_once_is_handed_over(vllm_disagg):
    prompts = [f"question {number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        words = list(pool.map(vllm_disagg.first_word, prompts))
    assert words == ["transferred"] * len(prompts)


def test_a_stream_brings_every_token_once(disagg):
    words = list(disagg.stream("Tell me", tokens=50))
    assert words == ["transferred", *(f"w{2000 + number}" for number in range(1, 50))]


def test_a_completion_is_handed_over_too(disagg):
    reply = disagg.post("/v1/completions", {"model": disagg.model, "prompt": "Once upon a time", "max_tokens": 4})
    assert (reply.status, reply.words[0], len(reply.words)) == (200, "transferred", 4)


def test_an_unknown_model_is_404(vllm_disagg):
    body = {"model": "no/such-model", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
    assert vllm_disagg.post("/v1/chat/completions", body).status == 404


@pytest.mark.parametrize(
    "body", [{}, {"messages": "Hi"}, {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": -1}]
)
def test_a_malformed_request_is_4xx_and_the_service_goes_on(vllm_disagg, body):
    assert 400 <= vllm_disagg.post("/v1/chat/completions", {"model": vllm_disagg.model, **body}).status < 500
    assert vllm_disagg.first_word() == "transferred"


def test_a_body_that_is_too_long_is_413_and_the_service_goes_on(vllm_disagg):
    """The frontend takes 45 MB (DYN_HTTP_BODY_LIMIT_MB)."""
    assert vllm_disagg.chat("a" * 50_000_000).status == 413
    assert vllm_disagg.first_word() == "transferred"


def test_a_prompt_that_is_too_long_is_refused_with_the_lengths_and_the_service_goes_on(vllm_disagg):
    """The model takes 32,768 tokens. Dynamo 0.6.1 makes 500 of the engine's refusal, where 400 would be right."""
    reply = vllm_disagg.chat("a" * 40_000)
    assert reply.status == 500
    assert "is longer than the maximum model length of 32768" in reply.body
    assert vllm_disagg.first_word() == "transferred"


def test_the_frontend_and_both_kinds_of_workers_have_metrics(vllm_disagg):
    vllm_disagg.chat()
    text = vllm_disagg.get("/metrics")
    assert f'dynamo_frontend_requests_total{{endpoint="chat_completions",model="{vllm_disagg.model.lower()}"' in text
    for worker in ("vllmdecodeworker-0", "vllmprefillworker-0"):
        assert "dynamo_component_requests_total" in vllm_disagg.metrics(worker)
