"""up and down: a config on this machine, by Compose."""

from __future__ import annotations

import errno
import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ngc import bases, running
from ngc import engine as engines
from ngc.asked.configs import PORTS, Logs, Up
from ngc.catalog import Catalog
from ngc.deploy import compose as composing
from ngc.deploy import composecli, lint, modelling, stacks, starting, watching
from ngc.deploy import promise as promises
from ngc.deploy.composecli import Compose, Process
from ngc.deploy.composeresources import Host
from ngc.deploy.graph import FRONTEND, Graph
from ngc.deploy.prepare import Prepared, prepare
from ngc.deploy.rules.rule import WARNING
from ngc.deploy.stacks import Stack
from ngc.errors import Failed, Wrong


def up(catalog: Catalog, asked: Up) -> Stack:
    """Start a config and wait until it serves. Raises Wrong before anything was changed, Failed when it does not come up."""
    prepared, warnings = _possible(catalog, asked)
    compose, stand_in = _here(prepared, asked)
    stack = _stack(prepared, asked, stand_in)
    document = composing.document(prepared, _host(compose, asked, stand_in))
    texts = {
        **composing.files(prepared.graph),
        stacks.FILE: json.dumps(document, indent=2),
        stacks.KEEP: json.dumps({"volumes": composing.in_its_words(_users_volumes(prepared.graph))}, indent=2),
    }
    with stacks.locked(stack.name, "up"):
        before = composecli.processes(compose, stack.project)
        _check_file(stack, before)
        _check_ports(compose, asked.port, _frontends(prepared.graph), before)
        _keep(compose, stack, texts)
        print(*(f"{warning}\n" for warning in warnings), sep="", end="", file=sys.stderr)
        starting.start(compose, stack, {p.container: p.restarts for p in before}, asked.timeout)
    return stack


def _possible(catalog: Catalog, asked: Up) -> tuple[Prepared, list[lint.Finding]]:
    """(the config as it will be served, what is doubtful in it). Raises Wrong for what no machine could serve as asked."""
    prepared = prepare(catalog, asked)
    report = lint.refuse(catalog, prepared.graph)
    if prepared.graph.frontend is None:
        raise Wrong(f"{prepared.graph.path} has no service with componentType frontend; nothing would answer")
    if asked.model is not None:
        prepared = modelling.with_model(prepared, asked.model)
    composing.document(prepared)
    last = asked.port + _frontends(prepared.graph) - 1
    if last not in PORTS:
        raise Wrong(f"each frontend takes a port, from --port={asked.port} to {last}, and {PORTS[-1]} is the last one")
    return prepared, [finding for finding in report.findings if finding.severity == WARNING]


def _here(prepared: Prepared, asked: Up) -> tuple[Compose, bool]:
    """(Compose, whether an image is a stand-in). Raises Wrong, also for what elsewhere is Failed: nothing was tried yet."""
    wanted = list(dict.fromkeys(s.image for s in prepared.graph.services if s.image))
    try:
        compose = composecli.find()
        found = engines.images(compose.engine, wanted)
    except Failed as error:
        raise Wrong(str(error)) from None
    if missing := [image for image in wanted if image not in found]:
        raise Wrong(f"{', '.join(missing)} is not here; {_fix(compose, prepared, asked, missing)}")
    return compose, any(bases.is_stand_in(image.labels) for image in found.values())


def _fix(compose: Compose, prepared: Prepared, asked: Up, missing: Sequence[str]) -> str:
    """How the missing images come here: the one that we chose is built, those that the user named are pulled."""
    ours = prepared.image if asked.image is None and prepared.framework else None
    base = f" --base={asked.base}" if asked.base else ""
    ways = [f"`{compose.engine.name} pull {image}` fetches it" for image in missing if image != ours]
    if prepared.framework and ours in missing:
        ways.append(f"`invoke build --framework={prepared.framework.name} --target=runtime{base}` makes it")
    return ", ".join(ways)


def _stack(prepared: Prepared, asked: Up, stand_in: bool) -> Stack:
    graph = prepared.graph
    assert graph.frontend is not None  # _possible has said so
    url = f"http://127.0.0.1:{asked.port}"
    image = prepared.image or graph.frontend.image
    return Stack(graph.name, str(asked.config), image, url, promises.of(prepared, stand_in), str(graph.path.resolve()))


def _frontends(graph: Graph) -> int:
    """How many ports of this machine the graph takes."""
    return max(1, sum(service.replicas for service in graph.services if service.type == FRONTEND))


def _host(compose: Compose, asked: Up, stand_in: bool) -> Host:
    """What this machine gives. Raises Wrong for GPUs asked for that are not here."""
    here = running.gpu_present()
    if asked.gpu == "on" and not here:
        fix = "leave out --gpu: the stand-in needs none" if stand_in else "`invoke doctor` says more"
        raise Wrong(f"--gpu=on, and no NVIDIA driver is loaded here; {fix}")
    gpu = asked.gpu == "on" or (asked.gpu == "auto" and here and not stand_in)
    if not gpu and asked.gpu == "auto" and not stand_in:
        raise Wrong(
            "the config's workers need GPUs and no NVIDIA driver is loaded here; --base=stand-in needs none, --gpu=off tries without"
        )
    given, _ = running.ulimits(compose.engine) if gpu else ({}, ())
    cache = None if stand_in else str(modelling.hugging_face_cache())
    binds = (asked.model,) if asked.model and Path(asked.model).is_dir() else ()
    gpus = running.gpu_numbers() if gpu else ()
    return Host(asked.port, gpus, gpu, given, cache, tuple(str(Path(b).resolve()) for b in binds))


def _users_volumes(graph: Graph) -> dict[str, dict[str, object]]:
    """Volumes for claims that the config does not create: on a cluster they are the user's, so `down` leaves them here too.

    Compose removes no volume that is external.
    """
    project = stacks.project(graph.name)
    return {
        name: {"external": True, "name": f"{project}_{name}"}
        for name, claim in graph.claims.items()
        if not claim.get("create")
    }


def _check_file(stack: Stack, before: Sequence[Process]) -> None:
    """No other file may have the stack up: it would be changed into something else. Raises Wrong."""
    other = next((each for each in stacks.known() if each.name == stack.name), None)
    if before and other and other.path and other.path != stack.path:
        raise Wrong(
            f"{stack.name} is up from {other.path}; `{starting.down(stack)}` ends it, --set=metadata.name=OTHER serves this one beside it"
        )


def _check_ports(compose: Compose, first: int, count: int, before: Sequence[Process]) -> None:
    """Every port that frontends take must be free, unless this very stack has it now. Raises Wrong."""
    own = {port for process in before if process.alive for port in process.ports}
    for port in range(first, first + count):
        if port not in own and _taken(port):
            name = composecli.owner(compose, port)
            stack = next((each for each in stacks.known() if each.project == name), None)
            by = f"the stack {stack.name} (`{starting.down(stack)}` ends it)" if stack else "another program"
            raise Wrong(f"port {port} is taken by {by}; choose one with --port")


def _taken(port: int) -> bool:
    """True if something has the port. One that only root may have is for the engine to judge, which binds it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _keep(compose: Compose, stack: Stack, texts: dict[str, str]) -> None:
    """Put the stack's files in their place. Raises Wrong if Compose does not take them and others were there: these stay."""
    staged = stacks.stage(stack, texts)
    # A look by Compose takes 0.1 s (1.29: 0.5 s), so it is had only where there is something to lose.
    if stack.file.exists() and stack.file.read_bytes() != (staged / stacks.FILE).read_bytes():
        try:
            composecli.run(compose, stack.project, [str(staged / stacks.FILE)], "config", "--quiet")
        except Failed as error:
            raise Wrong(f"Compose does not take the config as it is now, and nothing was changed: {error}") from None
    stacks.keep(stack, staged)


@dataclass(frozen=True)
class Removed:
    """A stack that is gone. `kept` are volumes of the user's that are still there, in the `engine` (docker, podman)."""

    name: str
    kept: tuple[str, ...]
    engine: str

    def __str__(self) -> str:
        if not self.kept:
            return f"{self.name} is gone"
        names = " ".join(self.kept)
        fix = f"`{self.engine} volume rm {names}` removes it"
        return f"{self.name} is gone\nthe config did not create {names}, so it was kept; {fix}"


def down(config: str | None) -> Removed:
    """Remove what `up` made: containers, network, volumes, and the record. Raises Wrong where there is no such stack."""
    name = stacks.named(config)
    project, file = stacks.project(name), stacks.folder(name) / stacks.FILE
    with stacks.locked(name, "down"):
        compose = composecli.find()
        kept = stacks.kept_volumes(name)
        files = [str(file), *([str(file.with_name(stacks.KEEP))] if kept else [])]
        try:
            if kept is None:
                raise Failed("nothing says which volumes are the user's")
            composecli.run(compose, project, files, "down", "--volumes", "--remove-orphans")
        except Failed:  # Compose cannot read its file any more; the labels of what it made still tell
            composecli.remove(compose, project, kept)
        # Where nothing is to be kept there is nothing to ask about either.
        left = composecli.volumes(compose, project, kept) if kept != frozenset() else []
        stacks.forget(name)
    return Removed(name, tuple(left), compose.engine.name)


def curl(stack: Stack) -> str:
    """A command that asks the stack something."""
    model = next(iter(stack.promise.models), "MODEL")
    body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}
    return f"curl -s {stack.url}/v1/chat/completions -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"


def logs(asked: Logs) -> int:
    """Print what the stack's processes print; ends with Compose's exit code."""
    stack = stacks.choose(asked.config)
    compose = composecli.find()
    services = sorted({p.service for p in composecli.processes(compose, stack.project)})
    key = None if asked.component is None else asked.component.lower()
    wanted = [service for service in services if key in (service, service.rpartition("-")[0])]
    if key is not None and not wanted:
        raise Wrong(f"unknown component '{asked.component}'; choose from: {', '.join(services)}")
    plain = watching.plain(sys.stdout)
    words = [
        "logs",
        *(["--no-color"] if plain else []),
        *(["--follow"] if asked.follow else []),
        *(["--tail", str(asked.tail)] if asked.tail else []),
        *wanted,
    ]
    command = [*compose.words, "--project-name", stack.project, "--file", str(stack.file), *words]
    return _uncoloured(command) if plain else subprocess.call(command)


def _uncoloured(command: Sequence[str]) -> int:
    """Run a command and print its stdout without colours: Dynamo's processes always write them. Gives its exit code."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                print(watching.uncoloured(line), end="", flush=True)
        except BaseException:  # the reader has gone, or Ctrl-C: with --follow the child might not notice
            child.terminate()
            raise
    return child.returncode
