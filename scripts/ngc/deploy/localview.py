"""How a stack of this machine really is: its processes, what is registered, and what a request says. Never one sign alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ngc.deploy import asking, composecli
from ngc.deploy.asking import Answer
from ngc.deploy.composecli import Compose, Process
from ngc.deploy.graph import PREFILL
from ngc.deploy.serving import Endpoint
from ngc.deploy.stacks import Stack

# What a frontend that lost sight of a worker takes to say so: Dynamo's lease, in seconds.
LEASE = 10


@dataclass(frozen=True)
class View:
    """One look. `registered` and `models` are None while the frontend does not answer; `answers` are of one request a model."""

    stack: Stack
    processes: tuple[Process, ...]
    registered: Mapping[str, int] | None
    models: tuple[str, ...] | None
    answers: Mapping[str, Answer]


def look(compose: Compose, stack: Stack, request: bool) -> View:
    """Look at a stack; `request`: also ask for one token of each model, where its workers are registered."""
    processes = tuple(composecli.processes(compose, stack.project))
    registered = asking.registered(stack.url, stack.namespace)
    listed = asking.models(stack.url)
    view = View(stack, processes, registered, None if listed is None else tuple(listed), {})
    if not request or any(model not in (view.models or ()) for model in stack.models):
        return view
    answers = {model: asking.chat(stack.url, model) for model in stack.models}
    return View(stack, processes, registered, view.models, answers)


def states(view: View) -> dict[str, str]:
    """A word for each process, a count for each endpoint."""
    found = {process.service: _state(process) for process in view.processes}
    for endpoint in view.stack.endpoints:
        count = (view.registered or {}).get(endpoint.name, 0)
        found[endpoint.name] = f"{count} of {endpoint.workers} registered"
    return found


def _state(process: Process) -> str:
    if process.state == "running":
        again = f", restarted {process.restarts} times" if process.restarts else ""
        return "running" + again
    if process.state == "restarting":
        return f"restarting after exit {process.exit_code} ({process.restarts} times)"
    return (
        f"{process.state} ({process.error or f'exit {process.exit_code}'})"
        if process.state == "exited"
        else process.state
    )


def problems(view: View) -> list[str]:
    """What keeps the stack from serving as its config promises; empty when it does."""
    stack = view.stack
    if not view.processes:
        return [f"{stack.name} is not running"]
    found = [f"{process.service} is {_state(process)}" for process in view.processes if process.state != "running"]
    if view.registered is None:
        return [*found, f"the frontend does not answer at {stack.url}"]
    found += [text for endpoint in stack.endpoints if (text := _lacks(view, endpoint))]
    missing = [model for model in stack.models if model not in (view.models or ())]
    found += [f"the model {model} is not listed" for model in missing]
    for model, answer in view.answers.items():
        if answer.error:
            found.append(f"a request for {model} ended with {answer.status or 'no answer'}: {answer.error}")
        elif stack.stand_in and stack.disaggregated and (wrong := asking.hand_over([answer.first_word])):
            found.append(f"no KV cache was handed over: {wrong}")
    return found


def _lacks(view: View, endpoint: Endpoint) -> str | None:
    """What is wrong with the workers of a role, with what it means for requests."""
    here = (view.registered or {}).get(endpoint.name, 0)
    if here >= endpoint.workers:
        return None
    text = f"{endpoint.role}: {here} of {endpoint.workers} registered as {endpoint.name}"
    if here or endpoint.role != PREFILL:
        return text
    return text + (
        "; until one is, decode workers compute prompts themselves"
        if view.stack.without_prefill == "local"
        else "; until one is, requests fail"
    )


def as_data(view: View, found: list[str]) -> dict[str, Any]:
    """For programs."""
    return {
        "name": view.stack.name,
        "config": view.stack.config,
        "image": view.stack.image,
        "url": view.stack.url,
        "healthy": not found,
        "problems": found,
        "processes": [
            {
                "service": p.service,
                "state": p.state,
                "health": p.health,
                "restarts": p.restarts,
                "container": p.container[:12],
            }
            for p in view.processes
        ],
        "endpoints": [
            {
                "role": e.role,
                "endpoint": e.name,
                "registered": (view.registered or Counter()).get(e.name, 0),
                "wanted": e.workers,
            }
            for e in view.stack.endpoints
        ],
        "models": list(view.models or ()),
        "answers": {
            m: {"status": a.status, "first_word": a.first_word, "error": a.error} for m, a in view.answers.items()
        },
    }


def page(view: View, found: list[str]) -> str:
    """For people: a line for each part, then the verdict."""
    rows = states(view)
    width = max(map(len, rows), default=0)
    lines = [f"{view.stack.name} at {view.stack.url} ({view.stack.image})"]
    lines += [f"  {name:{width}}  {state}" for name, state in rows.items()]
    for model, answer in view.answers.items():
        path = f", first word '{answer.first_word}'" if view.stack.stand_in and answer.first_word else ""
        lines.append(f"  {model}: {answer.status or 'no answer'}{path}")
    lines += [f"not healthy: {text}" for text in found] or ["healthy"]
    return "\n".join(lines)


def asked(view: View, found: list[str]) -> str:
    """What was asked and answered, then the verdict."""
    lines = [f"{view.stack.url}/v1/models: {', '.join(view.models or ()) or 'nothing'}"]
    for model, answer in view.answers.items():
        lines.append(f"chat with {model}: {answer.status or 'no answer'}{f' {answer.text!r}' if answer.text else ''}")
    if view.stack.stand_in and view.stack.disaggregated and not found:
        lines.append("the KV cache went from prefill to decode over NIXL")
    return "\n".join([*lines, *(f"not well: {text}" for text in found)])
