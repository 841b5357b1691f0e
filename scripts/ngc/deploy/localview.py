"""How a stack of this machine really is: its processes, what is registered, and what a request says."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ngc import output
from ngc.deploy import composecli, names
from ngc.deploy import promise as promises
from ngc.deploy.composecli import GONE, Compose, Process
from ngc.deploy.counters import PATH as METRICS
from ngc.deploy.promise import Asked
from ngc.deploy.stacks import Stack


@dataclass(frozen=True)
class View:
    """One look at a stack. A process that its Compose file has and the engine has not is GONE."""

    stack: Stack
    processes: tuple[Process, ...]
    asked: Asked


def look(compose: Compose, stack: Stack, request: bool = True) -> View:
    """Look at a stack; `request`: also ask its frontend, for a token of each model too."""
    here = composecli.processes(compose, stack.project)
    gone = sorted(set(_expected(stack)) - {process.service for process in here})
    processes = tuple(sorted([*here, *(Process(name, "", GONE) for name in gone)], key=lambda process: process.service))
    if not request:
        return View(stack, processes, Asked(None, None, {}))

    def counters(services: tuple[str, ...]) -> list[str | None]:
        wanted = {key.lower() for key in services}
        workers = [p for p in processes if p.service.rpartition("-")[0] in wanted and p.state == "running"]
        return [composecli.http(compose, worker, names.SYSTEM_PORT, METRICS) for worker in workers]

    return View(stack, processes, promises.ask(stack.url, stack.promise, True, counters))


def _expected(stack: Stack) -> Collection[str]:
    """The services of the stack's Compose file."""
    try:
        services: Collection[str] = json.loads(stack.file.read_text())["services"].keys()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ()  # `down` works without the file, and the containers that are there can be looked at
    return services


def states(view: View) -> dict[str, str]:
    """A word for each process, a count for each endpoint."""
    processes = {process.service: state(process) for process in view.processes}
    return {**processes, **promises.states(view.stack.promise, view.asked)}


def progress(view: View, before: Collection[str]) -> dict[str, str]:
    """What is known already of a stack that comes up. `before`: containers that may still be replaced, of which nothing is told."""
    told = [p for p in view.processes if p.state != GONE and p.container not in before]
    counts = {} if view.asked.registered is None else promises.states(view.stack.promise, view.asked)
    return {**{process.service: state(process) for process in told}, **counts}


def state(process: Process) -> str:
    """How a process is, in words."""
    again = f"{process.restarts} restart{'' if process.restarts == 1 else 's'}"
    if process.state == "running":
        return f"running, {again}" if process.restarts else "running"
    if process.state == "restarting":
        return f"restarting after exit {process.exit_code}, {again}"
    return f"exited ({process.error or process.exit_code})" if process.state == "exited" else process.state


def problems(view: View) -> list[str]:
    """What keeps the stack from serving as its config promises; empty when it does."""
    if all(process.state == GONE for process in view.processes):
        return [
            f"{view.stack.name} is not running; `invoke up` starts it again, `invoke down --config={view.stack.name}` forgets it"
        ]
    down = [f"{process.service} is {state(process)}" for process in view.processes if process.state != "running"]
    return [*down, *promises.broken(view.stack.promise, view.asked)]


def as_data(view: View, found: list[str]) -> dict[str, Any]:
    """For programs."""
    stack = view.stack
    return {
        "name": stack.name,
        "config": stack.config,
        "image": stack.image,
        "url": stack.url,
        "healthy": not found,
        "problems": found,
        "processes": [
            {
                "service": process.service,
                "state": process.state,
                "health": process.health,
                "restarts": process.restarts,
                "container": process.container[:12],
            }
            for process in view.processes
        ],
        **promises.as_data(stack.promise, view.asked),
    }


def page(view: View, found: list[str]) -> str:
    """For people: a line for each part, then the verdict."""
    rows = states(view)
    for model, answer in view.asked.answers.items():
        rows[model] = f"{answer.status or 'no answer'}{promises.path(view.stack.promise, view.asked, answer)}"
    width = max(map(len, rows), default=0)
    lines = [f"{view.stack.name} at {view.stack.url} ({view.stack.image})"]
    lines += [f"  {name:{width}}  {state}" for name, state in rows.items()]
    lines += [f"not healthy: {text}" for text in found] or ["healthy"]
    return output.lines(lines)


def asked(view: View, found: list[str]) -> str:
    """What was asked and answered, then the verdict."""
    said = promises.conversation(view.stack.promise, view.asked, view.stack.url)
    return "\n".join([said, *(output.line(f"not well: {text}") for text in found)])
