"""KV-aware routing: a prompt goes where its prefix is in the cache."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .deployed import Deployed, up

WORKERS = ("vllmdecodeworker-0", "vllmdecodeworker-1")
# 40 blocks of 16 tokens: enough for the overlap to outweigh the load of one request.
PREFIX = "the same long beginning " * 27


@pytest.fixture(scope="module")
def routed(verbs, client) -> Iterator[Deployed]:
    with up(verbs, client, "vllm-router", "ngc-test-router") as deployed:
        yield deployed


def requests(deployed: Deployed) -> list[int]:
    """Requests that each worker has had."""
    found = []
    for worker in WORKERS:
        lines = re.findall(
            r"^dynamo_component_requests_total\{[^}]*dynamo_endpoint=\"generate\"[^}]*\} (\d+)",
            deployed.metrics(worker),
            re.M,
        )
        found.append(sum(map(int, lines)))
    return found


def served_by(deployed: Deployed, prompt: str) -> str:
    before = requests(deployed)
    assert deployed.chat(prompt).status == 200
    after = requests(deployed)
    assert sum(after) == sum(before) + 1
    return next(worker for worker, old, new in zip(WORKERS, before, after, strict=True) if new > old)


def test_a_repeated_prefix_goes_to_the_same_worker(routed, wait_for):
    prompts = [f"{number} {PREFIX}" for number in range(6)]
    first = {prompt: served_by(routed, prompt) for prompt in prompts}
    # The workers' KV events reach the router a moment later; from then on no repetition may go elsewhere.
    wait_for(lambda: served_by(routed, prompts[0]) == first[prompts[0]], "the router knows the first prefix")
    again = {prompt: served_by(routed, prompt) for prompt in prompts for _ in range(3)}
    assert again == first


def test_distinct_prompts_at_once_go_to_both_workers(routed):
    from concurrent.futures import ThreadPoolExecutor

    before = requests(routed)
    with ThreadPoolExecutor(8) as pool:
        replies = list(
            pool.map(lambda number: routed.chat(f"{number} quite another question " * 20, tokens=30), range(16))
        )
    assert {reply.status for reply in replies} == {200}
    assert all(new > old for old, new in zip(before, requests(routed), strict=True))
