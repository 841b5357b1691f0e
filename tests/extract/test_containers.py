"""The container that a local image is read through is removed, however the run ends; of others only those of ended runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ngc import engine as engines
from ngc.engine import Engine

from ..unit.extracting import Image, folder, member, tar

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]
OWNER = "ngc-dynamo.owner"


@pytest.fixture
def loaded(engine: Engine, tmp_path: Path, unique: str) -> Iterator[str]:
    image = Image([tar(folder("data"), *(member(f"data/{n}", os.urandom(100_000)) for n in range(50)))])
    engines.ask(engine, "load", "--input", str(image.archive(tmp_path / "image.tar", f"{unique}:1")))
    yield f"{unique}:1"
    left = containers(engine, f"{unique}:1")
    if left:
        engines.ask(engine, "rm", "--force", *left)
    engines.ask(engine, "image", "rm", "--force", f"{unique}:1", fails=False)


def containers(engine: Engine, image: str) -> list[str]:
    return (engines.ask(engine, "ps", "--all", "--quiet", "--filter", f"ancestor={image}") or "").split()


def owner_of(engine: Engine, name: str) -> str:
    form = '{{index .Config.Labels "' + OWNER + '"}}'
    return (engines.ask(engine, "container", "inspect", "--format", form, name) or "").strip()


@pytest.fixture
def start(engine, loaded, tmp_path, root, wait_for):
    """Start the verb with a client that waits before or after it makes a container, until it is told to go on."""
    children = []

    def begin(where: str) -> subprocess.Popen[str]:
        gate, there = tmp_path / "gate", tmp_path / "there"
        os.mkfifo(gate)
        wait = f'echo > "{there}"; read -r line < "{gate}"'
        before, after = (wait, ":") if where == "before" else (":", wait)
        client = tmp_path / "docker"
        client.write_text(
            f'#!/bin/sh\n[ "$1" = create ] || exec {engine.client} "$@"\n{before}\n{engine.client} "$@" || exit\n{after}\n'
        )
        client.chmod(0o755)
        words = [
            "extract-from-ngc",
            f"--image=docker-daemon:{loaded}",
            "--component=/data",
            f"--out={tmp_path / 'out'}",
        ]
        child = subprocess.Popen(
            [sys.executable, "-m", "invoke", "--search-root", str(root), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NGC_ENGINE": str(client), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        )
        children.append(child)
        wait_for(there.exists, "a client that waits")
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("where", ["before", "after"])
def test_a_signal_while_the_container_is_made_leaves_none(engine, loaded, start, tmp_path, where, number):
    child = start(where)
    child.send_signal(number)
    with (tmp_path / "gate").open("w") as gate:
        gate.write("\n")
    _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + number, err
    assert containers(engine, loaded) == []
    assert not (tmp_path / "out").exists()


def test_the_container_of_a_killed_run_goes_with_the_next_one_and_others_stay(
    engine, extract, loaded, start, tmp_path, wait_for
):
    child = start("after")
    assert len(containers(engine, loaded)) == 1
    owner = owner_of(engine, containers(engine, loaded)[0])
    boot, space, pid, _ = owner.split(":")
    assert pid == str(child.pid)
    unknown = [f"other-boot:{space}:1:1", f"{boot}:1:{pid}:1", "nonsense", "1:2:3"]
    kept = [
        (engines.ask(engine, "create", "--label", f"{OWNER}={label}", "--entrypoint", "/none", loaded, "none") or "").split()[-1][:12]
        for label in unknown
    ]  # fmt: skip
    extract(f"docker-daemon:{loaded}", "/data/1")
    assert len(containers(engine, loaded)) == 1 + len(kept), "the run that waits is alive"
    child.kill()
    with (tmp_path / "gate").open("w") as gate:  # its client goes on for itself
        gate.write("\n")
    child.communicate()
    extract(f"docker-daemon:{loaded}", "/data/2")
    assert sorted(containers(engine, loaded)) == sorted(kept)
