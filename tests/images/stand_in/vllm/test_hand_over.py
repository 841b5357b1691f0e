"""The real dynamo.vllm over the stub of vLLM: which way a request went is in the first word of its answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sh

from ..stack import Model, wait_for
from .conftest import Words

REQUESTS, GENERATE = "dynamo_component_requests_total{", 'dynamo_endpoint="generate"'


@pytest.fixture(scope="module")
def pair(services: tuple, words: Words) -> Model:
    """A prefill worker and a decode worker, as upstream's deployments have them."""
    stack, url = services
    model = Model(stack, url, "vllm")
    model.prefill, model.decode = model.worker(*words.prefill), model.worker(*words.decode)
    model.wait_for_workers("backend", "prefill")
    model.wait_for_answer()
    return model


def test_a_decode_worker_reads_the_prefill_over_nixl(pair: Model):
    """Up to 0.9 it has no role flag in upstream's deployments."""
    assert pair.first_word() == "transferred"


def test_simultaneous_requests_do_not_overwrite_each_other(pair: Model):
    """With too few KV slots most of these were 'corrupt'."""
    with ThreadPoolExecutor(48) as pool:
        first = list(pool.map(lambda number: pair.first_word(f"prompt {number}"), range(192)))
    assert first == ["transferred"] * 192


def test_an_answer_has_the_length_asked_for(pair: Model):
    assert pair.ask("Hi", tokens=5) == (200, ["transferred", "w2001", "w2002", "w2003", "w2004"])


def test_the_answer_is_computed_locally_without_a_prefill_worker(model: Model):
    model.worker()
    model.wait_for_answer()
    assert model.first_word() == "local"


def test_the_explicit_decode_role_hands_over_too(model: Model, words: Words):
    model.worker(*words.prefill)
    model.worker(*words.explicit)
    model.wait_for_workers("backend", "prefill")
    model.wait_for_answer()
    assert model.first_word() == "transferred"


def test_a_restarted_prefill_worker_is_read_again(model: Model, words: Words):
    """Its NIXL agent needs a new name: with the old one decode got NIXL_ERR_NOT_FOUND."""
    prefill = model.worker(*words.prefill)
    model.worker(*words.decode)
    model.wait_for_workers("backend", "prefill")
    wait_for(lambda: model.first_word() == "transferred", 20, "a first hand-over")
    prefill.restart()
    wait_for(lambda: model.first_word() == "transferred", 60, "a hand-over after the restart")


def test_wrong_content_is_noticed(model: Model, words: Words):
    """The other tests prove something only because this one fails the check."""
    model.worker(*words.prefill, options=("--env", "STAND_IN_FAULT=corrupt"))
    model.worker(*words.decode)
    model.wait_for_workers("backend", "prefill")
    model.wait_for_answer()
    assert model.first_word() == "corrupt"


def test_a_worker_without_the_nixl_connector_cannot_read(model: Model, words: Words):
    model.worker(*words.prefill)
    model.worker(*words.unlinked)
    model.wait_for_workers("backend", "prefill")
    model.wait_for_answer()
    assert model.first_word() == "unlinked"


def test_repeated_prompts_go_to_the_worker_that_has_them(services: tuple, framework: str):
    """KV events reach a KV-aware router: the same prompts land on the same worker each time."""
    stack, _ = services
    frontend = stack.start(
        "kv-frontend", "python3", "-m", "dynamo.frontend", "--http-port", "8000", "--router-mode", "kv",
        options=("--publish", "127.0.0.1::8000"),
    )  # fmt: skip
    address = str(stack.client("port", frontend.name, "8000", _timeout=20)).strip().splitlines()[0]
    model = Model(stack, f"http://{address}", framework)
    workers = [model.worker(), model.worker()]
    model.wait_for_workers("backend", "backend")
    model.wait_for_answer()

    def served() -> list[int]:
        """Requests each worker has answered."""
        lines = [worker.exec("curl", "-fsS", "http://127.0.0.1:9090/metrics").splitlines() for worker in workers]
        return [
            sum(int(line.split()[-1]) for line in one if line.startswith(REQUESTS) and GENERATE in line)
            for one in lines
        ]

    def where(*prompts: str) -> list[int]:
        """How many of the prompts, asked at once, each worker answered; the counters are a little late."""
        before = served()
        with ThreadPoolExecutor(len(prompts)) as pool:
            assert [status for status, _ in pool.map(model.ask, prompts)] == [200] * len(prompts)
        after = wait_for(
            lambda: now if sum(now := served()) == sum(before) + len(prompts) else None, 10, "the counters"
        )
        return [new - old for old, new in zip(before, after, strict=True)]

    wait_for(lambda: sum(served()) > 0, 10, "the counters")
    prompts = [f"{number} " + "lorem ipsum " * 20 for number in range(6)]
    assert min(where(*prompts)) > 0  # at once, so that both workers get some
    first = [where(prompt) for prompt in prompts]
    assert [where(prompt) for prompt in prompts] == first


def test_flags_are_those_of_dynamo_and_vllm(model: Model, words: Words):
    """Upstream's own errors come out, as the wheel's code is unchanged; from 1.0.0 on the second is the stub's."""
    unknown = model.worker("--no-such-flag")
    wrong = model.worker(*words.wrong)
    for worker, text in ((unknown, "unrecognized arguments: --no-such-flag"), (wrong, words.refusal)):
        wait_for(lambda worker=worker: worker.inspect("{{.State.Running}}") == "false", 20, "the worker's end")
        assert worker.inspect("{{.State.ExitCode}}") != "0"
        assert text in worker.logs()


def test_a_worker_ends_on_sigterm(model: Model, client: sh.Command):
    """The real worker of 0.6.1 hangs here; the stub ends it, and README.md says so."""
    worker = model.worker()
    model.wait_for_answer()
    client("stop", "--time", "20", worker.name, _timeout=40)
    assert worker.inspect("{{.State.ExitCode}}") != "137"
