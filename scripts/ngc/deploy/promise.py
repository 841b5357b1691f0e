"""What a config promises its clients, and whether a frontend keeps it. Never one sign alone: each of them has lied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ngc import output
from ngc.deploy import asking, names, serving
from ngc.deploy.asking import Answer
from ngc.deploy.counters import Counters, requests
from ngc.deploy.graph import PREFILL
from ngc.deploy.prepare import Prepared
from ngc.deploy.serving import Endpoint

MOST_REQUESTS = 16
NO_INSTANCES = "no instances found"  # what a frontend says that has given up all workers of a model that it lists
# Who asks a worker forgets it at the first request that NATS brings nobody, and hears of it again at the next change of the
# registered ones (Dynamo 0.6.1, seen).
GIVEN_UP = (
    "every worker is registered, but some may have been given up, as Dynamo does with those it cannot reach while NATS is away: "
    "restart a worker of that kind, and all are asked again"
)


@dataclass(frozen=True)
class Promise:
    """`endpoints` must be registered in Dynamo's `namespace`; with a stand-in the first word of an answer proves its path.

    Of workers that are not recognised (a program of the user's own) neither `models` nor `endpoints` are known: then there must be
    at least one worker and one model, whichever they are, and every model that is listed must answer.
    """

    namespace: str
    models: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    without_prefill: str | None
    stand_in: bool

    @property
    def disaggregated(self) -> bool:
        """True if a KV cache must go from one role's workers to another's."""
        return sum(endpoint.workers > 0 for endpoint in self.endpoints) > 1

    @property
    def hand_over(self) -> bool:
        """True if answers must show that a KV cache was transferred."""
        return self.stand_in and self.disaggregated

    @property
    def requests(self) -> int:
        """Requests that reach every pair of a prefill and a decode worker, for both are chosen in turn; with many pairs some of them."""
        pairs = math.prod(max(1, endpoint.workers) for endpoint in self.endpoints)
        return min(pairs, MOST_REQUESTS) if self.hand_over else 1


@dataclass(frozen=True)
class Asked:
    """What a frontend said. `registered` and `models` are None while it does not answer.

    `answers`: for each model the first answer that is not as it should be, else the last. `prefill_asked`: whether the
    counters of prefill workers rose by the requests for them; None where that was not looked at or cannot be known.
    """

    registered: Mapping[str, int] | None
    models: tuple[str, ...] | None
    answers: Mapping[str, Answer]
    prefill_asked: bool | None = None


def of(prepared: Prepared, stand_in: bool) -> Promise:
    """What a graph with a frontend promises."""
    graph = prepared.graph
    assert graph.frontend is not None  # its callers have said so to the user
    return Promise(
        namespace=names.dynamo_namespace(graph, graph.frontend),
        models=serving.models(graph, prepared.serving),
        endpoints=serving.endpoints(graph, prepared.serving),
        without_prefill=prepared.serving.get("without-prefill"),
        stand_in=stand_in,
    )


def from_data(data: Mapping[str, Any]) -> Promise:
    """A promise that was written down as asdict() has it."""
    endpoints = tuple(
        Endpoint(**{**entry, "services": tuple(entry.get("services", ()))}) for entry in data["endpoints"]
    )
    return Promise(**{**data, "models": tuple(data["models"]), "endpoints": endpoints})


def ask(url: str, promise: Promise, request: bool, counters: Counters) -> Asked:
    """Ask a frontend; `request`: also for a token of each model, once it lists them all, of every pair of workers."""
    registered = asking.registered(url, promise.namespace)
    listed = asking.models(url)
    found = Asked(registered, None if listed is None else tuple(listed), {})
    models = promise.models or found.models or ()
    if not request or any(model not in (found.models or ()) for model in models):
        return found
    before = _prefilled(promise, counters)
    answers = {model: _chat(url, promise, model) for model in models}
    after = _prefilled(promise, counters)
    # A worker that restarts begins at 0 again.
    asked = None if before is None or after is None or after < before else after > before
    return replace(found, answers=answers, prefill_asked=asked)


def _prefilled(promise: Promise, counters: Counters) -> float | None:
    """Requests that prefill workers have had; None where that is not known, or the answers themselves show more."""
    prefill = next((endpoint for endpoint in promise.endpoints if endpoint.role == PREFILL), None)
    if prefill is None or not promise.disaggregated or promise.stand_in:
        return None
    return requests(counters(prefill.services), prefill.name)


def _chat(url: str, promise: Promise, model: str) -> Answer:
    """The first answer that breaks the promise, else the last."""
    for number in range(promise.requests):
        answer = asking.chat(url, model, f"Hi {number}")  # a KV-aware router sends the same prompt to the same worker
        if _wrong(promise, model, answer):
            break
    return answer


def _wrong(promise: Promise, model: str, answer: Answer) -> str | None:
    """What is wrong with an answer, None if nothing is."""
    if answer.error:
        return f"a request for {model} ended with {answer.status or 'no answer'}: {answer.error}"
    if promise.hand_over and (why := asking.hand_over(answer.first_word)):
        return f"no KV cache was handed over: {why}"
    return None


def broken(promise: Promise, asked: Asked) -> list[str]:
    """What is not as promised, a sentence each; empty when all is."""
    if asked.registered is None:
        return ["the frontend does not answer"]
    lacking = [text for endpoint in promise.endpoints if (text := _lacks(promise, asked.registered, endpoint))]
    found = list(lacking)
    if not promise.endpoints and not sum(asked.registered.values()):
        found.append("no worker is registered")
    found += [f"the model {model} is not listed" for model in promise.models if model not in (asked.models or ())]
    if not promise.models and not asked.models:
        found.append("no model is listed")
    found += [text for model, answer in asked.answers.items() if (text := _wrong(promise, model, answer))]
    if asked.prefill_asked is False and not found:
        found.append("no prefill worker was asked for a request: the decode workers computed the prompt themselves")
    if promise.endpoints and not lacking and _unasked(promise, asked):
        found.append(GIVEN_UP)
    return found


def _unasked(promise: Promise, asked: Asked) -> bool:
    """Whether the workers of a role are not asked: requests fail for it, or decode workers compute the prompts themselves."""
    refused = any(NO_INSTANCES in answer.error for answer in asked.answers.values())
    local = promise.hand_over and any(answer.first_word == asking.LOCAL for answer in asked.answers.values())
    return refused or local or asked.prefill_asked is False


def _lacks(promise: Promise, registered: Mapping[str, int], endpoint: Endpoint) -> str | None:
    """What is wrong with the workers of a role, with what it means for requests."""
    here = registered.get(endpoint.name, 0)
    if here >= endpoint.workers:
        return None
    text = f"{endpoint.role}: {here} of {endpoint.workers} registered as {endpoint.name}"
    if here or endpoint.role != PREFILL:
        return text
    local = promise.without_prefill == "local"
    return text + (
        "; until one is, decode workers compute prompts themselves" if local else "; until one is, requests fail"
    )


def states(promise: Promise, asked: Asked) -> dict[str, str]:
    """A count for each endpoint, for people who wait."""
    counts = asked.registered or {}
    known = {e.name: f"{counts.get(e.name, 0)} of {e.workers} registered" for e in promise.endpoints}
    return known or {name: f"{count} registered" for name, count in sorted(counts.items())}


def served(promise: Promise, asked: Asked) -> str:
    """For people: the models that are served, by the config's names or else by what the workers registered."""
    return ", ".join(promise.models or asked.models or ())


def as_data(promise: Promise, asked: Asked) -> dict[str, Any]:
    """For programs."""
    counts = asked.registered or {}
    return {
        "endpoints": [
            {"role": e.role, "endpoint": e.name, "registered": counts.get(e.name, 0), "wanted": e.workers}
            for e in promise.endpoints
        ],
        "models": list(asked.models or ()),
        "answers": {
            model: {"status": answer.status, "first_word": answer.first_word, "error": answer.error}
            for model, answer in asked.answers.items()
        },
        "prefill_asked": asked.prefill_asked,
    }


def path(promise: Promise, asked: Asked, answer: Answer) -> str:
    """For people: what is known of the way that an answer came, to be put after its status."""
    if promise.stand_in:
        return f", first word '{answer.first_word}'" if answer.first_word else ""
    if not promise.disaggregated or answer.error or asked.prefill_asked is False:
        return ""
    return ", a prefill worker was asked" if asked.prefill_asked else ", not known whether a prefill worker was asked"


def conversation(promise: Promise, asked: Asked, url: str) -> str:
    """For people: what was asked and answered."""
    lines = [f"{url}/v1/models: {', '.join(asked.models or ()) or 'nothing'}"]
    for model, answer in asked.answers.items():
        lines.append(f"chat with {model}: {answer.status or 'no answer'}{f' {answer.text!r}' if answer.text else ''}")
    if asked.answers and promise.disaggregated and not broken(promise, asked):
        lines.append(_handed_over(promise, asked))
    return output.lines(lines)


def _handed_over(promise: Promise, asked: Asked) -> str:
    """What good answers of a disaggregated graph show, and what they do not."""
    if promise.stand_in:
        return "the KV cache went from prefill to decode over NIXL"
    if asked.prefill_asked:
        return "a prefill worker was asked, by its own counter; that its KV cache arrived only the stand-in's answers can show"
    return "whether a prefill worker was asked is not known: the counters of prefill workers cannot be read"
