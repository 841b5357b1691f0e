"""The middle of `up`: Compose runs, and we look until the stack serves, or can say what keeps it from that."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Collection, Mapping

from ngc.deploy import composecli, localview
from ngc.deploy.composecli import GONE, Compose, Process, Running
from ngc.deploy.graph import PREFILL
from ngc.deploy.localview import View
from ngc.deploy.reasons import why
from ngc.deploy.stacks import Stack
from ngc.deploy.watching import Update, plain, uncoloured, watching
from ngc.errors import Failed, Interrupted

POLL = 0.1  # seconds between two looks while a stack comes up
RESTARTS = 3  # a process that has ended this often will not heal by itself
TAIL = 15  # log lines of a process that failed


def start(compose: Compose, stack: Stack, before: Mapping[str, int], timeout: float) -> None:
    """Run Compose and look until the stack serves. `before`: containers that were there already, with their restarts.

    Raises Failed, with what is wrong and the last log lines of the culprit, and Interrupted with what was left.
    """
    running = composecli.begin(compose, stack.project, [str(stack.file)], "up", "--detach", "--remove-orphans")
    try:
        with watching() as update:
            wrong = _until_it_serves(compose, stack, running, before, timeout, update)
        if wrong is not None:
            raise Failed(_explained(compose, *wrong))
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # this process ends here; impatience must not cut off what it says
        composecli.stop(running)
        here = [process.service for process in composecli.processes(compose, stack.project) if process.alive]
        what = f"{', '.join(here)} still run" if here else "nothing runs yet"
        raise Interrupted(f"interrupted; {what}; `{down(stack)}` removes all of {stack.name}") from None
    finally:
        if running.alive:
            composecli.stop(running)


def _until_it_serves(
    compose: Compose, stack: Stack, running: Running, before: Mapping[str, int], timeout: float, update: Update
) -> tuple[View, str] | None:
    """None when the stack serves, else how it is and a sentence that says what is wrong."""
    begun = time.monotonic()
    while True:
        alive = running.alive
        if not alive:
            try:
                composecli.finish(compose, running)
            except Failed as error:
                return localview.look(compose, stack, request=False), str(error)
        # Until Compose has ended, what answers and what runs may be what it is about to replace.
        view = localview.look(compose, stack, request=not alive)
        update(localview.progress(view, before if alive else ()))
        found = localview.problems(view)
        if not alive and not found:
            return None
        for process in view.processes:
            ended = process.restarts - before.get(process.container, 0)
            if ended >= RESTARTS or process.state == "dead":
                return view, f"{process.service} ended {ended} times, at last with {process.exit_code}"
        if time.monotonic() - begun > timeout:
            return view, f"{stack.name} does not serve after {timeout:.0f} s: {'; '.join(found)}"
        time.sleep(POLL)


def down(stack: Stack) -> str:
    """The command that removes a stack, whatever else is up."""
    return f"invoke down --config={stack.name}"


def culprit(view: View) -> Process | None:
    """The process whose log is most likely to say why the stack does not serve."""
    here = [process for process in view.processes if process.state != GONE]
    ill = [p for p in here if p.state != "running" or p.restarts or p.health == "unhealthy"]
    if ill:
        return max(ill, key=lambda p: (p.restarts, p.state != "running"))
    promise, asked = view.stack.promise, view.asked
    frontend = next((process for process in here if process.ports), None)
    if asked.registered is None:
        return frontend
    for endpoint in promise.endpoints:
        if asked.registered.get(endpoint.name, 0) < endpoint.workers:
            return _worker(here, endpoint.services)
    if not asked.answers:  # the workers have registered, and the frontend lists no model
        return frontend
    # The worker that made the answer: it says why it refused, or why no KV cache came.
    return next((_worker(here, e.services) for e in promise.endpoints if e.role != PREFILL), frontend)


def _worker(here: Collection[Process], services: Collection[str]) -> Process | None:
    """A worker of some services of the graph: one that is not ready, where one can be told from the others."""
    names = {key.lower() for key in services}
    found = [process for process in here if process.service.rpartition("-")[0] in names]
    return min(found, key=lambda process: process.health == "healthy", default=None)


def _explained(compose: Compose, view: View, sentence: str) -> str:
    """The sentence, why, and what the process that is most to blame printed last."""
    end = f"`{down(view.stack)}` ends it"
    blamed = culprit(view)
    lines = composecli.tail(compose, blamed, TAIL) if blamed else []
    if not blamed or not lines:
        return f"{sentence}; {end}"
    for line in lines:
        print(f"{blamed.service} | {uncoloured(line) if plain(sys.stderr) else line}", file=sys.stderr)
    cause = why(lines)
    logs = f"`invoke logs --config={view.stack.name} --component={blamed.service}`"
    return f"{sentence}{f': {cause}' if cause else ''}; {logs} shows all that {blamed.service} said, {end}"
