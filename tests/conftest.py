"""What all tests share: a machine that lacks something skips, unless the variable REQUIRE names it; what a shell has set reaches no test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sh
from invoke.program import Program

from ngc import engine as engines
from ngc.engine import Engine
from ngc.errors import Failed

ROOT = Path(__file__).resolve().parents[1]
CALLER: Mapping[str, str] = dict(os.environ)  # for what a test asks for by name: a cluster, a folder of CRDs
# Where programs are and what they need to start, where the engine is, what the stand-in here was made of; pytest's own.
KEPT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "REQUIRE", "STAND_IN_ROOT")
KEPT += ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
# Builds on a network that inspects TLS need what names certificates.
CERTIFICATES = ("NGC_CA", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE")


def pytest_configure() -> None:
    """Let Ctrl-C end what tests start: a shell's background job ignores it, and hands that down to every child."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def require(name: str, missing: str | None) -> None:
    """Skip the test if something is missing, or fail it if REQUIRE=docker,buildx,registry,... names it."""
    if missing is None:
        return
    if name in CALLER.get("REQUIRE", "").split(","):
        pytest.fail(f"REQUIRE names {name}, and {missing}")
    pytest.skip(missing)


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No variable and no file of the caller's home decides how a test ends; caches and states go into a home of their own."""
    kept = {name for name in os.environ if name in KEPT or name.startswith("PYTEST_")}
    kept |= {name for name in CERTIFICATES if Path(CALLER.get(name) or "/nowhere").exists()}
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - kept:
            patch.delenv(name)
        patch.setenv("LANG", "C.UTF-8")
        patch.setenv("HOME", str(_home(tmp_path_factory.mktemp("home"))))
        yield


def _home(folder: Path) -> Path:
    """A home that has of the caller's only what docker's client finds its plugins and its daemon by."""
    theirs, own = Path(CALLER.get("HOME", "/nowhere"), ".docker"), folder / ".docker"
    own.mkdir()
    for name in ("cli-plugins", "contexts"):
        if (theirs / name).is_dir():
            (own / name).symlink_to(theirs / name)
    with suppress(OSError, ValueError, KeyError):
        context = json.loads((theirs / "config.json").read_text())["currentContext"]
        (own / "config.json").write_text(json.dumps({"currentContext": context}))
    return folder


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


def crds() -> Path | None:
    """The folder with Dynamo's CRDs that DYNAMO_CRDS of the caller names; beside it stand those of other versions."""
    folder = Path(CALLER.get("DYNAMO_CRDS") or "/nowhere")
    return folder.resolve() if folder.is_dir() else None


@pytest.fixture(scope="session")
def crds_folder() -> Path:
    folder = crds()
    require("crds", None if folder else "DYNAMO_CRDS names no folder of Dynamo's CRDs")
    assert folder is not None
    return folder


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


class Said(NamedTuple):
    """What a verb ended with: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.out)


@pytest.fixture
def verbs(tmp_path: Path) -> Callable[..., Said]:
    """Run a verb in this process, from any folder, with a home of its own and no variable of this shell but PATH: 20 ms, not 400.

    Not for one that is interrupted, and not for several at once: those need processes of their own.
    """

    def run(*words: str, folder: str | Path = "/", **environment: str) -> Said:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        clean = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LANG": "C.UTF-8", **environment}
        out, err = tmp_path / ".stdout", tmp_path / ".stderr"
        with ExitStack() as stack:
            stack.enter_context(_as_a_process_of_its_own(clean, folder))
            stack.enter_context(_into("stderr", err))
            stack.enter_context(_into("stdout", out))
            code = _run(["invoke", "--search-root", str(ROOT), *words])
        return Said(code, out.read_text(errors="replace"), err.read_text(errors="replace"))

    return run


def _run(argv: list[str]) -> int:
    """The exit code of Invoke; an exception that nobody handled is printed, as Python does."""
    try:
        Program(name="Invoke", binary="inv[oke]", binary_names=["invoke", "inv"]).run(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _as_a_process_of_its_own(environment: dict[str, str], folder: str | Path) -> Iterator[None]:
    """Another environment, folder, module path and handlers of signals, until the end."""
    before, here, path = dict(os.environ), Path.cwd(), list(sys.path)
    heeded = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in heeded]
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path
        for number, handler in zip(heeded, handlers, strict=True):
            signal.signal(number, handler)


@contextmanager
def _into(name: str, file: Path) -> Iterator[None]:
    """What this process and its children write to stdout or stderr goes into a file."""
    before, number = getattr(sys, name), {"stdout": 1, "stderr": 2}[name]
    kept = os.dup(number)
    try:
        with file.open("w", errors="backslashreplace") as stream:
            os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)
            yield
    finally:
        setattr(sys, name, before)
        os.dup2(kept, number)
        os.close(kept)
