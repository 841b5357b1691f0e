"""What all tests share: a machine that lacks something skips, unless the variable REQUIRE names it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import sh

from ngc import engine as engines
from ngc.engine import Engine
from ngc.errors import Failed

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Let Ctrl-C end what tests start: a shell's background job ignores it, and hands that down to every child."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def require(name: str, missing: str | None) -> None:
    """Skip the test if something is missing, or fail it if REQUIRE=docker,buildx,registry,... names it."""
    if missing is None:
        return
    if name in os.environ.get("REQUIRE", "").split(","):
        pytest.fail(f"REQUIRE names {name}, and {missing}")
    pytest.skip(missing)


@pytest.fixture(scope="session", name="wait_for")
def wait_for_fixture() -> Callable[..., None]:
    return wait_for


def wait_for(condition: Callable[[], object], what: str, limit: float = 120.0) -> None:
    """Wait until the condition is true; fail with `what` after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        begun = time.monotonic()
        if condition():
            return
        looked = time.monotonic()
        assert looked < deadline, f"after {limit:.0f} s: not {what}"
        # A look that starts a program takes a tenth of a second of a core, which what is waited for needs too.
        time.sleep(max(0.05, 2 * (looked - begun)))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def engine() -> Engine:
    """An engine that builds."""
    try:
        found = engines.builder()
        engines.ask(found, "version")
    except Failed as error:
        require("docker", str(error))
        raise
    return found


@pytest.fixture(scope="session")
def buildx() -> str:
    """A docker client with the buildx plugin."""
    able = [path for path in engines.clients() if engines.ask(Engine(path), "buildx", "version", fails=False)]
    require("buildx", None if able else "no docker client here has the buildx plugin")
    return able[0]


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a registry of our own on this machine."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    require(
        "registry", None if program else "there is no docker-registry here (Debian: apt-get install docker-registry)"
    )
    assert program is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    folder = tmp_path_factory.mktemp("registry")
    config = folder / "config.yml"
    config.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: '{host}'}}\n")
    address, port = host.split(":")

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((address, int(port))) == 0

    with (folder / "log").open("wb") as log:
        child = sh.Command(program)("serve", str(config), _bg=True, _bg_exc=False, _out=log, _err=log)
        try:
            wait_for(answers, f"a registry on {host}")
            yield host
        finally:
            with suppress(ProcessLookupError, sh.SignalException):
                child.terminate()
                child.wait(timeout=10)


@pytest.fixture
def unique() -> str:
    """A name that nothing else has."""
    return f"ngc-test-{uuid.uuid4().hex[:10]}"
