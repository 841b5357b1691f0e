"""How a stack of this machine really is: its processes, what is registered, and what a request says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ngc.deploy import composecli, names
from ngc.deploy import promise as promises
from ngc.deploy.composecli import Compose, Process
from ngc.deploy.counters import PATH as METRICS
from ngc.deploy.promise import Asked
from ngc.deploy.stacks import Stack


@dataclass(frozen=True)
class View:
    """One look at a stack."""

    stack: Stack
    processes: tuple[Process, ...]
    asked: Asked


def look(compose: Compose, stack: Stack, request: bool) -> View:
    """Look at a stack; `request`: also ask for one token of each model."""
    processes = tuple(composecli.processes(compose, stack.project))

    def counters(services: tuple[str, ...]) -> list[str | None]:
        wanted = {key.lower() for key in services}
        workers = [p for p in processes if p.service.rpartition("-")[0] in wanted and p.state == "running"]
        return [composecli.http(compose, worker, names.SYSTEM_PORT, METRICS) for worker in workers]

    return View(stack, processes, promises.ask(stack.url, stack.promise, request, counters))


def states(view: View) -> dict[str, str]:
    """A word for each process, a count for each endpoint."""
    processes = {process.service: _state(process) for process in view.processes}
    return {**processes, **promises.states(view.stack.promise, view.asked)}


def _state(process: Process) -> str:
    if process.state == "running":
        again = f", restarted {process.restarts} times" if process.restarts else ""
        return "running" + again
    if process.state == "restarting":
        return f"restarting after exit {process.exit_code} ({process.restarts} times)"
    return f"exited ({process.error or process.exit_code})" if process.state == "exited" else process.state


def problems(view: View) -> list[str]:
    """What keeps the stack from serving as its config promises; empty when it does."""
    if not view.processes:
        return [f"{view.stack.name} is not running"]
    down = [f"{process.service} is {_state(process)}" for process in view.processes if process.state != "running"]
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
    return "\n".join(lines)


def asked(view: View, found: list[str]) -> str:
    """What was asked and answered, then the verdict."""
    said = promises.conversation(view.stack.promise, view.asked, view.stack.url)
    return "\n".join([said, *(f"not well: {text}" for text in found)])
