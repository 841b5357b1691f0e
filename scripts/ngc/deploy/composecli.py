"""Finding Compose and running it: `docker compose`, or docker-compose 1.29 where a distribution has only that."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngc import engine as engines
from ngc.engine import Engine
from ngc.errors import Failed, Wrong

VARIABLE = "NGC_COMPOSE"
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"
OLDEST = (1, 27)  # the first that reads a file without `version:`


@dataclass(frozen=True)
class Compose:
    """A Compose program: its words, the docker client of the same engine, and its version."""

    words: tuple[str, ...]
    engine: Engine
    version: str


@dataclass(frozen=True)
class Process:
    """A container of a stack. `state` is the engine's (running, restarting, exited); `health` is "" without a check."""

    service: str
    container: str
    state: str
    health: str
    restarts: int
    exit_code: int
    error: str
    started: str
    image: str


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


def run(compose: Compose, project: str, file: str, *words: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a Compose command on a project. Raises Failed with what it said last."""
    import sh

    command = (*compose.words, "--project-name", project, "--file", file, *words)
    try:
        sh.Command(command[0])(
            *command[1:], _env={**os.environ, **(environment or {})}, _err_to_out=True, _tty_out=False, _in=""
        )
    except sh.ErrorReturnCode as error:
        raise Failed(explain(compose, error.stdout.decode(errors="replace"), command)) from None


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
        started=state["StartedAt"],
        image=entry["Config"]["Image"],
    )


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
