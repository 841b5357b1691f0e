"""What a config promises its clients, and whether a frontend keeps it. Never one sign alone: each of them has lied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ngc.deploy import asking, names, serving
from ngc.deploy.asking import Answer
from ngc.deploy.graph import PREFILL
from ngc.deploy.prepare import Prepared
from ngc.deploy.serving import Endpoint


@dataclass(frozen=True)
class Promise:
    """`endpoints` must be registered in Dynamo's `namespace`; with a stand-in the first word of an answer proves its path."""

    namespace: str
    models: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    without_prefill: str | None
    stand_in: bool

    @property
    def hand_over(self) -> bool:
        """True if answers must show that a KV cache was transferred."""
        return self.stand_in and len(self.endpoints) > 1


@dataclass(frozen=True)
class Asked:
    """What a frontend said. `registered` and `models` are None while it does not answer; `answers` are of a request a model."""

    registered: Mapping[str, int] | None
    models: tuple[str, ...] | None
    answers: Mapping[str, Answer]


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
    endpoints = tuple(Endpoint(**entry) for entry in data["endpoints"])
    return Promise(**{**data, "models": tuple(data["models"]), "endpoints": endpoints})


def ask(url: str, promise: Promise, request: bool) -> Asked:
    """Ask a frontend; `request`: also for one token of each model, once it lists them all."""
    registered = asking.registered(url, promise.namespace)
    listed = asking.models(url)
    found = Asked(registered, None if listed is None else tuple(listed), {})
    if not request or any(model not in (found.models or ()) for model in promise.models):
        return found
    return replace(found, answers={model: asking.chat(url, model) for model in promise.models})


def broken(promise: Promise, asked: Asked) -> list[str]:
    """What is not as promised, a sentence each; empty when all is."""
    if asked.registered is None:
        return ["the frontend does not answer"]
    found = [text for endpoint in promise.endpoints if (text := _lacks(promise, asked.registered, endpoint))]
    found += [f"the model {model} is not listed" for model in promise.models if model not in (asked.models or ())]
    for model, answer in asked.answers.items():
        if answer.error:
            found.append(f"a request for {model} ended with {answer.status or 'no answer'}: {answer.error}")
        elif promise.hand_over and (wrong := asking.hand_over([answer.first_word])):
            found.append(f"no KV cache was handed over: {wrong}")
    return found


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
    return {e.name: f"{counts.get(e.name, 0)} of {e.workers} registered" for e in promise.endpoints}


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
    }


def conversation(promise: Promise, asked: Asked, url: str) -> str:
    """For people: what was asked and answered."""
    lines = [f"{url}/v1/models: {', '.join(asked.models or ()) or 'nothing'}"]
    for model, answer in asked.answers.items():
        lines.append(f"chat with {model}: {answer.status or 'no answer'}{f' {answer.text!r}' if answer.text else ''}")
    if promise.hand_over and asked.answers and not broken(promise, asked):
        lines.append("the KV cache went from prefill to decode over NIXL")
    return "\n".join(lines)
