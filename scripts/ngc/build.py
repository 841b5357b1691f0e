"""build and build-all as a whole: plan, run, report, push."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ngc import bake, bases, engine, output, plan, planning, progress, push, reference, report, runner
from ngc.asked.images import Build
from ngc.catalog import Catalog
from ngc.engine import Engine, Found
from ngc.errors import Failed, Wrong
from ngc.plan import Plan, Step
from ngc.runner import Result


def planned(catalog: Catalog, asked: Build) -> str:
    """What `run` would do, with `plan` set: as text, JSON or a bake file. Needs no engine that can build; works without any."""
    try:
        asker: Engine | None = engine.any_client()
    except Failed:
        asker = None
    made = _make(catalog, asked, asker)
    registry = _registry(asked)
    if asked.format == "bake":
        return bake.text(made, registry, _platforms(asked))
    if asked.format == "json":
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
        if registry and asked.push
        else []
    )
    return "\n".join([*lines, *pushes, *made.refused.values()])


def run(catalog: Catalog, asked: Build) -> int:
    """Build, print the report to stdout, push if asked and all succeeded. Returns the exit code."""
    registry = _registry(asked)
    made = _make(catalog, asked, None if asked.builder else engine.any_client())
    if asked.builder:
        return _bake(made, asked, registry)
    if made.todo:
        made = replace(made, engine=engine.builder())
        made = replace(made, steps=tuple(_with_client(step, made.engine) for step in made.steps))
    for base in {step.image: step for step in made.todo if step.build is None}.values():
        print(f"{base.name}: {base.image}: {base.why}", file=sys.stderr)
    try:
        with progress.listening() as listen:
            results = runner.run(made, asked.jobs or os.cpu_count() or 1, listen)
    except runner.InterruptedRun as stop:
        _report(made, stop.results)
        return 130
    _report(made, results)
    if not all(result.good for result in results):
        return 1
    if asked.push and registry:
        push.run(made.engine, made.images, registry)
    return 0


def _make(catalog: Catalog, asked: Build, asker: Engine | None) -> Plan:
    _registry(asked)
    platforms = _platforms(asked)
    if len(platforms) > 1 and not (asked.builder and asked.push):
        raise Wrong(
            f"--platform={asked.platform} names {len(platforms)} platforms, which only a buildx builder makes; add --builder, --push and --registry"
        )
    for platform in platforms:
        if platform not in bases.PLATFORMS:
            raise Wrong(f"unknown platform '{platform}'; choose from: {', '.join(bases.PLATFORMS)}")
    if len(platforms) > 1:
        asked = replace(asked, platform=platforms[0])

    def ask(names: Sequence[str]) -> Mapping[str, Found]:
        return engine.images(asker, names) if asker else {}

    made = planning.make(catalog, asked, asker or Engine("docker"), ask)
    if asked.push and any(image.endswith(f"-{bases.STAND_IN}") for image in made.images):
        raise Wrong(
            f"images built on the stand-in are not pushed by a build; use `invoke push --registry={asked.registry} --allow-stand-in`"
        )
    return made


def _registry(asked: Build) -> str | None:
    if asked.registry is None:
        if asked.push:
            raise Wrong("--push needs to know where; add --registry=host[:port][/path]")
        return None
    if not asked.push:
        raise Wrong("--registry says where to push and --push is missing; add it, or leave out --registry")
    return reference.registry_prefix(asked.registry, "--registry")


def _platforms(asked: Build) -> list[str]:
    return asked.platform.split(",") if asked.platform else []


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


def _bake(made: Plan, asked: Build, registry: str | None) -> int:
    """Hand the whole plan to a buildx builder; it neither sees the engine's images nor keeps ours there unless it is told to."""
    import sh

    client = engine.builder()
    if client.podman:
        raise Wrong("--builder is buildx's, which podman does not have; leave it out, or use docker")
    to = [] if registry else ["--load"]
    cache = ["--no-cache"] if asked.no_cache else []
    command = ["buildx", "bake", "--builder", str(asked.builder), "--progress", "plain", *cache, *to, "--file", "-"]
    text = bake.text(made, registry, _platforms(asked))
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
