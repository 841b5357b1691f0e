"""Removing what this repository made, and only that."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from ngc import engine
from ngc.engine import Engine
from ngc.plan import NAME_LABEL
from ngc.runner import LOGS

TEST_LABEL = "ngc-dynamo.test"


def removable(client: Engine) -> list[tuple[str, ...]]:
    """The commands that remove our test containers, networks and images.

    An image is ours if its label carries the very name it is tagged with: what users build FROM our images inherits the
    label under another name, and stays.
    """
    steps: list[tuple[str, ...]] = []
    for kind, extra in (("container", ("--force", "--volumes")), ("network", ())):
        listed = [
            client.client,
            kind,
            "ls",
            "--quiet",
            "--filter",
            f"label={TEST_LABEL}",
            *(["--all"] if kind == "container" else []),
        ]
        for identifier in (engine.ask(client, *listed[1:]) or "").split():
            steps.append((client.client, kind, "rm", *extra, identifier))
    for name in _our_images(client):
        steps.append((client.client, "image", "rm", name))
    return steps


def _our_images(client: Engine) -> list[str]:
    """Names of our images, children before parents."""
    identifiers = (
        engine.ask(client, "image", "ls", "--quiet", "--no-trunc", "--filter", f"label={NAME_LABEL}") or ""
    ).split()
    # What somebody else removes meanwhile is simply not among them.
    named = [
        (len(image.layers), tag)
        for image in engine.images(client, identifiers).values()
        for tag in image.tags
        if tag.rpartition(":")[0].rpartition("/")[2] == image.labels[NAME_LABEL]
    ]
    return [tag for _, tag in sorted(named, reverse=True)]


def clean(show: bool, logs: Path = LOGS) -> None:
    """Do it, or print what would be done. The layer cache of BuildKit belongs to the engine and stays."""
    client = engine.any_client()
    steps = removable(client)
    for step in steps:
        print(shlex.join(step))
        if not show:
            engine.ask(client, *step[1:])
    if logs.exists():
        print(shlex.join(("rm", "-r", str(logs))))
        if not show:
            shutil.rmtree(logs)
    if not steps and not logs.exists():
        print("nothing to remove", file=sys.stderr)
    elif not show:
        print(f"the build cache is {client.name}'s own; `{client.name} builder prune` empties it", file=sys.stderr)
