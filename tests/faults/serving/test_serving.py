"""Processes and lines that fail under a served stack: what clients see, and that it heals by itself.

Bounds are two to three times what was measured (docs/SERVING.md): a slow machine takes longer, a lost worker takes for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.serving.deployed import Deployed, left_over, up
from tests.serving.load import OpenLoop

from ngc.deploy import promise

TWO_EACH = ("--set=spec.services.VllmPrefillWorker.replicas=2", "--set=spec.services.VllmDecodeWorker.replicas=2")
BASE = ("--base=stand-in", "--timeout=60")
ANY_PATH = {"transferred", "local"}
RECEIPT = 10.0  # seconds that a frontend waits until a worker says that it has a request (Dynamo 0.6.1)
# Kills all but the container's init, as a crash does; `docker kill` would tell the engine not to start it again.
CRASH = ("sh", "-c", "kill -9 -1")


@pytest.fixture(scope="module")
def served(verbs, client) -> Iterator[Deployed]:
    with up(verbs, client, "vllm-disagg", "ngc-test-fault", *TWO_EACH) as deployed:
        yield deployed


def crash(client, deployed: Deployed, service: str) -> None:
    client("exec", deployed.container(service), *CRASH, _ok_code=[0, 137])


def test_a_decode_worker_that_dies_in_the_middle_of_streams_loses_no_token(served, client, wait_for):
    """Both decode workers have streams; one is killed after their first tokens. A migrated answer begins to count anew."""
    streams = [served.stream(f"a long story {number}", tokens=600) for number in range(6)]
    firsts = [next(stream) for stream in streams]
    crash(client, served, "vllmdecodeworker-0")
    answers = [[first, *stream] for first, stream in zip(firsts, streams, strict=True)]
    assert [len(answer) for answer in answers] == [600] * 6
    for answer in answers:
        begins = [at for at, word in enumerate(answer) if word in ANY_PATH]
        assert begins[0] == 0
        for begin, end in zip(begins, [*begins[1:], 600], strict=True):
            assert answer[begin + 1 : end] == [f"w{2000 + number}" for number in range(1, end - begin)]
    assert any(answer.count("transferred") + answer.count("local") > 1 for answer in answers), "no stream was migrated"
    wait_for(lambda: served.status()[0] == 0, "the status is healthy again", 60)


def nothing_failed_but_what_it_had_taken(load: OpenLoop) -> None:
    """A killed worker's receipt is waited for ten seconds by Dynamo 0.6.1's frontend; what it had given one for, for ever."""
    unanswered = [outcome for outcome in load.wrong if outcome.wrong.startswith("no answer")]
    assert load.wrong == unanswered, load.said()
    assert len(unanswered) <= 1, load.said()


def test_a_decode_worker_is_killed(served, client, fault):
    with fault("one of two decode workers killed", served, ANY_PATH, "transferred", patience=2 * RECEIPT) as load:
        crash(client, served, "vllmdecodeworker-1")
    nothing_failed_but_what_it_had_taken(load)


def test_a_prefill_worker_is_killed(served, client, fault):
    words = {*ANY_PATH, "unlinked", "corrupt"}
    with fault("one of two prefill workers killed", served, words, "transferred", patience=2 * RECEIPT) as load:
        crash(client, served, "vllmprefillworker-0")
    nothing_failed_but_what_it_had_taken(load)
    # The stand-in's word for a transfer that was cut: only of what was read at that moment, some milliseconds long.
    assert sum(outcome.first_word == "corrupt" for outcome in load.outcomes) <= 2


def test_the_frontend_is_killed(served, client, fault):
    with fault("the frontend killed", served, ANY_PATH, "transferred") as load:
        crash(client, served, "frontend-0")
    assert 0 < load.outage < 5


def test_nats_is_away_for_three_seconds(served, client, fault, wait_for):
    """Dynamo 0.6.1 may give up workers that it cannot reach meanwhile: status says so and what to do, and that mends it."""
    with fault("NATS stopped for 3 s", served, ANY_PATH, "transferred", rate=0.5) as load:
        client("stop", "--time", "1", served.container("nats-server"))
        time.sleep(3)  # the fault itself
        client("start", served.container("nats-server"))

        def told() -> bool:
            code, data = served.status()
            return code == 0 or promise.GIVEN_UP in data["problems"]

        wait_for(told, "healthy, or said to be given up")
        if served.status()[0]:
            client("restart", *(served.container(name) for name in ("vllmdecodeworker-0", "vllmprefillworker-0")))
    assert all(promise.NO_INSTANCES in outcome.wrong for outcome in load.wrong), load.said()
    assert load.outage < 30


def test_etcd_is_restarted(served, client, fault):
    with fault("etcd restarted", served, ANY_PATH, "transferred") as load:
        client("restart", "--time", "1", served.container("etcd-server"))
    assert 0 < load.outage < 30


def test_up_is_run_again_and_twice_at_once(served, verbs, fault):
    words = [
        "up",
        "--config=vllm-disagg",
        f"--port={served.url.rpartition(':')[2]}",
        *BASE,
        f"--set=metadata.name={served.name}",
    ]
    with fault("`up` run again, twice at once", served, ANY_PATH, "transferred") as load, ThreadPoolExecutor(2) as pool:
        codes = {said.code for said in pool.map(lambda _: verbs(*words, *TWO_EACH), range(2))}
    assert codes <= {0, 2}
    assert 0 in codes
    assert load.wrong == []


def test_another_stack_wants_the_port(served, verbs, client, fault):
    words = [
        "up",
        "--config=vllm-agg",
        f"--port={served.url.rpartition(':')[2]}",
        *BASE,
        "--set=metadata.name=ngc-test-second",
    ]
    with fault("`up` of another stack with its port", served, ANY_PATH, "transferred") as load:
        said = verbs(*words)
    assert said.code == 2
    assert f"is taken by the stack {served.name} (`invoke down --config={served.name}` ends it)" in said.err
    assert left_over(client, "ngc-ngc-test-second") == []
    assert load.wrong == []


def test_a_worker_is_cut_off_from_the_network(served, client, fault, wait_for):
    network, worker = f"{served.project}_default", served.container("vllmdecodeworker-0")
    with fault("one of two decode workers cut off, then joined again", served, ANY_PATH, "transferred") as load:
        client("network", "disconnect", network, worker)
        wait_for(lambda: served.registered()["backend"] == 1, "the frontend has dropped the worker", 30)
        client("network", "connect", "--alias", "vllmdecodeworker-0", network, worker)
    assert 0 < load.outage < 45
    assert len(load.wrong) < len(load.outcomes)  # the other worker goes on
