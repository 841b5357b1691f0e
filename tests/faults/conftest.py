"""An engine of our own on a small disk of our own: it can be killed and filled without harm to anything else."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sh
from tests.conftest import ROOT, require, wait_for

BRIDGE = "ngc-faults"
ADDRESS = "172.31.250.1/24"
DISK = 6 * 10**9  # bytes of the loop-mounted disk


@dataclass
class Daemon:
    """A dockerd with its own socket, bridge and disk."""

    disk: Path
    folder: Path
    child: Any = field(default=None, repr=False)  # the repr of a running command waits for its end

    @property
    def socket(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> None:
        words = ["--data-root", f"{self.disk}/docker", "--exec-root", f"{self.folder}/exec", "--bridge", BRIDGE]
        words += ["--pidfile", f"{self.folder}/pid", "--host", self.socket]
        with (self.folder / "log").open("ab") as log:
            self.child = sh.Command("dockerd")(*words, _bg=True, _bg_exc=False, _out=log, _err=log, _new_session=True)
        wait_for(lambda: self.docker("info", codes=(0, 1)).exit_code == 0, "a daemon that answers", limit=60)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out; its containerd ends with it, a moment later."""
        containerd = Path(f"/proc/{(self.folder / 'exec/containerd/containerd.pid').read_text()}")
        self._end(signal.SIGKILL)
        wait_for(lambda: not containerd.exists(), "the end of its containerd", limit=60)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        with contextlib.suppress(sh.SignalException, sh.ErrorReturnCode, ProcessLookupError):
            self.child.signal(number)
            self.child.wait(timeout=60)

    def docker(self, *words: str, codes: tuple[int, ...] = (0,)) -> object:
        return sh.Command("docker")(
            "--host", self.socket, *words, _ok_code=list(codes), _return_cmd=True, _tty_out=False
        )

    def names(self) -> set[str]:
        """Every image there is; an unnamed one is `<none>:<none>`."""
        return set(self.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout.decode().split())


@dataclass
class Building:
    """A build that runs, and what it says to people."""

    words: tuple[str, ...]
    environment: dict[str, str]
    lines: list[str] = field(default_factory=list)
    child: Any = field(default=None, repr=False)

    def start(self) -> Building:
        command = sh.Command(sys.executable).bake("-m", "invoke", "--search-root", str(ROOT))
        self.child = command(
            *self.words, _env=self.environment, _bg=True, _bg_exc=False, _err=self.lines.append, _out=self.lines.append,
            _new_session=True, _tty_out=False,
        )  # fmt: skip
        return self

    def reach(self, text: str, limit: float = 240) -> None:
        """Wait until the build says so, or ends."""
        wait_for(lambda: any(text in line for line in self.lines) or not self.child.is_alive(), f"said: {text}", limit)
        assert self.child.is_alive(), f"the build ended before it said '{text}': {''.join(self.lines)[-2000:]}"

    def end(self) -> tuple[int, str]:
        """Exit code and all that was printed."""
        with contextlib.suppress(sh.ErrorReturnCode, sh.SignalException):
            self.child.wait()
        return self.child.exit_code, "".join(self.lines)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A fresh engine, removed at the end with its disk."""
    require("faults", None if os.geteuid() == 0 and shutil.which("dockerd") else "this needs root and dockerd")
    # Not pytest's folder: another pytest on this machine cleans up there.
    folder = Path(tempfile.mkdtemp(prefix="ngc-faults-"))
    disk = folder / "disk"
    disk.mkdir()
    sh.truncate("--size", str(DISK), str(folder / "disk.img"))
    sh.Command("mkfs.ext4")("-q", str(folder / "disk.img"))
    sh.mount("-o", "loop", str(folder / "disk.img"), str(disk))
    sh.ip("link", "del", BRIDGE, _ok_code=[0, 1])  # of a run that was killed
    sh.ip("link", "add", BRIDGE, "type", "bridge")
    sh.ip("addr", "add", ADDRESS, "dev", BRIDGE)
    sh.ip("link", "set", BRIDGE, "up")
    made = Daemon(disk, folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        sh.ip("link", "del", BRIDGE)
        wait_for(
            lambda: sh.umount("--recursive", str(disk), _ok_code=[0, 1, 32], _return_cmd=True).exit_code == 0,
            "unmounted",
            limit=30,
        )
        shutil.rmtree(folder)


@pytest.fixture
def build(daemon: Daemon) -> Callable[..., Building]:
    """Start a build on the engine of our own."""
    from ngc import catalog

    framework = catalog.read().frameworks[0].name

    def start(*words: str) -> Building:
        asked = ("build", "--framework", framework, "--target", "benchmark", "--base=stand-in", *words)
        return Building(asked, {**os.environ, "DOCKER_HOST": daemon.socket}).start()

    return start
