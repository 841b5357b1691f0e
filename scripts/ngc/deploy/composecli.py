"""Finding Compose and running it: `docker compose`, or docker-compose 1.29 where a distribution has only that."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ngc import engine as engines
from ngc.engine import Engine
from ngc.errors import Failed, Wrong

VARIABLE = "NGC_COMPOSE"
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
OLDEST = (1, 27)  # the first that reads a file without `version:`
GONE = "gone"  # the state of a process whose container was removed


@dataclass(frozen=True)
class Compose:
    """A Compose program: its words, the docker client of the same engine, and its version."""

    words: tuple[str, ...]
    engine: Engine
    version: str


@dataclass(frozen=True)
class Process:
    """A container of a stack. `state` is the engine's (running, restarting, exited), or GONE; `health` is "" without a check.

    `ports` are those of this machine that it has while it runs.
    """

    service: str
    container: str
    state: str
    health: str = ""
    restarts: int = 0
    exit_code: int = 0
    error: str = ""
    ports: tuple[int, ...] = ()

    @property
    def alive(self) -> bool:
        """True if it runs, or the engine is about to start it again."""
        return self.state in ("running", "restarting", "paused")


@dataclass(frozen=True)
class Running:
    """A Compose command that goes on."""

    command: tuple[str, ...]
    child: Any = field(repr=False)  # the repr of a running command waits for its end

    @property
    def alive(self) -> bool:
        return bool(self.child.is_alive())


def candidates() -> list[tuple[str, ...]]:
    """Ways to call Compose, in the order they are tried; the variable NGC_COMPOSE replaces the search."""
    if chosen := os.environ.get(VARIABLE):
        words = tuple(shlex.split(chosen))
        if not words or shutil.which(words[0]) is None:
            raise Wrong(f"{VARIABLE} is '{chosen}', which is no program; write `docker compose` or docker-compose")
        return [words]
    clients = [path for path in engines.clients() if not engines.at(path).podman]
    alone = shutil.which("docker-compose")
    return [*((path, "compose") for path in clients), *([(alone,)] if alone else [])]


def find() -> Compose:
    """The Compose to use. Raises Failed when there is none or the engine does not answer."""
    import sh

    engine = engines.any_client()
    for words in candidates():
        try:
            said = str(sh.Command(words[0])(*words[1:], "version", "--short", _tty_out=False)).strip()
        except (sh.ErrorReturnCode, sh.CommandNotFound):
            continue
        if tuple(map(int, re.findall(r"\d+", said)[:2])) >= OLDEST:
            own = engines.at(shutil.which(words[0]) or words[0]) if words[1:] == ("compose",) else engine
            engines.ask(own, "version", "--format", "{{.Server.Version}}")
            return Compose(words, own, said.removeprefix("v"))
    raise Wrong(
        f"there is no Compose here: `invoke setup --yes` installs one on Debian and Ubuntu, elsewhere docs.docker.com/compose/install; "
        f"or name one in {VARIABLE}"
    )


def begin(compose: Compose, project: str, files: Sequence[str], *words: str) -> Running:
    """Start a Compose command on a project."""
    import sh

    names = [word for file in files for word in ("--file", file)]
    command = (*compose.words, "--project-name", project, *names, *words)
    # A group of its own, so that Ctrl-C ends it when we say so, and that ending it ends nothing else.
    child = sh.Command(command[0])(
        *command[1:], _err_to_out=True, _tty_out=False, _in="", _bg=True, _bg_exc=False, _new_group=True
    )
    return Running(command, child)


def finish(compose: Compose, running: Running) -> None:
    """Wait for the end of a Compose command. Raises Failed with what it said last."""
    import sh

    try:
        running.child.wait()
    except sh.ErrorReturnCode as error:
        raise Failed(explain(compose, error.stdout.decode(errors="replace"), running.command)) from None


def stop(running: Running) -> None:
    """End a Compose command as Ctrl-C would, so that it starts nothing more; at once if it does not heed that."""
    import sh

    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(sh.TimeoutException, sh.ErrorReturnCode, ProcessLookupError):
            running.child.signal_group(number)  # `docker` leaves its plugin to the terminal, which signals the group
            running.child.wait(timeout=10)
        if not running.alive:
            return


def run(compose: Compose, project: str, files: Sequence[str], *words: str) -> None:
    """Run a Compose command on a project; Ctrl-C ends it. Raises Failed with what it said last."""
    running = begin(compose, project, files, *words)
    try:
        finish(compose, running)
    except KeyboardInterrupt:
        stop(running)
        raise


def explain(compose: Compose, text: str, command: Sequence[str]) -> str:
    """One sentence for what Compose printed when it failed, with the fix where it is known."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if taken := re.search(r"(?:Bind for|listen tcp4?) (\S+?):(\d+)\b.*(?:already allocated|already in use)", text):
        return f"port {taken[2]} on {taken[1]} is taken by another program; choose one with --port"
    if re.search(r"no such image|pull access denied|manifest unknown|not found: manifest", text, re.IGNORECASE):
        return f"{lines[-1]}; build it with `invoke build`"
    if re.search(r"Cannot connect to the Docker daemon|Couldn't connect to Docker daemon", text):
        return engines.explain(compose.engine, "Cannot connect to the Docker daemon")
    if "could not select device driver" in text:
        return engines.explain(compose.engine, "could not select device driver")
    return f"`{shlex.join(command)}` failed: {lines[-1] if lines else 'it said nothing'}"


def processes(compose: Compose, project: str) -> list[Process]:
    """The containers of a project, by service. Two calls of the engine."""
    ids = (
        engines.ask(compose.engine, "ps", "--all", "--quiet", "--filter", f"label={PROJECT_LABEL}={project}") or ""
    ).split()
    if not ids:
        return []
    text = engines.ask(compose.engine, "inspect", "--type", "container", *ids, fails=False)
    if text is None:  # one of them has gone between the two calls
        return processes(compose, project)
    return sorted(map(_process, json.loads(text)), key=lambda process: process.service)


def _process(entry: Mapping[str, Any]) -> Process:
    state = entry["State"]
    return Process(
        service=entry["Config"]["Labels"].get(SERVICE_LABEL, ""),
        container=entry["Id"],
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        restarts=entry["RestartCount"],
        exit_code=state["ExitCode"],
        error=state.get("Error", ""),
        ports=tuple(int(each["HostPort"]) for each in _bindings(entry) if each.get("HostPort")),
    )


def _bindings(entry: Mapping[str, Any]) -> list[Mapping[str, str]]:
    found: Mapping[str, list[Mapping[str, str]] | None] = entry["HostConfig"].get("PortBindings") or {}
    return [binding for bindings in found.values() for binding in bindings or ()]


def owner(compose: Compose, port: int) -> str:
    """The Compose project whose container has a port of this machine; "" if none has."""
    form = f'{{{{.Label "{PROJECT_LABEL}"}}}}'
    said = engines.ask(compose.engine, "ps", "--filter", f"publish={port}", "--format", form, fails=False)
    return (said or "").strip()


def remove(compose: Compose, project: str, kept: Collection[str] | None) -> None:
    """What Compose's `down` does, for a project whose Compose file cannot be used. `kept`: volumes to leave, None for all. Raises Failed."""
    labelled = ("--filter", f"label={PROJECT_LABEL}={project}")
    engine = compose.engine
    containers = (engines.ask(engine, "ps", "--all", "--quiet", *labelled) or "").split()
    if containers:
        engines.ask(engine, "stop", *containers)
        engines.ask(engine, "rm", "--force", "--volumes", *containers)
    for kind in ("network", "volume"):
        names = (engines.ask(engine, kind, "ls", "--format", "{{.Name}}", *labelled) or "").split()
        gone = [name for name in names if kind == "network" or (kept is not None and name not in kept)]
        try:
            if gone:
                engines.ask(engine, kind, "rm", *gone)
        except Failed as error:
            # Docker 20.10 keeps endpoints of containers that are gone, when one was joined to the network again as it restarted.
            raise Failed(f"{error}; if nothing uses it, restart the engine's daemon and try again") from None


def volumes(compose: Compose, project: str, names: Collection[str] | None) -> list[str]:
    """Which of the named volumes there are, whoever made them; None: those that Compose made for the project."""
    only = ("--filter", f"label={PROJECT_LABEL}={project}") if names is None else ()
    here = (engines.ask(compose.engine, "volume", "ls", "--format", "{{.Name}}", *only) or "").split()
    return sorted(name for name in here if names is None or name in names)


def http(compose: Compose, process: Process, port: int, path: str) -> str | None:
    """What a container's own HTTP server answers; None where it does not. The ports of workers are not published."""
    return engines.ask(
        compose.engine, "exec", process.container, "curl", "-fsS", f"http://127.0.0.1:{port}{path}", fails=False
    )


def tail(compose: Compose, process: Process, lines: int) -> list[str]:
    """The last lines that a container printed, both streams."""
    import sh

    try:
        said = sh.Command(compose.engine.client)(
            "logs", "--tail", str(lines), process.container, _err_to_out=True, _tty_out=False
        )
    except sh.ErrorReturnCode:
        return []
    return [line.rstrip() for line in str(said).splitlines() if line.strip()]
