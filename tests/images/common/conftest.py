"""Dynamo's services inside the container under test, on ports of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ngc.catalog import Base

from ..background import FOLDER, Background, begin
from ..programs import FREE_PORTS

LOADS_DRIVER = "import ctypes; ctypes.CDLL('libcuda.so.1')"


@dataclass(frozen=True)
class Services:
    """etcd and NATS, started; whether they answer is for tests to find out."""

    container: Any
    etcd: Background
    nats: Background
    etcd_port: int
    nats_port: int

    @property
    def environment(self) -> dict[str, str]:
        """How Dynamo's processes find them."""
        return {
            "ETCD_ENDPOINTS": f"http://127.0.0.1:{self.etcd_port}",
            "NATS_SERVER": f"nats://127.0.0.1:{self.nats_port}",
        }

    def etcd_answers(self, *words: str) -> str | None:
        """What etcdctl prints; None if it fails."""
        result = self.container.run(
            "env", "ETCDCTL_API=3", "etcdctl", f"--endpoints=127.0.0.1:{self.etcd_port}", "--command-timeout=2s", *words
        )
        return str(result.stdout) if result.rc == 0 else None

    def ready(self) -> None:
        """Wait for both."""
        self.etcd.wait_for(lambda: self.etcd_answers("get", "nothing") is not None, "it answers")
        self.nats.wait_for(lambda: "Server is ready" in self.nats.log, "it is ready")


@pytest.fixture(scope="module")
def ports(container: Any) -> list[int]:
    """Ports that are free in the container's network."""
    return [int(word) for word in container.python(FREE_PORTS, "6").split()]


@pytest.fixture(scope="module")
def services(container: Any, ports: list[int], entry: Base | None) -> Iterator[Services]:
    """Both, started; skips where image.yaml says that the base has them not."""
    if lacking := [name for name in ("etcd", "nats") if entry is not None and entry.lacks(name)]:
        pytest.skip(f"this base has no {' and no '.join(lacking)}, says image.yaml")
    client, peers, nats = ports[:3]
    here = f"http://127.0.0.1:{client}"
    between = f"http://127.0.0.1:{peers}"
    etcd = begin(
        container, "etcd", "etcd", "--data-dir", f"{FOLDER}/etcd", "--listen-client-urls", here,
        "--advertise-client-urls", here, "--listen-peer-urls", between, "--initial-advertise-peer-urls", between,
        "--initial-cluster", f"default={between}",
    )  # fmt: skip
    running = begin(
        container, "nats", "nats-server", "-js", "-sd", f"{FOLDER}/nats", "-a", "127.0.0.1", "-p", str(nats)
    )
    yield Services(container, etcd, running, client, nats)
    etcd.end()
    running.end()


@pytest.fixture(scope="module")
def driver(container: Any) -> None:
    """Skip where NIXL's UCX plugin cannot load: it links the driver, and only a stand-in brings a stub of it."""
    if container.run("printenv", "STAND_IN_FOR").rc and container.run("python3", "-c", LOADS_DRIVER).rc:
        pytest.skip("there is no NVIDIA driver here, and NIXL's UCX plugin needs libcuda.so.1")
