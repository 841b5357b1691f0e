"""up and down: a config on this machine, by Compose."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ngc import bases, running
from ngc import engine as engines
from ngc.catalog import Catalog
from ngc.deploy import compose as composing
from ngc.deploy import composecli, lint, localview, modelling, names, stacks
from ngc.deploy import promise as promises
from ngc.deploy.compose import Host
from ngc.deploy.composecli import Compose
from ngc.deploy.graph import FRONTEND
from ngc.deploy.localview import View
from ngc.deploy.prepare import Prepared, prepare
from ngc.deploy.reasons import why
from ngc.deploy.stacks import Stack
from ngc.deploy.watching import watching
from ngc.errors import Failed, Wrong

POLL = 0.1  # seconds between two looks while a stack comes up
RESTARTS = 3  # a process that has ended this often will not heal by itself
TAIL = 15  # log lines of a process that failed
GPU_CHOICES = ("auto", "on", "off")


@dataclass(frozen=True)
class Wish:
    """What a user asked `up` for, as typed."""

    config: str | None
    sets: Sequence[str] = ()
    base: str | None = None
    image: str | None = None
    model: str | None = None
    gpu: str = "auto"
    port: int = names.HTTP_PORT
    timeout: float = 1800.0


def up(catalog: Catalog, wish: Wish) -> Stack:
    """Start a config and wait until it serves. Raises Wrong before anything was changed, Failed when it does not come up."""
    prepared, stand_in, compose = _ready(catalog, wish)
    if wish.model is not None:
        prepared = modelling.with_model(prepared, wish.model)
    stack = _stack(prepared, wish, stand_in)
    _check_port(compose, stack, wish.port, sum(s.replicas for s in prepared.graph.services if s.type == FRONTEND))
    host = _host(compose, wish, stand_in)
    document = composing.document(prepared, host)
    texts = {**composing.files(prepared.graph), stacks.FILE: json.dumps(document, indent=2)}
    stacks.write(stack, texts)
    _start(compose, stack, wish.timeout)
    return stack


def _ready(catalog: Catalog, wish: Wish) -> tuple[Prepared, bool, Compose]:
    """What must hold before anything is started. Raises Wrong, also for what elsewhere is Failed: nothing was tried yet."""
    prepared = prepare(catalog, wish.config, wish.sets, wish.base, wish.image)
    lint.refuse(catalog, prepared.graph)
    try:
        compose = composecli.find()
        wanted = list(dict.fromkeys(s.image for s in prepared.graph.services if s.image))
        found = engines.images(compose.engine, wanted)
    except Failed as error:
        raise Wrong(str(error)) from None
    missing = [image for image in wanted if image not in found]
    if missing:
        base = f" --base={wish.base}" if wish.base else ""
        fix = (
            f"`invoke build --framework={prepared.framework.name} --target=runtime{base}` makes it"
            if prepared.framework
            else "build or pull it"
        )
        raise Wrong(f"{', '.join(missing)} is not here; {fix}")
    return prepared, any(bases.is_stand_in(image.labels) for image in found.values()), compose


def _stack(prepared: Prepared, wish: Wish, stand_in: bool) -> Stack:
    graph = prepared.graph
    if graph.frontend is None:
        raise Wrong(f"{graph.path} has no service with componentType frontend; nothing would answer")
    url = f"http://127.0.0.1:{wish.port}"
    return Stack(
        graph.name, str(wish.config), prepared.image or graph.frontend.image, url, promises.of(prepared, stand_in)
    )


def _host(compose: Compose, wish: Wish, stand_in: bool) -> Host:
    """What this machine gives. Raises Wrong for GPUs asked for that are not here."""
    here = running.gpu_present()
    if wish.gpu == "on" and not here:
        raise Wrong(
            "--gpu=on, and no NVIDIA driver is loaded here; `invoke doctor` says more, --base=stand-in needs no GPU"
        )
    gpu = wish.gpu == "on" or (wish.gpu == "auto" and here and not stand_in)
    if not gpu and wish.gpu == "auto" and not stand_in:
        raise Wrong(
            "the config's workers need GPUs and no NVIDIA driver is loaded here; --base=stand-in needs none, --gpu=off tries without"
        )
    given, _ = running.ulimits(compose.engine) if gpu else ({}, ())
    cache = None if stand_in else str(modelling.hugging_face_cache())
    binds = (wish.model,) if wish.model and Path(wish.model).is_dir() else ()
    gpus = running.gpu_numbers() if gpu else ()
    return Host(wish.port, gpus, gpu, given, cache, tuple(str(Path(b).resolve()) for b in binds))


def _check_port(compose: Compose, stack: Stack, port: int, frontends: int) -> None:
    """Every port that frontends take must be free, unless this very stack has it. Raises Wrong."""
    if any(p.state == "running" for p in composecli.processes(compose, stack.project)):
        return
    for wanted in range(port, port + max(1, frontends)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                other = next((s.name for s in stacks.known() if s.url.endswith(f":{wanted}")), None)
                by = f"the stack {other} (`invoke down --config={other}` ends it)" if other else "another program"
                raise Wrong(f"port {wanted} is taken by {by}; choose one with --port") from None


def _start(compose: Compose, stack: Stack, timeout: float) -> None:
    """Run Compose and look until the stack serves. Raises Failed, with what is wrong and the last log lines of the culprit."""
    outcome: list[Failed] = []

    def compose_up() -> None:
        try:
            composecli.run(compose, stack.project, str(stack.file), "up", "--detach", "--remove-orphans")
        except Failed as error:
            outcome.append(error)

    begun = time.monotonic()
    starting = threading.Thread(target=compose_up, daemon=True)
    starting.start()
    with watching() as update:
        while True:
            view = localview.look(compose, stack, request=not starting.is_alive())
            update(localview.states(view))
            if outcome:
                raise Failed(_explained(compose, view, str(outcome[0])))
            found = localview.problems(view)
            if not starting.is_alive() and not found:
                return
            if lost := next((p for p in view.processes if p.restarts >= RESTARTS or p.state == "dead"), None):
                raise Failed(
                    _explained(
                        compose, view, f"{lost.service} ended {lost.restarts} times, at last with {lost.exit_code}"
                    )
                )
            if time.monotonic() - begun > timeout:
                raise Failed(
                    _explained(compose, view, f"{stack.name} does not serve after {timeout:.0f} s: {'; '.join(found)}")
                )
            time.sleep(POLL)


def _explained(compose: Compose, view: View, sentence: str) -> str:
    """The sentence, why, and what the process that is worst off printed last."""
    worst = max(view.processes, key=lambda p: (p.restarts, p.state != "running", p.health == "unhealthy"), default=None)
    if worst is None or (worst.state == "running" and not worst.restarts and worst.health != "unhealthy"):
        return f"{sentence}; `invoke logs` shows what it says, `invoke down` ends it"
    lines = composecli.tail(compose, worst, TAIL)
    print(*(f"{worst.service} | {line}" for line in lines), sep="\n", file=sys.stderr)
    cause = why(lines)
    return f"{sentence}{f': {cause}' if cause else ''}; `invoke logs --component={worst.service}` shows all, `invoke down` ends it"


def down(name: str | None) -> Stack:
    """Remove what `up` made: containers, network, volumes, and the record. Raises Wrong where there is no such stack."""
    stack = stacks.choose(name)
    compose = composecli.find()
    composecli.run(compose, stack.project, str(stack.file), "down", "--volumes", "--remove-orphans")
    stacks.forget(stack)
    return stack


def curl(stack: Stack) -> str:
    """A command that asks the stack something."""
    model = next(iter(stack.promise.models), "MODEL")
    body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}
    return f"curl -s {stack.url}/v1/chat/completions -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"


def logs(name: str | None, component: str | None, follow: bool, lines: int | None) -> int:
    """Print what the stack's processes print; ends with Compose's exit code."""
    stack = stacks.choose(name)
    compose = composecli.find()
    services = sorted({p.service for p in composecli.processes(compose, stack.project)})
    wanted = [
        s for s in services if component is None or s == component.lower() or s.rpartition("-")[0] == component.lower()
    ]
    if component is not None and not wanted:
        raise Wrong(f"unknown component '{component}'; choose from: {', '.join(services)}")
    words = [
        "logs",
        *(["--follow"] if follow else []),
        *(["--tail", str(lines)] if lines else []),
        *(wanted if component else []),
    ]
    return subprocess.call([*compose.words, "--project-name", stack.project, "--file", str(stack.file), *words])
