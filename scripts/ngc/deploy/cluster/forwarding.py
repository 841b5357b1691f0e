"""A port of this machine that leads to a Service of the cluster, and goes on leading there when a pod dies."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from ngc.deploy import asking
from ngc.deploy.cluster.kubectl import Cluster
from ngc.errors import Failed

START = 15.0  # seconds until kubectl must say where it listens


@contextmanager
def forwarded(cluster: Cluster, service: str, port: int) -> Iterator[Callable[[], str]]:
    """A function that gives the URL of a Service; it starts kubectl anew when the way there is broken. Raises Failed."""
    running: list[tuple[subprocess.Popen[str], str]] = []

    def url() -> str:
        # kubectl stays with the pod it has chosen: when that is gone it may live on and lead nowhere.
        if running and running[-1][0].poll() is None and asking.alive(running[-1][1]):
            return running[-1][1]
        _end(running)
        running.append(_start(cluster, service, port))
        return running[-1][1]

    try:
        yield url
    finally:
        _end(running)


def _start(cluster: Cluster, service: str, port: int) -> tuple[subprocess.Popen[str], str]:
    words = [*cluster.words, "port-forward", "--address", "127.0.0.1", f"service/{service}", f":{port}"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stderr is not None
    limit = threading.Timer(START, child.kill)
    limit.start()
    line = child.stdout.readline()
    limit.cancel()
    match = re.search(r"Forwarding from (127\.0\.0\.1:\d+)", line)
    if match:
        # Both pipes must be read, or kubectl stops when they are full.
        for pipe in (child.stdout, child.stderr):
            threading.Thread(target=_drain, args=(pipe,), daemon=True).start()
        return child, f"http://{match[1]}"
    child.kill()
    said = " ".join(child.stderr.read().split())
    child.wait()
    child.stdout.close()
    child.stderr.close()
    raise Failed(f"no way to the service {service}: {said or 'kubectl port-forward said nothing'}")


def _drain(pipe: IO[str]) -> None:
    with pipe:
        pipe.read()


def _end(running: list[tuple[subprocess.Popen[str], str]]) -> None:
    while running:
        child, _ = running.pop()
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
