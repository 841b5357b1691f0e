"""Why a pod does not come up: its last events, and the log of the container that ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.observing import Pod
from ngc.deploy.reasons import why
from ngc.deploy.watching import uncoloured

POLL = 1.0  # seconds between two attempts to read a log
TAIL = 15  # log lines of a pod that failed
UNHEALTHY = " | Unhealthy: "  # before what a probe said
LOG_FOR = 10.0  # seconds that a node may take to have a log of a container that ends again and again
# What a kubelet says in a log's place, with status 200.
NO_LOG = (
    "failed to try resolving symlinks in path",
    "unable to retrieve container logs for",
    "failed to open log file",
)


def cause(cluster: Cluster, pod: Pod, sentence: str) -> str:
    """The sentence, why, and on stderr the last events and the log of the container that ended."""
    _, log = _evidence(cluster, pod, ended=bool(pod.restarts))
    known = why([*log, pod.message])
    return f"{pod.component or pod.name} does not come up: {sentence}{f': {known}' if known else ''}"


def late(cluster: Cluster, pods: Iterable[Pod]) -> dict[str, str]:
    """What the probe of a pod that is not ready says, by its component; on stderr its last events and log, one pod of each."""
    first: dict[str, Pod] = {}
    for pod in pods:
        if pod.awaited:
            first.setdefault(pod.component or pod.name, pod)
    found = {}
    for name, pod in first.items():
        # One that runs now says itself what it lacks.
        said, _ = _evidence(cluster, pod, ended=bool(pod.restarts and pod.reason))
        if probes := [line.partition(UNHEALTHY)[2] for line in said if UNHEALTHY in line]:
            found[name] = probes[-1]
    return found


def _evidence(cluster: Cluster, pod: Pod, ended: bool) -> tuple[list[str], list[str]]:
    """(last events, last lines of the log) of a pod, printed too. `ended`: of the container that ended."""
    said, log = events(cluster, pod.name), last_log(cluster, pod, ended)
    for line in (*said, *(f"{pod.name} | {line}" for line in log)):
        print(line, file=sys.stderr)
    return said, log


def last_log(cluster: Cluster, pod: Pod, ended: bool) -> list[str]:
    """The last lines of the container that runs now; `ended`: of the one before it, if the node still has them.

    In a crash loop a node removes a container's log while it is asked for it, and gives its own error for the log.
    """
    deadline = time.monotonic() + LOG_FOR
    own = ["--container=main"] if pod.component else []  # etcd and NATS are alone in their pods
    while True:
        for previous in (["--previous"], []) if ended else ([],):
            done = kubectl.call(cluster, "logs", pod.name, *own, f"--tail={TAIL}", *previous)
            lines = [uncoloured(line) for line in done.out.splitlines() if line.strip() and not line.startswith(NO_LOG)]
            if lines and not done.code:
                return lines
        if not ended or time.monotonic() > deadline:  # nothing ended: nothing comes
            return []
        time.sleep(POLL)


def events(cluster: Cluster, name: str, last: int = 5) -> list[str]:
    """The last events of a pod, oldest first."""
    found = kubectl.call(
        cluster,
        "get",
        "events",
        "--field-selector",
        f"involvedObject.name={name}",
        "--sort-by=.lastTimestamp",
        "--output",
        "json",
    )
    items = found.data["items"] if not found.code else []
    return [
        f"{name} | {entry.get('reason', '')}: {' '.join(str(entry.get('message', '')).split())}"
        for entry in items[-last:]
    ]
