"""build and build-all as a whole: plan, run, report, push."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ngc import bake, bases, engine, output, plan, planning, progress, push, reference, report, runner
from ngc.catalog import Catalog
from ngc.engine import Engine, Found
from ngc.errors import Failed, Wrong
from ngc.plan import Plan, Request, Step
from ngc.runner import Result

FORMATS = ("text", "json", "bake")


@dataclass(frozen=True)
class Order:
    """A request and how to carry it out. `jobs`: images at the same time; `builder`: a buildx builder, None for the engine's own."""

    request: Request
    jobs: int
    push: bool = False
    registry: str | None = None
    builder: str | None = None


def planned(catalog: Catalog, order: Order, form: str = "text") -> str:
    """What `run` would do, as text, JSON or a bake file. Needs no engine that can build; works without any."""
    try:
        asker: Engine | None = engine.any_client()
    except Failed:
        asker = None
    made = _make(catalog, replace(order, request=replace(order.request, only_plan=True)), asker)
    registry = _registry(order)
    if form == "bake":
        return bake.text(made, registry, _platforms(order))
    if form == "json":
        return json.dumps(
            {
                "engine": made.engine.name,
                "steps": [_as_data(made, step) for step in made.steps],
                "refused": dict(made.refused),
            },
            indent=2,
        )
    lines = [_as_text(made, step) for step in made.steps]
    pushes = (
        [shlex.join(command) for command in push.commands(made.engine, made.images, registry)]
        if registry and order.push
        else []
    )
    return "\n".join([*lines, *pushes, *made.refused.values()])


def run(catalog: Catalog, order: Order) -> int:
    """Build, print the report to stdout, push if asked and all succeeded. Returns the exit code."""
    registry = _registry(order)
    made = _make(catalog, order, None if order.builder else engine.any_client())
    if order.builder:
        return _bake(made, order, registry)
    if made.todo:
        made = replace(made, engine=engine.builder())
        made = replace(made, steps=tuple(_with_client(step, made.engine) for step in made.steps))
    for base in {step.image: step for step in made.todo if step.build is None}.values():
        print(f"{base.name}: {base.image}: {base.why}", file=sys.stderr)
    try:
        with progress.listening() as listen:
            results = runner.run(made, order.jobs, listen)
    except runner.InterruptedRun as stop:
        _report(made, stop.results)
        return 130
    _report(made, results)
    if not all(result.good for result in results):
        return 1
    if order.push and registry:
        push.run(made.engine, made.images, registry)
    return 0


def _make(catalog: Catalog, order: Order, asker: Engine | None) -> Plan:
    if order.jobs < 1:
        raise Wrong(f"--jobs is {order.jobs}; write a number of 1 or more")
    _registry(order)
    request = order.request
    platforms = _platforms(order)
    if len(platforms) > 1 and not (order.builder and order.push):
        raise Wrong(
            f"--platform={request.platform} names {len(platforms)} platforms, which only a buildx builder makes; add --builder, --push and --registry"
        )
    for platform in platforms:
        if platform not in bases.PLATFORMS:
            raise Wrong(f"unknown platform '{platform}'; choose from: {', '.join(bases.PLATFORMS)}")
    if len(platforms) > 1:
        request = replace(request, platform=platforms[0])

    def ask(names: Sequence[str]) -> Mapping[str, Found]:
        return engine.images(asker, names) if asker else {}

    made = planning.make(catalog, request, asker or Engine("docker"), ask)
    if order.push and any(image.endswith(f"-{bases.STAND_IN}") for image in made.images):
        raise Wrong(
            f"images built on the stand-in are not pushed by a build; use `invoke push --registry={order.registry} --allow-stand-in`"
        )
    return made


def _registry(order: Order) -> str | None:
    if order.registry is None:
        if order.push:
            raise Wrong("--push needs to know where; add --registry=host[:port][/path]")
        return None
    if not order.push:
        raise Wrong("--registry says where to push and --push is missing; add it, or leave out --registry")
    return reference.registry_prefix(order.registry, "--registry")


def _platforms(order: Order) -> list[str]:
    return order.request.platform.split(",") if order.request.platform else []


def _with_client(step: Step, client: Engine) -> Step:
    """A step for the client that builds; the one that was asked may be another."""
    pulls = step.build is None and len(step.command) > 1 and step.command[1] == "pull"
    return replace(step, command=(client.client, *step.command[1:])) if pulls else step


def _report(made: Plan, results: Sequence[Result]) -> None:
    report.print_table(made, results)
    for note in report.notes(made, results):
        print(note, file=sys.stderr)


def _command(made: Plan, step: Step) -> tuple[str, ...]:
    if step.build is None:
        return step.command
    parent = made.parent_of(step)
    return plan.build_command(made, step, parent.found.id if parent and parent.found and not parent.why else None, {})


def _as_data(made: Plan, step: Step) -> dict[str, Any]:
    data: dict[str, Any] = {
        "step": step.name,
        "image": step.image,
        "do": step.why is not None,
        "why": step.why,
        "needs": list(step.needs),
    }
    return {**data, "command": list(_command(made, step)) if step.why else []}


def _as_text(made: Plan, step: Step) -> str:
    if not step.why:
        return f"# {step.image}: up to date"
    return f"# {step.image}: {step.why}\n{runner.folded(_command(made, step))}"


def _bake(made: Plan, order: Order, registry: str | None) -> int:
    """Hand the whole plan to a buildx builder; it neither sees the engine's images nor keeps ours there unless it is told to."""
    import sh

    client = engine.builder()
    if client.podman:
        raise Wrong("--builder is buildx's, which podman does not have; leave it out, or use docker")
    to = [] if registry else ["--load"]
    cache = ["--no-cache"] if order.request.no_cache else []
    command = ["buildx", "bake", "--builder", str(order.builder), "--progress", "plain", *cache, *to, "--file", "-"]
    text = bake.text(made, registry, _platforms(order))
    # The file is ours, so bake need not ask whether it may read the certificates that it names.
    environment = {**client.environment, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
    try:
        sh.Command(client.client)(
            *command,
            _in=text,
            _env=environment,
            _out=output.to_stderr,
            _err=output.to_stderr,
            _tty_out=False,
            _decode_errors="replace",
        )
    except sh.ErrorReturnCode as error:
        raise Failed(f"`docker {' '.join(command)}` ended with {error.exit_code}; its output above says why") from None
    for image in made.images:
        print(f"{registry}/{image}" if registry else image)
    return 0
