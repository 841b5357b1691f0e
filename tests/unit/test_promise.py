"""What a frontend must show before a graph is said to serve."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ngc.deploy import promise as promises
from ngc.deploy.asking import Answer
from ngc.deploy.counters import requests
from ngc.deploy.promise import Asked, Promise
from ngc.deploy.serving import Endpoint

TWO_EACH = (
    Endpoint("decode", "backend.generate", 2, ("Decode",)),
    Endpoint("prefill", "prefill.generate", 2, ("Prefill",)),
)
PROMISE = Promise("ns", ("m",), TWO_EACH, "local", stand_in=True)
METRICS = """\
# TYPE dynamo_component_requests_total counter
dynamo_component_requests_total{{dynamo_component="prefill",dynamo_endpoint="clear_kv_blocks",model="m"}} 7
dynamo_component_requests_total{{dynamo_component="prefill",dynamo_endpoint="generate",model="m"}} {}
"""


@dataclass
class Frontend:
    """A frontend that knows two workers of each role and answers with the words in turn."""

    words: list[str] = field(default_factory=lambda: ["transferred"])
    workers: list[str] = field(default_factory=lambda: ["backend", "prefill"] * 2)
    models: list[str] = field(default_factory=lambda: ["m"])
    prompts: list[str] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    url: str = ""

    def get(self, path: str) -> object:
        if path == "/health":
            return {"instances": [{"namespace": "ns", "component": c, "endpoint": "generate"} for c in self.workers]}
        return {"data": [{"id": model} for model in self.models]}

    def post(self, asked: dict[str, Any]) -> object:
        self.prompts.append(asked["messages"][0]["content"])
        self.asked_for.append(asked["model"])
        word = self.words[(len(self.prompts) - 1) % len(self.words)]
        return {"choices": [{"message": {"content": word}, "finish_reason": "length"}]}


@pytest.fixture
def frontend() -> Iterator[Frontend]:
    made = Frontend()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(made.get(self.path))

        def do_POST(self) -> None:
            self.answer(made.post(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def answer(self, data: object) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(data).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()


def counting(*counts: int | None):
    """The counters of one prefill worker, as they are each time they are read."""
    left = list(counts)

    def read(services):
        assert services == ("Prefill",)
        count = left.pop(0)
        return [None if count is None else METRICS.format(count)]

    return read


def nobody(services):
    raise AssertionError("the counters are not needed")


def test_every_pair_of_workers_is_asked_with_a_prompt_of_its_own(frontend):
    asked = promises.ask(frontend.url, PROMISE, True, nobody)
    assert promises.broken(PROMISE, asked) == []
    assert len(set(frontend.prompts)) == 4
    assert promises.conversation(PROMISE, asked, "URL").endswith("the KV cache went from prefill to decode over NIXL")


@pytest.mark.parametrize("bad", range(4))
def test_one_broken_pair_among_good_ones_is_never_healthy(frontend, bad):
    frontend.words = ["transferred"] * 4
    frontend.words[bad] = "corrupt"
    asked = promises.ask(frontend.url, PROMISE, True, nobody)
    assert promises.broken(PROMISE, asked) == [
        "no KV cache was handed over: the KV transfer failed, or its content is wrong"
    ]


def test_workers_that_are_registered_and_not_asked_may_have_been_given_up(frontend):
    frontend.words = ["local"]
    asked = promises.ask(frontend.url, PROMISE, True, nobody)
    assert promises.broken(PROMISE, asked) == [
        "no KV cache was handed over: the decode worker computed the prompt itself: no prefill worker was asked",
        promises.GIVEN_UP,
    ]
    refused = Answer(500, "", 'Failed to generate completions: no instances found for endpoint "backend/generate"')
    found = promises.broken(PROMISE, replace(asked, answers={"m": refused}))
    assert found[1:] == [promises.GIVEN_UP]


def test_workers_that_are_not_registered_are_not_called_given_up(frontend):
    asked = Asked({"backend.generate": 2, "prefill.generate": 1}, ("m",), {"m": Answer(200, "local", "")})
    assert promises.GIVEN_UP not in promises.broken(PROMISE, asked)


def test_many_pairs_are_not_all_asked(frontend):
    many = replace(PROMISE, endpoints=tuple(replace(endpoint, workers=100) for endpoint in TWO_EACH))
    promises.ask(frontend.url, many, True, nobody)
    assert len(frontend.prompts) == promises.MOST_REQUESTS


def test_a_role_that_is_scaled_to_nothing_promises_nothing(frontend):
    frontend.words = ["local"]
    alone = replace(PROMISE, endpoints=(TWO_EACH[0], replace(TWO_EACH[1], workers=0)))
    asked = promises.ask(frontend.url, alone, True, nobody)
    assert promises.broken(alone, asked) == []
    assert "KV cache" not in promises.conversation(alone, asked, "URL")


UNASKED = "no prefill worker was asked for a request: the decode workers computed the prompt themselves"


@pytest.mark.parametrize(
    ("counts", "told", "broken"),
    [
        ((5, 6), ", a prefill worker was asked", []),
        ((5, 5), "", [UNASKED, promises.GIVEN_UP]),
        ((5, 0), ", not known whether a prefill worker was asked", []),  # it has been restarted meanwhile
        ((5, None), ", not known whether a prefill worker was asked", []),
        ((None, None), ", not known whether a prefill worker was asked", []),
    ],
)
def test_on_a_real_image_the_counters_of_prefill_workers_tell(frontend, counts, told, broken):
    frontend.words = ["Hello"]
    real = replace(PROMISE, stand_in=False)
    asked = promises.ask(frontend.url, real, True, counting(*counts))
    assert promises.broken(real, asked) == broken
    assert promises.path(real, asked, asked.answers["m"]) == told
    assert "over NIXL" not in promises.conversation(real, asked, "URL")


UNKNOWN = replace(PROMISE, models=(), endpoints=())  # of a graph whose workers run a program of the user's own


@pytest.mark.parametrize(
    ("workers", "models", "broken"),
    [
        ([], [], ["no worker is registered", "no model is listed"]),
        (["backend"], [], ["no model is listed"]),
        ([], ["m"], ["no worker is registered"]),
        (["backend"], ["a", "b"], []),
    ],
)
def test_workers_that_are_not_recognised_must_register_and_list_a_model(frontend, workers, models, broken):
    frontend.workers, frontend.models = workers, models
    asked = promises.ask(frontend.url, UNKNOWN, True, nobody)
    assert promises.broken(UNKNOWN, asked) == broken
    assert frontend.asked_for == models
    assert promises.served(UNKNOWN, asked) == ", ".join(models)


def test_every_model_of_unrecognised_workers_must_answer(frontend):
    frontend.models, frontend.words = ["a", "b"], ["fine", ""]
    asked = promises.ask(frontend.url, UNKNOWN, True, nobody)
    assert promises.broken(UNKNOWN, asked) == ["a request for b ended with 200: the answer has no content"]


def test_a_config_s_own_name_is_the_one_that_is_asked(frontend):
    frontend.models = ["m", "other"]
    named = replace(UNKNOWN, models=("m",))
    promises.ask(frontend.url, named, True, nobody)
    assert frontend.asked_for == ["m"]


def test_a_worker_that_does_not_say_makes_the_sum_unknown():
    assert requests([METRICS.format(2), METRICS.format(3)], "prefill.generate") == 5
    assert requests([METRICS.format(2), None], "prefill.generate") is None
    assert requests([METRICS.format(2)], "backend.generate") is None
    assert requests([], "prefill.generate") is None


def test_a_record_of_before_roles_had_services_is_read():
    old = {"namespace": "n", "models": ["m"], "without_prefill": None, "stand_in": False,
           "endpoints": [{"role": "prefill", "name": "a.b", "workers": 1}]}  # fmt: skip
    assert promises.from_data(old).endpoints == (Endpoint("prefill", "a.b", 1),)
