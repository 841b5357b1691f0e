"""A registry on this machine, and a slow way to it; as a program of its own it is that way: TARGET PORT RATE."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def registry(where: Path) -> Iterator[str]:
    """host:port of a registry that keeps what it has in a folder below `where`, until it ends."""
    program = registry_program()
    if program is None:
        sys.exit("error: there is no docker-registry here (Debian: apt-get install docker-registry)")
    host = f"127.0.0.1:{free_port()}"
    folder = Path(tempfile.mkdtemp(prefix="registry-", dir=where))
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: '{host}'}}\n"
    )
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
        try:
            wait_for_port(host)
            yield host
        finally:
            child.terminate()
            child.wait()
            shutil.rmtree(folder)


def registry_program() -> str | None:
    """Debian's name for it, or that of the registry's own image."""
    return shutil.which("docker-registry") or shutil.which("registry")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_port(host: str) -> None:
    name, port = host.split(":")
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex((name, int(port))) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"error: nothing answers on {host}")


def throttle(target: str, port: int, rate: float) -> None:
    """Forward connections to a registry; all of them together get `rate` bytes a second back. A process of its own."""
    host, target_port = target.split(":")
    lock, free_at = threading.Lock(), [time.monotonic()]

    def pump(source: socket.socket, sink: socket.socket, limited: bool) -> None:
        buffer = memoryview(bytearray(1 << 18))
        try:
            while count := source.recv_into(buffer):
                if limited:
                    with lock:
                        start = max(free_at[0], time.monotonic() - 0.05)
                        free_at[0] = start + count / rate
                    if (pause := free_at[0] - time.monotonic()) > 0:
                        time.sleep(pause)
                sink.sendall(buffer[:count])
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            client, _ = server.accept()
            upstream = socket.create_connection((host, int(target_port)))
            threading.Thread(target=pump, args=(client, upstream, False), daemon=True).start()
            threading.Thread(target=pump, args=(upstream, client, True), daemon=True).start()


@contextmanager
def slow(target: str, rate: float) -> Iterator[str]:
    """host:port of a way to the registry by which all its readers together get `rate` bytes a second, until it ends."""
    port = free_port()
    child = subprocess.Popen([sys.executable, __file__, target, str(port), str(rate)])
    try:
        wait_for_port(f"127.0.0.1:{port}")
        yield f"127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait()


if __name__ == "__main__":
    throttle(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
