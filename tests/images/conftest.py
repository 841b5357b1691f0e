"""Contract tests of built images, in running containers. `invoke test` says which images; it never builds.

Folders follow the images: common holds for every image, runtime for runtime and what is built on it, a framework's
folder for its images, stand_in for what stands on the stand-in (and below it a framework's folder again).
"""

from __future__ import annotations

import json
import os
import shlex
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sh
import testinfra

from ngc import bases, catalog
from ngc import engine as engines
from ngc.catalog import Base, Component
from ngc.clean import TEST_LABEL
from ngc.engine import Engine, Found
from ngc.testing import SUBJECTS_VARIABLE, Subject

HERE = Path(__file__).parent
SECONDS = 60  # for one command in a container, where a test says nothing else


def subjects() -> list[Subject]:
    """The images under test. Raises a usage error without any."""
    given = os.environ.get(SUBJECTS_VARIABLE)
    if not given:
        raise pytest.UsageError("no images to test; run `invoke test` or `nox -s test_<framework>`, which say which")
    return [Subject(**entry) for entry in json.loads(given)]


def lineage(subject: Subject) -> set[str]:
    """Names of the folders whose tests an image is held to."""
    names = {"common", subject.framework}
    images = {image.target: image for image in catalog.read().framework(subject.framework).images}
    target: str | None = subject.target
    while target is not None:
        names.add(target)
        target = images[target].parent
    return names


def is_stand_in(subject: Subject) -> bool:
    found = engines.images(engines.any_client(), [subject.image]).get(subject.image)
    return found is not None and found.labels.get(bases.STAND_IN_LABEL) == "true"


def applies(folders: tuple[str, ...], subject: Subject) -> bool:
    """Whether an image is held to the tests in a folder, given by its path's parts."""
    if folders[0] == "stand_in":  # the stand-in itself is the same below every target: once is enough
        if subject.target != "runtime" or not is_stand_in(subject):
            return False
        folders = folders[1:]
    return set(folders) <= lineage(subject)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "subject" in metafunc.fixturenames:
        folders = Path(str(metafunc.module.__file__)).relative_to(HERE).parts[:-1]
        chosen = [subject for subject in subjects() if applies(folders, subject)]
        metafunc.parametrize("subject", chosen, ids=[s.image for s in chosen], scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that none of the images is held to; a skip would look like something missing."""
    unused = [item for item in items if "NOTSET" in item.nodeid]
    if unused:
        config.hook.pytest_deselected(items=unused)
        items[:] = [item for item in items if item not in unused]


@dataclass(frozen=True)
class Container:
    """A running container of the image, and ways to run commands in it, each with a time limit inside."""

    engine: Engine
    id: str
    host: Any  # testinfra's

    def run(self, *command: str, seconds: int = SECONDS) -> Any:
        """The result of a command: rc, stdout, stderr."""
        return self.host.run(f"timeout -k 5 {seconds} {shlex.join(command)}")

    def output(self, *command: str, seconds: int = SECONDS) -> str:
        """stdout of a command that must succeed."""
        result = self.run(*command, seconds=seconds)
        assert result.rc == 0, f"{shlex.join(command)[:200]} ended with {result.rc}: {result.stderr or result.stdout}"
        return str(result.stdout).strip()

    def python(self, program: str, *arguments: str, seconds: int = SECONDS) -> str:
        """stdout of a Python program in the interpreter of the base."""
        return self.output("python3", "-c", program, *arguments, seconds=seconds)


@pytest.fixture(scope="session")
def client() -> Engine:
    return engines.any_client()


@pytest.fixture(scope="module")
def image(subject: Subject, client: Engine) -> Found:
    """What the engine says of the image."""
    return engines.images(client, [subject.image])[subject.image]


@pytest.fixture(scope="module")
def entry(subject: Subject) -> Base | None:
    """The base's entry in image.yaml; None for an unknown base, which is held to its own config alone."""
    framework = catalog.read().framework(subject.framework)
    return next((base for base in framework.bases if base.key == subject.entry), None)


@pytest.fixture
def component(entry: Base | None) -> Callable[[str], Component]:
    """What the base's entry says of a component; skips where it says nothing, or that the base has none."""

    def find(name: str) -> Component:
        if entry is None or name not in entry.components:
            pytest.skip(f"nothing is known of {name} in this base: image.yaml has no entry for it")
        if entry.lacks(name):
            pytest.skip(f"this base has no {name}, says image.yaml")
        return entry.components[name]

    return find


@pytest.fixture(scope="module")
def start(client: Engine, subject: Subject) -> Iterator[Callable[..., Container]]:
    """Start a container that idles; all are removed when the module ends."""
    started: list[str] = []

    def run(*options: str) -> Container:
        name = f"ngc-test-{uuid.uuid4().hex[:12]}"
        started.append(name)
        words = [
            "run",
            "--detach",
            "--stop-signal",
            "SIGKILL",
            "--name",
            name,
            "--label",
            f"{TEST_LABEL}=1",
            *options,
            "--entrypoint",
            "sleep",
        ]
        engines.ask(client, *words, client.local(subject.image), "infinity")
        return Container(client, name, testinfra.get_host(f"{client.name}://{name}"))

    try:
        yield run
    finally:
        for name in started:
            engines.ask(client, "rm", "--force", "--volumes", name, fails=False)


@pytest.fixture(scope="module")
def container(start: Callable[..., Container]) -> Container:
    """One container of the image for the whole module."""
    return start()


@pytest.fixture
def run_image(client: Engine, subject: Subject) -> Callable[..., str]:
    """stdout of a fresh container, started as users start it: through the image's own entrypoint."""

    def run(*command: str, options: tuple[str, ...] = (), seconds: int = SECONDS) -> str:
        name = f"ngc-test-{uuid.uuid4().hex[:12]}"
        words = ["run", "--rm", "--name", name, "--label", f"{TEST_LABEL}=1", *options]
        docker = sh.Command(client.client)
        try:
            return str(docker(*words, client.local(subject.image), *command, _tty_out=False, _timeout=seconds))
        finally:
            engines.ask(client, "rm", "--force", name, fails=False)

    return run
