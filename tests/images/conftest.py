"""Contract tests of built images, where they run. `invoke test` says which images and where; it never builds.

Folders follow the images: common holds for every image, runtime for runtime and what is built on it, a framework's
folder for its images, gpu for every image where there is a GPU, stand_in for what stands on the stand-in (and below it a
framework's folder again). The same tests run in containers, in a pod, on this machine and in a root file system entered
by chroot: the class Container is what they see of all four.
"""

from __future__ import annotations

import json
import os
import shlex
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sh
import testinfra

from ngc import catalog, hosts, running, testreport
from ngc import engine as engines
from ngc.catalog import Base, Component
from ngc.clean import TEST_LABEL
from ngc.engine import Engine, Found
from ngc.errors import Failed
from ngc.hosts import Host
from ngc.testing import BASE_ITSELF, SUBJECTS_VARIABLE, Subject

HERE = Path(__file__).parent
SECONDS = 60  # for one command in a container, where a test says nothing else
NEEDS_ENGINE = "this needs a container engine and the image itself; the test runs on {host}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gpu", action="store_true", help="a missing GPU fails the GPU tests (default: they are skipped)")
    parser.addoption("--model", help="folder or name of a small model that the engine completes a prompt with")
    parser.addoption("--report-json", help="write a JSON report to this file")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # one process sums up
        plugin = testreport.Plugin(subjects(), config.getoption("--report-json"))
        config.pluginmanager.register(plugin, "contract-report")


def subjects() -> list[Subject]:
    """The images under test. Raises a usage error without any."""
    given = os.environ.get(SUBJECTS_VARIABLE)
    if not given:
        raise pytest.UsageError("no images to test; run `invoke test` or `nox -s test_<framework>`, which say which")
    return [Subject(**entry) for entry in json.loads(given)]


@cache
def lineage(subject: Subject) -> frozenset[str]:
    """Names of the folders whose tests an image is held to."""
    names = {"common", "gpu", subject.framework}
    images = {image.target: image for image in catalog.read().framework(subject.framework).images}
    target = None if subject.target == BASE_ITSELF else subject.target
    while target is not None:
        names.add(target)
        target = images[target].parent
    return frozenset(names)


def applies(folders: tuple[str, ...], subject: Subject) -> bool:
    """Whether an image is held to the tests in a folder, given by its path's parts."""
    if folders[0] == "stand_in":  # the stand-in itself is the same below every target: once is enough
        if subject.target != "runtime" or not subject.stand_in or subject.host != hosts.CONTAINER:
            return False
        folders = folders[1:]
    return set(folders) <= lineage(subject)


def folders_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(HERE).parts[:-1]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "subject" in metafunc.fixturenames:
        folders = folders_of(Path(str(metafunc.module.__file__)))
        chosen = [subject for subject in subjects() if applies(folders, subject)]
        metafunc.parametrize("subject", chosen, ids=[s.image for s in chosen], scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that none of the images is held to (a skip would look like something missing); sort the others.

    What one worker of pytest-xdist keeps together is an image's module, which shares a container; all GPU tests stay
    together, for they share the GPU.
    """
    unused = [item for item in items if "NOTSET" in item.nodeid]
    if unused:
        config.hook.pytest_deselected(items=unused)
        items[:] = [item for item in items if item not in unused]
    for item in items:
        if HERE not in item.path.parents:
            continue
        folders = folders_of(item.path) or ("-",)
        subject = (
            item.callspec.params.get("subject")
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else None
        )
        image = subject.image if subject else "-"
        item.user_properties += [(testreport.IMAGE, image), (testreport.GROUP, folders[0])]
        if folders[0] == "gpu":
            item.add_marker(pytest.mark.gpu)
        together = "gpu" if folders[0] == "gpu" else f"{item.path.relative_to(HERE)} {image}"
        item.add_marker(pytest.mark.xdist_group(together))


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> None:
    """`invoke test` runs these for its user, whose variables choose engine, daemon and cluster."""


@dataclass(frozen=True)
class Container:
    """A running container of the image, a pod, or what else `--host` names; each command has a time limit inside."""

    engine: Engine | None  # None: not a container of this machine's engine
    id: str
    host: Any  # testinfra's
    before: str = ""  # shell text that makes a command run as the image's own processes do

    def run(self, *command: str, seconds: int = SECONDS) -> Any:
        """The result of a command: rc, stdout, stderr."""
        return self.host.run(f"{self.before}timeout -k 5 {seconds} {shlex.join(command)}")

    def output(self, *command: str, seconds: int = SECONDS) -> str:
        """stdout of a command that must succeed."""
        result = self.run(*command, seconds=seconds)
        what = " ".join(shlex.join(command).split())[:80]
        assert result.rc == 0, f"{what} ... ended with {result.rc}: {result.stderr or result.stdout}"
        return str(result.stdout).strip()

    def python(self, program: str, *arguments: str, seconds: int = SECONDS) -> str:
        """stdout of a Python program in the interpreter of the base."""
        return self.output("python3", "-c", program, *arguments, seconds=seconds)


@pytest.fixture(scope="session")
def where() -> Host:
    """What `--host` names; containers of this machine's engine if nothing."""
    return hosts.parse(subjects()[0].host)


@pytest.fixture(scope="session")
def client(where: Host) -> Engine:
    """The container engine; skips where the tests run elsewhere."""
    if not where.is_container:
        pytest.skip(NEEDS_ENGINE.format(host=where))
    return engines.any_client()


@pytest.fixture(scope="session")
def gpu_refused(where: Host, request: pytest.FixtureRequest) -> str | None:
    """Why containers here get no GPU; None where they get all. Tried once, with the first image."""
    if not running.gpu_present():
        return "there is no GPU on this machine (no /dev/nvidiactl)"
    client: Engine = request.getfixturevalue("client")
    words = ("run", "--rm", *running.devices(client), "--label", f"{TEST_LABEL}=1", "--entrypoint", "true")
    try:
        engines.ask(client, *words, client.local(subjects()[0].image))
    except Failed as error:
        return str(error)
    return None


@pytest.fixture(scope="session")
def devices(where: Host, request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Options of `run` for every container: NVIDIA's images load their UCX plugin only with a driver mounted."""
    if not where.is_container or request.getfixturevalue("gpu_refused"):
        return ()
    return running.devices(request.getfixturevalue("client"))


@pytest.fixture(scope="module")
def image(subject: Subject, where: Host, request: pytest.FixtureRequest) -> Found:
    """What the engine says of the image; a root file system keeps it in the file beside it."""
    if where.kind == "chroot":
        return hosts.image_of(Path(where.name))
    client = request.getfixturevalue("client")
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
def start(where: Host, subject: Subject, request: pytest.FixtureRequest) -> Iterator[Callable[..., Container]]:
    """Start a container that idles, and remove it when the module ends.

    Elsewhere it is the one place there is; a test that wants options of `run` is skipped there.
    """
    if not where.is_container:
        entered: list[str] = []

        def enter(*options: str) -> Container:
            if options or entered:  # there is no second container
                pytest.skip(NEEDS_ENGINE.format(host=where))
            entered.append(where.name)
            name, options_of_testinfra = where.address
            host = testinfra.get_host(name, **options_of_testinfra)
            return Container(None, str(where), host, hosts.prefix(where))

        yield enter
        return
    client: Engine = request.getfixturevalue("client")
    devices: tuple[str, ...] = request.getfixturevalue("devices")
    started: list[str] = []

    def run(*options: str) -> Container:
        name = f"ngc-test-{uuid.uuid4().hex[:12]}"
        started.append(name)
        words = ["run", "--detach", "--stop-signal", "SIGKILL", "--name", name, "--label", f"{TEST_LABEL}=1"]
        words += () if set(devices) <= set(options) else devices
        engines.ask(client, *words, *options, "--entrypoint", "sleep", client.local(subject.image), "infinity")
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
def run_image(client: Engine, devices: tuple[str, ...], subject: Subject) -> Callable[..., str]:
    """stdout of a fresh container, started as users start it: through the image's own entrypoint."""

    def run(*command: str, options: tuple[str, ...] = (), seconds: int = SECONDS) -> str:
        name = f"ngc-test-{uuid.uuid4().hex[:12]}"
        words = ["run", "--rm", "--name", name, "--label", f"{TEST_LABEL}=1", *devices, *options]
        docker = sh.Command(client.client)
        try:
            return str(docker(*words, client.local(subject.image), *command, _tty_out=False, _timeout=seconds))
        finally:
            engines.ask(client, "rm", "--force", name, fails=False)

    return run
